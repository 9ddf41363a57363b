"""Decoded pixels on local disk: made once per dataset version and side, then mapped into memory."""

import uuid
from collections.abc import Callable
from pathlib import Path

import numpy as np


def open_pixels(
    folder: Path, name: str, shape: tuple[int, int, int, int], fill: Callable[[np.ndarray], None]
) -> np.ndarray:
    """Map the array `name` of a folder, made by `fill` if it is not there.

    Args:
        folder: Where such arrays are kept; each may be deleted when no run uses it.
        name: Says all that the pixels depend on: dataset version and side.
        shape: (n, side_px, side_px, 3).
        fill: Writes the pixels into the array it is given.

    Returns:
        Read-only uint8 array. It is written aside and renamed, so two runs at once do no harm.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.npy"
    if not path.exists():
        aside = folder / f".aside-{uuid.uuid4().hex}.npy"
        try:
            array = np.lib.format.open_memmap(aside, mode="w+", dtype=np.uint8, shape=shape)
            fill(array)
            array.flush()
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
    pixels: np.ndarray = np.load(path, mmap_mode="r")
    return pixels
