import contextlib
import io
import struct
import subprocess
import sys
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from affect_tasks.data.decode import decode_image, read_header
from affect_tasks.errors import UnreadableImageError

FORMATS = ("BMP", "JPEG", "PNG", "TIFF", "WEBP")
# An upright picture is bright at the top left, darker to the right, darkest at the bottom.
PICTURE = np.zeros((48, 64, 3), np.uint8)
PICTURE[:24, :32], PICTURE[:24, 32:], PICTURE[24:] = (250, 180, 90), (160, 90, 180), (60, 40, 20)
# What EXIF says a viewer must do, as the way to lay the pixels down so that the viewer's result is upright.
LAID_DOWN = {
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.transpose(1, 0, 2),
    6: lambda p: np.rot90(p),
    7: lambda p: np.rot90(p.transpose(1, 0, 2), 2),
    8: lambda p: np.rot90(p, -1),
}


def encode(picture, kind, **options) -> bytes:
    file = io.BytesIO()
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(np.ascontiguousarray(picture))
    image.save(file, kind, **options)
    return file.getvalue()


def convert(mode) -> Image.Image:
    return Image.fromarray(PICTURE).convert(mode)


def deepen(suffix) -> bytes:
    return cv2.imencode(suffix, PICTURE[..., ::-1].astype(np.uint16) * 257)[1].tobytes()


def animate(kind, **options) -> bytes:
    other = Image.fromarray(255 - PICTURE)
    return encode(PICTURE, kind, save_all=True, append_images=[other], duration=100, **options)


ACCEPTED = {
    **{f"a whole {kind}": encode(PICTURE, kind) for kind in FORMATS},
    "a progressive JPEG": encode(PICTURE, "JPEG", progressive=True),
    "a CMYK JPEG": encode(convert("CMYK"), "JPEG"),
    "a palette": encode(Image.fromarray(PICTURE).quantize(8), "PNG"),
    "16 bits, PNG": deepen(".png"),
    "16 bits, TIFF": deepen(".tiff"),
    "transparency, PNG": encode(convert("RGBA"), "PNG"),
    "transparency, WebP": encode(convert("RGBA"), "WEBP"),
    "an animated PNG": animate("PNG"),
    "an animated WebP": animate("WEBP", lossless=True),
    "a TIFF of two pages": animate("TIFF"),
    "bytes after the end, JPEG": encode(PICTURE, "JPEG") + b"more" * 50,
    "bytes after the end, PNG": encode(PICTURE, "PNG") + b"more" * 50,
}
REFUSED = {
    **{
        f"{kind} cut at {share:.0%}": encode(PICTURE, kind)[: int(len(encode(PICTURE, kind)) * share)]
        for kind in FORMATS
        for share in (0.5, 0.9)
    },
    "0 bytes": b"",
    "text": b"hello world\n" * 40,
    "html": b"<!doctype html><title>404</title>",
    "a still GIF": encode(PICTURE, "GIF"),
    "an animated GIF": animate("GIF"),
    "a vector drawing": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_an_image_is_decoded_to_its_colours(name):
    pixels = decode_image(ACCEPTED[name])
    assert (pixels.shape, pixels.dtype) == (PICTURE.shape, np.uint8)
    assert np.abs(pixels.astype(int) - PICTURE).mean() < 8


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_whole_image_is_refused_with_a_sentence(name):
    with pytest.raises(UnreadableImageError, match=r"^An? .*; .*\."):
        decode_image(REFUSED[name])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", LAID_DOWN)
def test_an_image_is_upright_whatever_its_orientation_tag(kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = decode_image(encode(LAID_DOWN[orientation](PICTURE), kind, exif=exif))
    assert pixels.shape == PICTURE.shape
    assert np.abs(pixels.astype(int) - PICTURE).mean() < 8


@pytest.mark.parametrize("mode", ["L", "LA", "1"])
def test_grey_is_repeated_over_the_channels(mode):
    pixels = decode_image(encode(convert(mode), "PNG"))
    assert (pixels[..., 0] == pixels[..., 1]).all()
    assert (pixels[..., 0] == pixels[..., 2]).all()
    assert pixels[0, 0, 0] > pixels[-1, 0, 0]


def test_one_pixel_is_an_image():
    assert decode_image(encode(PICTURE[:1, :1], "PNG")).tolist() == [[[250, 180, 90]]]


def write_bomb(side_px: int) -> bytes:
    """Write a whole black PNG of this side, one bit a pixel; a few hundred times smaller than its pixels."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    packer, row = zlib.compressobj(1), bytes(1 + (side_px + 7) // 8)
    lines = b"".join(packer.compress(row * 500) for _ in range(side_px // 500)) + packer.flush()
    header = struct.pack(">IIBBBBB", side_px, side_px, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", lines) + chunk(b"IEND", b"")


MEASURE = """
import resource, sys, time
from pathlib import Path
from affect_tasks.data.decode import decode_image
from affect_tasks.errors import UnreadableImageError
data = Path(sys.argv[1]).read_bytes()
before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
try:
    decode_image(data)
except UnreadableImageError:
    print(time.process_time() - started, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.parametrize("side_px", [12_000, 30_000, 40_000])
def test_a_bomb_is_refused_within_a_second_and_300_mb(tmp_path, side_px):
    file = tmp_path / "bomb.png"
    file.write_bytes(write_bomb(side_px))
    assert file.stat().st_size < side_px**2 / 500
    done = subprocess.run([sys.executable, "-c", MEASURE, file], capture_output=True, text=True, check=True)
    seconds, megabytes = map(float, done.stdout.split())
    assert seconds < 1
    assert megabytes < 300


def enlarge(kind: str) -> bytes:
    """Make a small file say that it is a very large one."""
    data = bytearray(encode(PICTURE, kind))
    if kind == "JPEG":
        at = data.index(b"\xff\xc0") + 5
        data[at : at + 4] = b"\xff\xff\xff\xff"
    elif kind == "BMP":
        data[18:26] = struct.pack("<ii", 60_000, 60_000)
    else:
        for tag in (256, 257):
            at = data.index(struct.pack("<H", tag), 8)
            data[at + 2 : at + 12] = struct.pack("<HII", 4, 1, 60_000)
    return bytes(data)


@pytest.mark.parametrize("kind", ["JPEG", "BMP", "TIFF"])
def test_a_header_that_promises_too_much_is_refused(kind):
    with pytest.raises(UnreadableImageError, match="at most 50000000 pixels"):
        read_header(enlarge(kind))


@given(kind=st.sampled_from(FORMATS), places=st.lists(st.tuples(st.integers(0, 199), st.integers(0, 255)), max_size=12))
@settings(max_examples=300)
def test_no_damaged_header_escapes_as_another_error(kind, places):
    data = bytearray(encode(PICTURE[:8, :8], kind))
    for at, value in places:
        data[at % len(data)] = value
    with contextlib.suppress(UnreadableImageError):
        header = read_header(bytes(data))
        # Larger ones would be slow here, not wrong.
        if header.width * header.height < 1_000_000:
            assert decode_image(bytes(data)).shape[2] == 3


@given(
    start=st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\x20\0\0\0WEBPVP8L", b"II*\0", b"BM"]),
    rest=st.binary(max_size=64),
)
@settings(max_examples=300)
def test_no_bytes_escape_as_another_error(start, rest):
    with pytest.raises(UnreadableImageError):
        decode_image(start + rest)
