"""A run's folder: which run it holds, and the store with its results."""

import json
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from filelock import FileLock, Timeout

from gym_cnnarch import InvalidInput
from gym_cnnarch.files import replace_json, unfinished_name
from gym_cnnarch.space.latencies import in_brief
from train_eval.records.machine import made_with
from train_eval.records.run_file import RunData, RunFile
from train_eval.records.run_settings import RunSettings
from train_eval.records.store import Store

RUN_FILE = "run.json"
STORE = "store.sqlite"
LOCK = "cnnarch.lock"

_LOOK_SECONDS = 0.5  # longer than another takes to see whether a folder is in use

_NO_DATA = RunData()


def open_run(
    run_dir: Path,
    settings: RunSettings,
    store_path: Path | None = None,
    workers: int = 1,
    data: RunData = _NO_DATA,
) -> Store:
    """The store of a run, begun now or before.

    Args:
        run_dir: The run's folder.
        settings: The run's settings; a larger budget than the recorded one makes the run go on.
        store_path: A store to share with other runs; None for one in the folder.
        workers: Number of networks that are trained at a time; recorded with a new run.
        data: Its images, which are recorded with a new run.

    Raises:
        InvalidInput: If the folder belongs to another run, where the message names what differs, or
            the run is in another folder.
        StoreError: If the store cannot be opened, or is damaged.
    """
    check_folder(run_dir)
    if str(store_path) == ":memory:":
        raise InvalidInput(
            "A run keeps what it paid for, which :memory: would throw away: name a file for the "
            "store."
        )
    known = _read_run_file(run_dir)
    if known is not None:
        goes_on = _goes_on(known.settings, settings)
        if not goes_on:
            _check_same_run(run_dir, known, settings)
        store = _open_known(store_path or known.store_path(run_dir), known)
        _take_over(store, known.run, run_dir)
        if store_path and known.store_path(run_dir) != Path(place := _location(store_path)):
            known = replace(known, store=place)  # it was moved
            replace_json(run_dir / RUN_FILE, known.as_json())
        if goes_on:
            _take_over(store, settings.run, run_dir)
            _go_on(store, run_dir, known, settings)
        return store
    store = Store(store_path or run_dir / STORE)
    store.check()
    store.add_run(settings, made_with(workers), str(run_dir.resolve()))
    _take_over(store, settings.run, run_dir)
    location = _location(store_path) if store_path else STORE
    begun = RunFile(location, settings.run, settings, data)
    replace_json(run_dir / RUN_FILE, begun.as_json())
    return store


def check_folder(run_dir: Path) -> None:
    """Refuses a folder of something else than a run.

    Raises:
        InvalidInput: If the folder holds something else.
    """
    # Of a run that was killed while it began.
    ours = {STORE, f"{STORE}-journal", RUN_FILE, unfinished_name(RUN_FILE), LOCK}
    if (run_dir / RUN_FILE).is_file() or not run_dir.exists():
        return
    if not run_dir.is_dir() or any(entry.name not in ours for entry in run_dir.iterdir()):
        raise InvalidInput(
            f"{run_dir} exists and holds no run of gym-cnnarch: name a new or an empty folder."
        )


def find_run(run_dir: Path) -> tuple[Store, str]:
    """The store and name of an existing run.

    Raises:
        InvalidInput: If the folder holds no run, or its store is gone.
    """
    known = _read_run_file(run_dir)
    if known is None:
        raise InvalidInput(f"{run_dir} holds no run: expected the --run-dir of a search.")
    return _open_known(known.store_path(run_dir), known), known.run


def recorded_settings(run_dir: Path) -> RunSettings | None:
    """The settings of the run in a folder, None if there is none yet."""
    known = _read_run_file(run_dir)
    return None if known is None else known.settings


def recorded_images(run_dir: Path) -> RunData:
    """Returns the record of the images of the run in a folder."""
    known = _read_run_file(run_dir)
    return _NO_DATA if known is None else known.data


def recorded_data(run_dir: Path) -> dict[str, str]:
    """Where the images of the run in a folder were: ``dataset`` and ``data_root``, if known."""
    images = recorded_images(run_dir)
    places = {"dataset": images.dataset, "data_root": images.data_root}
    return {name: place for name, place in places.items() if place is not None}


