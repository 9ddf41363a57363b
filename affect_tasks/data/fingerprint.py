"""A perceptual hash: 255 bits that survive re-encoding, scaling and changes of brightness and contrast.

The signs of a picture's lowest frequencies (discrete cosine transform of 32 x 32 grey values, 16 x 16 coefficients
without the mean), after Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010. Signs
instead of a comparison with the median make a mirrored picture's fingerprint that of the picture with the bits of all
odd horizontal frequencies turned over, so mirrored copies are found without a second fingerprint.
"""

from collections.abc import Sequence

import cv2
import numpy as np

# Below this deviation of the grey values the signs are those of noise.
_FLAT_DEVIATION = 3.0
FREQUENCIES = 16
_SIDE = 32
_COSINES = np.cos(np.pi / (2 * _SIDE) * np.arange(FREQUENCIES)[:, None] * (2 * np.arange(_SIDE) + 1), dtype=np.float32)
_MIRRORED_BITS = np.packbits(np.tile(np.arange(FREQUENCIES) % 2 == 1, FREQUENCIES)).view(np.uint64)


def compute_fingerprint(pixels: np.ndarray) -> str:
    """Compute an image's fingerprint.

    Args:
        pixels: RGB array of shape (height, width, 3), uint8.

    Returns:
        64 hexadecimal digits, 16 bits per row of frequencies; empty for an almost flat image, which looks like
        every other one.
    """
    small = cv2.resize(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    grey = small.astype(np.float32)
    if grey.std() < _FLAT_DEVIATION:
        return ""
    signs = _COSINES @ grey @ _COSINES.T > 0
    signs[0, 0] = False
    return np.packbits(signs).tobytes().hex()


def unpack_fingerprints(fingerprints: Sequence[str]) -> np.ndarray:
    """Turn non-empty fingerprints into machine words, (n, 4) uint64."""
    return np.frombuffer(bytes.fromhex("".join(fingerprints)), dtype=np.uint64).reshape(-1, 4)


def mirror_fingerprints(words: np.ndarray) -> np.ndarray:
    """Return the fingerprints of the mirrored images, (n, 4) uint64 as `words`."""
    return words ^ _MIRRORED_BITS
