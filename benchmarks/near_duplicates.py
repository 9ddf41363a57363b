"""Measure how well near-duplicates are found, and how fast.

    python benchmarks/near_duplicates.py [--faces 2000] [--bits 40] [--images FOLDER] [--rows 1000000]

Faces are drawn and altered; every altered copy should join its original and nothing else. With --images, the groups
of a folder's own images are counted instead. With --rows, random fingerprints, each fiftieth with a near-duplicate,
are grouped. About 1 min 30 s with the defaults.
"""

import argparse
import resource
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from affect_tasks.data.decode import decode_image, encode_jpeg
from affect_tasks.data.drawing.looks import AFFECTS
from affect_tasks.data.duplicates import group_fingerprints
from affect_tasks.data.faces import draw_face
from affect_tasks.data.fingerprint import compute_fingerprint, unpack_fingerprints
from affect_tasks.data.scan import scan_folder

Alteration = Callable[[np.ndarray], np.ndarray]


def encode_again(pixels: np.ndarray, *, quality: int = 75) -> np.ndarray:
    """Write as JPEG and read."""
    return decode_image(encode_jpeg(pixels, quality=quality))


def scale_there_and_back(pixels: np.ndarray, *, side_px: int = 64) -> np.ndarray:
    """Scale to a smaller side and back."""
    small = cv2.resize(pixels, (side_px, side_px), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, pixels.shape[1::-1], interpolation=cv2.INTER_CUBIC)


def brighten(pixels: np.ndarray, *, factor: float) -> np.ndarray:
    """Multiply all values, clipped at white."""
    return np.clip(pixels * np.float32(factor), 0, 255).astype(np.uint8)


def mirror(pixels: np.ndarray) -> np.ndarray:
    """Turn left to right."""
    return np.ascontiguousarray(pixels[:, ::-1])


def crop(pixels: np.ndarray, *, margin_fraction: float) -> np.ndarray:
    """Cut a share off every side and scale back."""
    height, width = pixels.shape[:2]
    y, x = round(height * margin_fraction), round(width * margin_fraction)
    return cv2.resize(pixels[y : height - y, x : width - x], (width, height), interpolation=cv2.INTER_CUBIC)


ALTERATIONS: Mapping[str, Alteration] = {
    "JPEG quality 75": encode_again,
    "JPEG quality 40": partial(encode_again, quality=40),
    "96 -> 64 -> 96 px": scale_there_and_back,
    "10 % brighter": partial(brighten, factor=1.1),
    "10 % darker": partial(brighten, factor=0.9),
    "mirrored": mirror,
    "all of these": lambda pixels: mirror(brighten(scale_there_and_back(encode_again(pixels)), factor=1.1)),
    "2 % cut off each side": partial(crop, margin_fraction=0.02),
}


def measure_recall(count: int, *, bits: int) -> None:
    """Print recall for each alteration of drawn faces, and the rate of false pairs among the faces."""
    faces = [draw_face(AFFECTS[seed % len(AFFECTS)], seed=seed, side_px=96) for seed in range(count)]
    started = time.perf_counter()
    prints = [compute_fingerprint(face) for face in faces]
    print(f"fingerprint: {(time.perf_counter() - started) / count * 1e6:.0f} microseconds an image")
    groups = group(prints, bits)
    false = sum(size * (size - 1) // 2 for size in np.bincount(groups).tolist())
    print(f"{count} different faces: {false} false pairs of {count * (count - 1) // 2}")
    for name, alter in ALTERATIONS.items():
        both = group([*prints, *(compute_fingerprint(alter(face)) for face in faces)], bits)
        print(f"{name:22} recall {np.mean(both[:count] == both[count:]):.4f}")


def measure_folder(folder: Path, *, bits: int) -> None:
    """Print the groups of a folder's images."""
    found = scan_folder(folder)
    images = [decode_image((found.root / file.path).read_bytes()) for file in found.files]
    started = time.perf_counter()
    prints = [compute_fingerprint(image) for image in images]
    hashed = time.perf_counter()
    sizes = np.bincount(group(prints, bits))
    ended = time.perf_counter()
    shared = int(sizes[sizes > 1].sum())
    print(
        f"{len(images)} images, {prints.count('')} without fingerprint: {(sizes > 1).sum()} groups of {shared} images "
        f"({shared / len(images):.1%}), the largest of {sizes.max()}; fingerprints {hashed - started:.2f} s, "
        f"groups {ended - hashed:.2f} s"
    )


def measure_scale(rows: int, *, bits: int) -> None:
    """Print time, memory and recall for random fingerprints, some with a near-duplicate."""
    random = np.random.default_rng(1)
    twins = rows // 50
    # Coarse bits are skewed, as in pictures of one kind, so that many fingerprints begin alike.
    share = np.clip(random.normal(0.5, 0.25, 256), 0.05, 0.95)
    signs = np.concatenate([random.random((min(20_000, rows - n), 256)) < share for n in range(0, rows, 20_000)])
    flipped = signs[:twins].copy()
    for row, number in enumerate(random.integers(1, bits + 1, twins)):
        # Fine bits: the last rows of frequencies.
        flipped[row, random.permutation(np.arange(160, 256))[:number]] ^= True
    words = np.packbits(np.concatenate([signs, flipped]), axis=1).view(np.uint64)
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    groups = group_fingerprints(words, max_bits=bits)
    seconds = time.perf_counter() - started
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
    print(
        f"{len(words)} fingerprints: {seconds:.1f} s, {grown} MB more, recall "
        f"{np.mean(groups[:twins] == groups[rows:]):.4f}, false pairs {rows - len(np.unique(groups[:rows]))}"
    )


def group(prints: list[str], bits: int) -> np.ndarray:
    """Number the groups of fingerprints; those without one are alone."""
    distinct = sorted(set(prints) - {""})
    numbers = group_fingerprints(unpack_fingerprints(distinct), max_bits=bits)
    place = dict(zip(distinct, numbers.tolist(), strict=True))
    return np.array([place.get(text, len(distinct) + row) for row, text in enumerate(prints)])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, default=2000)
    parser.add_argument("--bits", type=int, default=40)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--rows", type=int, default=29_042)
    chosen = parser.parse_args()
    if chosen.images:
        measure_folder(chosen.images, bits=chosen.bits)
    else:
        measure_recall(chosen.faces, bits=chosen.bits)
        measure_scale(chosen.rows, bits=chosen.bits)
