"""Fill small classes with altered copies."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from affect_tasks.data.balance import Copy, choose_copies
from affect_tasks.data.decode import decode_image, encode_jpeg
from affect_tasks.data.recipe import alter_image, build_recipe
from affect_tasks.data.shards import ReadShard, iterate_images, pack_shards
from affect_tasks.manifest import Manifest, build_manifest


def plan_copies(manifest: Manifest, *, multiplier: float, seed: int, split: str = "train") -> tuple[Copy, ...]:
    """Choose which images of one split get copies, as `choose_copies` does; other splits are not touched."""
    rows = np.flatnonzero(manifest.values("split") == split)
    chosen = choose_copies(
        manifest.values("label")[rows], manifest.values("image_id")[rows], multiplier=multiplier, seed=seed
    )
    return tuple(replace(copy, source_row=int(rows[copy.source_row])) for copy in chosen)


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
