"""Whether one model is truly better than another on the same images, or merely luckier."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

from affect_tasks.errors import ParameterError
from affect_tasks.evaluation.metrics import Interval, bracket, resample_totals, sum_groups


@dataclass(frozen=True)
class Comparison:
    """A candidate against the champion (or against the floor) on the same images.

    `wins` counts the images that only the candidate has right, `losses` those that only the champion has.
    `difference` is the candidate's accuracy minus the champion's. `mcnemar_p` is the two-sided exact chance
    of wins and losses as uneven as these between equally good models; it is for reading, `better` decides.
    """

    images: int
    candidate_accuracy: float
    champion_accuracy: float
    difference: Interval
    wins: int
    losses: int
    mcnemar_p: float
    confidence: float
    better: bool


def compare_paired(
    labels: np.ndarray,
    *,
    candidate: np.ndarray,
    champion: np.ndarray,
    seed: int,
    resamples: int = 10_000,
    confidence: float = 0.95,
    groups: np.ndarray | None = None,
) -> Comparison:
    """Compare two models on the same images; for the floor, pass its predictions as the champion's.

    The interval is a paired percentile bootstrap of the difference in accuracy (Efron & Tibshirani, "An
    Introduction to the Bootstrap", 1993, ch. 13), drawn over groups of near-duplicates. The p-value is the
    exact form of McNemar's test (McNemar, "Note on the sampling error of the difference between correlated
    proportions or percentages", 1947), which Dietterich ("Approximate Statistical Tests for Comparing
    Supervised Classification Learning Algorithms", 1998) advises for models trained once; it takes images
    as independent, so trust the interval where there are groups.

    Args:
        labels: True classes, (n,) integers.
        candidate: The classes that the candidate predicts, (n,) integers.
        champion: The classes that the champion predicts for the same images in the same order, (n,) integers.
        seed: Of the bootstrap's draws.
        resamples: How many times the set is drawn again.
        confidence: Share of the draws that the interval holds, above 0 and below 1.
        groups: Group of near-duplicates of each image, (n,) of any kind. None: each image is its own.

    Returns:
        The comparison. `better` is true only where the whole interval lies above 0.

    Raises:
        ParameterError: No images, or not one prediction of each model for each image.
    """
    _check_pairs(labels, candidate, champion)
    candidate_right, champion_right = candidate == labels, champion == labels
    gains = candidate_right.astype(np.int64) - champion_right.astype(np.int64)
    tables = sum_groups(np.stack([gains, np.ones_like(gains)], axis=1), groups)
    totals = resample_totals(tables, seed=seed, resamples=resamples)
    difference = bracket(float(gains.mean()), totals[:, 0] / totals[:, 1], confidence=confidence)
    wins, losses = int((gains > 0).sum()), int((gains < 0).sum())
    return Comparison(
        images=len(labels),
        candidate_accuracy=float(candidate_right.mean()),
        champion_accuracy=float(champion_right.mean()),
        difference=difference,
        wins=wins,
        losses=losses,
        mcnemar_p=float(binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0,
        confidence=confidence,
        better=difference.low > 0,
    )


def _check_pairs(labels: np.ndarray, candidate: np.ndarray, champion: np.ndarray) -> None:
    if len(labels) == 0:
        raise ParameterError("A comparison needs at least 1 image; got none. Enlarge the test split.")
    shapes = [np.shape(array) for array in (labels, candidate, champion)]
    if set(shapes) != {(len(labels),)}:
        raise ParameterError(
            "A comparison needs one predicted class per image and model; got shapes "
            f"{shapes[0]} (labels), {shapes[1]} (candidate) and {shapes[2]} (champion). "
            "Let both models predict the same images, and pass classes, not probabilities."
        )
