"""The steps from a dataset version to scores: plan, train, evaluate, and the floor beside them."""

import hashlib
import json
import logging
import shutil
from collections.abc import Mapping
from functools import partial

import numpy as np
import pyarrow as pa

from affect_tasks.data.shards import decode_manifest
from affect_tasks.evaluation.metrics import Scores, score_predictions
from affect_tasks.manifest import Manifest, dump_table, load_manifest, load_table
from affect_tasks.records import DatasetRecord, Job, ScoreRecord, TrainedRecord, open_job
from affect_tasks.settings import Settings
from affect_tasks.storage import read_blob, write_blob
from affect_tasks.training.pixels import open_pixels

log = logging.getLogger(__name__)

_VERSION = 2
_RECIPE = (
    "epochs",
    "batch_size",
    "learning_rate",
    "weight_decay",
    "label_smoothing",
    "warmup_epochs",
    "flip",
    "shift_fraction",
    "seed",
)
_FLOOR_SIDE_PX = 64


def plan(run: str, *, settings: Settings) -> list[str]:
    """List the networks to train."""
    return list(open_job(run, settings).params.networks)


def train(run: str, augmented: str, network: str, *, settings: Settings) -> str:
    """Train one network; a killed training goes on from its last finished epoch."""
    job = open_job(run, settings)
    source = job.load(augmented, DatasetRecord)
    recipe = job.params.model_dump(include=set(_RECIPE))
    inputs = {
        "version": _VERSION,
        "dataset": source.dataset,
        "network": network,
        "side_px": job.params.side_px,
        **recipe,
    }

    def make() -> TrainedRecord:
        return _train_network(job, source, network, inputs)

    return job.publish(f"train.{network}", TrainedRecord, inputs, make)


def evaluate(run: str, trained: str, *, settings: Settings) -> str:
    """Score a trained network on validation and test, with intervals, plots and predictions in its run."""
    job = open_job(run, settings)
    model = job.load(trained, TrainedRecord)

    def make() -> ScoreRecord:
        from affect_tasks.evaluation.plots import plot_confusion
        from affect_tasks.registry import open_registry

        registry = open_registry(job.settings)
        manifest = load_manifest(read_blob(job.storage, model.manifest_blob))
        manifest = manifest.select(manifest.values("split") != "train")
        probabilities = predict_images(job, model, manifest)
        scores, record = _score(
            job, manifest, probabilities, name=model.network, trained=trained, dataset=model.dataset
        )
        registry.log_metrics(model.mlflow_run_id, scores.to_metrics(prefix="test_"))
        registry.set_tags(model.mlflow_run_id, {"altered_test": record.altered_test})
        picture = plot_confusion(scores, model.class_names, title=f"{model.network} on the test split")
        registry.log_file(model.mlflow_run_id, picture, name="plots/confusion.png")
        return record

    return job.publish(f"evaluate.{model.network}", ScoreRecord, _score_inputs(job, trained), make)


def measure_floor(run: str, augmented: str, *, settings: Settings) -> str:
    """Score HOG features with logistic regression: what any network must beat to become champion."""
    from affect_tasks.evaluation.floor import fit_floor, predict_floor

    job = open_job(run, settings)
    source = job.load(augmented, DatasetRecord)

    def make() -> ScoreRecord:
        from affect_tasks.registry import open_registry

        registry = open_registry(job.settings)
        run_id = registry.open_run("floor", key=f"floor:{job.run.name}", parent_id=job.run.mlflow_run_id)
        manifest = load_manifest(read_blob(job.storage, source.manifest_blob))
        pixels = map_pixels(job, manifest, side_px=_FLOOR_SIDE_PX)
        training = manifest.values("split") == "train"
        model = fit_floor(
            pixels[training],
            index_labels(manifest.select(training), source.class_names),
            class_count=len(source.class_names),
            seed=job.params.seed,
        )
        held_back = manifest.select(~training)
        probabilities = predict_floor(model, pixels[~training])
        scores, record = _score(job, held_back, probabilities, name="floor", trained="", dataset=source.dataset)
        registry.log_params(run_id, {"network": "floor", "method": "HOG, PCA, logistic regression"})
        registry.log_metrics(run_id, scores.to_metrics(prefix="test_"))
        registry.set_tags(run_id, {"altered_test": record.altered_test})
        registry.close_run(run_id)
        return record

    return job.publish("floor", ScoreRecord, {**_score_inputs(job, source.dataset), "seed": job.params.seed}, make)


def predict_images(job: Job, model: TrainedRecord, manifest: Manifest) -> np.ndarray:
    """Return a model's probabilities for the manifest's images, (n, classes) float32."""
    import keras

    from affect_tasks.training.fit import load_trained
    from affect_tasks.training.predict import predict

    path = job.settings.cache_folder / "models" / model.model_blob
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(read_blob(job.storage, model.model_blob))
    try:
        network: keras.Model = load_trained(path)
    finally:
        path.unlink(missing_ok=True)
    return predict(network, map_pixels(job, manifest, side_px=model.side_px), batch_size=64)


def map_pixels(job: Job, manifest: Manifest, *, side_px: int) -> np.ndarray:
    """Decode the manifest's images once and map them, (n, side_px, side_px, 3) uint8."""
    fill = partial(_decode_into, manifest, job, side_px)
    shape = (len(manifest), side_px, side_px, 3)
    return open_pixels(job.settings.cache_folder / "pixels", f"{manifest.digest[:40]}-{side_px}px", shape, fill)


