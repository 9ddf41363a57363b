"""How good one model's answers are: scores, each with the interval that chance alone would allow.

Intervals are percentile bootstraps (Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, ch. 13).
What is drawn again is the group, not the image: near-duplicates are right or wrong together, so counting
them one by one would promise more certainty than there is (Davison & Hinkley, "Bootstrap Methods and their
Application", 1997, section 3.8).
"""

import re
from dataclasses import dataclass

import numpy as np

from affect_tasks.errors import ParameterError

_CALIBRATION_BINS = 15
_SMALLEST_PROBABILITY = 1e-7
_CELLS_PER_CHUNK = 4_000_000


@dataclass(frozen=True)
class Interval:
    """A value and the interval around it. A format applies to each number: `f"{accuracy:.1%}"`."""

    value: float
    low: float
    high: float

    def __format__(self, spec: str) -> str:
        spec = spec or ".3f"
        return f"{self.value:{spec}} [{self.low:{spec}}, {self.high:{spec}}]"

    def __str__(self) -> str:
        return f"{self:.3f}"


@dataclass(frozen=True)
class ClassScore:
    """How one class fares; each share is 0 where it has nothing to count."""

    label: str
    precision: float
    recall: float
    f1: float
    images: int


@dataclass(frozen=True)
class Scores:
    """One model's scores on one set of images.

    `loss` is the mean negative log likelihood in nats. `calibration_error` is the expected calibration error
    over 15 equal bins (Guo et al., "On Calibration of Modern Neural Networks", 2017). Rows of `confusion`
    are true classes, columns predicted ones, both in the order of `per_class`.
    """

    images: int
    accuracy: Interval
    macro_f1: Interval
    loss: float
    calibration_error: float
    per_class: tuple[ClassScore, ...]
    confusion: tuple[tuple[int, ...], ...]

    def to_metrics(self, *, prefix: str = "") -> dict[str, float]:
        """Flatten to names and numbers for tracking; characters that MLflow refuses become `_`."""
        metrics = {"images": float(self.images), "loss": self.loss}
        metrics["calibration_error"] = self.calibration_error
        for name, interval in (("accuracy", self.accuracy), ("macro_f1", self.macro_f1)):
            metrics |= {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}
        metrics |= {f"recall_{score.label}": score.recall for score in self.per_class}
        return {re.sub(r"[^\w.\- :/]", "_", prefix + name): value for name, value in metrics.items()}


def score_predictions(
    labels: np.ndarray,
    probabilities: np.ndarray,
    *,
    class_names: tuple[str, ...],
    seed: int,
    resamples: int = 2000,
    confidence: float = 0.95,
    groups: np.ndarray | None = None,
) -> Scores:
    """Score a model's answers on one set of images.

    Args:
        labels: True classes, (n,) integers in 0..k-1.
        probabilities: The model's answers, (n, k) floats; rows sum to 1. The largest is the prediction.
        class_names: The k labels, in the order of the columns.
        seed: Of the bootstrap's draws. Equal seeds give equal intervals, whatever the images' order.
        resamples: How many times the set is drawn again.
        confidence: Share of the draws that an interval holds, above 0 and below 1.
        groups: Group of near-duplicates of each image, (n,) of any kind. None: each image is its own.

    Returns:
        The scores. Macro-F1 is the mean over the classes that occur among labels or predictions.

    Raises:
        ParameterError: No images, shapes that do not fit, an unknown class, or no probabilities.
    """
    probabilities = np.asarray(probabilities, dtype=np.float64)
    _check_predictions(labels, probabilities, len(class_names))
    predicted = probabilities.argmax(axis=1)
    tables = sum_groups(_count_outcomes(labels, predicted, len(class_names)), groups)
    totals = resample_totals(tables, seed=seed, resamples=resamples)
    whole = tables.sum(axis=0, keepdims=True)
    return Scores(
        images=len(labels),
        accuracy=bracket(_accuracies(whole)[0], _accuracies(totals), confidence=confidence),
        macro_f1=bracket(_macro_f1s(whole)[0], _macro_f1s(totals), confidence=confidence),
        loss=_mean_loss(labels, probabilities),
        calibration_error=_calibration_error(labels, probabilities),
        per_class=_score_classes(whole[0], class_names),
        confusion=_count_confusions(labels, predicted, len(class_names)),
    )


def sum_groups(columns: np.ndarray, groups: np.ndarray | None) -> np.ndarray:
    """Add up the rows of each group: (n, c) numbers become (g, c). Without groups each row stays its own.

    Raises:
        ParameterError: There is not one group id for each row.
    """
    if groups is None:
        return columns
    if np.shape(groups) != (len(columns),):
        raise ParameterError(
            f"Each image needs one group; got groups of shape {np.shape(groups)} for {len(columns)} images. "
            "Pass the manifest's group column for the same images, in the same order."
        )
    ids, rows = np.unique(groups, return_inverse=True)
    tables = np.zeros((len(ids), columns.shape[1]), dtype=columns.dtype)
    np.add.at(tables, rows, columns)
    return tables


