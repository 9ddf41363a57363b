"""Split a folder of images into train and test trees.

    python benchmarks/split_tree.py DATA [--rounds 3] [--share 1.0]

DATA holds train/<class>/ and labels.csv, on the file system to measure.
Target: 29,042 images in 1.0 s, 250 MB.
"""

import argparse
import sys
from pathlib import Path

from measure import Work, compare, run_work


def load_ours() -> Work:
    """Import what our way needs."""
    from affect_tasks.steps.trees import split_tree

    return lambda data, out: sum(
        sum(counts.values())
        for counts in split_tree(data, output_path=out, group_near_duplicates=False).images.values()
    )


def load_baseline() -> Work:
    """Import what the plain way needs."""
    from baseline import split

    return split


if __name__ == "__main__":
    if sys.argv[1] in {"ours", "baseline"}:
        run_work(load_ours if sys.argv[1] == "ours" else load_baseline)
    else:
        parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("data", type=Path)
        parser.add_argument("--rounds", type=int, default=3)
        parser.add_argument("--share", type=float, default=1.0, help="part of the images for the baseline")
        chosen = parser.parse_args()
        compare(__file__, chosen.data.resolve(), rounds=chosen.rounds, share=chosen.share)
