"""Turn found files into manifest rows and shards, and set aside what cannot be read."""

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from affect_tasks.data.decode import decode_image
from affect_tasks.data.fingerprint import compute_fingerprint
from affect_tasks.data.scan import FoundFile, FoundFolder, SkippedFile, check_readable, fold_label
from affect_tasks.data.shards import pack_shards
from affect_tasks.errors import EmptyClassError, InputError, UnreadableImageError
from affect_tasks.manifest import Manifest, build_manifest


@dataclass(frozen=True)
class Ingested:
    """The manifest of all readable images, and the files set aside, each with its reason."""

    manifest: Manifest
    quarantined: tuple[SkippedFile, ...]


def hash_files(found: FoundFolder) -> dict[str, str]:
    """Digest every found file.

    Returns:
        sha256 by path, in the order of `found.files`.
    """
    return {file.path: hashlib.sha256(_read(found, file)).hexdigest() for file in found.files}


def ingest_images(found: FoundFolder, write_shard: Callable[[bytes], str], *, unreadable_fraction: float) -> Ingested:
    """Decode every file once, to see that it can be read, and pack its bytes into shards.

    Args:
        found: The files to take.
        write_shard: Stores a shard's bytes and returns its blob name.
        unreadable_fraction: Tolerated share of unreadable files.

    Raises:
        InputError: More files than that are unreadable.
        EmptyClassError: All files of a class are.
    """
    rows: dict[str, list[str]] = {name: [] for name in ("image_id", "path", "label", "origin", "fingerprint")}
    sizes: list[tuple[int, int]] = []
    bad: list[SkippedFile] = []
    ids: set[str] = set()

    def take() -> Iterator[tuple[str, bytes]]:
        for file in found.files:
            data = _read(found, file)
            try:
                pixels = decode_image(data)
            except UnreadableImageError as error:
                bad.append(SkippedFile(file.path, str(error)))
                continue
            image_id = hashlib.sha256(data).hexdigest()
            row = (image_id, file.path, file.folder_label, _find_origin(file.path), compute_fingerprint(pixels))
            for name, value in zip(rows, row, strict=True):
                rows[name].append(value)
            sizes.append(pixels.shape[1::-1])
            if image_id not in ids:
                ids.add(image_id)
                yield image_id, data

    shard_of = {i: name for s in pack_shards(take()) for name in [write_shard(s.data)] for i in s.image_ids}
    check_readable(len(found.files), bad, tolerated=unreadable_fraction)
    _check_classes(found, bad, set(rows["label"]))
    count = len(sizes)
    columns = {
        **rows,
        "folder_label": rows["label"],
        "width": [width for width, _ in sizes],
        "height": [height for _, height in sizes],
        "group": rows["image_id"],
        "split": [""] * count,
        "source_id": [""] * count,
        "seed": [-1] * count,
        "shard": [shard_of[image_id] for image_id in rows["image_id"]],
    }
    return Ingested(build_manifest(columns), tuple(bad))


def _read(found: FoundFolder, file: FoundFile) -> bytes:
    path = found.root / file.path
    try:
        return path.read_bytes()
    except OSError as error:
        msg = f"Every image must be readable; {path}: {error.strerror}. Mend its permissions or remove it."
        raise InputError(msg) from error


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
