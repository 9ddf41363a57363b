"""Split a folder of images, fill up both splits' classes with altered copies, and keep it all in shards.

    python benchmarks/balanced_shards.py DATA [--rounds 3] [--share 0.5]

Every image is decoded and fingerprinted at ingest; the manifest lies beside the shards. The baseline writes a tree.
Target: 11,966 copies in 4 s; three times as many images in each class, 93,982 copies, in 35 s; 250 MB.
"""

from functools import partial
from pathlib import Path

from balanced_tree import load_baseline
from measure import Work, run_benchmark


def load_ours(*, multiplier: float) -> Work:
    """Import what our way needs."""
    from affect_tasks.data.augment import cut_parts, plan_copies, render_parts
    from affect_tasks.data.ingest import ingest_images
    from affect_tasks.data.render import count_cores
    from affect_tasks.data.scan import scan_folder
    from affect_tasks.data.split import split_images
    from affect_tasks.manifest import dump_manifest
    from affect_tasks.storage import FileStorage, read_blob, write_blob

    def work(data: Path, out: Path) -> int:
        storage, cores = FileStorage(out), count_cores()
        write = partial(write_blob, storage, suffix=".parquet")
        ingested = ingest_images(scan_folder(data), write, unreadable_fraction=0.0, workers=cores)
        divided = split_images(ingested.manifest, test_fraction=0.2, validation_fraction=0.0, seed=27)
        choose = partial(plan_copies, divided, multiplier=multiplier, seed=27)
        parts = cut_parts(divided, [copy for split in ("train", "test") for copy in choose(split=split)])
        done = divided.append(*render_parts(divided, parts, partial(read_blob, storage), write, workers=cores))
        write(dump_manifest(done))
        return len(done)

    return work


if __name__ == "__main__":
    ways = {"ours": partial(load_ours, multiplier=1), "ours, 3x": partial(load_ours, multiplier=3)}
    run_benchmark(str(__doc__), {**ways, "baseline": load_baseline}, share=0.5)
