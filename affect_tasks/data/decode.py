"""The one decoder: every step, evaluation and serving turn image files into arrays here.

Decoders disagree on orientation, cut files and 16-bit samples, so there is one. Pillow reads the header,
because OpenCV allocates a bomb's pixels before anyone can ask for its size; OpenCV reads the pixels.

| file | what happens |
|---|---|
| BMP, JPEG (progressive too), PNG, TIFF, WebP, with any suffix | accepted; the bytes tell the kind, not the name |
| grey, palette, 1 bit | accepted, as RGB |
| CMYK | accepted, converted to RGB |
| 16 bits per channel | accepted, scaled to 8 |
| transparency | accepted, the colours as stored |
| EXIF orientation 1 to 8 | accepted, turned upright |
| animated PNG or WebP, TIFF of several pages | accepted, the first picture |
| bytes after the image's end | accepted |
| 1 x 1 pixel | accepted |
| GIF, still or animated, and every other kind; text, HTML | refused |
| cut anywhere before its last bytes, or 0 bytes | refused |
| more than 50 megapixels | refused by the header; no pixel is decoded |
"""

import io
import struct
import warnings
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from affect_tasks.errors import UnreadableImageError

ACCEPTED_FORMATS = ("BMP", "JPEG", "PNG", "TIFF", "WEBP")
MAX_PIXELS = 50_000_000
# What Pillow's readers let out on damaged headers, beside its own UnidentifiedImageError, an OSError.
_HEADER_FAULTS = (OSError, ValueError, SyntaxError, LookupError, ArithmeticError, TypeError, struct.error)

# A damaged file is reported by an error of ours; OpenCV's own lines would only repeat it.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


@dataclass(frozen=True)
class ImageHeader:
    """What a file says of itself before its pixels are read."""

    kind: str
    width: int
    height: int


def read_header(data: bytes) -> ImageHeader:
    """Read kind and size from an image file's first bytes.

    Raises:
        UnreadableImageError: Empty, not an accepted kind, or more than MAX_PIXELS pixels.
    """
    if not data:
        raise UnreadableImageError("An image file must not be empty; got 0 bytes. Replace or remove it.")
    try:
        with warnings.catch_warnings():
            # On sizes that are checked below, and on tags that do not matter here.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=ACCEPTED_FORMATS) as image:
                header = ImageHeader(image.format or "", *image.size)
    except Image.DecompressionBombError as error:
        raise UnreadableImageError(_describe_bomb(str(error))) from error
    except _HEADER_FAULTS as error:
        msg = (
            f"A file must be a whole {', '.join(ACCEPTED_FORMATS[:-1])} or {ACCEPTED_FORMATS[-1]} image; this one "
            f"begins with {data[:8]!r}. Convert or replace it."
        )
        raise UnreadableImageError(msg) from error
    if header.width * header.height > MAX_PIXELS:
        raise UnreadableImageError(_describe_bomb(f"{header.width} x {header.height}"))
    return header


def decode_image(data: bytes) -> np.ndarray:
    """Decode one image file.

    Args:
        data: A complete image file, colour or grey, of any bit depth.

    Returns:
        RGB array of shape (height, width, 3), uint8, upright by its EXIF orientation. Grey is repeated over
        the channels, transparency is dropped, 16-bit samples are scaled, an animation gives its first frame.

    Raises:
        UnreadableImageError: The bytes are not a complete image of an accepted kind.
    """
    header = read_header(data)
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    except cv2.error as error:
        raise UnreadableImageError(_describe_cut(header, len(data))) from error
    if pixels is None:
        raise UnreadableImageError(_describe_cut(header, len(data)))
    return pixels


def scale_image(pixels: np.ndarray, *, side_px: int) -> np.ndarray:
    """Scale an RGB array (height, width, 3), uint8, to (side_px, side_px, 3), uint8."""
    height, width = pixels.shape[:2]
    if (height, width) == (side_px, side_px):
        return pixels
    smaller = max(height, width) > side_px
    return cv2.resize(pixels, (side_px, side_px), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)


def decode_face(data: bytes, *, side_px: int) -> np.ndarray:
    """Decode one face crop into the array the networks expect.

    Args:
        data: A complete image file, colour or grey.
        side_px: Height and width of the result, in pixels.

    Returns:
        RGB array of shape (side_px, side_px, 3), uint8.

    Raises:
        UnreadableImageError: The bytes are not a complete image of an accepted kind.
    """
    return scale_image(decode_image(data), side_px=side_px)


def encode_jpeg(pixels: np.ndarray, *, quality: int = 95) -> bytes:
    """Encode an RGB array (height, width, 3), uint8, as a JPEG file's bytes."""
    done, data = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise UnreadableImageError(f"Pixels must fit into a JPEG; got an array of shape {pixels.shape}.")
    return data.tobytes()


def _describe_bomb(size: str) -> str:
    return f"An image may hold at most {MAX_PIXELS} pixels; got {size}. Scale it down or remove it."


def _describe_cut(header: ImageHeader, size: int) -> str:
    return (
        f"An image file must be complete; this {header.kind} of {header.width} x {header.height} pixels "
        f"ends early or is damaged ({size} bytes). Replace or remove it."
    )