@contextmanager
def in_use(lock: Path) -> Iterator[None]:
    """Holds a lock file, so that no other process does the same work in the same place.

    Raises:
        InvalidInput: If another process holds it.
    """
    try:
        with FileLock(lock, timeout=_LOOK_SECONDS):
            yield
    except Timeout as error:
        raise InvalidInput(
            f"Another cnnarch is at work in {lock.parent}: let it end, or name another place."
        ) from error


def _take_over(store: Store, run: str, run_dir: Path) -> None:
    """Makes a folder the run's own: one store holds a run for one folder, which may move.

    Raises:
        InvalidInput: If the run is in another folder, or at work there.
    """
    record = store.find_run(run)
    if record is None or record.folder == str(run_dir.resolve()):
        return
    before = Path(record.folder)
    if record.folder and (is_in_use(before) or _holds(before, run, Path(store.path))):
        raise InvalidInput(
            f"The store {store.path} holds this run for the folder {before}: continue it there, or "
            f"name another store."
        )
    store.move_run(run, str(run_dir.resolve()))


def _location(store_path: Path) -> str:
    return str(store_path.expanduser().resolve())


def is_in_use(run_dir: Path) -> bool:
    """Whether a process is at work in a run's folder."""
    if not (run_dir / LOCK).is_file():
        return False
    try:
        with FileLock(run_dir / LOCK, timeout=0):
            return False
    except (Timeout, OSError):
        return True


def _holds(run_dir: Path, run: str, store: Path) -> bool:
    """Whether a folder is that of a run in a store."""
    try:
        known = _read_run_file(run_dir)
        return known is not None and known.run == run and known.store_path(run_dir).samefile(store)
    except (InvalidInput, OSError):
        return False


def _open_known(path: Path, known: RunFile) -> Store:
    """The store that a run was begun in; never a new one in its place."""
    if not path.expanduser().is_file():
        raise InvalidInput(
            f"The store {path} of this run is gone: put it back, or name another run directory to "
            f"begin anew."
        )
    store = Store(path)
    store.check()
    record = store.find_run(known.run)
    if record is None or record.settings != known.settings:
        raise InvalidInput(
            f"The store {path} does not hold this run: put the right one back, or name another run "
            f"directory to begin anew."
        )
    return store


def _read_run_file(run_dir: Path) -> RunFile | None:
    path = run_dir / RUN_FILE
    if not path.is_file():
        return None
    try:
        return RunFile.from_json(json.loads(path.read_text()))
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidInput(
            f"{path} does not describe a run ({error}): restore it, or name another folder."
        ) from error


def _goes_on(recorded: RunSettings, asked: RunSettings) -> bool:
    """Whether the same run is asked for more networks."""
    longer = replace(recorded, budget=asked.budget).as_json() == asked.as_json()
    return longer and asked.budget > recorded.budget


def _go_on(store: Store, run_dir: Path, known: RunFile, settings: RunSettings) -> None:
    """Gives a run its larger budget; killed in between, the run is as it was or as it becomes."""
    store.copy_run(known.run, settings)
    replace_json(run_dir / RUN_FILE, replace(known, run=settings.run, settings=settings).as_json())
    store.remove_run(known.run)


def _check_same_run(run_dir: Path, known: RunFile, settings: RunSettings) -> None:
    recorded, asked = known.settings.as_json(), settings.as_json()
    names = [*asked, *(name for name in recorded if name not in asked)]
    changed = [name for name in names if recorded.get(name) != asked.get(name)]
    if not changed:
        return
    if changed == ["budget", "agent"] or changed == ["agent", "budget"]:
        raise InvalidInput(
            f"The schedule of the run in {run_dir} is made for {recorded['budget']} networks: a "
            f"search of {asked['budget']} is another run, which reuses its results with "
            f"--store {shlex.quote(str(known.store_path(run_dir)))} --run-dir NEW."
        )
    there, here = in_brief(recorded), in_brief(asked)
    changes = [f"{n} is {there.get(n)!r} there and {here.get(n)!r} here" for n in changed]
    raise InvalidInput(
        f"{run_dir} belongs to another search ({'; '.join(changes)}): name another run "
        f"directory, or repeat its settings to continue it."
    )
