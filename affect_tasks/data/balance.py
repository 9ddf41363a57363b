"""Choose the altered copies that bring small classes to the size of the largest."""

import hashlib
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Copy:
    """One copy to make: of which image, its number among that image's copies, and its changes' seed."""

    source_row: int
    seed: int
    number: int = 0


def choose_copies(labels: np.ndarray, image_ids: np.ndarray, *, multiplier: float, seed: int) -> tuple[Copy, ...]:
    """Choose which images get copies, so that all classes reach the same size.

    Every class is filled up to `multiplier` times the largest class. The copies of a class are spread evenly
    over its images. Each copy's seed is a function of (seed, image_id, number) alone.

    Args:
        labels: Each image's label, (n,) str.
        image_ids: Each image's id, (n,) str; equal images get one image's copies.
        multiplier: At least 1.
        seed: Equal seeds choose equally.
    """
    classes, counts = np.unique(labels.astype(str), return_counts=True)
    target = round(multiplier * counts.max())
    copies: list[Copy] = []
    for label, count in zip(classes, counts, strict=True):
        rows = np.flatnonzero(labels == label)
        _, first = np.unique(image_ids[rows].astype(str), return_index=True)
        members = rows[first]
        order = np.argsort([_draw_seed(seed, str(image_ids[row]), -1) for row in members], kind="stable")
        for place in range(target - int(count)):
            number, member = divmod(place, len(members))
            row = int(members[order[member]])
            copies.append(Copy(row, _draw_seed(seed, str(image_ids[row]), number), number))
    return tuple(copies)


def _draw_seed(seed: int, image_id: str, number: int) -> int:
    """Derive a copy's seed, 0 <= seed < 2**32, from the run's seed, its image and its number."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{image_id}:{number}".encode()).digest()[:4], "big")
