"""Measure work in processes of their own, and print it as a ratio to a baseline measured in the same run.

Each piece of work runs `rounds` times, ours and the baseline's by turns, in a fresh process that forks no
state from this one; the median round is printed. Times leave the imports out, which are printed by themselves.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from affect_tasks.settings import read_settings

# Takes the data's folder and the output's; returns how many images it has written.
Work = Callable[[Path, Path], int]

_CHILD = "--way"


@dataclass(frozen=True)
class Figures:
    """What one piece of work took: seconds, its processes' CPU seconds, and its largest process's memory."""

    wall_seconds: float
    cpu_seconds: float
    peak_mb: float
    parent_peak_mb: float
    import_seconds: float
    images: int


def run_benchmark(description: str, ways: Mapping[str, Callable[[], Work]], *, share: float) -> None:
    """Read the command line, then compare several ways, or run the one that this is the child for.

    Args:
        description: The script's docstring.
        ways: By name, what imports all that a way needs and returns it; the last is the baseline.
        share: Part of the images that the baseline works on by default.
    """
    read_settings()
    if sys.argv[1:2] == [_CHILD]:
        _run_work(ways[sys.argv[2]])
        return
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with train/<class>/ and labels.csv, on the disk to measure")
    parser.add_argument("--rounds", type=int, default=3, help="how often each way runs; the median is printed")
    parser.add_argument("--share", type=float, default=share, help="part of the images for the baseline")
    chosen = parser.parse_args()
    _compare(tuple(ways), chosen.data.resolve(), rounds=chosen.rounds, share=chosen.share)


def _run_work(load: Callable[[], Work]) -> None:
    begin = time.perf_counter()
    work = load()
    imported = time.perf_counter() - begin
    cpu, begin = _cpu_seconds(), time.perf_counter()
    images = work(Path(sys.argv[3]), Path(sys.argv[4]))
    wall = time.perf_counter() - begin
    _stop_forkserver()
    own, others = (resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(json.dumps(asdict(Figures(wall, _cpu_seconds() - cpu, max(own, others), own, imported, images))))


def _compare(names: Sequence[str], data: Path, *, rounds: int, share: float) -> None:
    *ours, baseline = names
    with tempfile.TemporaryDirectory(dir=data.parent, prefix="benchmark-") as folder:
        part, out = Path(folder) / "part", Path(folder) / "out"
        _take_part(data, part, share)
        measured: dict[str, list[Figures]] = {name: [] for name in names}
        for _ in range(rounds):
            for name in ours:
                measured[name].append(_start(name, data, out))
            measured[baseline].append(_start(baseline, part, out))
    plain = _pick_median(measured[baseline])
    print(f"{data}, {os.cpu_count()} cores, median of {rounds}; the baseline works on {share:.0%} of the images")
    for name in names:
        print(_describe(name, _pick_median(measured[name]), plain))


def _describe(name: str, figures: Figures, plain: Figures) -> str:
    more = figures.images / plain.images
    return (
        f"{name:<10} wall {figures.wall_seconds:6.2f} s, CPU {figures.cpu_seconds:6.2f} s, peak {figures.peak_mb:4.0f} "
        f"MB ({figures.parent_peak_mb:.0f} in the parent), {figures.images:7,} images written; the import took "
        f"{figures.import_seconds:.1f} s; for each image {plain.wall_seconds * more / figures.wall_seconds:.1f}x in "
        f"wall time, {plain.cpu_seconds * more / figures.cpu_seconds:.1f}x in CPU time"
    )


def _pick_median(figures: list[Figures]) -> Figures:
    return sorted(figures, key=lambda figure: figure.wall_seconds)[(len(figures) - 1) // 2]


def _start(name: str, data: Path, out: Path) -> Figures:
    command = [sys.executable, sys.argv[0], _CHILD, name, data, out]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    shutil.rmtree(out)
    return Figures(**json.loads(done.stdout.splitlines()[-1]))


def _take_part(data: Path, part: Path, share: float) -> None:
    """Link a share of each class, and the labels file as it is."""
    for folder in sorted((data / "train").iterdir()):
        (part / "train" / folder.name).mkdir(parents=True)
        names = sorted(path.name for path in folder.iterdir())
        for name in names[: round(len(names) * share)]:
            (part / "train" / folder.name / name).hardlink_to(folder / name)
    shutil.copy(data / "labels.csv", part)


def _stop_forkserver() -> None:
    """End the server that forked the workers, so that their time is counted."""
    from multiprocessing import forkserver

    forkserver._forkserver._stop()


def _cpu_seconds() -> float:
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
