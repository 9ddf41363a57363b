"""Train one network, epoch by epoch, so that it can be killed and go on."""

# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportOptionalMemberAccess=false
# pyright: reportFunctionMemberAccess=false, reportAssignmentType=false
# Keras annotates its own defaults, `str` where it takes an object say, so these rules mislead here.

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from affect_tasks.errors import DivergedError
from affect_tasks.networks.resnet import build_resnet
from affect_tasks.training.checkpoint import EpochScore, find_checkpoint, save_whole, write_checkpoint
from affect_tasks.training.pipeline import LabelledPixels, count_batches, feed_training
from affect_tasks.training.predict import predict
from affect_tasks.training.recipe import Recipe

_BEST = "best.keras"


@dataclass(frozen=True)
class TrainedNetwork:
    """The best model by validation and how training went."""

    model_path: Path
    best_epoch: int
    history: tuple[EpochScore, ...]
    parameter_count: int
    resumed_from_epoch: int


def train_network(
    network: str,
    *,
    train: LabelledPixels,
    validation: LabelledPixels,
    class_count: int,
    recipe: Recipe,
    folder: Path,
    on_epoch: Callable[[EpochScore], None],
) -> TrainedNetwork:
    """Train a network from scratch, or go on from the folder's newest checkpoint.

    Args:
        network: A key of `networks.resnet.DEPTHS`.
        train: What it is fitted to.
        validation: What chooses the best epoch.
        class_count: Number of classes.
        recipe: How it is trained.
        folder: Holds this training's checkpoints and nothing else.
        on_epoch: Called after each epoch; after a resume, first again for each epoch finished before.

    Raises:
        DivergedError: The loss is not finite.
    """
    keras.utils.set_random_seed(recipe.seed)
    checkpoint = find_checkpoint(folder)
    history = list(checkpoint.history) if checkpoint else []
    for score in history:
        on_epoch(score)
    if checkpoint:
        model = keras.saving.load_model(checkpoint.model_path, safe_mode=True)
    else:
        model = _build_model(network, train, class_count, recipe)
    images = count_batches(len(train), batch_size=recipe.batch_size) * recipe.batch_size
    follow = _FollowEpochs(validation, folder, history, on_epoch, images)
    if len(history) < recipe.epochs:
        model.fit(
            feed_training(train, class_count=class_count, recipe=recipe, first_epoch=len(history)),
            initial_epoch=len(history),
            epochs=recipe.epochs,
            steps_per_epoch=count_batches(len(train), batch_size=recipe.batch_size),
            callbacks=[follow],
            shuffle=False,
            verbose=0,
        )
    best = max(history, key=_rank)
    resumed = checkpoint.epoch if checkpoint else 0
    return TrainedNetwork(folder / _BEST, best.epoch, tuple(history), model.count_params(), resumed)


def load_trained(path: Path) -> keras.Model:
    """Load a trained network for prediction; nothing in the file is executed."""
    model: keras.Model = keras.saving.load_model(path, compile=False, safe_mode=True)
    return model


class _FollowEpochs(keras.callbacks.Callback):
    """After each epoch: score validation, keep the best, write a checkpoint, tell the caller."""

    def __init__(
        self,
        validation: LabelledPixels,
        folder: Path,
        history: list[EpochScore],
        on_epoch: Callable[[EpochScore], None],
        images: int,
    ) -> None:
        super().__init__()
        self._validation = validation
        self._pixels = np.ascontiguousarray(validation.pixels[validation.rows])
        self._folder = folder
        self._history = history
        self._on_epoch = on_epoch
        self._images = images
        self._started = 0.0

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        self._bare = keras.models.clone_model(self.model)

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._started = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        figures = logs or {}
        seconds = time.monotonic() - self._started
        probabilities = predict(self.model, self._pixels)
        chosen = probabilities[np.arange(len(probabilities)), self._validation.labels]
        score = EpochScore(
            epoch=epoch + 1,
            loss=float(figures["loss"]),
            accuracy=float(figures["accuracy"]),
            validation_loss=float(-np.log(np.clip(chosen, 1e-7, 1.0)).mean()),
            validation_accuracy=float((probabilities.argmax(axis=1) == self._validation.labels).mean()),
            learning_rate=float(self.model.optimizer.learning_rate),
            seconds=seconds,
            images_per_second=self._images / max(seconds, 1e-9),
        )
        if not (math.isfinite(score.loss) and math.isfinite(score.validation_loss)):
            msg = f"The loss must stay finite; it is {score.loss} after epoch {epoch + 1}. Lower `learning_rate`."
            raise DivergedError(msg)
        if not self._history or _rank(score) > max(map(_rank, self._history)):
            self._folder.mkdir(parents=True, exist_ok=True)
            # A copy without the optimiser's state is a third of the size.
            self._bare.set_weights(self.model.get_weights())
            save_whole(self._folder / _BEST, self._bare.save)
        self._history.append(score)
        write_checkpoint(self._folder, self._history, self.model.save)
        self._on_epoch(score)


def _rank(score: EpochScore) -> tuple[float, float]:
    return score.validation_accuracy, -score.validation_loss


def _build_model(network: str, train: LabelledPixels, class_count: int, recipe: Recipe) -> keras.Model:
    model = build_resnet(network, side_px=train.pixels.shape[1], class_count=class_count, seed=recipe.seed)
    steps = count_batches(len(train), batch_size=recipe.batch_size)
    warmup = recipe.warmup_epochs * steps
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warmup else recipe.learning_rate,
        decay_steps=max(1, recipe.epochs * steps - warmup),
        warmup_target=recipe.learning_rate if warmup else None,
        warmup_steps=warmup,
    )
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=recipe.weight_decay)
    # Norms and biases are not decayed (He et al. 2019, "Bag of Tricks", section 3.1).
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    model.compile(
        optimizer=optimizer,
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing),
        metrics=["accuracy"],
    )
    return model
