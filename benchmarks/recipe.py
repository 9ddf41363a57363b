"""Alter images by the default recipe, one process, one thread of OpenCV.

    python benchmarks/recipe.py DATA [--rounds 3]

The baseline is Albumentations called plainly, whose results no seed can bring back. Target: ours, reproducible for
each image, at 2.5 times its rate. JPEG encoding is measured by itself.
"""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from side_by_side import Work, compare_ways

IMAGES = 1000
COPIES = 5


def read_images(folder: Path) -> list[np.ndarray]:
    """Decode the first images of the folder, spread over its classes."""
    paths = [path for path in sorted(folder.rglob("*")) if path.suffix in {".jpg", ".png"}]
    return [cv2.imread(str(path), cv2.IMREAD_COLOR_RGB) for path in paths[:: max(1, len(paths) // IMAGES)][:IMAGES]]


def alter_all(images: list[np.ndarray], alter: Callable[[np.ndarray, int], object]) -> Work:
    """Alter each image several times, each time with another seed."""

    def work() -> int:
        for number in range(COPIES * len(images)):
            alter(images[number % len(images)], number)
        return COPIES * len(images)

    return work


def alter_plainly(folder: Path) -> Work:
    """Albumentations, unseeded."""
    from affect_tasks.data.recipe import build_default_compose

    compose = build_default_compose()
    return alter_all(read_images(folder), lambda image, _: compose(image=image))


def alter_seeded(folder: Path) -> Work:
    """Albumentations, seeded for each image by its own method."""
    from affect_tasks.data.recipe import build_default_compose

    compose = build_default_compose()

    def alter(image: np.ndarray, seed: int) -> None:
        compose.set_random_seed(seed)
        compose(image=image)

    return alter_all(read_images(folder), alter)


def alter_by_users_recipe(folder: Path) -> Work:
    """A user's recipe: Albumentations behind our door."""
    from affect_tasks.data.recipe import Recipe, alter_image, build_default_compose

    recipe = Recipe(build_default_compose())
    return alter_all(read_images(folder), lambda image, seed: alter_image(image, recipe, seed=seed))


def alter_by_default(folder: Path) -> Work:
    """The default recipe."""
    from affect_tasks.data.recipe import alter_image, build_recipe

    recipe = build_recipe(None)
    return alter_all(read_images(folder), lambda image, seed: alter_image(image, recipe, seed=seed))


def encode(folder: Path) -> Work:
    """JPEG, quality 95."""
    from affect_tasks.data.decode import encode_jpeg

    return alter_all(read_images(folder), lambda image, _: encode_jpeg(image))


if __name__ == "__main__":
    ways = {
        "Albumentations, unseeded": alter_plainly,
        "Albumentations, set_random_seed": alter_seeded,
        "ours, a user's recipe": alter_by_users_recipe,
        "ours, the default recipe": alter_by_default,
        "JPEG encoding, quality 95": encode,
    }
    compare_ways(str(__doc__), ways)
