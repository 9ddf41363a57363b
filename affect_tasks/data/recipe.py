"""How altered copies are drawn: the default recipe or a user's own. The only module that knows Albumentations.

Two ways lead to one door, `alter_image`: the default recipe goes through `default_recipe`, any other through
Albumentations. Either way an altered image is a function of its pixels, the recipe and the seed.
"""

import io
import random
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from affect_tasks.data.default_recipe import (
    ANGLE_LIMIT,
    DROPPED_FRACTION,
    NOISE_RANGE,
    SIGMA_RANGE,
    TONE_LIMIT,
    apply_changes,
    draw_changes,
)
from affect_tasks.data.recipe_document import MAX_BYTES, load_document, split_document
from affect_tasks.errors import RecipeError

# Stands for the default recipe in a step's key; to be changed whenever equal seeds draw other images.
DEFAULT_RECIPE = "default-3"

_FAULTS = (ArithmeticError, LookupError, NotImplementedError, TypeError, ValueError, Warning, cv2.error)


@dataclass(frozen=True)
class Recipe:
    """What is done to an image for an altered copy.

    Attributes:
        compose: An `albumentations.Compose`; None for the default recipe.
    """

    compose: Any | None = None


def read_recipe(path: Path) -> bytes:
    """Read a recipe's file, at most as much of it as tells that it is too large.

    Raises:
        RecipeError: It is not there or cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise RecipeError(f"A recipe must be a readable file; {path}: {error.strerror}. Correct the path.") from error


def build_recipe(description: bytes | None) -> Recipe:
    """Build a recipe from its file's bytes, or the default one from None. Build it anew in each process.

    Raises:
        RecipeError: See `load_recipe`.
    """
    return Recipe() if description is None else load_recipe(description)


def load_recipe(data: bytes) -> Recipe:
    """Build a recipe from what Albumentations saved in YAML or JSON, after checking it.

    What `dump_default_recipe` wrote gives the default recipe itself, with its speed.

    Raises:
        RecipeError: It uses what a recipe may not, or Albumentations refuses a value; the message names the key.
    """
    document = load_document(data)
    if document == load_document(dump_default_recipe()):
        return Recipe()
    return Recipe(_build(document, "transform"))


def dump_default_recipe() -> bytes:
    """Write the default recipe as Albumentations' YAML, to be edited and given back."""
    import albumentations

    text = io.StringIO()
    albumentations.save(build_default_compose(), text, data_format="yaml")
    return text.getvalue().encode()


def build_default_compose() -> Any:
    """Build the default recipe as an `albumentations.Compose`; `default_recipe` draws the same, faster."""
    import albumentations

    return albumentations.Compose(
        [
            albumentations.HorizontalFlip(p=0.5),
            albumentations.RandomBrightnessContrast(brightness_limit=TONE_LIMIT, contrast_limit=TONE_LIMIT, p=1.0),
            albumentations.OneOf(
                [
                    albumentations.MotionBlur(p=1.0),
                    albumentations.GaussNoise(std_range=NOISE_RANGE, p=1.0),
                    albumentations.GaussianBlur(sigma_limit=SIGMA_RANGE, p=1.0),
                ],
                p=0.5,
            ),
            albumentations.PixelDropout(dropout_prob=DROPPED_FRACTION, p=0.25),
            albumentations.Rotate(limit=ANGLE_LIMIT, border_mode=cv2.BORDER_REPLICATE, p=1.0),
        ]
    )


def alter_image(pixels: np.ndarray, recipe: Recipe, *, seed: int) -> np.ndarray:
    """Alter one image by a recipe; equal seeds give equal results.

    Args:
        pixels: RGB (height, width, 3), uint8; is left as it is.
        recipe: Of `build_recipe`.
        seed: Not negative; draws of different seeds are independent.

    Returns:
        RGB (height, width, 3), uint8; a user's recipe may change height and width.

    Raises:
        RecipeError: A user's recipe fails on this image, or makes something else of it.
    """
    if recipe.compose is None:
        return apply_changes(pixels, draw_changes(seed, pixel_count=pixels.shape[0] * pixels.shape[1]))
    # Not `set_random_seed`: it gives every transform a generator of its own from the one seed, so that all draw
    # the same numbers (whatever is mirrored is blurred, darkened and turned left too), and costs eight times this.
    recipe.compose.set_random_state(np.random.default_rng(seed), random.Random(seed))  # noqa: S311 - no secret
    height, width = pixels.shape[:2]
    try:
        altered = recipe.compose(image=pixels)["image"]
    except (*_FAULTS, *_list_own_faults()) as error:
        raise RecipeError(_describe_failure(width, height, f"it failed: {error}")) from error
    if altered.dtype != np.uint8 or altered.ndim != 3 or altered.shape[2] != 3 or 0 in altered.shape:
        raise RecipeError(_describe_failure(width, height, f"it gave {altered.dtype} of shape {altered.shape}"))
    return altered


def describe_recipe(data: bytes) -> str:
    """Say in lines what a recipe does: each transform with its chance and its arguments.

    Raises:
        RecipeError: See `load_recipe`.
    """
    return "\n".join(_describe(load_document(data), depth=0))


def _build(transform: dict[str, Any], key: str) -> Any:
    import albumentations

    name, inner, arguments = split_document(transform)
    if inner is not None:
        arguments["transforms"] = [_build(node, f"{key}.transforms[{number}]") for number, node in enumerate(inner)]
    try:
        with warnings.catch_warnings():
            # A warning tells of a value that was replaced by another in silence.
            warnings.simplefilter("error")
            warnings.filterwarnings("ignore", message="ShiftScaleRotate is a special case")
            return getattr(albumentations, name)(**arguments)
    except _FAULTS as error:
        argument, fault = _find_fault(error)
        raise RecipeError(f"The recipe's `{key}{argument}` ({name}) must be right; {fault}. Correct it.") from error


def _find_fault(error: BaseException) -> tuple[str, str]:
    from pydantic import ValidationError

    cause = error.__cause__
    if not isinstance(cause, ValidationError):
        return "", str(error)[:200]
    fault = cause.errors()[0]
    return f".{fault['loc'][0]}" if fault["loc"] else "", fault["msg"]


def _list_own_faults() -> tuple[type[Exception], ...]:
    from albumentations.augmentations.crops.transforms import CropSizeError

    return (CropSizeError,)


def _describe_failure(width: int, height: int, fault: str) -> str:
    return f"A recipe must give an RGB image for each; on one of {width} x {height} pixels {fault}. Correct it."


def _describe(transform: dict[str, Any], *, depth: int) -> Iterator[str]:
    name, inner, arguments = split_document(transform)
    chance = arguments.pop("p", None)
    share = "" if chance is None else "always" if chance == 1 else f"p {chance:g}"
    # Masks and shapes of several images do not occur here.
    silent = {key for key in arguments if "mask" in key or key == "is_check_shapes"}
    shown = {key: value for key, value in arguments.items() if key not in silent and value not in (None, [], {})}
    words = ", ".join(f"{key} {_describe_value(value)}" for key, value in shown.items())
    yield "  ".join(part for part in ("  " * depth + name, share, words) if part)
    for node in inner or ():
        yield from _describe(node, depth=depth + 1)


def _describe_value(value: Any) -> str:
    if isinstance(value, list) and len(value) == 2:
        return f"{value[0]} to {value[1]}"
    return str(value)
