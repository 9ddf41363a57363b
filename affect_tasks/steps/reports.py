"""The step that describes a dataset version: one page, attached to the run in MLflow."""

import logging
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter

from affect_tasks.data.groups import Contradiction
from affect_tasks.data.report_page import build_report, make_thumbnail
from affect_tasks.data.scan import SkippedFile
from affect_tasks.data.shards import iterate_images
from affect_tasks.data.summary import choose_samples, summarize_dataset
from affect_tasks.errors import InputError
from affect_tasks.manifest import Manifest
from affect_tasks.params import RunParams
from affect_tasks.records import DatasetRecord, Job, ReportRecord, load_record, open_job
from affect_tasks.settings import Settings
from affect_tasks.steps.datasets import load_dataset
from affect_tasks.storage import open_storage, read_blob, write_blob

log = logging.getLogger(__name__)

_VERSION = 1
_FACES_A_GROUP = 8
_SAID = ("data", "test_fraction", "validation_fraction", "seed", "group_near_duplicates", "near_duplicate_bits")


def report(run: str, augmented: str, *, settings: Settings) -> str:
    """Describe the dataset version on one page, attached to the run in MLflow as `data/report.html`."""
    from affect_tasks.registry import open_registry

    job = open_job(run, settings)
    source = job.load(augmented, DatasetRecord)
    ingested, divided = (job.load(note.key, DatasetRecord) for note in job.list_notes(("ingest", "split")))
    facts = _list_facts(job.params)
    lists = [ingested.quarantine_blob, divided.contradictions_blob]

    def make() -> ReportRecord:
        quarantined = TypeAdapter(list[SkippedFile]).validate_json(_read(job, lists[0]))
        contradictions = TypeAdapter(list[Contradiction]).validate_json(_read(job, lists[1]))
        page = _build_page(job, load_dataset(job, source), facts, quarantined, contradictions)
        return ReportRecord(dataset=source.dataset, page_blob=write_blob(job.storage, page, suffix=".html"))

    inputs = {"version": _VERSION, "dataset": source.dataset, "lists": lists, "facts": facts}
    key = job.publish("report", ReportRecord, inputs, make)
    page = read_blob(job.storage, job.load(key, ReportRecord).page_blob)
    open_registry(settings).log_file(job.run.mlflow_run_id, page, name="data/report.html")
    return key


def write_report(path: Path, run_name: str | None, *, settings: Settings) -> str:
    """Write a run's report to a file; return the run's name.

    Args:
        path: The HTML file to write, over one that is there.
        run_name: None: the latest run.
        settings: Where things live.

    Raises:
        InputError: There is no such run, it has no dataset version yet, or the file cannot be written.
    """
    from affect_tasks.registry import open_registry

    name = run_name or open_registry(settings).find_last_run()
    run = f"runs/{name}/run.json"
    storage = open_storage(settings)
    notes = open_job(run, settings).list_notes(("augment",)) if name and storage.exists(run) else ()
    if not notes:
        msg = (
            f"A report needs a run that has got as far as `augment`; got {name or 'no run at all'!r}. Run it, or name "
            "another by `--run-name`."
        )
        raise InputError(msg)
    key = report(run, notes[0].key, settings=settings)
    page = read_blob(storage, load_record(storage, key, ReportRecord).page_blob)
    aside = path.with_name(f".aside-{path.name}")
    try:
        aside.write_bytes(page)
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise InputError(f"The report must be writable; {path}: {error.strerror}. Name another file.") from error
    return str(name)


def _build_page(
    job: Job,
    manifest: Manifest,
    facts: dict[str, str],
    quarantined: list[SkippedFile],
    contradictions: list[Contradiction],
) -> bytes:
    summary = summarize_dataset(manifest)
    samples = choose_samples(manifest)
    shown = {image_id for group in summary.groups for image_id in group.image_ids[:_FACES_A_GROUP]}
    shown.update(image_id for chosen in samples.values() for family in chosen for image_id in family)
    return build_report(
        summary,
        facts=facts,
        quarantined=quarantined,
        contradictions=contradictions,
        samples=samples,
        thumbnails=_draw_thumbnails(job, manifest, shown),
    )


def _draw_thumbnails(job: Job, manifest: Manifest, image_ids: Iterable[str]) -> dict[str, bytes]:
    chosen = manifest.select(np.isin(manifest.values("image_id").astype(str), sorted(image_ids)))
    names = chosen.values("image_id")
    return {
        names[row]: make_thumbnail(data) for row, data in iterate_images(chosen, lambda b: read_blob(job.storage, b))
    }


def _list_facts(params: RunParams) -> dict[str, str]:
    return {str(RunParams.model_fields[name].title): str(getattr(params, name)) for name in _SAID}


def _read(job: Job, blob: str | None) -> bytes:
    return read_blob(job.storage, blob) if blob else b"[]"
