"""Read a shuffled epoch into uint8 batches (64, 96, 96, 3), one process, one thread of OpenCV.

    python benchmarks/epoch_read.py DATA [--rounds 3]

The baseline decodes loose files. Shards are read in a shuffled order and shuffled within. Ours maps the decoded
pixels, made once, into memory; its peak counts the mapped pages, which belong to the page cache and can be dropped.
Target: 30 times the baseline's rate. All files are read once beforehand, so no way waits for the disk.
"""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from side_by_side import Work, compare_ways

SIDE_PX = 96
BATCH = 64


def prepare(data: Path, folder: Path) -> None:
    """Put shards, decoded pixels and the list of files into a folder."""
    from affect_tasks.data.ingest import ingest_images
    from affect_tasks.data.scan import scan_folder
    from affect_tasks.data.shards import decode_manifest
    from affect_tasks.training.pixels import open_pixels

    def write_shard(shard: bytes) -> str:
        name = f"{len(list(folder.glob('*.parquet')))}.parquet"
        (folder / name).write_bytes(shard)
        return name

    found = scan_folder(data)
    manifest = ingest_images(found, write_shard, unreadable_fraction=0.0).manifest
    open_pixels(
        folder,
        "pixels",
        (len(manifest), SIDE_PX, SIDE_PX, 3),
        lambda out: decode_manifest(manifest, lambda name: (folder / name).read_bytes(), side_px=SIDE_PX, out=out),
    )
    root = found.root.resolve()
    (folder / "files").write_text("\n".join(str(root / path) for path in manifest.values("path")))


def count_batches(images: Iterator[np.ndarray]) -> int:
    """Gather images into batches; return how many images there were."""
    batch, count = np.empty((BATCH, SIDE_PX, SIDE_PX, 3), np.uint8), 0
    for image in images:
        batch[count % BATCH] = image
        count += 1
        if count % BATCH == 0:
            batch = np.empty_like(batch)
    return count


def read_loose(folder: Path) -> Work:
    """Loose files."""
    files = (folder / "files").read_text().splitlines()
    order = np.random.default_rng(1).permutation(len(files))

    def read() -> Iterator[np.ndarray]:
        for number in order:
            data = np.fromfile(files[number], np.uint8)
            yield cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)

    return lambda: count_batches(read())


def read_shards(folder: Path) -> Work:
    """Encoded shards."""
    from affect_tasks.data.decode import decode_face
    from affect_tasks.manifest import load_table

    shards = sorted(folder.glob("*.parquet"))
    random = np.random.default_rng(1)
    # The first reading imports what PyArrow and Pillow put off.
    decode_face(load_table(shards[0].read_bytes()).column("data")[0].as_py(), side_px=SIDE_PX)

    def read() -> Iterator[np.ndarray]:
        for number in random.permutation(len(shards)):
            files = load_table(shards[number].read_bytes()).column("data")
            for row in random.permutation(len(files)):
                yield decode_face(files[int(row)].as_py(), side_px=SIDE_PX)

    return lambda: count_batches(read())


def read_pixels(folder: Path) -> Work:
    """Decoded pixels."""
    from affect_tasks.training.pipeline import LabelledPixels, draw_batches
    from affect_tasks.training.pixels import open_pixels
    from affect_tasks.training.recipe import Recipe

    shape = np.load(folder / "pixels.npy", mmap_mode="r").shape
    recipe = Recipe(1, BATCH, 1e-3, 0.0, 0.0, 0, flip=False, shift_fraction=0.0, seed=1)

    def work() -> int:
        pixels = open_pixels(folder, "pixels", shape, lambda _: None)
        data = LabelledPixels(pixels, np.arange(len(pixels)), np.zeros(len(pixels), np.int64))
        return sum(len(batch) for batch, _ in draw_batches(data, class_count=8, recipe=recipe, epoch=0))

    return work


if __name__ == "__main__":
    ways = {"loose files": read_loose, "encoded shards": read_shards, "ours, decoded pixels": read_pixels}
    compare_ways(str(__doc__), ways, prepare=prepare)
