"""Fill small classes with altered copies, in parts that may be drawn by as many workers."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from operator import attrgetter

import numpy as np

from affect_tasks.data.balance import Copy, choose_copies
from affect_tasks.data.decode import read_header
from affect_tasks.data.render import RenderJob, open_rendering
from affect_tasks.data.shards import ReadShard, iterate_images, pack_shards
from affect_tasks.manifest import Manifest

# About two seconds of one core for 96-pixel images. Never dependent on the number of workers: the parts decide which
# copies share a shard.
PART_COPIES = 4096

Follow = Callable[[Iterator[bytes]], Iterable[bytes]]


def plan_copies(manifest: Manifest, *, multiplier: float, seed: int, split: str = "train") -> tuple[Copy, ...]:
    """Choose which images of one split get copies, as `choose_copies` does; other splits are not touched."""
    rows = np.flatnonzero(manifest.values("split") == split)
    chosen = choose_copies(
        manifest.values("label")[rows], manifest.values("image_id")[rows], multiplier=multiplier, seed=seed
    )
    return tuple(replace(copy, source_row=int(rows[copy.source_row])) for copy in chosen)


def cut_parts(
    manifest: Manifest, copies: Sequence[Copy], *, part_copies: int = PART_COPIES
) -> tuple[tuple[Copy, ...], ...]:
    """Cut copies into parts of about `part_copies`, each of images that lie together in few shards.

    All copies of an image are in one part. Without copies there are no parts.
    """
    shards = manifest.values("shard")
    ordered = sorted(copies, key=lambda copy: (shards[copy.source_row], copy.source_row, copy.number))
    parts: list[tuple[Copy, ...]] = []
    start = 0
    while start < len(ordered):
        end = min(start + part_copies, len(ordered))
        while end < len(ordered) and ordered[end].source_row == ordered[end - 1].source_row:
            end += 1
        parts.append(tuple(ordered[start:end]))
        start = end
    return tuple(parts)


def render_parts(
    manifest: Manifest,
    parts: Iterable[tuple[Copy, ...]],
    read_shard: ReadShard,
    write_shard: Callable[[bytes], str],
    *,
    description: bytes | None = None,
    workers: int = 1,
    follow: Follow = iter,
) -> Iterator[Manifest]:
    """Draw the copies of some parts; yield each part's rows, in order, to be appended to the manifest.

    Each copy is a function of its image's bytes, its seed and the recipe alone; the recipe is the file of that
    `description`, or the default one.

    Args:
        manifest: The originals.
        parts: Of `cut_parts`.
        read_shard: Returns a shard's bytes.
        write_shard: Stores a shard's bytes and returns its blob name.
        description: The recipe's file.
        workers: Processes that draw; 1 draws in this one.
        follow: Hands the drawn copies on, showing the progress.
    """
    parts = tuple(parts)
    jobs = (job for part in parts for job in _list_jobs(manifest, part, read_shard))
    with open_rendering(jobs, workers=workers, pipeline_yaml=description) as drawn:
        files = iter(follow(drawn))
        for part in parts:
            yield _store_part(manifest, part, islice(files, len(part)), write_shard)


def _list_jobs(manifest: Manifest, part: Sequence[Copy], read_shard: ReadShard) -> Iterator[RenderJob]:
    """List what to draw, in the order of the part, which is that of the shards."""
    seeds: dict[int, list[int]] = {}
    for copy in part:
        seeds.setdefault(copy.source_row, []).append(copy.seed)
    chosen = np.zeros(len(manifest), dtype=bool)
    chosen[list(seeds)] = True
    rows = np.flatnonzero(chosen)
    for place, data in iterate_images(manifest.select(chosen), read_shard):
        yield RenderJob(data, tuple(seeds[int(rows[place])]))


def _store_part(
    manifest: Manifest, part: Sequence[Copy], files: Iterable[bytes], write_shard: Callable[[bytes], str]
) -> Manifest:
    ids: list[str] = []
    sizes: list[tuple[int, int]] = []

    def take() -> Iterator[tuple[str, bytes]]:
        for file in files:
            header = read_header(file)
            sizes.append((header.width, header.height))
            ids.append(hashlib.sha256(file).hexdigest())
            yield ids[-1], file

    shard_of = {i: name for s in pack_shards(take()) for name in [write_shard(s.data)] for i in s.image_ids}
    originals = manifest.take(np.fromiter(map(attrgetter("source_row"), part), dtype=np.int64, count=len(part)))
    empty = [""] * len(part)
    return originals.replace(
        {
            "image_id": ids,
            "path": empty,
            "width": [width for width, _ in sizes],
            "height": [height for _, height in sizes],
            "subject": empty,
            "fingerprint": empty,
            "source_id": originals.values("image_id"),
            "seed": [copy.seed for copy in part],
            "shard": [shard_of[image_id] for image_id in ids],
        }
    )
