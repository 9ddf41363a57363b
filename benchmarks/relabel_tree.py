"""Relabel a folder of images into a folder tree.

    python benchmarks/relabel_tree.py DATA [--rounds 3] [--share 1.0]

Target: 29,042 images in 1.0 s, 250 MB.
"""

from measure import Work, run_benchmark


def load_ours() -> Work:
    """Import what our way needs."""
    from affect_tasks.steps.trees import relabel_tree

    return lambda data, out: relabel_tree(data, output_path=out).images


def load_baseline() -> Work:
    """Import what the plain way needs."""
    from baseline import relabel

    return relabel


if __name__ == "__main__":
    run_benchmark(str(__doc__), {"ours": load_ours, "baseline": load_baseline}, share=1.0)
