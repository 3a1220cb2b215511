"""Folders of pictures: PATH/<part>/<class>/ -> arrays."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gym_cnnarch import InvalidInput
from gym_cnnarch.image_size import ImageSize
from train_eval.data import cache
from train_eval.data.image_data import ImageData, Skipped, make_image_data
from train_eval.data.pictures import Header, decode, is_picture, read_header, read_picture
from train_eval.data.tree import Found, Skips, class_folders, files_of, is_of_a_system

_NAMES = {"train": ("train",), "validation": ("val", "valid", "validation"), "test": ("test",)}
"""Names of the folder of each part."""

_MODES = {1: "L", 3: "RGB"}
"""Pillow's mode by the number of channels."""


def has(path: Path, part: str) -> bool:
    """Whether there is a folder of a part, with something in it."""
    return any(
        not is_of_a_system(entry)
        for name in _NAMES[part]
        if (path / name).is_dir()
        for entry in (path / name).iterdir()
    )


def load(path: Path, part: str, image_size: ImageSize | None) -> ImageData:
    """Decodes the pictures of a part; all parts have the training images' classes and channels.

    Raises:
        InvalidInput: If a folder is missing, there are fewer than two classes, a class without
            images or one that is not trained on, or a picture is unreadable or of another size than
            the rest.
    """
    train = None if part == "train" else load(path, "train", image_size)
    folder, skips = _folder(path, part), Skips(path)
    files = _listed(path, part, skips)
    names = [place.name for place in class_folders(path / "train", Skips(path)).values()]

    def decode_pictures() -> ImageData:
        unread = Skips(path)
        labels, pictures = _pictures(files, unread)
        skipped = unread.summary()
        present = set(labels)
        missing = [name for label, name in enumerate(names) if label not in present]
        if not labels or (missing and train is None):  # only what is trained on needs every class
            raise _without_images(folder, missing, (*skips.summary(), *skipped))
        headers = [read_header(picture) for picture in pictures]
        if image_size is None:
            side = None if train is None else train.images.shape[-1]
            _check_sizes(pictures, headers, side)
        if train is None:
            mode = "L" if all(header.grey for header in headers) else "RGB"
        else:
            mode = _MODES[train.images.shape[1]]
        opened = (read_picture(picture, mode) for picture in pictures)
        images = decode(opened, len(pictures), image_size, f"Decoding {folder}")
        return make_image_data(
            images, np.array(labels, dtype=np.int64), names, skipped, _notes(headers, mode)
        )

    stats = [(str(f.path.relative_to(path)), label, f.size, f.changed) for label, f in files]
    as_trained = None if train is None else [names, train.images.shape[1:]]
    key = ["folder", str(path.resolve()), part, image_size, stats, as_trained]
    data = cache.cached(key, decode_pictures)
    # What is no picture by its name alone may come and go without a new decoding.
    skipped = (*skips.summary(), *data.reading.skipped)
    return dataclasses.replace(data, reading=dataclasses.replace(data.reading, skipped=skipped))


def sizes(path: Path) -> set[tuple[int, int]]:
    """Widths and heights of the training pictures; reads the beginnings of files, no pixels."""
    files = _listed(path, "train", Skips(path))
    return {read_header(picture).size for picture in _pictures(files, Skips(path))[1]}


def check_parts(path: Path, image_size: ImageSize | None) -> None:
    """Checks that what is not trained on has classes and, unless resized, sizes that are.

    Reads names and the beginnings of files, no pixels.

    Raises:
        InvalidInput: If not.
    """
    for part in ("validation", "test"):
        for name in _NAMES[part]:
            if (path / name).is_symlink() and not (path / name).exists():
                raise InvalidInput(f"{path / name} is a link to nothing: mend it, or remove it.")
        if not has(path, part):
            continue
        files = _listed(path, part, Skips(path))
        if image_size is not None:
            continue
        trained = (file.path for _, file in _listed(path, "train", Skips(path)))
        first = next((picture for picture in trained if is_picture(picture)), None)
        if first is not None:
            _, pictures = _pictures(files, Skips(path))
            headers = [read_header(picture) for picture in pictures]
            _check_sizes(pictures, headers, read_header(first).size[0])


