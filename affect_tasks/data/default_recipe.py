"""The default recipe, drawn and applied in few passes over the pixels.

It is what `affect pipeline example` writes for Albumentations, at a third of its cost: one call of a random
generator per image, one pass for brightness and contrast, and a rotation over four channels, for which
OpenCV has a faster loop than for three. The tests hold each change against Albumentations' own.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np

TONE_LIMIT = 0.2
# The predecessor's noise: variance 10 to 50 grey levels squared, the default of Albumentations 1. That of 2 is
# fifteen times as strong and leaves little of a face.
NOISE_RANGE = (0.0124, 0.0277)
SIGMA_RANGE = (0.5, 3.0)
DROPPED_FRACTION = 0.01
ANGLE_LIMIT = 20


@dataclass(frozen=True, slots=True)
class Noise:
    """Gaussian noise: its standard deviation in grey levels, and the seed of its values."""

    deviation: float
    seed: int


@dataclass(frozen=True, slots=True)
class Changes:
    """What is to be done to one image.

    Attributes:
        mirrored: Whether left and right change places.
        contrast: Factor of the grey levels.
        brightness: Grey levels added after that.
        kernel: Of a blur; two-dimensional for motion, one-dimensional for both axes otherwise.
        noise: To be added, in place of a blur.
        dropped: Indices of the pixels, counted row by row, that turn black.
        degrees: Rotation about the middle, counter-clockwise.
    """

    mirrored: bool
    contrast: float
    brightness: float
    kernel: np.ndarray | None
    noise: Noise | None
    dropped: np.ndarray | None
    degrees: float


def draw_changes(seed: int, *, pixel_count: int) -> Changes:
    """Draw what is to be done to one image: a function of the seed and of the image's number of pixels."""
    random = np.random.Generator(np.random.PCG64(seed))
    mirror, contrast, brightness, disturb, kind, drop, angle, *rest = random.random(12).tolist()
    kernel, noise = _draw_disturbance(kind, rest) if disturb < 0.5 else (None, None)
    dropped = None
    if drop < 0.25:
        count = random.binomial(pixel_count, DROPPED_FRACTION)
        dropped = random.choice(pixel_count, count, replace=False, shuffle=False)
    return Changes(
        mirrored=mirror < 0.5,
        contrast=_spread(contrast, 1 - TONE_LIMIT, 1 + TONE_LIMIT),
        brightness=_spread(brightness, -TONE_LIMIT, TONE_LIMIT) * 255,
        kernel=kernel,
        noise=noise,
        dropped=dropped,
        degrees=_spread(angle, -ANGLE_LIMIT, ANGLE_LIMIT),
    )


def apply_changes(pixels: np.ndarray, changes: Changes) -> np.ndarray:
    """Apply drawn changes to an RGB image (height, width, 3), uint8; the result has the same shape."""
    if changes.mirrored:
        pixels = cv2.flip(pixels, 1)
    pixels = shift_tones(pixels, contrast=changes.contrast, brightness=changes.brightness)
    if changes.kernel is not None:
        pixels = blur(pixels, changes.kernel)
    if changes.noise is not None:
        pixels = add_noise(pixels, changes.noise)
    if changes.dropped is not None:
        pixels.reshape(-1, 3)[changes.dropped] = 0
    return rotate(pixels, changes.degrees)


def shift_tones(pixels: np.ndarray, *, contrast: float, brightness: float) -> np.ndarray:
    """Scale and shift all grey levels, cut to 0..255."""
    # Albumentations cuts a level's fraction off, OpenCV rounds: half a level less makes up for it.
    return cv2.addWeighted(pixels, contrast, pixels, 0.0, brightness - 0.5)


def blur(pixels: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Convolve with a kernel (n, n), or with one (n,) along both axes."""
    if kernel.ndim == 2:
        return cv2.filter2D(pixels, -1, kernel)
    return cv2.sepFilter2D(pixels, -1, kernel, kernel)


def add_noise(pixels: np.ndarray, noise: Noise) -> np.ndarray:
    """Add independent Gaussian noise to every sample, cut to 0..255."""
    flat = pixels.reshape(len(pixels), -1)
    values = np.empty(flat.shape, np.float32)
    cv2.setRNGSeed(noise.seed)
    cv2.randn(values, 0.0, noise.deviation)  # pyright: ignore[reportCallIssue, reportArgumentType] - stubs lack numbers
    # Whole levels, cut towards zero, as Albumentations adds them.
    return cv2.add(flat, values.astype(np.int16), dtype=cv2.CV_8U).reshape(pixels.shape)


def rotate(pixels: np.ndarray, degrees: float) -> np.ndarray:
    """Rotate about the middle, counter-clockwise; what comes into view repeats the border."""
    height, width = pixels.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2 - 0.5, height / 2 - 0.5), degrees, 1.0)
    four = cv2.cvtColor(pixels, cv2.COLOR_RGB2RGBA)
    turned = cv2.warpAffine(four, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return cv2.cvtColor(turned, cv2.COLOR_RGBA2RGB)


def build_motion_kernel(size: int, *, degrees: float, bias: float, shift: tuple[float, float]) -> np.ndarray:
    """Build the kernel of a motion blur: a line through the middle, its points of equal weight.

    Args:
        size: Odd; height and width of the kernel.
        degrees: Direction of the line.
        bias: -1 for the backward half of the line, 0 for the whole of it, 1 for the forward half.
        shift: Of the line, right and down, as shares of half its reach, -1 to 1.
    """
    reach = size // 2
    first, last = -reach * (1 - max(bias, 0.0)), reach * (1 + min(bias, 0.0))
    right, down = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    kernel = np.zeros((size, size), np.float32)
    for step in range(size):
        along = first + (last - first) * step / (size - 1)
        column = round(reach + right * along + shift[0] * reach / 2)
        row = round(reach + down * along + shift[1] * reach / 2)
        kernel[min(max(row, 0), size - 1), min(max(column, 0), size - 1)] = 1
    return kernel / kernel.sum()


def build_gaussian_kernel(sigma: float) -> np.ndarray:
    """Build the kernel (n,) of a Gaussian blur that reaches 3.5 standard deviations, `sigma` pixels each."""
    reach = int(3.5 * sigma)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return weights / weights.sum()


def _draw_disturbance(kind: float, drawn: list[float]) -> tuple[np.ndarray | None, Noise | None]:
    first, second, third, fourth, fifth = drawn
    if kind < 1 / 3:
        shift = (_spread(fourth, -1, 1), _spread(fifth, -1, 1))
        size = 3 + 2 * int(3 * first)
        return build_motion_kernel(size, degrees=360 * second, bias=_spread(third, -1, 1), shift=shift), None
    if kind < 2 / 3:
        return None, Noise(deviation=255 * _spread(first, *NOISE_RANGE), seed=int(second * 2**31))
    return build_gaussian_kernel(_spread(first, *SIGMA_RANGE)), None


def _spread(share: float, low: float, high: float) -> float:
    return low + (high - low) * share
