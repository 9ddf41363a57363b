"""Batches for training. The only module that imports TensorFlow, and only where it is Keras' backend."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from affect_tasks.training.recipe import Recipe


@dataclass(frozen=True)
class LabelledPixels:
    """Images and their classes.

    Attributes:
        pixels: (n, side_px, side_px, 3) RGB, uint8; may be mapped from disk.
        rows: (n,) int64, which rows of `pixels` belong; lets splits share one mapped array.
        labels: (n,) int64 class indices, one per row.
    """

    pixels: np.ndarray
    rows: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)


def count_batches(images: int, *, batch_size: int) -> int:
    """Batches per training epoch; a last, smaller one is dropped unless it is the only one."""
    return max(1, images // batch_size)


def draw_batches(
    data: LabelledPixels, *, class_count: int, recipe: Recipe, epoch: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield one epoch's training batches: pixels (b, side, side, 3) uint8, targets (b, classes) float32.

    A function of the seed and the epoch alone, so an interrupted training meets the same batches again.
    """
    random = np.random.default_rng([recipe.seed, epoch])
    order = random.permutation(len(data))
    targets = np.eye(class_count, dtype=np.float32)
    for batch in range(count_batches(len(data), batch_size=recipe.batch_size)):
        chosen = order[batch * recipe.batch_size : (batch + 1) * recipe.batch_size]
        pixels = alter_batch(data.pixels[data.rows[chosen]], recipe=recipe, random=random)
        yield pixels, targets[data.labels[chosen]]


def alter_batch(pixels: np.ndarray, *, recipe: Recipe, random: np.random.Generator) -> np.ndarray:
    """Flip and shift each image of a batch by chance; what a shift uncovers repeats the border.

    Args:
        pixels: (b, side, side, 3) uint8.
        recipe: Whether to flip, and how far to shift at most.
        random: Where the chance comes from.
    """
    count, side = pixels.shape[:2]
    if recipe.flip:
        mirrored = random.random(count) < 0.5
        pixels = np.where(mirrored[:, None, None, None], pixels[:, :, ::-1], pixels)
    reach = round(recipe.shift_fraction * side)
    if reach == 0:
        return pixels
    shifts = random.integers(-reach, reach, size=(2, count, 1), endpoint=True)
    down, right = np.clip(np.arange(side) + shifts, 0, side - 1)
    return pixels[np.arange(count)[:, None, None], down[:, :, None], right[:, None, :]]


def feed_training(data: LabelledPixels, *, class_count: int, recipe: Recipe, first_epoch: int) -> Any:
    """Build what `keras.Model.fit` takes: all epochs' batches in a row, from `first_epoch` (0-based) on."""

    def draw() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for epoch in range(first_epoch, recipe.epochs):
            yield from draw_batches(data, class_count=class_count, recipe=recipe, epoch=epoch)

    if keras.backend.backend() != "tensorflow":
        return draw()
    import tensorflow as tf

    side = data.pixels.shape[1]
    signature = (
        tf.TensorSpec((None, side, side, 3), tf.uint8),
        tf.TensorSpec((None, class_count), tf.float32),
    )
    dataset = tf.data.Dataset.from_generator(draw, output_signature=signature).prefetch(4)
    options = tf.data.Options()
    # With autotuning on, `fit` idles for seconds after the last epoch.
    options.autotune.enabled = False
    options.deterministic = True
    return dataset.with_options(options)