def _folder(path: Path, part: str) -> Path:
    """The folder of a part, whatever people call it."""
    found = [path / name for name in _NAMES[part] if (path / name).is_dir()]
    if len(found) > 1:
        raise InvalidInput(
            f"Expected one folder of {part} images, but {path} has "
            f"{' and '.join(folder.name for folder in found)}: move their images into one."
        )
    return found[0] if found else path / _NAMES[part][0]


def _classes(path: Path, part: str, skips: Skips) -> list[tuple[int, Path]]:
    """Label and folder of each class of a part."""
    folder = _folder(path, part)
    classes = class_folders(folder, skips)
    if part == "train":
        if len(classes) < 2:
            raise InvalidInput(
                f"Classifying needs at least 2 classes, each a folder in {folder}, "
                f"but there is {', '.join(classes) or 'none'}."
            )
        return list(enumerate(classes.values()))
    if not classes:
        raise InvalidInput(
            f"Expected images in {folder}/<class>/, but {folder} has no folders of classes: sort "
            f"its images into some, or call it something else."
        )
    trained = list(class_folders(path / "train", Skips(path)))
    unknown = [name for name in classes if name not in trained]
    if unknown:
        missing = [name for name in trained if name not in classes]
        only_trained = f" ({path / 'train'} alone has {', '.join(missing)})" if missing else ""
        raise InvalidInput(
            f"{folder} has classes that are not trained on: {', '.join(unknown)}{only_trained}; "
            f"give each class one name, or move what is not to be tested elsewhere."
        )
    return [(trained.index(name), place) for name, place in classes.items()]


def _listed(path: Path, part: str, skips: Skips) -> list[tuple[int, Found]]:
    """Labels and files of a part."""
    classes = _classes(path, part, skips)
    return [(label, file) for label, place in classes for file in files_of(place, skips)]


def _pictures(files: Sequence[tuple[int, Found]], skips: Skips) -> tuple[list[int], list[Path]]:
    """Labels and paths of those files that are pictures."""
    labels, pictures = [], []
    for label, file in files:
        if is_picture(file.path):
            labels.append(label)
            pictures.append(file.path)
        else:
            suffix = file.path.suffix or "without a suffix"
            skips.add(file.path, f"no picture that Pillow reads, {suffix}")
    return labels, pictures


def _without_images(
    folder: Path, classes: Sequence[str], skipped: Sequence[Skipped]
) -> InvalidInput:
    reason = (
        f"Every class in {folder} needs images, but {', '.join(classes)} "
        f"{'has' if len(classes) == 1 else 'have'} none: add some, or remove the folder."
    )
    return InvalidInput(" ".join([reason, *map(str, skipped)]))


def _check_sizes(pictures: Sequence[Path], headers: Sequence[Header], side: int | None) -> None:
    """All square and of one size, which is that of the training images if those are others."""
    for picture, header in zip(pictures, headers, strict=True):
        width, height = header.size
        if header.size != headers[0].size:
            first = "x".join(map(str, headers[0].size))
            raise InvalidInput(
                f"Images must have one size, but {pictures[0]} has {first} pixels and {picture} "
                f"{width}x{height}: set image_size in the recipe to resize them."
            )
        if width != height:
            raise InvalidInput(
                f"Images must be square, but {picture} has {width}x{height} pixels: set image_size "
                f"in the recipe to crop (32) or pad (pad:32) them."
            )
        if side is not None and width != side:
            raise InvalidInput(
                f"Images must have one size, but the training images have {side}x{side} pixels and "
                f"{picture} {width}x{height}: set image_size in the recipe to resize them."
            )


def _notes(headers: Sequence[Header], mode: str) -> list[str]:
    """Says what reading the pictures did to them."""
    grey, mixed = sum(header.grey for header in headers), mode == "RGB"
    done = {
        "have 16 bits a channel: the upper 8 were kept": sum(header.deep for header in headers),
        "may have transparent pixels: shown on white": sum(h.transparent for h in headers),
        "hold several frames: the first was taken": sum(h.animated for h in headers),
        "are grey, others in colour: three equal channels": grey if mixed else 0,
        "are in colour, unlike the training images: made grey": 0 if mixed else len(headers) - grey,
    }
    return [f"{count} of {len(headers)} pictures {what}." for what, count in done.items() if count]
