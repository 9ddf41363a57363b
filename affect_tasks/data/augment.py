"""Fill small classes with altered copies. The only module that knows Albumentations."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import cv2
import numpy as np

from affect_tasks.data.balance import Copy, choose_copies
from affect_tasks.data.decode import decode_image, encode_jpeg
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
    manifest: Manifest, copies: tuple[Copy, ...], read_shard: ReadShard, write_shard: Callable[[bytes], str]
) -> Manifest:
    """Draw the copies and return the manifest with their rows appended.

    Each copy is a function of its image's bytes and its seed alone.
    """
    if not copies:
        return manifest
    by_row: dict[int, list[Copy]] = {}
    for copy in copies:
        by_row.setdefault(copy.source_row, []).append(copy)
    recipe = build_recipe()
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


def alter_image(pixels: np.ndarray, recipe: Any, *, seed: int) -> np.ndarray:
    """Apply a recipe to one RGB image (height, width, 3), uint8; equal seeds give equal results."""
    recipe.set_random_seed(seed)
    return recipe(image=pixels)["image"]


def build_recipe() -> Any:
    """Build the default recipe, an `albumentations.Compose`.

    Flip p 0.5; brightness and contrast +-20 % always; one of motion blur, Gaussian noise, Gaussian blur
    p 0.5; pixel dropout p 0.25; rotation +-20 degrees always, with replicated borders.
    """
    import albumentations

    return albumentations.Compose(
        [
            albumentations.HorizontalFlip(p=0.5),
            albumentations.RandomBrightnessContrast(brightness_limit=0.2, contrast_limit=0.2, p=1.0),
            albumentations.OneOf(
                [
                    albumentations.MotionBlur(p=1.0),
                    albumentations.GaussNoise(p=1.0),
                    albumentations.GaussianBlur(p=1.0),
                ],
                p=0.5,
            ),
            albumentations.PixelDropout(p=0.25),
            albumentations.Rotate(limit=20, border_mode=cv2.BORDER_REPLICATE, p=1.0),
        ]
    )
