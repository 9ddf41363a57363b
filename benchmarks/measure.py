"""Measure work in processes of their own, and print it as a ratio to a baseline measured in the same run.

Each piece of work runs `rounds` times, ours and the baseline's by turns, in a fresh process that forks no
state from this one; the median round is printed. Times leave the imports out, which are printed by themselves.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

# Takes the data's folder and the output's; returns how many images it has written.
Work = Callable[[Path, Path], int]


@dataclass(frozen=True)
class Figures:
    """What one piece of work took: seconds, its processes' CPU seconds, and its largest process's memory."""

    wall_seconds: float
    cpu_seconds: float
    peak_mb: float
    parent_peak_mb: float
    import_seconds: float
    images: int


def run_work(load: Callable[[], Work]) -> None:
    """In the child process: import what the work needs, do it, and print its figures as JSON."""
    begin = time.perf_counter()
    work = load()
    imported = time.perf_counter() - begin
    cpu, begin = _cpu_seconds(), time.perf_counter()
    images = work(Path(sys.argv[2]), Path(sys.argv[3]))
    wall = time.perf_counter() - begin
    _stop_forkserver()
    own, others = (resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(json.dumps(asdict(Figures(wall, _cpu_seconds() - cpu, max(own, others), own, imported, images))))


def compare(script: str, data: Path, *, rounds: int, share: float) -> None:
    """Run ours and the baseline by turns and print both.

    Args:
        script: File that runs `ours` or `baseline` with `run_work`.
        data: The reference set.
        rounds: How often each.
        share: Part of the images the baseline works on; its figures are divided by it.
    """
    with tempfile.TemporaryDirectory(dir=data.parent, prefix="benchmark-") as folder:
        part = Path(folder) / "part"
        _take_part(data, part, share)
        ours, baseline = [], []
        for number in range(rounds):
            ours.append(_start(script, "ours", data, Path(folder) / f"ours{number}"))
            baseline.append(_start(script, "baseline", part, Path(folder) / f"baseline{number}"))
    mine, theirs = _pick_median(ours), _pick_median(baseline)
    measured = "" if share == 1 else f", measured on {share:.0%} of the images and scaled up"
    print(f"{data}, {os.cpu_count()} cores, median of {rounds}")
    print(_describe("ours", mine, 1), f"({mine.parent_peak_mb:.0f} MB in the parent)")
    print(_describe("baseline", theirs, share) + measured)
    wall, cpu = theirs.wall_seconds / share / mine.wall_seconds, theirs.cpu_seconds / share / mine.cpu_seconds
    print(f"ratio     wall {wall:.1f}x, CPU {cpu:.1f}x")


def _describe(name: str, figures: Figures, share: float) -> str:
    return (
        f"{name:<9} wall {figures.wall_seconds / share:7.2f} s, CPU {figures.cpu_seconds / share:7.2f} s, "
        f"peak {figures.peak_mb:4.0f} MB, {figures.images} images written, import {figures.import_seconds:.2f} s"
    )


def _pick_median(figures: list[Figures]) -> Figures:
    return sorted(figures, key=lambda figure: figure.wall_seconds)[(len(figures) - 1) // 2]


def _start(script: str, name: str, data: Path, out: Path) -> Figures:
    done = subprocess.run([sys.executable, script, name, data, out], check=True, stdout=subprocess.PIPE, text=True)
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
