"""List the images of a zip or tar archive, and refuse an archive that could do harm.

One set of rules holds for both kinds. Only plain files and folders with relative names are accepted, and nothing
is created but new plain files, from the checked names alone: neither kind's own extraction is used. (`tarfile`'s
`data` filter mends absolute names and lets links pass; here both are refused, and zip has no filter.) Sizes that
an archive declares are never believed: members, bytes and what they unpack from are counted while reading.

Names that differ in case alone are different files, as in a folder. Equal names are refused: one would be lost.
"""

import bz2
import gzip
import io
import lzma
import re
import struct
import tarfile
import zlib
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol
from zipfile import BadZipFile

from affect_tasks.data.archive_kinds import count_zip_entries, list_tar, list_zip
from affect_tasks.data.scan import has_image_suffix
from affect_tasks.errors import ArchiveError

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")

# What the readers let out on damaged input.
_DAMAGE = (
    *(OSError, EOFError, ValueError, LookupError, ArithmeticError, RuntimeError, struct.error, MemoryError),
    *(BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError),
)  # fmt: skip
_PACKERS = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}


@dataclass(frozen=True)
class Limits:
    """What an archive may cost: members, unpacked bytes in all and per file, and what it may grow to.

    Unpacked bytes may reach `slack` and then `ratio` times the bytes they were unpacked from.
    """

    members: int = 1_000_000
    total_bytes: int = 1 << 38
    file_bytes: int = 1 << 29
    slack: int = 100 << 20
    ratio: int = 100


class Member(Protocol):
    """One entry of an archive; `fault` says why it may not be there."""

    @property
    def name(self) -> str:
        """The name as stored."""
        ...

    @property
    def is_folder(self) -> bool:
        """Whether it stands for a folder."""
        ...

    @property
    def fault(self) -> str:
        """What it is, where it is neither plain file nor folder."""
        ...

    def read(self) -> Iterator[bytes]:
        """Give its bytes, in pieces."""
        ...


class _CountedFile(io.FileIO):
    """A file that knows how many bytes were read of it."""

    consumed = 0

    def readinto(self, buffer: Any, /) -> int:
        count = super().readinto(buffer) or 0
        self.consumed += count
        return count


