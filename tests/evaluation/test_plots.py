from dataclasses import dataclass

import cv2
import matplotlib as mpl
import numpy as np
import pytest

from affect_tasks.evaluation.metrics import Interval, Scores, score_predictions
from affect_tasks.evaluation.plots import plot_confusion, plot_history, plot_scores

AFFECTS = ("anger", "contempt", "disgust", "fear", "happy", "neutral", "sad", "surprise")


@dataclass(frozen=True)
class Epoch:
    epoch: int
    loss: float
    accuracy: float
    validation_loss: float
    validation_accuracy: float


def score_random(class_names: tuple[str, ...]) -> Scores:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, len(class_names), 200)
    probabilities = generator.dirichlet(np.ones(len(class_names)), 200)
    return score_predictions(labels, probabilities, class_names=class_names, seed=0, resamples=50)


def train(epochs: int) -> list[Epoch]:
    return [Epoch(place, 2 / place, 1 - 1 / place, 2.2 / place, 0.9 - 0.8 / place) for place in range(1, epochs + 1)]


def assert_small_picture(data: bytes) -> None:
    assert data.startswith(b"\x89PNG\r\n")
    assert len(data) <= 60_000
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert min(picture.shape[:2]) >= 150
    assert picture.std() > 5


@pytest.mark.parametrize(
    "class_names",
    [AFFECTS, ("healthy", "$sick$"), tuple(f"kind {place}" for place in range(20))],
    ids=["affects", "two", "twenty"],
)
def test_a_confusion_matrix_becomes_a_small_picture(class_names):
    assert_small_picture(plot_confusion(score_random(class_names), class_names, title="resnet18: test images"))


def test_a_class_without_images_is_drawn_as_an_empty_row():
    probabilities = np.eye(3)[[0, 1, 0]]
    scores = score_predictions(np.array([0, 1, 1]), probabilities, class_names=("a", "b", "c"), seed=0)
    assert_small_picture(plot_confusion(scores, ("a", "b", "c"), title="one empty class"))


@pytest.mark.parametrize("epochs", [1, 2, 60])
def test_a_history_becomes_a_small_picture(epochs):
    assert_small_picture(plot_history(train(epochs), title="resnet18: training"))


@pytest.mark.parametrize("floor", [None, Interval(0.5, 0.45, 0.55)], ids=["alone", "with-floor"])
@pytest.mark.parametrize("networks", [1, 5])
def test_scores_become_a_small_picture(networks, floor):
    rows = [(f"resnet{place}", Interval(0.8, 0.75 - place / 100, 0.84)) for place in range(networks)]
    assert_small_picture(plot_scores(rows, title="accuracy on the test images", floor=floor))


def test_equal_figures_are_equal_bytes():
    first, second = (plot_history(train(5), title="resnet18") for _ in range(2))
    assert first == second


def test_plotting_leaves_the_library_settings_alone():
    before = dict(mpl.rcParams)
    plot_history(train(2), title="resnet18")
    assert dict(mpl.rcParams) == before