def resample_totals(tables: np.ndarray, *, seed: int, resamples: int) -> np.ndarray:
    """Draw g of the g rows with replacement, many times, and add up each draw.

    Equal rows are drawn together, as one kind, from a multinomial distribution: the same law as drawing
    rows one by one, at a fraction of the time, and blind to the rows' order.

    Args:
        tables: One row per group, (g, c) numbers, g at least 1.
        seed: Of the draws.
        resamples: How many draws, at least 1.

    Returns:
        The totals of each draw, (resamples, c) float64.

    Raises:
        ParameterError: Fewer than one draw is asked for.
    """
    if resamples < 1:
        raise ParameterError(f"A bootstrap needs at least 1 resample; got {resamples}. Use 1000 or more.")
    kinds, counts = np.unique(tables, axis=0, return_counts=True)
    shares = counts / counts.sum()
    generator = np.random.default_rng(seed)
    chunk = max(1, _CELLS_PER_CHUNK // len(kinds))
    sizes = [min(chunk, resamples - start) for start in range(0, resamples, chunk)]
    draws = (generator.multinomial(len(tables), shares, size=size) for size in sizes)
    return np.concatenate([draw.astype(np.float64) @ kinds.astype(np.float64) for draw in draws])


def bracket(value: float, draws: np.ndarray, *, confidence: float) -> Interval:
    """Put the percentile interval of the draws around a value.

    Where a skewed statistic leaves the value outside (macro-F1 on few images), the interval is stretched.

    Raises:
        ParameterError: The confidence is not between 0 and 1.
    """
    if not 0 < confidence < 1:
        raise ParameterError(f"A confidence lies between 0 and 1; got {confidence}. Use 0.95.")
    low, high = np.quantile(draws, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(value), float(min(low, value)), float(max(high, value)))


def _check_predictions(labels: np.ndarray, probabilities: np.ndarray, class_count: int) -> None:
    if len(labels) == 0:
        raise ParameterError("Scores need at least 1 image; got none. Enlarge the split that is scored.")
    if np.shape(probabilities) != (len(labels), class_count):
        raise ParameterError(
            f"Predictions need a row per image and a column per class; got shape {np.shape(probabilities)} "
            f"for {len(labels)} images and {class_count} classes. Score with the model's own classes."
        )
    if np.min(labels) < 0 or np.max(labels) >= class_count:
        raise ParameterError(
            f"Labels lie in 0..{class_count - 1}; got {np.min(labels)}..{np.max(labels)}. "
            "Number the labels by the order of class_names."
        )
    if not np.allclose(probabilities.sum(axis=1), 1, atol=0.01) or probabilities.min() < 0:
        raise ParameterError(
            "Each row of predictions must be probabilities that sum to 1; "
            f"got sums of {probabilities.sum(axis=1).min():.3g} to {probabilities.sum(axis=1).max():.3g}. "
            "Apply softmax to logits; train again if the model diverged (nan)."
        )


def _count_outcomes(labels: np.ndarray, predicted: np.ndarray, class_count: int) -> np.ndarray:
    """Count for each image and class: found rightly, true, predicted. Shape (n, 3k), int64."""
    true = np.eye(class_count, dtype=np.int64)[labels]
    answered = np.eye(class_count, dtype=np.int64)[predicted]
    return np.concatenate([true * answered, true, answered], axis=1)


def _accuracies(totals: np.ndarray) -> np.ndarray:
    found, true, _ = np.split(totals, 3, axis=1)
    return found.sum(axis=1) / true.sum(axis=1)


def _macro_f1s(totals: np.ndarray) -> np.ndarray:
    found, true, answered = np.split(totals, 3, axis=1)
    occurs = true + answered > 0
    f1 = 2 * found / np.where(occurs, true + answered, 1)
    return f1.sum(axis=1) / occurs.sum(axis=1)


def _mean_loss(labels: np.ndarray, probabilities: np.ndarray) -> float:
    given = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.clip(given, _SMALLEST_PROBABILITY, 1)).mean())


def _calibration_error(labels: np.ndarray, probabilities: np.ndarray) -> float:
    sureness = probabilities.max(axis=1)
    surplus = sureness - (probabilities.argmax(axis=1) == labels)
    # A bin is open below and closed above, so that a sureness of 1 falls into the last one.
    bins = np.clip(np.ceil(sureness * _CALIBRATION_BINS) - 1, 0, _CALIBRATION_BINS - 1).astype(np.int64)
    return float(np.abs(np.bincount(bins, weights=surplus)).sum() / len(labels))


def _score_classes(whole: np.ndarray, class_names: tuple[str, ...]) -> tuple[ClassScore, ...]:
    found, true, answered = np.split(whole, 3)
    precision = found / np.maximum(answered, 1)
    recall = found / np.maximum(true, 1)
    f1 = 2 * found / np.maximum(true + answered, 1)
    columns = (column.tolist() for column in (precision, recall, f1, true))
    return tuple(map(ClassScore, class_names, *columns))


def _count_confusions(labels: np.ndarray, predicted: np.ndarray, class_count: int) -> tuple[tuple[int, ...], ...]:
    cells = np.bincount(labels.astype(np.int64) * class_count + predicted, minlength=class_count**2)
    return tuple(map(tuple, cells.reshape(class_count, class_count).tolist()))
