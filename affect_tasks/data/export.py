"""Write images as a folder tree, `<split>/<class>/<name>`, with nothing lost to equal names."""

import csv
import errno
import io
import itertools
import os
import shutil
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from affect_tasks.data.scan import FoundFolder, SkippedFile
from affect_tasks.data.transaction import flush_entry, flush_files

_NAME_BYTES = 255
_QUARANTINE = "quarantine"
# The file system or the owner does not allow a link here; a copy may work.
_NO_LINK = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EACCES, errno.EROFS}

# A path below the tree, and the path of a file to link or copy, or the bytes to write.
TreeFile = tuple[str, str | bytes]


@dataclass(frozen=True, slots=True)
class Collision:
    """An image that would have landed on another's name: what it is, the path it asked for, the one it got."""

    source: str
    wanted: str
    given: str


@dataclass(frozen=True)
class Placement:
    """A path for each image, no two equal even where case or Unicode form does not count."""

    paths: tuple[str, ...]
    collisions: tuple[Collision, ...]


def place_images(wanted: Sequence[str], sources: Sequence[str], *, identify: Callable[[int], str]) -> Placement:
    """Give every image a path of its own.

    Of images that want one path, or paths that differ only in case or Unicode form, the first by image id
    gets it; the others get a suffix made of their id, `face-1f2e3d4c.jpg` say. The result depends on the
    images, not on the order of rows, except among equal images.

    Args:
        wanted: The path each image asks for, `<split>/<class>/<name>`.
        sources: What each image is called in the list of collisions, the path it lay at say.
        identify: Returns the image id of a row; asked only for images that collide.
    """
    first: dict[str, int] = {}
    rivals: dict[str, list[int]] = {}
    for row, path in enumerate(wanted):
        key = fold_path(path)
        if first.setdefault(key, row) != row:
            rivals.setdefault(key, [first[key]]).append(row)
    paths = list(wanted)
    collisions: list[Collision] = []
    for key in sorted(rivals):
        rows = sorted(rivals[key], key=lambda row: (identify(row), row))
        for row in rows[1:]:
            paths[row] = _find_free_path(wanted[row], identify(row)[:8], first)
            first[fold_path(paths[row])] = row
            collisions.append(Collision(sources[row], wanted[row], paths[row]))
    return Placement(tuple(paths), tuple(collisions))


def fold_path(path: str) -> str:
    """Fold what some file systems do not tell apart: case and Unicode form (Unicode 16, D145)."""
    if path.isascii():
        return path.lower()
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", path).casefold())


def suffix_name(name: str, suffix: str) -> str:
    """Put `-<suffix>` before a file name's extension, shortening the stem to 255 bytes in all."""
    extension = PurePosixPath(name).suffix
    tail = f"-{suffix}{extension}"
    stem = name.removesuffix(extension).encode()[: _NAME_BYTES - len(tail.encode())]
    return stem.decode(errors="ignore") + tail


def write_tree(folder: Path, files: Iterable[TreeFile], *, copy: bool) -> None:
    """Write files below a folder and flush them, and the folders they lie in, to the disk.

    Args:
        folder: Where to; nothing is overwritten.
        files: Path below the folder, and a file's path or the bytes to write. A file is linked, so that it
            takes no space and is one with its source, or copied where the file system cannot link.
        copy: Always copy.
    """
    root = f"{folder}/"
    made: set[str] = set()
    written: list[str] = []
    for path, source in files:
        place = root + path
        parent = place[: place.rindex("/")]
        if parent not in made:
            Path(parent).mkdir(parents=True, exist_ok=True)
            made.add(parent)
        if isinstance(source, bytes):
            with open(place, "xb") as file:  # noqa: PTH123 - a Path for each of 100,000 files takes seconds
                file.write(source)
            written.append(place)
        elif copy or not _link(source, place):
            shutil.copyfile(source, place, follow_symlinks=False)
            written.append(place)
    flush_files(written, folder)
    for parent in _with_parents(made, str(folder)):
        flush_entry(parent)


def dump_csv(header: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """Write a CSV file's bytes: UTF-8, commas, one line a row."""
    text = io.StringIO(newline="")
    out = csv.writer(text, lineterminator="\n")
    out.writerow(header)
    out.writerows(rows)
    return text.getvalue().encode()


def list_reports(step: str, collisions: Sequence[Collision], aside: Sequence[SkippedFile]) -> Iterator[TreeFile]:
    """List the files that tell of equal names and of what was set aside, if there is anything to tell."""
    if collisions:
        rows = ((c.source, c.wanted, c.given) for c in collisions)
        yield f"{step}-collisions.csv", dump_csv(("source", "wanted", "given"), rows)
    if aside:
        yield f"{step}-quarantine.csv", dump_csv(("path", "reason"), ((file.path, file.reason) for file in aside))


def list_rest(folder: Path, found: FoundFolder, *, taken: Collection[str]) -> Iterator[TreeFile]:
    """List what else a folder holds, for the tree that takes its place.

    What lies beside the class folders keeps its place; what lies in them and was not taken, being no
    readable image, goes to `quarantine/`.
    """
    prefix = "" if found.root == folder else f"{found.root.name}/"
    classes = {file.path.partition("/")[0] for file in (*found.files, *found.skipped)}
    images = {prefix + path for path in taken}
    for path in _walk(folder):
        inner = path.removeprefix(prefix)
        among_images = path.startswith(prefix) and "/" in inner and inner.partition("/")[0] in classes
        if path not in images:
            yield f"{_QUARANTINE}/{inner}" if among_images else path, f"{folder}/{path}"


def _walk(folder: Path) -> Iterator[str]:
    waiting = [""]
    while waiting:
        place = waiting.pop()
        with os.scandir(f"{folder}/{place}") as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(f"{place}{entry.name}/")
                else:
                    yield place + entry.name


def _find_free_path(path: str, tag: str, taken: dict[str, int]) -> str:
    folder, _, name = path.rpartition("/")
    tags = itertools.chain([tag], (f"{tag}-{number}" for number in itertools.count(2)))
    paths = (f"{folder}/{suffix_name(name, tag)}" for tag in tags)
    return next(path for path in paths if fold_path(path) not in taken)


def _link(source: str, place: str) -> bool:
    try:
        os.link(source, place, follow_symlinks=False)
    except OSError as error:
        if error.errno in _NO_LINK:
            return False
        raise
    return True


def _with_parents(folders: set[str], root: str) -> list[str]:
    """Return folders and those between them and the root, which is left out, deepest first."""
    found: set[str] = set()
    for folder in folders:
        place = folder
        while len(place) > len(root) and place not in found:
            found.add(place)
            place = place[: place.rindex("/")]
    return sorted(found, key=len, reverse=True)
