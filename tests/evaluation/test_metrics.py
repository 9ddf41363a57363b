import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, f1_score, precision_recall_fscore_support

from affect_tasks.errors import ParameterError
from affect_tasks.evaluation.metrics import (
    Interval,
    Scores,
    bracket,
    resample_totals,
    score_predictions,
    sum_groups,
)

CLASSES = ("anger", "fear", "happy")


def answer(predicted: np.ndarray, *, sureness: float = 0.9, class_count: int = 3) -> np.ndarray:
    """Probabilities (n, class_count) that give `sureness` to the predicted class, the rest evenly."""
    probabilities = np.full((len(predicted), class_count), (1 - sureness) / (class_count - 1))
    probabilities[np.arange(len(predicted)), predicted] = sureness
    return probabilities


def score(labels: np.ndarray, predicted: np.ndarray, **options: object) -> Scores:
    settings = {"class_names": CLASSES, "seed": 0, "resamples": 200} | options
    return score_predictions(labels, answer(predicted), **settings)


@st.composite
def answered_images(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    pairs = draw(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=60))
    labels, predicted = np.array(pairs).T
    return labels, predicted


@given(answered_images())
def test_every_interval_holds_its_value(images):
    scores = score(*images)
    for interval in (scores.accuracy, scores.macro_f1):
        assert 0 <= interval.low <= interval.value <= interval.high <= 1 + 1e-12


@given(answered_images())
def test_values_and_classes_agree_with_scikit_learn(images):
    labels, predicted = images
    scores = score(labels, predicted)
    assert scores.accuracy.value == pytest.approx((labels == predicted).mean())
    assert scores.macro_f1.value == pytest.approx(f1_score(labels, predicted, average="macro", zero_division=0))
    assert np.array_equal(scores.confusion, confusion_matrix(labels, predicted, labels=[0, 1, 2]))
    expected = precision_recall_fscore_support(labels, predicted, labels=[0, 1, 2], zero_division=0)
    found = [(row.precision, row.recall, row.f1, row.images) for row in scores.per_class]
    assert np.allclose(np.transpose(found), expected)


@given(answered_images(), st.randoms(use_true_random=False))
def test_the_order_of_the_images_changes_nothing(images, shuffler):
    labels, predicted = images
    order = np.array(shuffler.sample(range(len(labels)), len(labels)))
    before, after = score(labels, predicted), score(labels[order], predicted[order])
    assert before.accuracy == after.accuracy
    assert before.macro_f1 == after.macro_f1
    assert before.loss == pytest.approx(after.loss)


@given(st.lists(st.integers(0, 2), min_size=1, max_size=40))
def test_perfect_answers_score_one_without_doubt(labels):
    scores = score(np.array(labels), np.array(labels))
    assert scores.accuracy == scores.macro_f1 == Interval(1, 1, 1)


@given(answered_images(), st.data())
def test_one_group_per_image_is_the_same_as_no_groups(images, data):
    labels, predicted = images
    names = np.array(data.draw(st.permutations([f"{place:03}" for place in range(len(labels))])), dtype=object)
    assert score(labels, predicted, groups=names) == score(labels, predicted)


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    generator = np.random.default_rng(7)
    truth, held = 0.75, 0
    for trial in range(300):
        labels = np.zeros(200, dtype=int)
        predicted = (generator.random(200) > truth).astype(int)
        accuracy = score(labels, predicted, seed=trial, resamples=500).accuracy
        held += accuracy.low <= truth <= accuracy.high
    assert 0.90 <= held / 300 <= 0.98


def test_copies_of_an_image_add_no_certainty_when_they_are_grouped():
    generator = np.random.default_rng(3)
    labels = generator.integers(0, 3, 150)
    predicted = np.where(generator.random(150) < 0.7, labels, (labels + 1) % 3)
    once = score(labels, predicted, resamples=2000).accuracy
    copies = [np.repeat(array, 4) for array in (labels, predicted)]
    fooled = score(*copies, resamples=2000).accuracy
    grouped = score(*copies, resamples=2000, groups=np.repeat(np.arange(150), 4)).accuracy
    assert fooled.value == grouped.value == once.value
    assert fooled.high - fooled.low < 0.6 * (grouped.high - grouped.low)
    assert grouped.high - grouped.low == pytest.approx(once.high - once.low, rel=0.1)


def test_equal_seeds_give_equal_scores():
    generator = np.random.default_rng(0)
    labels, predicted = generator.integers(0, 3, (2, 80))
    assert score(labels, predicted, seed=5) == score(labels, predicted, seed=5)
    assert score(labels, predicted, seed=5).accuracy != score(labels, predicted, seed=6).accuracy


def test_drawing_in_chunks_keeps_every_draw(monkeypatch):
    monkeypatch.setattr("affect_tasks.evaluation.metrics._CELLS_PER_CHUNK", 7)
    totals = resample_totals(np.arange(10).reshape(5, 2), seed=0, resamples=101)
    assert totals.shape == (101, 2)
    assert np.array_equal(totals[:, 1] - totals[:, 0], np.full(101, 5))


