"""Find the images of a folder and the class folder each lies in."""

import os
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from affect_tasks.errors import EmptyClassError, InputError, NoImagesError

_IMAGE_SUFFIXES = frozenset({"bmp", "jpeg", "jpg", "png", "tif", "tiff", "webp"})


@dataclass(frozen=True)
class FoundFile:
    """A file that may be an image: its place below the class folders' parent, and its class folder."""

    path: str
    folder_label: str


@dataclass(frozen=True)
class SkippedFile:
    """A file that is not taken, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class FoundFolder:
    """What a folder holds. Files are sorted by path, so that the listing's order never matters."""

    root: Path
    files: tuple[FoundFile, ...]
    skipped: tuple[SkippedFile, ...]


def scan_folder(folder: Path) -> FoundFolder:
    """List the images in `folder/train/<class>/` or `folder/<class>/`.

    Class folders fold case and Unicode form (`Anger` is `anger`). Links, pipes and devices are skipped
    with a reason, as are files without an image's suffix; hidden files are too. A class folder without files is
    no class, and listed as skipped.

    Raises:
        NoImagesError: The folder is missing or holds no image in a class folder.
        EmptyClassError: There are fewer than two classes.
    """
    root = _find_root(folder)
    files: list[FoundFile] = []
    skipped: list[SkippedFile] = []
    for name in sorted(_list_class_folders(root)):
        label = fold_label(name)
        listed = len(files) + len(skipped)
        folder_reason = "" if _is_folder_name(label) else "a class folder whose name is no label"
        for path, entry in _walk(root / name, name):
            reason = folder_reason or _find_reason_to_skip(entry)
            if reason:
                skipped.append(SkippedFile(path, reason))
            else:
                files.append(FoundFile(path, label))
        if len(files) + len(skipped) == listed:
            skipped.append(SkippedFile(name, "a class folder without files"))
    _check_classes(folder, files)
    return FoundFolder(root, tuple(sorted(files, key=lambda f: f.path)), tuple(sorted(skipped, key=lambda s: s.path)))


def fold_label(name: str) -> str:
    """Fold a class name's case, Unicode form and outer spaces."""
    return unicodedata.normalize("NFC", name).strip().casefold()


def has_image_suffix(name: str) -> bool:
    """Tell by a file name's suffix whether it may be an image's."""
    stem, dot, suffix = name.rpartition(".")
    return bool(stem and dot) and suffix.lower() in _IMAGE_SUFFIXES


def check_readable(total: int, unreadable: Sequence[SkippedFile], *, tolerated: float) -> None:
    """Refuse a folder of which more than the tolerated share is unreadable.

    Raises:
        InputError: With the numbers and three examples.
    """
    if len(unreadable) > tolerated * total:
        examples = "; ".join(f"{file.path}: {file.reason}" for file in unreadable[:3])
        msg = (
            f"At most {tolerated:.0%} of the files may be unreadable; {len(unreadable)} of {total} are, such as "
            f"{examples} Replace them or raise `unreadable_fraction`."
        )
        raise InputError(msg)


def _find_root(folder: Path) -> Path:
    if not folder.is_dir():
        msg = f"The images must lie in a folder; {folder} is none. Give a folder with one folder per class."
        raise NoImagesError(msg)
    train = folder / "train"
    return train if train.is_dir() and not train.is_symlink() else folder


def _list_class_folders(root: Path) -> Iterator[str]:
    with os.scandir(root) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                yield entry.name


def _is_folder_name(label: str) -> bool:
    return label.isprintable() and not label.startswith(".") and bool(label)


def _walk(folder: str | Path, place: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            path = f"{place}/{entry.name}"
            if entry.is_dir(follow_symlinks=False) and not has_image_suffix(entry.name):
                yield from _walk(entry.path, path)
            else:
                yield path, entry


def _find_reason_to_skip(entry: os.DirEntry[str]) -> str:
    if entry.name.startswith("."):
        return "hidden"
    if entry.is_symlink():
        return "a link, which may lead out of the folder"
    if not entry.is_file(follow_symlinks=False):
        return "not a plain file"
    if not has_image_suffix(entry.name):
        return "no image suffix"
    if not entry.name.isprintable():
        return "a name with control characters"
    return ""


def _check_classes(folder: Path, files: list[FoundFile]) -> None:
    counts = Counter(file.folder_label for file in files)
    if not counts:
        msg = (
            f"There must be images in {folder}/<class>/ or {folder}/train/<class>/; found none "
            f"(.{', .'.join(sorted(_IMAGE_SUFFIXES))}). Check the folder."
        )
        raise NoImagesError(msg)
    if len(counts) < 2:
        msg = f"There must be at least two classes; found only {next(iter(counts))!r} in {folder}. Add another."
        raise EmptyClassError(msg)
