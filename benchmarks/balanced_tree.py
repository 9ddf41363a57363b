"""Split a folder of images and fill up both splits' classes with altered copies.

    python benchmarks/balanced_tree.py DATA [--rounds 3] [--share 0.5]

DATA holds train/<class>/ and labels.csv, on the file system to measure.
Target: 41,008 images, 11,966 of them altered copies, in 6 s, 250 MB.
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
        for counts in split_tree(
            data, output_path=out, balance_train=True, balance_test=True, group_near_duplicates=False
        ).images.values()
    )


def load_baseline() -> Work:
    """Import what the plain way needs."""
    from functools import partial

    import albumentations  # noqa: F401 - its import is not the work
    from baseline import split

    return partial(split, balance=True)


if __name__ == "__main__":
    if sys.argv[1] in {"ours", "baseline"}:
        run_work(load_ours if sys.argv[1] == "ours" else load_baseline)
    else:
        parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("data", type=Path)
        parser.add_argument("--rounds", type=int, default=3)
        parser.add_argument("--share", type=float, default=0.5, help="part of the images for the baseline")
        chosen = parser.parse_args()
        compare(__file__, chosen.data.resolve(), rounds=chosen.rounds, share=chosen.share)
