from functools import partial
from pathlib import Path

import pytest

from affect_tasks import steps
from affect_tasks.data.augment import cut_parts
from affect_tasks.records import CopiesRecord, DatasetRecord, open_job
from affect_tasks.steps import copies as copies_steps
from affect_tasks.steps.datasets import load_dataset


@pytest.fixture
def divided(settings, faces, monkeypatch):
    """A run as far as its split, with parts of about ten copies."""
    monkeypatch.setattr(copies_steps, "cut_parts", partial(cut_parts, part_copies=10))
    run = steps.check({"data": str(faces), "global_multiplier": 2.0}, name="test", settings=settings)
    relabelled = steps.relabel(run, steps.ingest(run, settings=settings), settings=settings)
    return run, steps.split(run, relabelled, settings=settings)


def test_parts_drawn_by_workers_are_joined_and_not_drawn_again(settings, divided):
    job = open_job(divided[0], settings)
    parts = steps.plan_parts(*divided, settings=settings)
    assert len(parts) > 3
    keys = [steps.draw_part(*divided, part, settings=settings) for part in reversed(parts)]
    source = job.load(steps.augment(*divided, settings=settings), DatasetRecord)
    assert source.copies == sum(job.load(key, CopiesRecord).copies for key in keys)
    notes = job.list_notes(tuple(f"draw.{part + 1}-of-{len(parts)}" for part in parts))
    assert [note.reused for note in notes] == [True] * len(parts)
    assert len(load_dataset(job, source)) == source.images


def test_the_dataset_version_does_not_depend_on_who_drew_what(settings, divided, monkeypatch):
    alone = steps.augment(*divided, settings=settings)
    job = open_job(divided[0], settings)
    store = Path(job.storage.url.removeprefix("file://"))
    dataset = job.load(alone, DatasetRecord).dataset
    for folder in ("draw", "augment"):
        for record in (store / "steps" / folder).iterdir():
            record.unlink()
    steps.draw_part(*divided, 2, settings=settings)
    assert job.load(steps.augment(*divided, settings=settings), DatasetRecord).dataset == dataset


def test_a_shard_that_is_gone_is_drawn_again(settings, divided):
    steps.augment(*divided, settings=settings)
    job = open_job(divided[0], settings)
    first = job.load(steps.draw_part(*divided, 0, settings=settings), CopiesRecord)
    shard = first.shard_blobs[0]
    path = Path(job.storage.url.removeprefix("file://")) / "blobs" / shard[:2] / shard
    path.unlink()
    again = job.load(steps.draw_part(*divided, 0, settings=settings), CopiesRecord)
    assert again == first
    assert path.exists()


def test_without_balancing_there_is_one_empty_part(settings, faces):
    run = steps.check({"data": str(faces), "balance_train": False}, name="plain", settings=settings)
    relabelled = steps.relabel(run, steps.ingest(run, settings=settings), settings=settings)
    divided = steps.split(run, relabelled, settings=settings)
    assert steps.plan_parts(run, divided, settings=settings) == [0]
    drawn = open_job(run, settings).load(steps.draw_part(run, divided, 0, settings=settings), CopiesRecord)
    assert (drawn.copies, drawn.shard_blobs) == (0, ())
