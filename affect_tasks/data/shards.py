"""Pack images into Parquet shards and read them back, a shard at a time."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from affect_tasks.data.decode import decode_face
from affect_tasks.errors import MissingBlobError
from affect_tasks.manifest import SHARD_SCHEMA, Manifest, dump_table, load_table

# A shard is in memory while its images are read: small. Each is an object in the store: not too small.
SHARD_BYTES = 4 * 2**20

ReadShard = Callable[[str], bytes]


@dataclass(frozen=True)
class Shard:
    """Some images' bytes as one Parquet file."""

    image_ids: tuple[str, ...]
    data: bytes


def pack_shards(images: Iterable[tuple[str, bytes]], *, shard_bytes: int = SHARD_BYTES) -> Iterator[Shard]:
    """Pack (image_id, file bytes) pairs, in order, into shards of about `shard_bytes`."""
    ids: list[str] = []
    files: list[bytes] = []
    size = 0
    for image_id, data in images:
        ids.append(image_id)
        files.append(data)
        size += len(data)
        if size >= shard_bytes:
            yield _build_shard(ids, files)
            ids, files, size = [], [], 0
    if ids:
        yield _build_shard(ids, files)


def iterate_images(manifest: Manifest, read_shard: ReadShard) -> Iterator[tuple[int, bytes]]:
    """Yield (row of the manifest, file bytes) for every row, one shard in memory at a time.

    Raises:
        MissingBlobError: A shard does not hold an image that the manifest says it holds.
    """
    shard_of, image_ids = manifest.values("shard"), manifest.values("image_id")
    for shard in manifest.shards:
        table = load_table(read_shard(shard))
        row_of = {image_id: row for row, image_id in enumerate(table.column("image_id").to_pylist())}
        files = table.column("data")
        for row in np.flatnonzero(shard_of == shard):
            if image_ids[row] not in row_of:
                raise MissingBlobError(
                    f"Shard {shard} must hold image {image_ids[row]}; it does not. Run ingest again."
                )
            yield int(row), files[row_of[image_ids[row]]].as_py()


def decode_manifest(manifest: Manifest, read_shard: ReadShard, *, side_px: int, out: np.ndarray) -> None:
    """Decode all images into `out`, (n, side_px, side_px, 3) uint8 RGB, in the manifest's order."""
    for row, data in iterate_images(manifest, read_shard):
        out[row] = decode_face(data, side_px=side_px)


def _build_shard(ids: list[str], files: list[bytes]) -> Shard:
    table = pa.table({"image_id": ids, "data": files}, schema=SHARD_SCHEMA)
    # Image files are compressed already.
    return Shard(tuple(ids), dump_table(table, compression="none"))
