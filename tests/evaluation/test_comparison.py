import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from affect_tasks.errors import ParameterError
from affect_tasks.evaluation.comparison import Comparison, compare_paired
from affect_tasks.evaluation.metrics import Interval

ids = st.integers(0, 3)


@st.composite
def paired_answers(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    labels, candidate, champion = np.array(draw(st.lists(st.tuples(ids, ids, ids), min_size=1, max_size=60))).T
    return labels, candidate, champion


def compare(labels: np.ndarray, candidate: np.ndarray, champion: np.ndarray, **options: object) -> Comparison:
    settings = {"seed": 0, "resamples": 500} | options
    return compare_paired(labels, candidate=candidate, champion=champion, **settings)


def answer_rightly(share: float, *, images: int, seed: int) -> np.ndarray:
    """Predictions for labels that are all 0: 0 for about the share of them, 1 for the rest."""
    return (np.random.default_rng(seed).random(images) > share).astype(int)


@given(paired_answers())
def test_the_interval_holds_the_difference(answers):
    result = compare(*answers)
    assert result.difference.low <= result.difference.value <= result.difference.high
    expected = result.candidate_accuracy - result.champion_accuracy
    assert result.difference.value == pytest.approx(expected)
    assert result.difference.value == pytest.approx((result.wins - result.losses) / result.images)


@given(paired_answers())
def test_exchanging_the_models_turns_the_comparison_around(answers):
    labels, candidate, champion = answers
    forth, back = compare(labels, candidate, champion), compare(labels, champion, candidate)
    assert forth.difference.value == -back.difference.value
    assert (forth.wins, forth.losses) == (back.losses, back.wins)
    assert forth.mcnemar_p == pytest.approx(back.mcnemar_p)
    assert not (forth.better and back.better)


@given(paired_answers(), st.randoms(use_true_random=False))
def test_the_order_of_the_images_changes_nothing(answers, shuffler):
    order = np.array(shuffler.sample(range(len(answers[0])), len(answers[0])))
    assert compare(*answers) == compare(*(array[order] for array in answers))


@given(paired_answers())
def test_equal_predictions_differ_by_exactly_nothing(answers):
    labels, candidate, _ = answers
    result = compare(labels, candidate, candidate)
    assert result.difference == Interval(0, 0, 0)
    assert (result.wins, result.losses, result.mcnemar_p, result.better) == (0, 0, 1.0, False)


def test_a_clearly_better_candidate_is_better():
    result = compare(np.zeros(300, int), answer_rightly(0.9, images=300, seed=1), np.ones(300, int))
    assert result.better
    assert result.mcnemar_p < 1e-6


def test_a_difference_within_chance_is_not_better():
    labels, champion = np.zeros(100, int), np.repeat([0, 1], 50)
    candidate = champion.copy()
    candidate[[0, 50, 51]] = [1, 0, 0]
    result = compare(labels, candidate, champion)
    assert result.difference.value == pytest.approx(0.01)
    assert (result.wins, result.losses) == (2, 1)
    assert not result.better


def test_equally_good_models_are_rarely_called_better():
    labels = np.zeros(200, int)
    results = [
        compare(
            labels,
            answer_rightly(0.7, images=200, seed=2 * trial),
            answer_rightly(0.7, images=200, seed=2 * trial + 1),
            seed=trial,
        )
        for trial in range(300)
    ]
    assert sum(result.better for result in results) / 300 <= 0.055  # 0.025 is the design, 0.009 its error


def test_pairing_sees_a_small_but_constant_gain():
    champion = answer_rightly(0.6, images=400, seed=0)
    candidate = champion.copy()
    candidate[np.flatnonzero(champion)[:12]] = 0
    assert compare(np.zeros(400, int), candidate, champion).better


def test_a_gain_on_copies_of_one_image_is_not_better():
    labels, champion = np.zeros(100, int), np.repeat([0, 1], 50)
    candidate = champion.copy()
    candidate[50:58] = 0
    groups = np.arange(100)
    groups[50:58] = 50
    assert compare(labels, candidate, champion).better
    grouped = compare(labels, candidate, champion, groups=groups)
    assert grouped.difference.value == pytest.approx(0.08)
    assert not grouped.better


def test_mcnemar_is_the_exact_binomial():
    result = compare(np.zeros(6, int), np.array([0, 0, 0, 0, 0, 1]), np.array([1, 1, 1, 1, 1, 0]))
    assert (result.wins, result.losses) == (5, 1)
    assert result.mcnemar_p == pytest.approx(2 * (1 + 6) / 2**6)


def test_no_images_are_refused():
    empty = np.zeros(0, int)
    with pytest.raises(ParameterError, match="at least 1 image; got none"):
        compare(empty, empty, empty)


def test_predictions_of_other_images_are_refused():
    with pytest.raises(ParameterError, match="one predicted class per image and model"):
        compare(np.zeros(3, int), np.zeros(3, int), np.zeros(2, int))
    with pytest.raises(ParameterError, match="pass classes, not probabilities"):
        compare(np.zeros(3, int), np.zeros((3, 8)), np.zeros(3, int))
