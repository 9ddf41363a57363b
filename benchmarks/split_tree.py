"""Split a folder of images into train and test trees.

    python benchmarks/split_tree.py DATA [--rounds 3] [--share 1.0]

Target: 29,042 images in 1.0 s, 250 MB.
"""

from measure import Work, run_benchmark


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
    run_benchmark(str(__doc__), {"ours": load_ours, "baseline": load_baseline}, share=1.0)
