"""Files that are whole or not there, whenever the process is killed."""

import json
import os
from pathlib import Path
from typing import Any


def unfinished_name(name: str) -> str:
    """Returns the name of a file until it is whole."""
    return f"{name}.unfinished"


def replace_file(path: Path, content: bytes) -> None:
    """Writes beside the file, to the disk, and then renames; makes the folder if there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(unfinished_name(path.name))
    with unfinished.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def replace_json(path: Path, content: Any) -> None:
    """The same with plain data."""
    replace_file(path, (json.dumps(content, indent=2) + "\n").encode())