def test_a_class_without_images_or_answers_does_not_count_in_macro_f1():
    scores = score(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1]))
    assert scores.macro_f1.value == 1
    assert scores.per_class[2].images == scores.per_class[2].recall == 0


def test_loss_is_the_mean_negative_log_likelihood():
    assert score(np.array([0, 1]), np.array([0, 0])).loss == pytest.approx(-np.log([0.9, 0.05]).mean())


def test_loss_stays_finite_when_the_model_was_sure_and_wrong():
    scores = score_predictions(np.array([0]), np.array([[0.0, 1.0]]), class_names=("a", "b"), seed=0)
    assert scores.loss == pytest.approx(-math.log(1e-7))


@pytest.mark.parametrize(("right", "expected"), [(10, 0.3), (7, 0.0), (5, 0.2)])
def test_calibration_error_is_the_gap_between_sureness_and_accuracy(right, expected):
    labels = np.array([0] * right + [1] * (10 - right))
    probabilities = answer(np.zeros(10, dtype=int), sureness=0.7, class_count=2)
    scores = score_predictions(labels, probabilities, class_names=("a", "b"), seed=0)
    assert scores.calibration_error == pytest.approx(expected)


def test_metrics_for_tracking_are_flat_and_carry_the_prefix():
    metrics = score(np.array([0, 1, 2, 2]), np.array([0, 1, 2, 0])).to_metrics(prefix="test_")
    assert metrics["test_accuracy"] == 0.75
    assert metrics["test_accuracy_low"] <= 0.75 <= metrics["test_accuracy_high"]
    assert metrics["test_recall_happy"] == 0.5
    assert set(metrics) == {
        *("test_images", "test_loss", "test_calibration_error"),
        *("test_accuracy", "test_accuracy_low", "test_accuracy_high"),
        *("test_macro_f1", "test_macro_f1_low", "test_macro_f1_high"),
        *("test_recall_anger", "test_recall_fear", "test_recall_happy"),
    }
    assert all(type(value) is float for value in metrics.values())


def test_metric_names_hold_only_characters_that_tracking_accepts():
    names = ("sad & lost", "été", "a+b")
    metrics = score(np.array([0, 1, 2]), np.array([0, 1, 2]), class_names=names).to_metrics()
    assert {"recall_sad _ lost", "recall_été", "recall_a_b"} <= set(metrics)


def test_an_interval_reads_as_value_and_bounds():
    assert str(Interval(0.8731, 0.842, 0.9009)) == "0.873 [0.842, 0.901]"
    assert f"{Interval(0.8731, 0.842, 0.9009):.1%}" == "87.3% [84.2%, 90.1%]"
    assert f"{Interval(0.02, -0.01, 0.05)}" == "0.020 [-0.010, 0.050]"


def test_low_precision_probabilities_are_accepted():
    probabilities = answer(np.array([0, 1, 2])).astype(np.float16)
    assert score_predictions(np.arange(3), probabilities, class_names=CLASSES, seed=0).accuracy.value == 1


@pytest.mark.parametrize(
    ("labels", "probabilities", "rule"),
    [
        (np.zeros(0, int), np.zeros((0, 3)), "at least 1 image"),
        (np.zeros(2, int), answer(np.zeros(3, int)), "row per image"),
        (np.zeros(2, int), answer(np.zeros(2, int), class_count=4), "column per class"),
        (np.array([0, 3]), answer(np.zeros(2, int)), r"Labels lie in 0\.\.2; got 0\.\.3"),
        (np.array([0, -1]), answer(np.zeros(2, int)), r"Labels lie in 0\.\.2; got -1\.\.0"),
        (np.zeros(2, int), np.full((2, 3), 2.0), "sum to 1; got sums of 6"),
        (np.zeros(2, int), np.array([[1.5, -0.5, 0]] * 2), "must be probabilities"),
        (np.zeros(2, int), np.full((2, 3), np.nan), "got sums of nan"),
    ],
)
def test_unusable_predictions_are_refused_with_the_rule(labels, probabilities, rule):
    with pytest.raises(ParameterError, match=rule):
        score_predictions(labels, probabilities, class_names=CLASSES, seed=0)


def test_groups_of_other_images_are_refused():
    with pytest.raises(ParameterError, match="Each image needs one group"):
        sum_groups(np.ones((3, 1)), np.zeros(2))


def test_a_bootstrap_without_draws_or_confidence_is_refused():
    with pytest.raises(ParameterError, match="at least 1 resample; got 0"):
        resample_totals(np.ones((3, 1)), seed=0, resamples=0)
    with pytest.raises(ParameterError, match="between 0 and 1; got 95"):
        bracket(0.5, np.ones(3), confidence=95)
