import cv2
import numpy as np
import pytest
from skimage.feature import hog

from affect_tasks.errors import EmptyClassError, ParameterError
from affect_tasks.evaluation.floor import describe_shapes, fit_floor, predict_floor


def draw_bars(*, images: int, side: int, classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noisy images with a bar whose direction is the class: pixels (n, side, side, 3) and labels (n,)."""
    generator = np.random.default_rng(seed)
    labels = np.arange(images) % classes
    pixels = generator.integers(0, 160, (images, side, side, 3), dtype=np.uint8)
    for image, label in zip(pixels, labels, strict=True):
        angle = np.pi * label / classes + generator.normal(0, 0.1)
        reach = 0.35 * side * np.array([np.cos(angle), np.sin(angle)])
        centre = side / 2 + generator.normal(0, side / 20, 2)
        ends = [tuple(int(place) for place in centre + sign * reach) for sign in (-1, 1)]
        cv2.line(image, *ends, (220, 200, 240), max(2, side // 12))
    return pixels, labels


@pytest.fixture(scope="module")
def bars() -> tuple[np.ndarray, np.ndarray]:
    return draw_bars(images=240, side=48, classes=4, seed=0)


def test_floor_beats_chance_by_far(bars):
    model = fit_floor(*bars, class_count=4, seed=0)
    pixels, labels = draw_bars(images=120, side=48, classes=4, seed=1)
    assert (predict_floor(model, pixels).argmax(axis=1) == labels).mean() > 0.6


def test_floor_is_the_same_for_the_same_seed(bars):
    first, second = (predict_floor(fit_floor(*bars, class_count=4, seed=3), bars[0]) for _ in range(2))
    assert np.array_equal(first, second)


def test_floor_answers_with_probabilities(bars):
    probabilities = predict_floor(fit_floor(*bars, class_count=4, seed=0), bars[0][:9])
    assert probabilities.shape == (9, 4)
    assert probabilities.min() >= 0
    assert np.allclose(probabilities.sum(axis=1), 1)


def test_a_class_that_training_did_not_show_gets_no_probability(bars):
    pixels, labels = bars
    seen = labels != 1
    probabilities = predict_floor(fit_floor(pixels[seen], labels[seen], class_count=6, seed=0), pixels[:8])
    assert probabilities.shape == (8, 6)
    assert not probabilities[:, [1, 4, 5]].any()
    assert np.allclose(probabilities.sum(axis=1), 1)


@pytest.mark.parametrize("images", [2, 3, 20])
def test_fewer_images_than_components_are_enough(images):
    pixels, labels = draw_bars(images=images, side=32, classes=2, seed=0)
    probabilities = predict_floor(fit_floor(pixels, labels, class_count=2, seed=0), pixels)
    assert probabilities.shape == (images, 2)
    assert np.allclose(probabilities.sum(axis=1), 1)


def test_equal_images_are_no_trouble():
    pixels = np.full((6, 32, 32, 3), 128, dtype=np.uint8)
    probabilities = predict_floor(fit_floor(pixels, np.arange(6) % 2, class_count=2, seed=0), pixels)
    assert np.allclose(probabilities, 0.5, atol=0.05)


@pytest.mark.parametrize("side", [8, 64, 100])
def test_descriptors_are_those_of_the_library(side):
    pixels, _ = draw_bars(images=3, side=side, classes=3, seed=0)
    small = [cv2.resize(image, (64, 64), interpolation=cv2.INTER_AREA) for image in pixels]
    grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in small]
    expected = [hog(image, orientations=9, pixels_per_cell=(8, 8), cells_per_block=(2, 2)) for image in grey]
    assert np.allclose(describe_shapes(pixels), expected, atol=1e-5)


def test_descriptors_do_not_depend_on_the_chunks(bars, monkeypatch):
    whole = describe_shapes(bars[0][:10])
    monkeypatch.setattr("affect_tasks.evaluation.floor._IMAGES_PER_CHUNK", 3)
    assert np.array_equal(describe_shapes(bars[0][:10]), whole)


def test_no_images_get_no_answers(bars):
    model = fit_floor(*bars, class_count=4, seed=0)
    assert predict_floor(model, bars[0][:0]).shape == (0, 4)


def test_images_of_one_class_are_refused(bars):
    with pytest.raises(EmptyClassError, match="at least 2 classes; got 1"):
        fit_floor(bars[0], np.zeros(240, int), class_count=4, seed=0)
    with pytest.raises(EmptyClassError, match="at least 2 classes; got 0"):
        fit_floor(bars[0][:0], np.zeros(0, int), class_count=4, seed=0)


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 32, 32), np.uint8),
        np.zeros((4, 32, 24, 3), np.uint8),
        np.zeros((4, 32, 32, 1), np.uint8),
        np.zeros((4, 32, 32, 3), np.float32),
    ],
)
def test_other_arrays_than_square_rgb_bytes_are_refused(pixels):
    with pytest.raises(ParameterError, match="square RGB images"):
        fit_floor(pixels, np.array([0, 1, 0, 1]), class_count=2, seed=0)


def test_labels_that_do_not_fit_are_refused(bars):
    with pytest.raises(ParameterError, match="Each image needs one label"):
        fit_floor(bars[0], bars[1][:5], class_count=4, seed=0)
    with pytest.raises(ParameterError, match=r"Labels lie in 0\.\.2; got 0\.\.3"):
        fit_floor(*bars, class_count=3, seed=0)
