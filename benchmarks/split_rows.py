"""Measure how long a manifest of a million rows takes to group and split, and what a row weighs.

    python benchmarks/split_rows.py [--rows 1000000] [--group]

Target: a million rows split in 10 s.
"""

import argparse
import resource
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from affect_tasks.data.groups import join_near_duplicates
from affect_tasks.data.split import split_images
from affect_tasks.manifest import SPLITS, Manifest, build_manifest, dump_manifest

Result = TypeVar("Result")


def make_manifest(rows: int) -> Manifest:
    """Make a manifest of eight classes with random ids and fingerprints."""
    random = np.random.default_rng(1)
    digits = random.bytes(32 * rows).hex()
    ids = [digits[64 * row : 64 * row + 64] for row in range(rows)]
    digits = random.bytes(32 * rows).hex()
    labels = [f"class{number}" for number in random.integers(0, 8, rows)]
    return build_manifest(
        {
            "image_id": ids,
            "path": [f"{label}/image{row:07d}.jpg" for row, label in enumerate(labels)],
            "label": labels,
            "folder_label": labels,
            "origin": ["image"] * rows,
            "width": [96] * rows,
            "height": [96] * rows,
            "group": ids,
            "fingerprint": [digits[64 * row : 64 * row + 64] for row in range(rows)],
            "split": [""] * rows,
            "source_id": [""] * rows,
            "seed": [-1] * rows,
            "shard": [f"{row // 7000:064x}.parquet" for row in range(rows)],
        }
    )


def measure(name: str, work: Callable[[], Result]) -> Result:
    """Do the work and print its wall and CPU seconds and the process's peak memory."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{name:8} {wall:6.2f} s wall {cpu:6.2f} s CPU, peak {peak} MB")
    return result


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--group", action="store_true", help="group near-duplicates too")
    chosen = parser.parse_args()
    manifest = measure("make", lambda: make_manifest(chosen.rows))
    print(f"{manifest.table.nbytes / chosen.rows:.0f} bytes a row in memory")
    if chosen.group:
        columns = [manifest.values(name) for name in ("image_id", "group", "fingerprint")]
        groups = measure("group", lambda: join_near_duplicates(*columns, near_duplicate_bits=40))
        manifest = manifest.replace({"group": groups})
    done = measure("split", lambda: split_images(manifest, test_fraction=0.2, validation_fraction=0.15, seed=27))
    print(", ".join(f"{name} {len(done.of_split(name))}" for name in SPLITS))
    written = measure("write", lambda: dump_manifest(done))
    print(f"{len(written) / chosen.rows:.0f} bytes a row in a file")
