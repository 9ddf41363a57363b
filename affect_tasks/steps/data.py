"""The steps from a folder to a split dataset: check, ingest, relabel, split."""

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from affect_tasks.data.ingest import hash_files, ingest_images
from affect_tasks.data.recipe import load_recipe, read_recipe
from affect_tasks.data.relabel import relabel_images
from affect_tasks.data.render import count_cores
from affect_tasks.data.scan import scan_folder
from affect_tasks.data.split import split_images
from affect_tasks.errors import InputError, LabelsFileError
from affect_tasks.manifest import SPLITS
from affect_tasks.params import RunParams, read_params
from affect_tasks.progress import track
from affect_tasks.records import DatasetRecord, RunRecord, open_job
from affect_tasks.settings import Settings
from affect_tasks.sources import open_source
from affect_tasks.steps.datasets import load_dataset, store_dataset
from affect_tasks.steps.grouping import group_images, name_subjects, read_table
from affect_tasks.storage import open_storage, read_blob, write_blob

log = logging.getLogger(__name__)

# Raised when a step's output changes for equal inputs, so that older outputs are not taken for new ones.
_VERSION = 3


def check(values: Mapping[str, object], *, name: str, settings: Settings) -> str:
    """Check a run's parameters, its images' folder, the store and MLflow, and open the run.

    Args:
        values: The run's parameters; absent ones keep their defaults.
        name: The run's name; checking again under the same name goes on with the same run.
        settings: Where things live.

    Raises:
        AffectError: Whatever would make the run fail later and can be known now.
    """
    from affect_tasks.registry import open_registry

    params = read_params(values)
    storage = open_storage(settings)
    folder = open_source(params.data, settings=settings)
    found = scan_folder(folder)
    labels = _read_labels(params, folder)
    table = read_table(labels, {file.folder_label for file in found.files}, params.group_column)
    name_subjects([file.path for file in found.files], table, params)
    recipe = _read_recipe(params)
    registry = open_registry(settings)
    run_id = registry.open_run(name, key=f"run:{name}")
    registry.log_params(run_id, params.model_dump())
    key = f"runs/{name}/run.json"
    blob = write_blob(storage, recipe, suffix=".yaml") if recipe is not None else None
    record = RunRecord(name=name, mlflow_run_id=run_id, params=params, recipe_blob=blob)
    storage.replace(key, record.model_dump_json(indent=1).encode())
    log.info("check: %d files in %s; run %s", len(found.files), found.root, name)
    return key


def ingest(run: str, *, settings: Settings) -> str:
    """Read every image once and store the bytes in shards; unreadable files are set aside and listed."""
    job = open_job(run, settings)
    folder = open_source(job.params.data, settings=settings)
    found = scan_folder(folder)
    labels = _read_labels(job.params, folder)
    digest = hashlib.sha256(json.dumps(hash_files(found)).encode()).hexdigest()
    tolerated = job.params.unreadable_fraction
    inputs = {
        "files": digest,
        "labels": hashlib.sha256(labels or b"").hexdigest(),
        # They are part of the report.
        "skipped": hashlib.sha256(json.dumps([asdict(file) for file in found.skipped]).encode()).hexdigest(),
        "unreadable_fraction": tolerated,
    }

    def make() -> DatasetRecord:
        done = ingest_images(
            found,
            lambda data: write_blob(job.storage, data, suffix=".parquet"),
            unreadable_fraction=tolerated,
            workers=count_cores(),
            follow=lambda files: track(files, "ingest", total=len(found.files)),
        )
        aside = [*found.skipped, *done.quarantined]
        for reason, count in Counter(file.reason for file in found.skipped).items():
            log.warning("ingest: skipped %d entries: %s", count, reason)
        for file in done.quarantined:
            log.warning("ingest: set aside %s: %s", file.path, file.reason)
        quarantine = json.dumps([asdict(file) for file in aside], indent=1).encode()
        return store_dataset(
            job,
            done.manifest,
            labels_blob=write_blob(job.storage, labels, suffix=".csv") if labels is not None else None,
            quarantine_blob=write_blob(job.storage, quarantine, suffix=".json"),
            quarantined=len(aside),
            shard_blobs=done.manifest.shards,
        )

    return job.publish("ingest", DatasetRecord, {"version": _VERSION, **inputs}, make)


def relabel(run: str, ingested: str, *, settings: Settings) -> str:
    """Give every image the label of labels.csv; images it does not list keep their folder's."""
    job = open_job(run, settings)
    source = job.load(ingested, DatasetRecord)

    def make() -> DatasetRecord:
        manifest = load_dataset(job, source)
        labels = read_blob(job.storage, source.labels_blob) if source.labels_blob else None
        table = read_table(labels, source.class_names, job.params.group_column)
        done = relabel_images(manifest, table)
        log.info("relabel: %d of %d labels changed", done.changed, len(manifest))
        if done.unlisted or done.missing:
            log.warning("relabel: %d images not listed, %d rows without image", done.unlisted, done.missing)
        subjects = name_subjects(manifest.values("path").tolist(), table, job.params)
        named = done.manifest.replace({"subject": subjects})
        return store_dataset(job, named, changed=done.changed, quarantined=source.quarantined)

    chosen = job.params.model_dump(include={"group_column", "group_pattern"})
    inputs = {"dataset": source.dataset, "labels": source.labels_blob, **chosen}
    return job.publish("relabel", DatasetRecord, {"version": _VERSION, **inputs}, make)


def split(run: str, relabelled: str, *, settings: Settings) -> str:
    """Assign every image to train, validation or test, by class and by group of duplicates and subjects."""
    job = open_job(run, settings)
    source = job.load(relabelled, DatasetRecord)
    chosen = job.params.model_dump(include={"test_fraction", "validation_fraction", "seed"})
    bits = job.params.near_duplicate_bits if job.params.group_near_duplicates else None

    def make() -> DatasetRecord:
        grouped, contradictions = group_images(load_dataset(job, source), bits)
        done = split_images(grouped, **chosen)
        log.info("split: %s", ", ".join(f"{name} {len(done.of_split(name))}" for name in SPLITS))
        listing = json.dumps([asdict(found) for found in contradictions], indent=1).encode()
        return store_dataset(
            job,
            done,
            contradictions=len(contradictions),
            contradictions_blob=write_blob(job.storage, listing, suffix=".json"),
        )

    inputs = {"version": _VERSION, "dataset": source.dataset, "near_duplicate_bits": bits, **chosen}
    return job.publish("split", DatasetRecord, inputs, make)


def _read_recipe(params: RunParams) -> bytes | None:
    if not params.pipeline_yaml:
        return None
    data = read_recipe(Path(params.pipeline_yaml).expanduser())
    load_recipe(data)
    return data


def _read_labels(params: RunParams, folder: Path) -> bytes | None:
    path = Path(params.labels_csv).expanduser() if params.labels_csv else folder / "labels.csv"
    if not params.labels_csv and not path.exists():
        return None
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise LabelsFileError(f"The labels file must exist; {path} does not. Correct `labels_csv`.") from error
    except OSError as error:
        raise InputError(
            f"The labels file must be readable; {path}: {error.strerror}. Mend its permissions."
        ) from error
