"""The floor: what shape descriptors and a linear model reach, which a network must beat to be worth its cost.

Grey image of 64 px -> histograms of oriented gradients (Dalal & Triggs, "Histograms of Oriented Gradients for
Human Detection", 2005) -> principal components -> multinomial logistic regression. It takes one core about
half a second per thousand images, at any image size, and knows nothing of colour.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from skimage.feature import hog
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from affect_tasks.errors import EmptyClassError, ParameterError

_SIDE_PX = 64
_CELL_PX = 8
_ORIENTATIONS = 9
_CELLS_PER_BLOCK = 2
_IMAGES_PER_CHUNK = 1024
_COMPONENTS = 128
# Of 0.003 to 10, within 0.02 of the best loss on held-out faces from 200 to 4,000 training images.
_INVERSE_PENALTY = 0.03
_MAX_STEPS = 500


@dataclass(frozen=True)
class FloorModel:
    """A fitted floor and how many classes its answers have."""

    pipeline: Pipeline
    class_count: int


def fit_floor(pixels: np.ndarray, labels: np.ndarray, *, class_count: int, seed: int) -> FloorModel:
    """Fit the floor to training images.

    Args:
        pixels: RGB images, (n, side, side, 3) uint8, any side.
        labels: Their classes, (n,) integers in 0..class_count-1. A class may be missing.
        class_count: How many classes there are in all.
        seed: Of the search for principal components.

    Returns:
        The fitted model. Equal input and seed give equal answers.

    Raises:
        ParameterError: The images have another shape or type, or there is not one label for each.
        EmptyClassError: The images are all of one class.
    """
    _check_pixels(pixels)
    _check_labels(labels, len(pixels), class_count)
    pipeline = make_pipeline(
        FunctionTransformer(describe_shapes),
        PCA(min(_COMPONENTS, len(pixels) - 1), whiten=True, random_state=seed),
        LogisticRegression(C=_INVERSE_PENALTY, max_iter=_MAX_STEPS),
    )
    with np.errstate(invalid="ignore"):  # Equal images have no variance; the components divide by it.
        return FloorModel(pipeline.fit(pixels, labels), class_count)


def predict_floor(model: FloorModel, pixels: np.ndarray) -> np.ndarray:
    """Return the probability of each class for each image.

    Args:
        model: A fitted floor.
        pixels: RGB images, (n, side, side, 3) uint8, any side.

    Returns:
        Probabilities, (n, class_count) float64, rows sum to 1. A class that training did not show gets 0.

    Raises:
        ParameterError: The images have another shape or type.
    """
    _check_pixels(pixels)
    probabilities = np.zeros((len(pixels), model.class_count))
    if len(pixels):
        probabilities[:, model.pipeline.classes_] = model.pipeline.predict_proba(pixels)
    return probabilities


def describe_shapes(pixels: np.ndarray) -> np.ndarray:
    """Describe images by their histograms of oriented gradients.

    Args:
        pixels: RGB images, (n, side, side, 3) uint8, n at least 1.

    Returns:
        The descriptors, (n, 1764) float32 in 0..1.
    """
    starts = range(0, len(pixels), _IMAGES_PER_CHUNK)
    chunks = (pixels[start : start + _IMAGES_PER_CHUNK] for start in starts)
    return np.concatenate([_join_blocks(np.stack(list(map(_describe_cells, chunk)))) for chunk in chunks])


def _describe_cells(image: np.ndarray) -> np.ndarray:
    """Return one image's gradient histograms, (8, 8, 9), on any common scale."""
    small = cv2.resize(image, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA)
    cells = _SIDE_PX // _CELL_PX
    # One block over the whole image: the library's own loop over small blocks takes half of its time.
    return hog(
        cv2.cvtColor(small, cv2.COLOR_RGB2GRAY),
        orientations=_ORIENTATIONS,
        pixels_per_cell=(_CELL_PX, _CELL_PX),
        cells_per_block=(cells, cells),
        block_norm="L1",
        feature_vector=False,
    )[0, 0]


def _join_blocks(cells: np.ndarray) -> np.ndarray:
    """Join cells (n, 8, 8, 9) to overlapping blocks of 2x2, each scaled by the clipped norm "L2-Hys"."""
    width = (_CELLS_PER_BLOCK, _CELLS_PER_BLOCK)
    windows = np.moveaxis(np.lib.stride_tricks.sliding_window_view(cells, width, axis=(1, 2)), 3, 5)
    blocks = _scale_to_unit(windows.reshape(*windows.shape[:3], -1).astype(np.float32))
    return _scale_to_unit(np.minimum(blocks, 0.2)).reshape(len(cells), -1)


def _scale_to_unit(blocks: np.ndarray) -> np.ndarray:
    return blocks / np.sqrt((blocks**2).sum(axis=-1, keepdims=True) + 1e-10)


def _check_pixels(pixels: np.ndarray) -> None:
    square = pixels.ndim == 4 and pixels.shape[1] == pixels.shape[2] and pixels.shape[3] == 3
    if not square or pixels.dtype != np.uint8:
        raise ParameterError(
            "The floor reads square RGB images, (n, side, side, 3) uint8; "
            f"got shape {pixels.shape}, {pixels.dtype}. Decode the images to that form."
        )


def _check_labels(labels: np.ndarray, image_count: int, class_count: int) -> None:
    if np.shape(labels) != (image_count,):
        raise ParameterError(
            f"Each image needs one label; got labels of shape {np.shape(labels)} for {image_count} images. "
            "Pass the labels of the same images, in the same order."
        )
    if image_count and (np.min(labels) < 0 or np.max(labels) >= class_count):
        raise ParameterError(
            f"Labels lie in 0..{class_count - 1}; got {np.min(labels)}..{np.max(labels)}. "
            "Number the labels by the order of the class names."
        )
    if len(np.unique(labels)) < 2:
        raise EmptyClassError(
            f"The floor needs training images of at least 2 classes; got {len(np.unique(labels))}. "
            "Add images of another class, or give more of them to the training split."
        )
