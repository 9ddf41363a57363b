"""Turn found files into manifest rows and shards, and set aside what cannot be read."""

import hashlib
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from operator import attrgetter
from pathlib import Path

from affect_tasks.data.decode import decode_image
from affect_tasks.data.fingerprint import compute_fingerprint
from affect_tasks.data.reading import digest_file, read_file
from affect_tasks.data.scan import FoundFile, FoundFolder, SkippedFile, check_readable, fold_label
from affect_tasks.data.shards import pack_shards
from affect_tasks.errors import EmptyClassError, UnreadableImageError
from affect_tasks.manifest import Manifest, build_manifest

_BATCH = 64


@dataclass(frozen=True)
class Ingested:
    """The manifest of all readable images, and the files set aside, each with its reason."""

    manifest: Manifest
    quarantined: tuple[SkippedFile, ...]


@dataclass(frozen=True, slots=True)
class ExaminedFile:
    """One file and what its pixels tell, or why it cannot be read."""

    path: str
    folder_label: str
    data: bytes
    image_id: str = ""
    width: int = 0
    height: int = 0
    fingerprint: str = ""
    fault: str = ""


def hash_files(found: FoundFolder) -> dict[str, str]:
    """Digest every found file.

    Returns:
        sha256 by path, in the order of `found.files`.
    """
    return {file.path: digest_file(found, file) for file in found.files}


def ingest_images(
    found: FoundFolder,
    write_shard: Callable[[bytes], str],
    *,
    unreadable_fraction: float,
    workers: int = 1,
    follow: Callable[[Iterator[ExaminedFile]], Iterable[ExaminedFile]] = iter,
) -> Ingested:
    """Decode every file once, to see that it can be read, and pack its bytes into shards.

    Args:
        found: The files to take.
        write_shard: Stores a shard's bytes and returns its blob name.
        unreadable_fraction: Tolerated share of unreadable files.
        workers: Threads that decode; the result does not depend on their number.
        follow: Hands the examined files on, showing the progress.

    Raises:
        InputError: More files than that are unreadable.
        EmptyClassError: All files of a class are.
    """
    kept: list[ExaminedFile] = []
    bad: list[SkippedFile] = []
    ids: set[str] = set()

    def take() -> Iterator[tuple[str, bytes]]:
        for file in follow(examine_files(found, workers=workers)):
            if file.fault:
                bad.append(SkippedFile(file.path, file.fault))
                continue
            kept.append(replace(file, data=b""))
            if file.image_id not in ids:
                ids.add(file.image_id)
                yield file.image_id, file.data

    shard_of = {i: name for s in pack_shards(take()) for name in [write_shard(s.data)] for i in s.image_ids}
    check_readable(len(found.files), bad, tolerated=unreadable_fraction)
    _check_classes(found, bad, {file.folder_label for file in kept})
    return Ingested(_build_rows(kept, shard_of), tuple(bad))


def _build_rows(files: Sequence[ExaminedFile], shard_of: Mapping[str, str]) -> Manifest:
    names = ("image_id", "path", "folder_label", "width", "height", "fingerprint")
    columns = {name: list(map(attrgetter(name), files)) for name in names}
    return build_manifest(
        {
            **columns,
            "label": columns["folder_label"],
            "origin": [_find_origin(file.path) for file in files],
            "group": columns["image_id"],
            "split": [""] * len(files),
            "source_id": [""] * len(files),
            "seed": [-1] * len(files),
            "shard": [shard_of[file.image_id] for file in files],
        }
    )


def examine_files(found: FoundFolder, *, workers: int = 1) -> Iterator[ExaminedFile]:
    """Read and decode every file, some batches ahead of what is taken, and yield what was found, in order."""
    batches = (found.files[start : start + _BATCH] for start in range(0, len(found.files), _BATCH))
    # OpenCV decodes, and hashlib digests, outside of Python's lock.
    with ThreadPoolExecutor(workers) as pool:
        waiting = deque(pool.submit(_examine, found, batch) for batch in islice(batches, 2 * workers))
        while waiting:
            done = waiting.popleft().result()
            waiting.extend(pool.submit(_examine, found, batch) for batch in islice(batches, 1))
            yield from done


def _examine(found: FoundFolder, files: Sequence[FoundFile]) -> list[ExaminedFile]:
    return [_examine_file(file, read_file(f"{found.root}/{file.path}")) for file in files]


def _examine_file(file: FoundFile, data: bytes) -> ExaminedFile:
    try:
        pixels = decode_image(data)
    except UnreadableImageError as error:
        return ExaminedFile(file.path, file.folder_label, b"", fault=str(error))
    height, width = pixels.shape[:2]
    image_id = hashlib.sha256(data).hexdigest()
    return ExaminedFile(file.path, file.folder_label, data, image_id, width, height, compute_fingerprint(pixels))


def _find_origin(path: str) -> str:
    return re.split(r"[\d_\-. ]", Path(path).stem, maxsplit=1)[0] or "unnamed"


def _check_classes(found: FoundFolder, bad: list[SkippedFile], labels: set[str]) -> None:
    for label in sorted({file.folder_label for file in found.files} - labels):
        example = next(file for file in bad if fold_label(file.path.split("/")[0]) == label)
        msg = (
            f"Every class must have an image that can be read; {label!r} has none, such as {example.path}: "
            f"{example.reason} Replace its files, or remove the folder."
        )
        raise EmptyClassError(msg)
