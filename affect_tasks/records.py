"""What steps leave behind: small records under content-addressed keys, published whole, found again.

A record's key is made of the step's name, its version and the digests of its inputs and parameters. A step
whose record is there, with all blobs it names, is not run again.
"""

import hashlib
import json
import logging
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from affect_tasks.errors import AffectError, StorageError
from affect_tasks.evaluation.metrics import Interval
from affect_tasks.params import RunParams
from affect_tasks.settings import Settings
from affect_tasks.storage import Storage, has_blob, open_storage

log = logging.getLogger(__name__)


class Record(BaseModel):
    """Base of all records: frozen, no unknown fields.

    A field whose name ends in `_blob` names a blob, one whose name ends in `_blobs` several: those that the step
    itself wrote, and without which it must be done again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    @property
    def blobs(self) -> tuple[str, ...]:
        """All blobs that the record names."""
        single = (value for name, value in self if name.endswith("_blob") and value)
        several = (value for name, values in self if name.endswith("_blobs") for value in values)
        return (*single, *several)


class RunRecord(Record):
    """One run: its parameters, its parent run in MLflow, and the recipe of its copies if it is the user's own."""

    name: str
    mlflow_run_id: str
    params: RunParams
    recipe_blob: str | None = None


class DatasetRecord(Record):
    """A dataset version: what ingest, relabel, split and augment publish."""

    dataset: str
    manifest_blob: str
    labels_blob: str | None = None
    quarantine_blob: str | None = None
    contradictions_blob: str | None = None
    shard_blobs: tuple[str, ...] = ()
    images: int
    quarantined: int = 0
    changed: int = 0
    copies: int = 0
    contradictions: int = 0
    altered_test: bool = False
    class_names: tuple[str, ...]


class CopiesRecord(Record):
    """Some of a dataset version's altered copies: their rows and their bytes."""

    manifest_blob: str
    shard_blobs: tuple[str, ...]
    copies: int


class ReportRecord(Record):
    """The page that describes a dataset version."""

    dataset: str
    page_blob: str


class TrainedRecord(Record):
    """A trained network."""

    network: str
    dataset: str
    manifest_blob: str
    model_blob: str
    mlflow_run_id: str
    side_px: int
    best_epoch: int
    parameter_count: int
    class_names: tuple[str, ...]


class ScoreRecord(Record):
    """A model's or the floor's scores, and its predictions on validation and test."""

    name: str
    trained: str
    dataset: str
    predictions_blob: str
    validation_accuracy: float
    accuracy: tuple[float, float, float]
    macro_f1: tuple[float, float, float]
    altered_test: bool = False

    @property
    def accuracy_interval(self) -> Interval:
        """Test accuracy with its interval."""
        return Interval(*self.accuracy)

    @property
    def macro_f1_interval(self) -> Interval:
        """Macro-F1 on test with its interval."""
        return Interval(*self.macro_f1)


class OutcomeRecord(Record):
    """How a run ended."""

    model_name: str
    version: str
    verdict: str
    reason: str
    champion: str | None
    best: str
    scores: tuple[ScoreRecord, ...]
    floor: ScoreRecord
    made: tuple[str, ...]
    reused: tuple[str, ...]


class StepNote(Record):
    """That a run made or reused a step, for the summary."""

    step: str
    key: str
    reused: bool
    seconds: float


AnyRecord = TypeVar("AnyRecord", bound=Record)


@dataclass(frozen=True)
class Job:
    """A run in progress, as each step sees it: settings, store, parameters."""

    settings: Settings
    storage: Storage
    run: RunRecord

    @property
    def params(self) -> RunParams:
        """The run's parameters."""
        return self.run.params

    def publish(
        self, step: str, record: type[AnyRecord], inputs: Mapping[str, object], make: Callable[[], AnyRecord]
    ) -> str:
        """Find the step's record or make it; return its key.

        Args:
            step: The step's name and, where it is mapped, the network: `train.resnet18`.
            record: The record's type.
            inputs: All that the output depends on, as JSON values; digests for data.
            make: Makes the record; called only where there is none, or where a blob of it is gone.
        """
        key = build_key(step.split(".")[0], inputs)
        started = time.monotonic()
        found = self._has(key, record)
        if not found:
            log.info("%s: started", step)
            with self._mark_failure():
                made = make()
            self._write_first(key, made)
        seconds = time.monotonic() - started
        log.info("%s: %s", step, "reused" if found else f"done in {seconds:.1f} s")
        note = StepNote(step=step, key=key, reused=found, seconds=round(seconds, 2))
        self.storage.replace(f"runs/{self.run.name}/steps/{step}.json", note.model_dump_json().encode())
        return key

    def has(self, step: str, record: type[Record], inputs: Mapping[str, object]) -> bool:
        """Tell whether `publish` would find the step's record."""
        return self._has(build_key(step, inputs), record)

    def load(self, key: str, record: type[AnyRecord]) -> AnyRecord:
        """Read the record of an earlier step."""
        return load_record(self.storage, key, record)

    def list_notes(self, steps: tuple[str, ...]) -> tuple[StepNote, ...]:
        """Return what the run noted about some steps, in their order."""
        keys = (f"runs/{self.run.name}/steps/{step}.json" for step in steps)
        return tuple(load_record(self.storage, key, StepNote) for key in keys if self.storage.exists(key))

    def _write_first(self, key: str, made: Record) -> None:
        """Write a record unless a whole one is there: later steps may have read the first."""
        data = made.model_dump_json(indent=1).encode()
        if self.storage.write_new(key, data):
            return
        if self._is_whole(load_record(self.storage, key, type(made))):
            log.warning("%s: another try published first; its output stays", key)
        else:
            self.storage.replace(key, data)

    def _is_whole(self, record: Record) -> bool:
        return all(has_blob(self.storage, blob) for blob in record.blobs)

    def _has(self, key: str, record: type[Record]) -> bool:
        return self.storage.exists(key) and self._is_whole(load_record(self.storage, key, record))

    @contextmanager
    def _mark_failure(self) -> Generator[None]:
        try:
            yield
        except Exception:
            from affect_tasks.registry import open_registry

            with suppress(AffectError):
                open_registry(self.settings).close_run(self.run.mlflow_run_id, failed=True)
            raise


def open_job(run: str, settings: Settings) -> Job:
    """Open a run by the key that `check` returned."""
    storage = open_storage(settings)
    return Job(settings, storage, load_record(storage, run, RunRecord))


def name_outcome(run_name: str) -> str:
    """Return the key of a run's OutcomeRecord."""
    return f"runs/{run_name}/outcome.json"


def load_record(storage: Storage, key: str, record: type[AnyRecord]) -> AnyRecord:
    """Read a record.

    Raises:
        StorageError: It is not of this type, because another version of the program wrote it, say.
    """
    try:
        return record.model_validate_json(storage.read(key))
    except ValidationError as error:
        msg = f"A record must be a {record.__name__}; {storage.url}/{key} is not. Delete it and run again."
        raise StorageError(msg) from error


def build_key(step: str, inputs: Mapping[str, object]) -> str:
    """Return a step's key: a function of its name and inputs alone."""
    text = json.dumps(inputs, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"steps/{step}/{hashlib.sha256(text.encode()).hexdigest()[:40]}.json"
