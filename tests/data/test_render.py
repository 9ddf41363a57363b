import hashlib
import multiprocessing
import os
import signal

import cv2
import numpy as np
import pytest

from affect_tasks.data.render import RenderJob, open_rendering
from affect_tasks.errors import UnreadableImageError, WorkerError


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    """150 copies of 60 pictures, half of them given as bytes and half as files."""
    folder = tmp_path_factory.mktemp("pictures")
    made = []
    for number in range(60):
        pixels = np.random.default_rng(number).integers(0, 255, (24, 24, 3), dtype=np.uint8)
        data = cv2.imencode(".png", pixels)[1].tobytes()
        path = folder / f"{number}.png"
        path.write_bytes(data)
        seeds = tuple(range(number, number + 1 + number % 4))
        made.append(RenderJob(data if number % 2 else str(path), seeds))
    return made


def draw(jobs, workers):
    with open_rendering(jobs, workers=workers) as drawn:
        return [hashlib.sha256(data).hexdigest() for data in drawn]


def test_copies_are_the_same_bytes_for_one_two_and_eight_workers(jobs):
    alone = draw(jobs, 1)
    assert len(alone) == sum(len(job.seeds) for job in jobs)
    assert len(set(alone)) == len(alone)
    assert draw(jobs, 2) == alone
    assert draw(jobs * 4, 8) == alone * 4


def test_a_copy_does_not_depend_on_the_copies_before_it(jobs):
    assert draw(list(reversed(jobs)), 1)[: len(jobs[-1].seeds)] == draw(jobs, 1)[-len(jobs[-1].seeds) :]


def test_nothing_to_draw_starts_nothing():
    assert draw([], 8) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_a_damaged_source_is_named(jobs, tmp_path, workers):
    path = tmp_path / "cut.jpg"
    path.write_bytes(b"\xff\xd8\xff\xe0cut")
    with pytest.raises(UnreadableImageError, match=r"cut\.jpg"):
        draw([*jobs, RenderJob(str(path), (1,))], workers)


def kill_a_worker_after(drawn, count):
    for number, _ in enumerate(drawn):
        if number == count:
            os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)


def test_a_killed_worker_is_a_clear_error(jobs):
    with open_rendering(jobs * 40, workers=2) as drawn, pytest.raises(WorkerError, match="Use fewer `workers`"):
        kill_a_worker_after(drawn, 5)
