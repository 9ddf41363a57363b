"""The last step: register the best network and decide whether it becomes champion."""

import json
import logging
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from affect_tasks.data.groups import find_unseen
from affect_tasks.errors import TrainingError
from affect_tasks.evaluation.comparison import Comparison, compare_paired
from affect_tasks.evaluation.metrics import Interval
from affect_tasks.evaluation.plots import plot_scores
from affect_tasks.manifest import load_manifest
from affect_tasks.promotion import Decision, decide_promotion
from affect_tasks.records import Job, OutcomeRecord, ScoreRecord, TrainedRecord, name_outcome, open_job
from affect_tasks.registry import CHALLENGER, CHAMPION, ModelVersion, Registry, open_registry
from affect_tasks.settings import Settings
from affect_tasks.steps.models import load_predictions, predict_images
from affect_tasks.storage import read_blob

log = logging.getLogger(__name__)


def register(run: str, floor: str, scores: Sequence[str], *, settings: Settings) -> str:
    """Register the best network on validation, compare it with the champion, move the alias if it wins.

    Args:
        run: Key of the run.
        floor: Key of the floor's scores.
        scores: Keys of the networks' scores; those of failed networks are left out.
        settings: Where things live.

    Returns:
        Key of the outcome.
    """
    job = open_job(run, settings)
    if not scores:
        raise TrainingError("At least one network must be trained and scored; none is. Read the failed tasks' logs.")
    ranked = sorted((job.load(key, ScoreRecord) for key in scores), key=lambda score: -score.validation_accuracy)
    best, floor_score = ranked[0], job.load(floor, ScoreRecord)
    trained = job.load(best.trained, TrainedRecord)
    registry = open_registry(settings)
    candidate = _register_candidate(job, registry, best, trained)
    champion = registry.find_champion(job.params.model_name)
    decision = _decide(job, candidate, champion, best, trained, floor_score)
    if decision.verdict == "promoted":
        registry.set_alias(candidate, CHAMPION)
    log.info("register: version %s %s. %s", candidate.version, decision.verdict, decision.reason)
    outcome = _describe_outcome(job, decision, best, ranked, floor_score)
    _track_outcome(job, registry, candidate, decision, outcome)
    key = name_outcome(job.run.name)
    job.storage.replace(key, outcome.model_dump_json(indent=1).encode())
    return key


def _register_candidate(job: Job, registry: Registry, best: ScoreRecord, trained: TrainedRecord) -> ModelVersion:
    tags = {
        "network": trained.network,
        "dataset": trained.dataset,
        "trained": best.trained,
        "predictions": best.predictions_blob,
        "test_accuracy": str(best.accuracy_interval),
        "altered_test": str(best.altered_test).lower(),
    }
    name = job.params.model_name
    version = registry.find_version(name, run_id=trained.mlflow_run_id)
    if version is None:
        data = read_blob(job.storage, trained.model_blob)
        version = registry.register(
            data,
            name=name,
            run_id=trained.mlflow_run_id,
            side_px=trained.side_px,
            class_names=trained.class_names,
            tags=tags,
        )
    registry.set_alias(version, CHALLENGER)
    return version


def _decide(
    job: Job,
    candidate: ModelVersion,
    champion: ModelVersion | None,
    best: ScoreRecord,
    trained: TrainedRecord,
    floor: ScoreRecord,
) -> Decision:
    test = _select_test(load_predictions(job, best))
    before = champion.version if champion else None
    if before == candidate.version or best.altered_test:
        return decide_promotion(candidate.version, champion=before, comparison=None, altered_test=best.altered_test)
    if champion is None:
        comparison = _compare(job, test, _select_test(load_predictions(job, floor)))
        return decide_promotion(candidate.version, champion=None, comparison=comparison)
    record = job.load(champion.tags["trained"], TrainedRecord)
    if record.class_names != trained.class_names:
        obstacle = f"it knows {', '.join(record.class_names)}. Use another `model_name` for these classes."
        return decide_promotion(candidate.version, champion=champion.version, comparison=None, obstacle=obstacle)
    test, rival = _predict_rival(job, test, record, trained)
    if not test.num_rows:
        obstacle = "it was trained on all of these test images. Bring images that neither has seen."
        return decide_promotion(candidate.version, champion=champion.version, comparison=None, obstacle=obstacle)
    comparison = _compare(job, test, rival)
    return decide_promotion(candidate.version, champion=champion.version, comparison=comparison)


