"""Draw the altered copies of a training split balanced to three times its largest class, one process.

    python benchmarks/balanced_copies.py DATA [--rounds 1]

Each copy costs a decoded source, the recipe and a JPEG. The baseline does so from loose files and into loose files,
with Albumentations called plainly; ours from shards into shards. Target: 5 times less CPU a copy, 200 MB.
"""

from pathlib import Path

import cv2
import numpy as np
from side_by_side import Work, compare_ways

MULTIPLIER = 3.0
SEED = 27


def prepare(data: Path, folder: Path) -> None:
    """Ingest and split the images into a folder: the manifest, and the shards by their names."""
    import hashlib

    from affect_tasks.data.ingest import ingest_images
    from affect_tasks.data.scan import scan_folder
    from affect_tasks.data.split import split_images
    from affect_tasks.manifest import dump_manifest

    def write_shard(shard: bytes) -> str:
        name = hashlib.sha256(shard).hexdigest()
        (folder / name).write_bytes(shard)
        return name

    found = scan_folder(data)
    manifest = ingest_images(found, write_shard, unreadable_fraction=0.0).manifest
    divided = split_images(manifest, test_fraction=0.2, validation_fraction=0.15, seed=SEED)
    (folder / "manifest").write_bytes(dump_manifest(divided))
    (folder / "root").write_text(str(found.root.resolve()))


def copy_plainly(folder: Path) -> Work:
    """Loose files and Albumentations, unseeded."""
    from affect_tasks.data.augment import plan_copies
    from affect_tasks.data.recipe import build_default_compose
    from affect_tasks.manifest import load_manifest

    manifest = load_manifest((folder / "manifest").read_bytes())
    root, out = Path((folder / "root").read_text()), folder / "copies"
    out.mkdir(exist_ok=True)

    def work() -> int:
        compose = build_default_compose()
        paths = manifest.values("path")
        copies = plan_copies(manifest, multiplier=MULTIPLIER, seed=SEED)
        for number, copy in enumerate(copies):
            pixels = cv2.imread(str(root / paths[copy.source_row]), cv2.IMREAD_COLOR_RGB)
            altered = compose(image=pixels)["image"]
            cv2.imwrite(str(out / f"{number}.jpg"), altered[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
        return len(copies)

    return work


def copy_in_shards(folder: Path) -> Work:
    """Shards and the default recipe."""
    from affect_tasks.data.augment import cut_parts, plan_copies, render_parts
    from affect_tasks.data.decode import decode_image, encode_jpeg
    from affect_tasks.manifest import load_manifest

    manifest = load_manifest((folder / "manifest").read_bytes())
    decode_image(encode_jpeg(np.zeros((96, 96, 3), np.uint8)))  # imports what Pillow puts off

    def write_shard(shard: bytes) -> str:
        name = f"copies-{len(list(folder.glob('copies-*')))}"
        (folder / name).write_bytes(shard)
        return name

    def work() -> int:
        copies = plan_copies(manifest, multiplier=MULTIPLIER, seed=SEED)
        parts = cut_parts(manifest, copies)
        manifest.append(*render_parts(manifest, parts, lambda name: (folder / name).read_bytes(), write_shard))
        return len(copies)

    return work


if __name__ == "__main__":
    ways = {"loose files, Albumentations": copy_plainly, "ours": copy_in_shards}
    compare_ways(str(__doc__), ways, prepare=prepare)
