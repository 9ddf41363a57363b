"""Checkpoints that survive a kill at any moment: written aside, flushed, renamed; the last two are kept."""

import hashlib
import json
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from affect_tasks.errors import StorageError

log = logging.getLogger(__name__)

_KEPT = 2


@dataclass(frozen=True)
class EpochScore:
    """One finished epoch (1-based): scores on training and validation batches, and its pace."""

    epoch: int
    loss: float
    accuracy: float
    validation_loss: float
    validation_accuracy: float
    learning_rate: float
    seconds: float
    images_per_second: float


@dataclass(frozen=True)
class Checkpoint:
    """A training's state after an epoch."""

    model_path: Path
    history: tuple[EpochScore, ...]

    @property
    def epoch(self) -> int:
        """Finished epochs."""
        return len(self.history)


def write_checkpoint(folder: Path, history: Sequence[EpochScore], save: Callable[[Path], None]) -> None:
    """Write a checkpoint after an epoch and drop all but the last two.

    Args:
        folder: Holds this training's checkpoints.
        history: All finished epochs.
        save: Writes the model with its optimiser's state to a `.keras` file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    epoch = len(history)
    model_path = folder / f"epoch-{epoch:05d}.keras"
    digest = save_whole(model_path, save)
    state = {"sha256": digest, "history": [asdict(score) for score in history]}
    text = json.dumps(state).encode()
    # The state names the model's digest and is renamed last, so it never speaks of a model that is not whole.
    save_whole(model_path.with_suffix(".json"), lambda path: _write(path, text))
    for old in sorted(folder.glob("epoch-*.json"))[:-_KEPT]:
        old.unlink()
        old.with_suffix(".keras").unlink(missing_ok=True)


def find_checkpoint(folder: Path) -> Checkpoint | None:
    """Return the newest checkpoint that is whole; a damaged one is passed over with a warning."""
    for state_path in sorted(folder.glob("epoch-*.json"), reverse=True):
        model_path = state_path.with_suffix(".keras")
        try:
            state = json.loads(state_path.read_bytes())
            if hashlib.sha256(model_path.read_bytes()).hexdigest() == state["sha256"]:
                return Checkpoint(model_path, tuple(EpochScore(**score) for score in state["history"]))
            reason = "the model's bytes do not match their digest"
        except (OSError, ValueError, KeyError, TypeError) as error:
            reason = str(error)
        log.warning("Checkpoint %s is damaged (%s); falling back to the one before it.", state_path.name, reason)
    return None


def save_whole(path: Path, save: Callable[[Path], None]) -> str:
    """Write a file aside, flush it, rename it and flush its folder; return the file's sha256.

    Raises:
        StorageError: It cannot be written; the file that was there before is unchanged.
    """
    # Keras takes the format from the suffix, so it stays.
    aside = path.with_name(f".aside-{os.getpid()}-{path.name}")
    try:
        save(aside)
        with aside.open("rb+") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError as error:
        msg = (
            f"A checkpoint must find room; {path.name} in {path.parent}: {error.strerror or error}. Free space, then "
            "run again: training goes on from the checkpoint before."
        )
        raise StorageError(msg) from error
    finally:
        aside.unlink(missing_ok=True)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return digest


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)