def _predict_rival(
    job: Job, test: pa.Table, champion: TrainedRecord, trained: TrainedRecord
) -> tuple[pa.Table, pa.Table]:
    """Let the champion predict the test images that it was not fitted to; return both models' predictions."""
    theirs = load_manifest(read_blob(job.storage, champion.manifest_blob))
    theirs = theirs.select(theirs.values("split") != "test")
    ours = load_manifest(read_blob(job.storage, trained.manifest_blob)).of_split("test")
    bits = job.params.near_duplicate_bits if job.params.group_near_duplicates else None
    fair = find_unseen(ours, theirs, near_duplicate_bits=bits)
    # Predictions keep their manifest's order, so one mask fits both.
    test, ours = test.filter(pa.array(fair)), ours.select(fair)
    if not len(ours):
        return test, test
    probabilities = predict_images(job, champion, ours)
    rival = pa.table({"image_id": ours.table.column("image_id"), "probabilities": list(probabilities)})
    return test, rival


def _select_test(predictions: pa.Table) -> pa.Table:
    return predictions.filter(pa.array(predictions.column("split").to_numpy() == "test"))


def _compare(job: Job, candidate: pa.Table, rival: pa.Table) -> Comparison:
    if not candidate.column("image_id").equals(rival.column("image_id")):
        raise TrainingError("Two models are compared on the same images in the same order; these differ. Run again.")
    return compare_paired(
        candidate.column("label").to_numpy(),
        candidate=_choose_class(candidate),
        champion=_choose_class(rival),
        seed=job.params.seed,
        resamples=job.params.resamples,
        confidence=job.params.confidence,
        groups=candidate.column("group").to_numpy(),
    )


def _choose_class(predictions: pa.Table) -> np.ndarray:
    return np.stack(predictions.column("probabilities").to_numpy()).argmax(axis=1)


def _describe_outcome(
    job: Job, decision: Decision, best: ScoreRecord, ranked: Sequence[ScoreRecord], floor: ScoreRecord
) -> OutcomeRecord:
    networks = [score.name for score in ranked]
    steps = ("ingest", "relabel", "split", "augment", "floor")
    mapped = (f"{step}.{network}" for step in ("train", "evaluate") for network in networks)
    notes = job.list_notes((*steps, *mapped))
    return OutcomeRecord(
        model_name=job.params.model_name,
        version=decision.candidate,
        verdict=decision.verdict,
        reason=decision.reason,
        champion=decision.champion_after,
        best=best.name,
        scores=tuple(ranked),
        floor=floor,
        made=tuple(note.step for note in notes if not note.reused),
        reused=tuple(note.step for note in notes if note.reused),
    )


def _track_outcome(
    job: Job, registry: Registry, candidate: ModelVersion, decision: Decision, outcome: OutcomeRecord
) -> None:
    run_id = job.run.mlflow_run_id
    record = json.dumps(decision.to_record(), indent=1).encode()
    registry.log_file(run_id, record, name="decision/decision.json")
    registry.log_file(run_id, decision.to_markdown().encode(), name="decision/decision.md")
    rows: list[tuple[str, Interval]] = [(score.name, score.accuracy_interval) for score in outcome.scores]
    picture = plot_scores(rows, title="Test accuracy", floor=outcome.floor.accuracy_interval)
    registry.log_file(run_id, picture, name="plots/test_accuracy.png")
    best = outcome.scores[0]
    registry.log_metrics(
        run_id,
        {
            "test_accuracy": best.accuracy[0],
            "test_macro_f1": best.macro_f1[0],
            "floor_accuracy": outcome.floor.accuracy[0],
        },
    )
    tags = {"best": best.name, "verdict": decision.verdict, "reused": outcome.reused}
    registry.set_tags(run_id, {**tags, "altered_test": best.altered_test})
    registry.tag_version(candidate, {"decision": f"{decision.verdict}: {decision.reason}"})
    registry.close_run(run_id)
