"""The steps that fill small classes: plan the parts, draw the copies of each, join them to the dataset version."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from functools import partial

from affect_tasks.data.augment import cut_parts, plan_copies, render_parts
from affect_tasks.data.balance import Copy
from affect_tasks.data.recipe import DEFAULT_RECIPE
from affect_tasks.data.render import count_cores
from affect_tasks.manifest import Manifest, dump_manifest, load_manifest
from affect_tasks.progress import track
from affect_tasks.records import CopiesRecord, DatasetRecord, Job, open_job
from affect_tasks.settings import Settings
from affect_tasks.steps.datasets import load_dataset, store_dataset
from affect_tasks.storage import read_blob, write_blob

log = logging.getLogger(__name__)

_VERSION = 3

Parts = tuple[tuple[Copy, ...], ...]


def plan_parts(run: str, divided: str, *, settings: Settings) -> list[int]:
    """List the parts of the altered copies; each may be drawn by another worker.

    There is at least one, though it may be empty: what follows a task that is mapped over nothing is skipped.
    """
    job = open_job(run, settings)
    _, parts = _plan(job, job.load(divided, DatasetRecord))
    log.info("augment: %d copies to draw, in %d parts", sum(map(len, parts)), len(parts))
    return list(range(max(len(parts), 1)))


def draw_part(run: str, divided: str, part: int, *, settings: Settings) -> str:
    """Draw one part of the altered copies, in this process."""
    job = open_job(run, settings)
    source = job.load(divided, DatasetRecord)
    manifest, parts = _plan(job, source)
    drawing = _draw(job, manifest, {part: parts[part] if parts else ()}, workers=1)
    return _publish_part(job, source, part, len(parts), drawing)


def augment(run: str, divided: str, *, settings: Settings) -> str:
    """Fill small classes of the training split with altered copies.

    Parts that are not drawn yet are drawn here, with a process on every core.
    """
    job = open_job(run, settings)
    source = job.load(divided, DatasetRecord)

    def make() -> DatasetRecord:
        manifest, parts = _plan(job, source)
        if job.params.balance_test:
            log.warning("augment: the test split is filled with altered copies; its scores will carry that mark")
        missing = {number: part for number, part in enumerate(parts) if not _has_part(job, source, number)}
        drawing = _draw(job, manifest, missing, workers=count_cores())
        keys = [_publish_part(job, source, number, len(parts), drawing) for number in range(len(parts))]
        records = [job.load(key, CopiesRecord) for key in keys]
        rows = [load_manifest(read_blob(job.storage, record.manifest_blob)) for record in records]
        return store_dataset(job, manifest.append(*rows), copies=sum(record.copies for record in records))

    return job.publish("augment", DatasetRecord, _list_inputs(job, source), make)


def _plan(job: Job, source: DatasetRecord) -> tuple[Manifest, Parts]:
    manifest = load_dataset(job, source)
    balanced = {"train": job.params.balance_train, "test": job.params.balance_test}
    choose = partial(plan_copies, manifest, multiplier=job.params.global_multiplier, seed=job.params.seed)
    copies = [copy for name, wanted in balanced.items() if wanted for copy in choose(split=name)]
    return manifest, cut_parts(manifest, copies)


def _draw(
    job: Job, manifest: Manifest, parts: Mapping[int, tuple[Copy, ...]], *, workers: int
) -> Iterator[tuple[int, Manifest]]:
    """Draw some parts, when the first is asked for; yield each one's number and rows."""
    recipe = job.run.recipe_blob
    total = sum(map(len, parts.values()))

    def follow(files: Iterator[bytes]) -> Iterable[bytes]:
        return track(files, "augment", total=total)

    rendering = render_parts(
        manifest,
        parts.values(),
        lambda blob: read_blob(job.storage, blob),
        lambda data: write_blob(job.storage, data, suffix=".parquet"),
        description=read_blob(job.storage, recipe) if recipe else None,
        workers=workers,
        follow=follow,
    )
    yield from zip(parts, rendering, strict=True)


def _publish_part(
    job: Job, source: DatasetRecord, part: int, parts: int, drawing: Iterator[tuple[int, Manifest]]
) -> str:
    def make() -> CopiesRecord:
        # Another run may have published the parts before this one meanwhile; they are drawn all the same.
        rows = next(rows for number, rows in drawing if number == part)
        blob = write_blob(job.storage, dump_manifest(rows), suffix=".parquet")
        return CopiesRecord(manifest_blob=blob, shard_blobs=rows.shards, copies=len(rows))

    return job.publish(f"draw.{part + 1}-of-{max(parts, 1)}", CopiesRecord, _list_part_inputs(job, source, part), make)


def _has_part(job: Job, source: DatasetRecord, part: int) -> bool:
    return job.has("draw", CopiesRecord, _list_part_inputs(job, source, part))


def _list_part_inputs(job: Job, source: DatasetRecord, part: int) -> dict[str, object]:
    return {**_list_inputs(job, source), "part": part}


def _list_inputs(job: Job, source: DatasetRecord) -> dict[str, object]:
    chosen = job.params.model_dump(include={"balance_train", "balance_test", "global_multiplier", "seed"})
    recipe = job.run.recipe_blob or DEFAULT_RECIPE
    return {"version": _VERSION, "dataset": source.dataset, "recipe": recipe, **chosen}
