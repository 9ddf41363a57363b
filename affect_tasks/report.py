"""What a person reads of a data set and at the end of a run, and the champion's answer about a picture."""

import json
from collections import Counter
from pathlib import Path

import numpy as np

from affect_tasks.data.decode import decode_face
from affect_tasks.errors import UnreadableImageError
from affect_tasks.manifest import load_manifest
from affect_tasks.records import DatasetRecord, OutcomeRecord, load_record
from affect_tasks.registry import open_registry
from affect_tasks.settings import Settings
from affect_tasks.storage import open_storage, read_blob


def read_ingested(key: str, *, settings: Settings) -> str:
    """Read what `ingest` found: how many images each class folder holds, and what was set aside and why."""
    storage = open_storage(settings)
    record = load_record(storage, key, DatasetRecord)
    labels = Counter(load_manifest(read_blob(storage, record.manifest_blob)).values("label").tolist())
    files = json.loads(read_blob(storage, record.quarantine_blob)) if record.quarantine_blob else []
    aside = Counter(file["reason"] for file in files)
    counts = ", ".join(f"{label} {count:,}" for label, count in sorted(labels.items()))
    lines = [f"{record.images:,} images: {counts}", f"{record.quarantined:,} files set aside"]
    lines += [f"  {count:,}: {reason}" for reason, count in aside.most_common(10)]
    return "\n".join(lines)


def read_outcome(key: str, *, settings: Settings) -> str:
    """Read how a run ended, as the last screen of `affect run` and `make demo`."""
    return describe_outcome(load_record(open_storage(settings), key, OutcomeRecord))


def describe_outcome(outcome: OutcomeRecord) -> str:
    """Say how a run ended, as a few lines of text."""
    width = max(len(score.name) for score in (*outcome.scores, outcome.floor))
    lines = [f"  {'':{width}}  test accuracy          macro-F1"]
    lines += [
        f"  {score.name:{width}}  {score.accuracy_interval!s:21}  {score.macro_f1_interval}"
        for score in (*outcome.scores, outcome.floor)
    ]
    if any(score.altered_test for score in outcome.scores):
        lines += ["", "The test split holds altered copies: these scores are not those on original images."]
    champion = f"version {outcome.champion}" if outcome.champion else "none"
    lines += [
        "",
        f"Candidate: {outcome.best}, version {outcome.version} of {outcome.model_name!r}: {outcome.verdict}. "
        f"{outcome.reason}",
        f"Champion:  {champion} of {outcome.model_name!r} (alias `champion`)",
        f"Made:      {', '.join(outcome.made) or 'nothing'}",
        f"Reused:    {', '.join(outcome.reused) or 'nothing'}",
    ]
    return "\n".join(lines)


def predict_image(image: Path, *, model_name: str, settings: Settings) -> str:
    """Let the champion say what a picture shows.

    Raises:
        NoChampionError: There is none.
        UnreadableImageError: The file is missing or no complete image.
    """
    from affect_tasks.training.fit import load_trained
    from affect_tasks.training.predict import predict

    try:
        data = image.read_bytes()
    except OSError as error:
        raise UnreadableImageError(f"The image must be readable; {image}: {error.strerror}. Check the path.") from error
    registry = open_registry(settings)
    champion = registry.read_champion(model_name)
    pixels = decode_face(data, side_px=int(champion.tags["side_px"]))
    with registry.fetch_model_file(champion) as path:
        probabilities = predict(load_trained(path), pixels[np.newaxis], batch_size=1)[0]
    class_names = json.loads(champion.tags["labels"])
    order = np.argsort(-probabilities)
    return "\n".join(f"{class_names[i]:10} {probabilities[i]:6.1%}" for i in order)
