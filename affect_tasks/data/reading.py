"""Read a folder's files once: their digests, and whether each looks like a whole image."""

import hashlib
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from affect_tasks.data.scan import FoundFile, FoundFolder
from affect_tasks.errors import InputError, UnreadableImageError

_BLOCK = 65_536  # larger blocks cost more to allocate than a small file takes to read
_MAX_PIXELS = 50_000_000
_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4})
_PLAIN_FRAMES = frozenset({0xC0, 0xC1, 0xC2})
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"


@dataclass(frozen=True, slots=True)
class ReadImage:
    """What one reading of a file tells: sha256 of its bytes, and why it is unreadable (or nothing)."""

    image_id: str
    fault: str


def read_images(found: FoundFolder) -> Iterator[ReadImage]:
    """Digest and check every found file, in order.

    A JPEG or PNG whose frame is whole is taken without decoding its pixels, which would take ten times
    longer; any other file is decoded, and the decoder decides.
    """
    root = f"{found.root}/"
    for file in found.files:
        data = read_file(root + file.path)
        yield ReadImage(hashlib.sha256(data).hexdigest(), "" if looks_whole(data) else _find_fault(data))


def digest_file(found: FoundFolder, file: FoundFile) -> str:
    """Return one found file's sha256."""
    return hashlib.sha256(read_file(f"{found.root}/{file.path}")).hexdigest()


def read_file(path: str) -> bytes:
    """Read a whole plain file; a link is not followed.

    Raises:
        InputError: The file cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            data = os.read(descriptor, _BLOCK)
            if len(data) < _BLOCK:
                return data
            blocks = [data]
            while block := os.read(descriptor, 16 * _BLOCK):
                blocks.append(block)
            return b"".join(blocks)
        finally:
            os.close(descriptor)
    except OSError as error:
        msg = f"Every image must be readable; {path}: {error.strerror}. Mend its permissions or remove it."
        raise InputError(msg) from error


def looks_whole(data: bytes) -> bool:
    """Tell whether a file is surely a complete JPEG or PNG of an acceptable size, without decoding it.

    A JPEG must begin and end as one; of a PNG every chunk's checksum is tested. False means unknown.
    """
    if data.startswith(b"\xff\xd8\xff"):
        return data.endswith(b"\xff\xd9") and 0 < _count_jpeg_pixels(data) <= _MAX_PIXELS
    return data.startswith(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR") and data.endswith(_PNG_END) and _is_sound_png(data)


def _count_jpeg_pixels(data: bytes) -> int:
    """Find the frame header among the segments (ITU T.81, B.1.1.4); 0 where it is unusual or missing."""
    at = 2
    while at + 9 < len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _PLAIN_FRAMES and data[at + 4] == 8:
            return (data[at + 5] << 8 | data[at + 6]) * (data[at + 7] << 8 | data[at + 8])
        if marker in _FRAMES:
            return 0
        at += 2 + (data[at + 2] << 8 | data[at + 3])
    return 0


def _is_sound_png(data: bytes) -> bool:
    if not 0 < int.from_bytes(data[16:20], "big") * int.from_bytes(data[20:24], "big") <= _MAX_PIXELS:
        return False
    at = 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        if zlib.crc32(data[at + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            return False
        at = end + 4
    return at == len(data)


def _find_fault(data: bytes) -> str:
    from affect_tasks.data.decode import decode_image

    try:
        decode_image(data)
    except UnreadableImageError as error:
        return str(error)
    return ""
