"""Find the images of a folder and the class folder each lies in."""

import os
import stat
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from affect_tasks.errors import EmptyClassError, NoImagesError

_IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})


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
    for class_folder in sorted(_list_class_folders(root)):
        label = fold_label(class_folder.name)
        listed = len(files) + len(skipped)
        for entry in _walk(class_folder):
            path = Path(entry.path).relative_to(root).as_posix()
            reason = _find_reason_to_skip(entry)
            if reason:
                skipped.append(SkippedFile(path, reason))
            else:
                files.append(FoundFile(path, label))
        if len(files) + len(skipped) == listed:
            skipped.append(SkippedFile(class_folder.name, "a class folder without files"))
    _check_classes(folder, files)
    return FoundFolder(root, tuple(sorted(files, key=lambda f: f.path)), tuple(sorted(skipped, key=lambda s: s.path)))


def fold_label(name: str) -> str:
    """Fold a class name's case, Unicode form and outer spaces."""
    return unicodedata.normalize("NFC", name).strip().casefold()


def _find_root(folder: Path) -> Path:
    if not folder.is_dir():
        msg = f"The images must lie in a folder; {folder} is none. Give a folder with one folder per class."
        raise NoImagesError(msg)
    train = folder / "train"
    return train if train.is_dir() and not train.is_symlink() else folder


def _list_class_folders(root: Path) -> Iterator[Path]:
    with os.scandir(root) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                yield Path(entry.path)


def _walk(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False) and Path(entry.name).suffix.lower() not in _IMAGE_SUFFIXES:
                yield from _walk(Path(entry.path))
            else:
                yield entry


def _find_reason_to_skip(entry: os.DirEntry[str]) -> str:
    if entry.name.startswith("."):
        return "hidden"
    if entry.is_symlink():
        return "a link, which may lead out of the folder"
    if not stat.S_ISREG(entry.stat(follow_symlinks=False).st_mode):
        return "not a plain file"
    if Path(entry.name).suffix.lower() not in _IMAGE_SUFFIXES:
        return "no image suffix"
    if not entry.name.isprintable():
        return "a name with control characters"
    return ""


def _check_classes(folder: Path, files: list[FoundFile]) -> None:
    counts = Counter(file.folder_label for file in files)
    if not counts:
        msg = (
            f"There must be images in {folder}/<class>/ or {folder}/train/<class>/; found none "
            f"({', '.join(sorted(_IMAGE_SUFFIXES))}). Check the folder."
        )
        raise NoImagesError(msg)
    if len(counts) < 2:
        msg = f"There must be at least two classes; found only {next(iter(counts))!r} in {folder}. Add another."
        raise EmptyClassError(msg)
