import io

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from affect_tasks.data import reading
from affect_tasks.data.decode import MAX_PIXELS, decode_image
from affect_tasks.data.reading import looks_whole, read_file
from affect_tasks.errors import InputError

PIXELS = np.random.default_rng(1).integers(0, 255, (20, 30, 3), dtype=np.uint8)


def encode(kind, mode="RGB", **options):
    file = io.BytesIO()
    Image.fromarray(PIXELS).convert(mode).save(file, kind, **options)
    return file.getvalue()


WHOLE = [encode("JPEG"), encode("JPEG", progressive=True), encode("JPEG", "L"), encode("PNG"), encode("PNG", "RGBA")]


@pytest.mark.parametrize("data", WHOLE, ids=["JPEG", "progressive", "grey", "PNG", "RGBA"])
def test_whole_files_are_taken_and_cut_ones_are_not(data):
    assert looks_whole(data)
    for length in (0, 1, 10, len(data) // 2, len(data) - 1):
        assert not looks_whole(data[:length])


@pytest.mark.parametrize("data", WHOLE[:4], ids=["JPEG", "progressive", "grey", "PNG"])
def test_what_looks_whole_can_be_decoded(data):
    assert decode_image(data).shape == (20, 30, 3)


def test_a_png_with_a_flipped_bit_does_not_look_whole():
    data = bytearray(WHOLE[3])
    data[len(data) // 2] ^= 1
    assert not looks_whole(bytes(data))


def test_a_bomb_does_not_look_whole():
    side = int(MAX_PIXELS**0.5) + 1
    data = bytearray(cv2.imencode(".jpg", PIXELS)[1].tobytes())
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = side.to_bytes(2, "big") * 2
    assert not looks_whole(bytes(data))
    assert reading._MAX_PIXELS == MAX_PIXELS


@given(st.sampled_from(WHOLE), st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), max_size=8))
def test_no_bytes_raise_an_error(data, changes):
    damaged = bytearray(data)
    for place, value in changes:
        damaged[place % len(damaged)] = value
    assert looks_whole(bytes(damaged)) in {True, False}


def test_large_files_are_read_whole_and_links_are_not_followed(tmp_path):
    data = bytes(range(256)) * 10_000
    (tmp_path / "large").write_bytes(data)
    assert read_file(str(tmp_path / "large")) == data
    (tmp_path / "link").symlink_to(tmp_path / "large")
    with pytest.raises(InputError, match="must be readable"):
        read_file(str(tmp_path / "link"))