def index_labels(manifest: Manifest, class_names: tuple[str, ...]) -> np.ndarray:
    """Return each image's class, (n,) int64 indices into `class_names`."""
    return np.searchsorted(np.asarray(class_names), manifest.values("label").astype(str)).astype(np.int64)


def load_predictions(job: Job, record: ScoreRecord) -> pa.Table:
    """Read predictions: columns image_id, group, split, label (class index), probabilities (list)."""
    return load_table(read_blob(job.storage, record.predictions_blob))


def _decode_into(manifest: Manifest, job: Job, side_px: int, out: np.ndarray) -> None:
    decode_manifest(manifest, lambda blob: read_blob(job.storage, blob), side_px=side_px, out=out)


def _train_network(job: Job, source: DatasetRecord, network: str, inputs: Mapping[str, object]) -> TrainedRecord:
    from affect_tasks.evaluation.plots import plot_history
    from affect_tasks.registry import open_registry
    from affect_tasks.training.fit import EpochScore, train_network
    from affect_tasks.training.pipeline import LabelledPixels
    from affect_tasks.training.recipe import Recipe

    key = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:40]
    registry = open_registry(job.settings)
    run_id = registry.open_run(network, key=f"train:{key}", parent_id=job.run.mlflow_run_id)
    registry.log_params(run_id, {**inputs, "images": source.images, "copies": source.copies})
    logged = registry.find_last_step(run_id, "loss")

    def track(score: EpochScore) -> None:
        if score.epoch <= logged:
            return
        log.info(
            "train.%s: epoch %d of %d, loss %.3f, validation accuracy %.3f, %.0f images/s",
            network,
            score.epoch,
            job.params.epochs,
            score.loss,
            score.validation_accuracy,
            score.images_per_second,
        )
        figures = {name: value for name, value in vars(score).items() if name != "epoch"}
        registry.log_metrics(run_id, figures, step=score.epoch)

    manifest = load_manifest(read_blob(job.storage, source.manifest_blob))
    pixels = map_pixels(job, manifest, side_px=job.params.side_px)
    labels = index_labels(manifest, source.class_names)
    splits = manifest.values("split")
    rows = [np.flatnonzero(splits == name) for name in ("train", "validation")]
    parts = [LabelledPixels(pixels, chosen, labels[chosen]) for chosen in rows]
    folder = job.settings.cache_folder / "training" / key
    try:
        done = train_network(
            network,
            train=parts[0],
            validation=parts[1],
            class_count=len(source.class_names),
            recipe=Recipe(**job.params.model_dump(include=set(_RECIPE))),
            folder=folder,
            on_epoch=track,
        )
    except Exception:
        registry.close_run(run_id, failed=True)
        raise
    picture = plot_history(done.history, title=f"{network}, epoch by epoch")
    registry.log_file(run_id, picture, name="plots/history.png")
    registry.set_tags(run_id, {"best_epoch": done.best_epoch, "parameter_count": done.parameter_count})
    registry.close_run(run_id)
    record = TrainedRecord(
        network=network,
        dataset=source.dataset,
        manifest_blob=source.manifest_blob,
        model_blob=write_blob(job.storage, done.model_path.read_bytes(), suffix=".keras"),
        mlflow_run_id=run_id,
        side_px=job.params.side_px,
        best_epoch=done.best_epoch,
        parameter_count=done.parameter_count,
        class_names=source.class_names,
    )
    shutil.rmtree(folder, ignore_errors=True)
    return record


def _score_inputs(job: Job, of: str) -> dict[str, object]:
    params = job.params
    return {"version": _VERSION, "of": of, "confidence": params.confidence, "resamples": params.resamples}


def _score(
    job: Job, manifest: Manifest, probabilities: np.ndarray, *, name: str, trained: str, dataset: str
) -> tuple[Scores, ScoreRecord]:
    class_names = manifest.class_names
    labels = index_labels(manifest, class_names)
    table = pa.table(
        {
            "image_id": manifest.table.column("image_id"),
            "group": manifest.table.column("group"),
            "split": manifest.table.column("split"),
            "label": labels,
            "probabilities": list(probabilities.astype(np.float32)),
        }
    )
    test = manifest.values("split") == "test"
    scores = score_predictions(
        labels[test],
        probabilities[test],
        class_names=class_names,
        seed=job.params.seed,
        resamples=job.params.resamples,
        confidence=job.params.confidence,
        groups=manifest.values("group")[test],
    )
    accuracy, f1 = scores.accuracy, scores.macro_f1
    log.info("%s: test accuracy %s, macro-F1 %s on %d images", name, accuracy, f1, scores.images)
    record = ScoreRecord(
        name=name,
        trained=trained,
        dataset=dataset,
        predictions_blob=write_blob(job.storage, dump_table(table), suffix=".parquet"),
        validation_accuracy=float((probabilities[~test].argmax(axis=1) == labels[~test]).mean()),
        accuracy=(accuracy.value, accuracy.low, accuracy.high),
        macro_f1=(f1.value, f1.low, f1.high),
        altered_test=manifest.has_altered_test,
    )
    return scores, record
