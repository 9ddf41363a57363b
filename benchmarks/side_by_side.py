"""Measure several ways to do the same work, each in a fresh process, by turns; print each as a ratio to the first.

A way is a function from the folder of data to the work itself: what it does before that is not measured, its
imports and what it reads beforehand say. Peak memory is the whole process's, imports included.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2

from affect_tasks.settings import read_settings

# The work; returns how many images it has dealt with.
Work = Callable[[], int]
Way = Callable[[Path], Work]


def compare_ways(
    description: str, ways: dict[str, Way], *, prepare: Callable[[Path, Path], None] | None = None
) -> None:
    """Read the command line, then run each way in a child, or the one way this is the child for.

    Args:
        description: The script's docstring.
        ways: By name; the first is the baseline.
        prepare: Makes of the user's folder, once, what the ways read from a new one; by default they read the user's.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of class folders, directly or under train/")
    parser.add_argument("--rounds", type=int, default=3, help="how often each way runs; the median is printed")
    parser.add_argument("--way", choices=list(ways), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    read_settings()
    cv2.setNumThreads(1)
    if chosen.way:
        print(json.dumps(_measure(ways[chosen.way](chosen.data))))
        return
    data = chosen.data.resolve()
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory(dir=data.parent, prefix="benchmark-") as aside:
        if prepare:
            prepare(data, Path(aside))
        for _ in range(chosen.rounds):
            for name in ways:
                runs[name].append(_start(Path(aside) if prepare else data, name))
    print(f"{chosen.data}, {os.cpu_count()} cores, one process, median of {chosen.rounds}")
    _print_table(runs)


def _measure(work: Work) -> dict[str, float]:
    cpu, wall = time.process_time(), time.perf_counter()
    images = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {"wall": wall, "cpu": cpu, "peak": _read_peak_mb(), "images": images}


def _read_peak_mb() -> float:
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    # Not getrusage: on Linux its peak is the parent's where that one was larger.
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) / 1024


def _start(folder: Path, name: str) -> dict[str, float]:
    command = [sys.executable, sys.argv[0], str(folder), "--way", name]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def _print_table(runs: dict[str, list[dict[str, float]]]) -> None:
    rates = {}
    for name, rounds in runs.items():
        wall, cpu, peak, images = (
            statistics.median(figures[key] for figures in rounds) for key in ("wall", "cpu", "peak", "images")
        )
        rates[name] = images / cpu
        ratio = rates[name] / next(iter(rates.values()))
        print(
            f"{name:<34} wall {wall:7.2f} s, CPU {cpu:7.2f} s, {images:6.0f} images, {1e6 * cpu / images:7.1f} us and "
            f"{rates[name]:8,.0f} images per CPU second, peak {peak:4.0f} MB, {ratio:6.2f}x"
        )
