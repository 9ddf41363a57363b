"""Draw altered copies in parallel processes, the same bytes for any number of them.

A copy is a function of its image's bytes and its seed alone, and copies come out in the order asked for. The
bytes in memory are bounded: each process has a few small batches under way.
"""

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING

from affect_tasks.errors import UnreadableImageError, WorkerError

if TYPE_CHECKING:  # a tree without copies is split without OpenCV, whose import takes longer
    from affect_tasks.data.recipe import Recipe

_BATCH = 48  # copies: about 10 ms of work and 300 kB of 96-pixel images
_BATCHES_EACH = 3


@dataclass(frozen=True, slots=True)
class RenderJob:
    """Copies to draw of one image: its bytes or the path of its file, and each copy's seed."""

    source: bytes | str
    seeds: tuple[int, ...]


@contextmanager
def open_rendering(
    jobs: Iterable[RenderJob], *, workers: int, pipeline_yaml: bytes | None = None
) -> Generator[Iterator[bytes], None, None]:
    """Start drawing; give an iterator over the copies' JPEG bytes, by job and seed, in order.

    Processes start at once, so other work can be done before the first copy is asked for.

    Args:
        jobs: What to draw.
        workers: Number of processes; 1 draws in this one.
        pipeline_yaml: The recipe as Albumentations saved it; None is the default recipe.

    Raises:
        UnreadableImageError: A source cannot be decoded; the message names its file.
        WorkerError: A process was killed, for want of memory say.
    """
    batches = _cut_batches(jobs)
    first = list(islice(batches, workers * _BATCHES_EACH))
    workers = min(workers, len(first))
    if workers <= 1:
        recipe = _build_recipe(pipeline_yaml) if first else None
        yield (data for batch in chain(first, batches) for job in batch for data in _draw(job, recipe))
        return
    # Forking a process that has threads may deadlock; a server forks from a clean one instead.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=(pipeline_yaml,))
    try:
        waiting = deque(pool.submit(_draw_batch, batch) for batch in first)
        yield _collect(pool, batches, waiting)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _build_recipe(pipeline_yaml: bytes | None) -> "Recipe":
    from affect_tasks.data.recipe import build_recipe

    return build_recipe(pipeline_yaml)


def count_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


def _cut_batches(jobs: Iterable[RenderJob]) -> Iterator[list[RenderJob]]:
    batch: list[RenderJob] = []
    size = 0
    for job in jobs:
        batch.append(job)
        size += len(job.seeds)
        if size >= _BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _collect(
    pool: ProcessPoolExecutor, batches: Iterator[list[RenderJob]], waiting: deque[Future[list[bytes]]]
) -> Iterator[bytes]:
    try:
        while waiting:
            done = waiting.popleft().result()
            waiting.extend(pool.submit(_draw_batch, batch) for batch in islice(batches, 1))
            yield from done
    except BrokenProcessPool as error:
        msg = (
            "Every process that draws copies must live until its work is done; one was killed, for want of memory "
            "perhaps. Use fewer `workers`, then run again."
        )
        raise WorkerError(msg) from error


_recipe: "Recipe | None" = None  # of this worker process


def _start_worker(pipeline_yaml: bytes | None) -> None:
    global _recipe
    import cv2

    cv2.setNumThreads(1)
    # A worker does not notice by itself that its parent was killed.
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _recipe = _build_recipe(pipeline_yaml)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _draw_batch(jobs: Sequence[RenderJob]) -> list[bytes]:
    return [data for job in jobs for data in _draw(job, _recipe)]


def _draw(job: RenderJob, recipe: "Recipe | None") -> Iterator[bytes]:
    from affect_tasks.data.decode import decode_image, encode_jpeg
    from affect_tasks.data.reading import read_file
    from affect_tasks.data.recipe import alter_image

    try:
        pixels = decode_image(read_file(job.source) if isinstance(job.source, str) else job.source)
    except UnreadableImageError as error:
        name = job.source if isinstance(job.source, str) else "an image"
        raise UnreadableImageError(f"{name}: {error}") from error
    if recipe is None:
        raise RuntimeError("a worker draws before it has its recipe")
    for seed in job.seeds:
        yield encode_jpeg(alter_image(pixels, recipe, seed=seed))
