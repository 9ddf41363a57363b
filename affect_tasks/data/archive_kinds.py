"""The members of zip and tar files, read once from front to back in bounded memory."""

import os
import stat
import struct
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

_CHUNK = 1 << 16
_BLOCK = 512
# tarfile reads a header's long name or PAX fields whole; real ones are a few kilobytes.
_HEADER_BYTES = 1 << 20
_ENCRYPTED = 0x1
# The end records of a zip file (APPNOTE 6.3.10, sections 4.3.14 to 4.3.16).
_END, _END64, _LOCATOR = struct.Struct("<4s4H2LH"), struct.Struct("<4sQ2H2L4Q"), struct.Struct("<4sLQL")
_ENTRY_BYTES = 46


@dataclass(frozen=True)
class ZipMember:
    """An entry of a zip file's directory."""

    archive: ZipFile
    info: ZipInfo
    count: Callable[[int], None]

    @property
    def name(self) -> str:
        """The name as stored, before `zipfile` cuts it at a zero byte."""
        return self.info.orig_filename

    @property
    def is_folder(self) -> bool:
        """See `archives.Member`."""
        return self.name.endswith("/")

    @property
    def fault(self) -> str:
        """See `archives.Member`."""
        kind = stat.S_IFMT(self.info.external_attr >> 16)
        if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
            return "a link" if kind == stat.S_IFLNK else "a pipe or device"
        if self.info.flag_bits & _ENCRYPTED:
            return "an encrypted file"
        if self.info.compress_type not in {ZIP_STORED, ZIP_DEFLATED}:
            return f"a file compressed by method {self.info.compress_type}, not by deflate"
        return ""

    def read(self) -> Iterator[bytes]:
        """See `archives.Member`."""
        with self.archive.open(self.info) as file:
            while piece := file.read(_CHUNK):
                self.count(len(piece))
                yield piece


def list_zip(file: IO[bytes], count: Callable[[int], None]) -> Iterator[ZipMember]:
    """List a zip file's entries; `count` is told of unpacked bytes."""
    with ZipFile(file) as archive:
        for info in archive.infolist():
            yield ZipMember(archive, info, count)


def count_zip_entries(file: IO[bytes], *, most: int) -> int:
    """Count the entries of a zip file's directory up to a number, one by one.

    `zipfile` reads the whole directory into memory, some 600 bytes an entry, and the number that the file
    declares may be wrong. A directory that is not where it should be counts 0; `zipfile` names its fault.
    """
    place, left = _find_directory(file)
    number = 0
    file.seek(place)
    while left >= _ENTRY_BYTES and number < most:
        entry = file.read(_ENTRY_BYTES)
        if len(entry) < _ENTRY_BYTES:
            break
        rest = sum(struct.unpack_from("<3H", entry, 28))
        file.seek(rest, os.SEEK_CUR)
        left -= _ENTRY_BYTES + rest
        number += 1
    file.seek(0)
    return number


def _find_directory(file: IO[bytes]) -> tuple[int, int]:
    """Return place and length of the directory, as `zipfile` finds them: right before the end records."""
    size = file.seek(0, os.SEEK_END)
    begin = file.seek(max(0, size - (1 << 16) - _END.size))
    tail = file.read()
    end = begin + tail.rfind(b"PK\x05\x06")
    if end < begin or end + _END.size > size:
        return 0, 0
    length = _END.unpack_from(tail, end - begin)[5]
    file.seek(max(0, end - _LOCATOR.size - _END64.size))
    before = file.read(_LOCATOR.size + _END64.size)
    if before.startswith(b"PK\x06\x06") and before.startswith(b"PK\x06\x07", _END64.size):
        end, length = end - len(before), _END64.unpack_from(before)[8]
    return max(0, end - length), length


@dataclass(frozen=True)
class TarMember:
    """An entry of a tar file, to be read before the next one is asked for."""

    stream: "_ForwardStream"
    info: tarfile.TarInfo

    @property
    def name(self) -> str:
        """See `archives.Member`."""
        return self.info.name

    @property
    def is_folder(self) -> bool:
        """See `archives.Member`."""
        return self.info.isdir()

    @property
    def fault(self) -> str:
        """See `archives.Member`."""
        if self.info.issym() or self.info.islnk():
            return "a link"
        if self.info.issparse():
            return "a sparse file"
        if self.info.size < 0:
            return "a file of negative size"
        return "" if self.info.isreg() or self.info.isdir() else "a pipe or device"

    def read(self) -> Iterator[bytes]:
        """See `archives.Member`."""
        self.stream.seek(self.info.offset_data)
        left = self.info.size
        while left > 0:
            piece = self.stream.read(min(left, _CHUNK))
            if not piece:
                raise tarfile.ReadError("it is cut")
            left -= len(piece)
            yield piece


def list_tar(stream: IO[bytes], count: Callable[[int], None]) -> Iterator[TarMember]:
    """List an unpacked tar stream's entries, to its very end.

    Args:
        stream: Read forward alone.
        count: Told of every byte of the stream.

    Raises:
        tarfile.TarError: It is no tar file, or is cut or damaged; `tarfile` alone takes a damaged header for the end.
    """
    forward = _ForwardStream(stream, count)
    with tarfile.TarFile(fileobj=forward) as archive:  # pyright: ignore[reportArgumentType] # it reads, seeks and tells
        while (info := archive.next()) is not None:
            archive.members = []  # pyright: ignore[reportAttributeAccessIssue] # typeshed lacks it; it would grow
            yield TarMember(forward, info)
    if forward.last.count(0) != _BLOCK:
        raise tarfile.ReadError("it is cut or damaged")
    while piece := stream.read(_CHUNK):
        count(len(piece))
        if piece.count(0) != len(piece):
            raise tarfile.ReadError("bytes follow its end")


class _ForwardStream:
    """What `tarfile` needs of a file, for a stream that is read once.

    A seek backwards, by which damaged sizes have sent `tarfile` round in circles, and a header that would fill the
    memory are refused.
    """

    def __init__(self, stream: IO[bytes], count: Callable[[int], None]) -> None:
        self._stream = stream
        self._count = count
        self._position = 0
        self.last = b""

    def tell(self) -> int:
        """Return how many bytes were read."""
        return self._position

    def read(self, size: int) -> bytes:
        """Read up to `size` bytes."""
        if size > _HEADER_BYTES:
            raise tarfile.ReadError("a header is too long")
        self.last = self._stream.read(size)
        self._position += len(self.last)
        self._count(len(self.last))
        return self.last

    def seek(self, position: int) -> None:
        """Read and drop what lies before a position."""
        if position < self._position:
            raise tarfile.ReadError("it leads backwards")
        while (left := position - self._position) > 0:
            if not self.read(min(left, _CHUNK)):
                raise tarfile.ReadError("it is cut")
