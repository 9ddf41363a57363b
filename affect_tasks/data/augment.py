"""Fill small classes with altered copies."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from affect_tasks.data.decode import decode_image, encode_jpeg
from affect_tasks.data.recipe import alter_image, build_recipe
from affect_tasks.data.shards import ReadShard, iterate_images, pack_shards
from affect_tasks.manifest import Manifest, build_manifest


@dataclass(frozen=True)
class Copy:
    """One copy to make: of which image, and from which seed its changes are drawn."""

    source_row: int
    seed: int


def plan_copies(manifest: Manifest, *, multiplier: float, seed: int, split: str = "train") -> tuple[Copy, ...]:
    """Choose which images of a split get copies, so that all classes reach the same size.

    Every class is filled up to `multiplier` times the largest class of the split. The copies of a class are
    spread evenly over its images. Other splits are not touched.
    """
    train = np.flatnonzero(manifest.values("split") == split)
    labels = manifest.values("label")[train].astype(str)
    classes, counts = np.unique(labels, return_counts=True)
    target = round(multiplier * counts.max())
    image_ids = manifest.values("image_id")
    copies: list[Copy] = []
    for label in classes:
        _, first = np.unique(image_ids[train[labels == label]].astype(str), return_index=True)
        members = train[labels == label][first]
        order = np.argsort([_draw_seed(seed, str(image_ids[row]), -1) for row in members], kind="stable")
        missing = target - int((labels == label).sum())
        for number in range(missing):
            row = int(members[order[number % len(members)]])
            copies.append(Copy(row, _draw_seed(seed, str(image_ids[row]), number // len(members))))
    return tuple(copies)


def render_copies(
    manifest: Manifest,
    copies: tuple[Copy, ...],
    read_shard: ReadShard,
    write_shard: Callable[[bytes], str],
    *,
    description: bytes | None = None,
) -> Manifest:
    """Draw the copies and return the manifest with their rows appended.

    Each copy is a function of its image's bytes, its seed and the recipe alone; the recipe is the file of that
    `description`, or the default one.
    """
    if not copies:
        return manifest
    by_row: dict[int, list[Copy]] = {}
    for copy in copies:
        by_row.setdefault(copy.source_row, []).append(copy)
    recipe = build_recipe(description)
    made: list[tuple[str, Copy, tuple[int, int]]] = []

    def render() -> Iterator[tuple[str, bytes]]:
        sources = np.zeros(len(manifest), dtype=bool)
        sources[list(by_row)] = True
        rows = np.flatnonzero(sources)
        for place, data in iterate_images(manifest.select(sources), read_shard):
            pixels = decode_image(data)
            for copy in by_row[int(rows[place])]:
                changed = alter_image(pixels, recipe, seed=copy.seed)
                file = encode_jpeg(changed)
                image_id = hashlib.sha256(file).hexdigest()
                made.append((image_id, copy, changed.shape[1::-1]))
                yield image_id, file

    shard_of = {i: name for s in pack_shards(render()) for name in [write_shard(s.data)] for i in s.image_ids}
    sources = np.array([copy.source_row for _, copy, _ in made])
    inherited = {name: manifest.values(name)[sources] for name in ("label", "folder_label", "origin", "group", "split")}
    rows = build_manifest(
        {
            **inherited,
            "image_id": [image_id for image_id, _, _ in made],
            "path": [""] * len(made),
            "width": [size[0] for _, _, size in made],
            "height": [size[1] for _, _, size in made],
            "source_id": manifest.values("image_id")[sources],
            "seed": [copy.seed for _, copy, _ in made],
            "shard": [shard_of[image_id] for image_id, _, _ in made],
        }
    )
    return manifest.append(rows)


def _draw_seed(seed: int, image_id: str, number: int) -> int:
    """Derive a copy's seed, 0 <= seed < 2**32, from the run's seed, its image and its number."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{image_id}:{number}".encode()).digest()[:4], "big")