@dataclass
class ArchiveReader:
    """An archive being read: where it is, how far, and what was left out because it is no image and no CSV file."""

    path: Path
    limits: Limits = field(default_factory=Limits)
    left_out: int = 0
    example: str = ""
    unpacked: int = 0
    size: int = 0
    _raw: _CountedFile | None = None

    @property
    def consumed(self) -> int:
        """How many of the archive's bytes were read; what is read twice counts once."""
        return min(self._raw.consumed, self.size) if self._raw else 0

    def list_files(self) -> Iterator[tuple[str, bytes]]:
        """Give the path and bytes of every image and CSV file, in the archive's order.

        Raises:
            ArchiveError: The archive is damaged, or holds what it may not.
        """
        with self._name_damage(), _CountedFile(self.path) as self._raw, io.BufferedReader(self._raw) as file:
            self.size = self.path.stat().st_size
            names = _Names()
            for number, member in enumerate(self._open(file), 1):
                if number >= self.limits.members:
                    raise self._refuse_crowd()
                fault = member.fault or find_name_fault(member.name)
                path = "" if fault else fold_name(member.name)
                fault = fault or names.add(path, is_folder=member.is_folder)
                if fault:
                    raise self._refuse(f"{_quote(member.name)}, {fault}")
                if member.is_folder:
                    continue
                if is_wanted(path):
                    yield path, self._read_file(member)
                else:
                    self.left_out += 1
                    self.example = self.example or path

    def count(self, unpacked: int) -> None:
        """Count unpacked bytes; refuse an archive that grows out of all proportion."""
        self.unpacked += unpacked
        most = min(self.limits.total_bytes, self.limits.slack + self.limits.ratio * self.consumed)
        if self.unpacked > most:
            size, ratio = self.limits.total_bytes >> 30, self.limits.ratio
            raise self._refuse(f"more than {size} GB, or {ratio} times its own size, once unpacked")

    def _open(self, file: "io.BufferedReader[_CountedFile]") -> Iterable[Member]:
        start = file.peek(8)
        if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
            if count_zip_entries(file, most=self.limits.members) >= self.limits.members:
                raise self._refuse_crowd()
            return list_zip(file, self.count)
        unpack = next((opener for magic, opener in _PACKERS.items() if start.startswith(magic)), None)
        stream: IO[bytes] = unpack(file) if unpack else file  # pyright: ignore[reportAssignmentType] # gzip, bz2 and lzma read alike
        return list_tar(stream, self.count)

    def _read_file(self, member: Member) -> bytes:
        pieces: list[bytes] = []
        left = self.limits.file_bytes
        for piece in member.read():
            left -= len(piece)
            if left < 0:
                size = self.limits.file_bytes >> 20
                raise self._refuse(f"{_quote(member.name)}, which unpacks to more than {size} MB")
            pieces.append(piece)
        return b"".join(pieces)

    @contextmanager
    def _name_damage(self) -> Generator[None]:
        try:
            yield
        except _DAMAGE as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            msg = (
                f"An archive must be a whole zip or tar file (.gz, .bz2, .xz); {self.path}: {reason}. "
                "Fetch or pack it again."
            )
            raise ArchiveError(msg) from error

    def _refuse_crowd(self) -> ArchiveError:
        return self._refuse(f"{self.limits.members:,} members or more")

    def _refuse(self, what: str) -> ArchiveError:
        return ArchiveError(
            f"An archive may hold plain files and folders, in bounds, under relative names; {self.path} holds {what}. "
            "Pack it anew, or unpack it by hand if you trust it and give the folder."
        )


def is_archive(name: str) -> bool:
    """Tell by a name's suffix whether it is an archive's."""
    return name.lower().endswith(ARCHIVE_SUFFIXES)


def is_wanted(path: str) -> bool:
    """Tell by its suffix whether a file may be an image or a labels file."""
    return has_image_suffix(path.rpartition("/")[2]) or path.lower().endswith(".csv")


def find_name_fault(name: str) -> str:
    """Say why a name may not be created below a folder; empty if it may."""
    parts = name.split("/")
    tests = {
        "an absolute name": name.startswith("/"),
        "a name with `..`": ".." in parts,
        "a name with a Windows drive": re.match(r"[A-Za-z]:", name) is not None,
        "a name with a backslash": "\\" in name,
        "a name with a zero byte": "\0" in name,
        "a name that is too long": len(name) > 1024 or any(len(_encode(part)) > 255 for part in parts),
        "a name that is no text": not _is_text(name),
    }
    return next((fault for fault, found in tests.items() if found), "")


def fold_name(name: str) -> str:
    """Drop what says nothing in a name: `./`, doubled and final slashes."""
    return "/".join(part for part in name.split("/") if part not in {"", "."})


class _Names:
    """The names seen so far, to refuse those that would land on one another."""

    def __init__(self) -> None:
        self._files: set[str] = set()
        self._folders: set[str] = set()

    def add(self, path: str, *, is_folder: bool) -> str:
        """Take a folded name; say why it may not be there."""
        above = [path[:end] for end, letter in enumerate(path) if letter == "/"]
        if is_folder:
            above.append(path)
        elif not path:
            return "a file without a name"
        elif path in self._files:
            return "a second file of that name"
        else:
            self._files.add(path)
        self._folders.update(above)
        clash = path in self._folders if not is_folder else False
        return "both a file and a folder" if clash or not self._files.isdisjoint(above) else ""


def _encode(part: str) -> bytes:
    return part.encode(errors="surrogateescape") if _is_text(part) else b""


def _is_text(name: str) -> bool:
    try:
        name.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def _quote(name: str) -> str:
    return repr(name if len(name) <= 80 else f"{name[:77]}...")
