"""A picture of what a recipe does: one image, and altered copies of it."""

import cv2
import numpy as np

from affect_tasks.data.decode import scale_image
from affect_tasks.data.recipe import Recipe, alter_image

SAMPLES = 8
_COLUMNS = 3
_GAP_PX = 8


def draw_samples(pixels: np.ndarray, recipe: Recipe, *, seed: int = 0) -> list[np.ndarray]:
    """Alter an RGB image (height, width, 3), uint8, SAMPLES times.

    Raises:
        RecipeError: The recipe fails on this image.
    """
    return [alter_image(pixels, recipe, seed=seed + number) for number in range(SAMPLES)]


def draw_recipe_sheet(pixels: np.ndarray, samples: list[np.ndarray], *, side_px: int = 192) -> bytes:
    """Set an image and its altered copies into a square of three by three, the image first and framed in black.

    Returns:
        A PNG file's bytes.
    """
    step = side_px + _GAP_PX
    sheet = np.full((step * _COLUMNS + _GAP_PX, step * _COLUMNS + _GAP_PX, 3), 255, np.uint8)
    for place, image in enumerate([pixels, *samples]):
        top, left = (_GAP_PX + step * part for part in divmod(place, _COLUMNS))
        sheet[top : top + side_px, left : left + side_px] = scale_image(image, side_px=side_px)
    corner, far = (_GAP_PX // 2,) * 2, (_GAP_PX + side_px + _GAP_PX // 2 - 1,) * 2
    cv2.rectangle(sheet, corner, far, (0, 0, 0), 2)
    return cv2.imencode(".png", sheet[..., ::-1])[1].tobytes()
