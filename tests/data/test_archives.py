"""What a zip or tar archive may hold, and what becomes of one that may not: refused, and nothing of it is kept."""

import bz2
import contextlib
import gzip
import io
import lzma
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from affect_tasks.data.archives import ArchiveReader, Limits, find_name_fault, fold_name, is_archive
from affect_tasks.data.export import write_tree
from affect_tasks.data.ingest import ingest_images
from affect_tasks.data.scan import scan_folder
from affect_tasks.data.transaction import stage_folder
from affect_tasks.errors import ArchiveError

KINDS = ("zip", "tar", "tar.gz", "tgz", "tar.bz2", "tar.xz")
PACKERS = {"gz": gzip.compress, "tgz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}
LEADING_OUT = ("../x.png", "anger/../../x.png", "..", "/x.png", "//x.png", "/etc/x.png")
WINDOWS = ("C:/x.png", "c:x.png", "anger\\x.png", "..\\x.png", "\\x.png")


def pack_zip(names, **changes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            info = zipfile.ZipInfo(name)
            for field, value in changes.items():
                setattr(info, field, value)
            archive.writestr(info, f"bytes of {name}".encode(errors="replace"))
    return out.getvalue()


def pack_tar(names, kind="tar", **changes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name in names:
            info = tarfile.TarInfo(name)
            data = f"bytes of {name}".encode(errors="replace")
            for field, value in changes.items():
                setattr(info, field, value)
            info.size = len(data) if info.isreg() else 0
            archive.addfile(info, io.BytesIO(data))
    return PACKERS.get(kind.rpartition(".")[2], bytes)(out.getvalue())


def pack(kind, names, **changes) -> bytes:
    return pack_zip(names, **changes) if kind == "zip" else pack_tar(names, kind, **changes)


def pack_folder(folder: Path, path: Path) -> Path:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(folder.rglob("*")):
                archive.write(file, file.relative_to(folder))
        return path
    with tarfile.open(path, f"w:{ {'.tgz': 'gz', '.tar': ''}.get(path.suffix, path.suffix[1:]) }") as archive:
        archive.add(folder, arcname=".")
    return path


@pytest.fixture
def extract(tmp_path):
    """Unpack an archive's bytes into a new folder, as an import does; check that a refused one leaves nothing."""
    place = tmp_path / "place"
    place.mkdir()

    def run(data: bytes | Path, limits: Limits | None = None) -> Path:
        path = data if isinstance(data, Path) else tmp_path / "archive"
        if isinstance(data, bytes):
            path.write_bytes(data)
        before = sorted(tmp_path.rglob("*"))
        target = place / "out"
        try:
            with stage_folder(target) as staging:
                write_tree(staging, ArchiveReader(path, limits or Limits()).list_files(), copy=False)
        except ArchiveError:
            assert sorted(tmp_path.rglob("*")) == before
            raise
        return target

    return run


@pytest.mark.parametrize("kind", KINDS)
def test_an_archive_gives_the_dataset_of_its_folder(extract, faces, tmp_path, write_shard, kind):
    (faces / "train" / "sad" / "notes.txt").write_text("notes")

    def digest(folder):
        return ingest_images(scan_folder(folder), write_shard, unreadable_fraction=0).manifest.digest

    folder = extract(pack_folder(faces, tmp_path / f"faces.{kind}"))
    assert digest(folder) == digest(faces)
    assert (folder / "labels.csv").read_bytes() == (faces / "labels.csv").read_bytes()


def test_what_is_neither_image_nor_table_is_left_out_and_counted(tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(pack_zip(["anger/a.png", "labels.csv", "notes.txt", "model.bin"]))
    reader = ArchiveReader(path)
    assert [name for name, _ in reader.list_files()] == ["anger/a.png", "labels.csv"]
    assert (reader.left_out, reader.example, reader.consumed) == (2, "notes.txt", reader.size)


@pytest.mark.parametrize("name", [*LEADING_OUT, *WINDOWS, "anger/" + "n" * 256 + ".png", "a/" * 600 + "x.png"])
@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_a_name_that_could_land_elsewhere_is_refused(extract, kind, name):
    with pytest.raises(ArchiveError, match=r"under relative names; .* holds '.*', a name (with|that)|an absolute name"):
        extract(pack(kind, ["anger/a.png", name]))


def test_a_name_with_a_zero_byte_is_refused(extract):
    with pytest.raises(ArchiveError, match="a name with a zero byte"):
        extract(pack_zip(["anger/a.png", "anger/b!.png"]).replace(b"b!.png", b"b\0.png"))


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (tarfile.SYMTYPE, "a link"),
        (tarfile.LNKTYPE, "a link"),
        (tarfile.CHRTYPE, "a pipe or device"),
        (tarfile.BLKTYPE, "a pipe or device"),
        (tarfile.FIFOTYPE, "a pipe or device"),
        (tarfile.GNUTYPE_SPARSE, "damaged|a sparse file"),
    ],
)
@pytest.mark.parametrize("name", ["anger/x.png", "notes"])
def test_links_devices_and_pipes_in_a_tar_are_refused(extract, name, kind, words):
    with pytest.raises(ArchiveError, match=words):
        extract(pack_tar([name], type=kind, linkname="/etc/passwd"))


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK])
def test_links_devices_and_pipes_in_a_zip_are_refused(extract, kind):
    with pytest.raises(ArchiveError, match=r"'anger/x.png', a (link|pipe or device)"):
        extract(pack_zip(["anger/x.png"], external_attr=(kind | 0o644) << 16))


def test_writing_through_a_link_that_the_archive_made_is_impossible(extract, tmp_path):
    (tmp_path / "outside").mkdir()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        link = tarfile.TarInfo("anger")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "outside")
        archive.addfile(link)
        archive.addfile(tarfile.TarInfo("anger/x.png"))
    with pytest.raises(ArchiveError, match=r"'anger', a link"):
        extract(out.getvalue())
    assert not list((tmp_path / "outside").iterdir())


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["a/x.png", "a/x.png"], "a second file of that name"),
        (["a/x.png", "./a//x.png"], "a second file of that name"),
        (["a/x.png", "a/x.png/y.png"], "both a file and a folder"),
        (["a/x.png/y.png", "a/x.png"], "both a file and a folder"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_names_that_land_on_one_another_are_refused(extract, kind, names, words):
    with pytest.raises(ArchiveError, match=words):
        extract(pack(kind, names))


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_names_that_differ_in_case_alone_are_both_kept(extract, kind):
    names = ["Anger/x.png", "Anger/X.png", "anger/x.png"]
    folder = extract(pack(kind, names))
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*.png")} == set(names)


def test_an_encrypted_zip_is_refused(extract):
    data = bytearray(pack_zip(["anger/x.png"]))
    data[data.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(ArchiveError, match=r"'anger/x.png', an encrypted file"):
        extract(bytes(data))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_with_an_unusual_compression_is_refused(extract, method):
    with pytest.raises(ArchiveError, match=f"compressed by method {method}"):
        extract(pack_zip(["anger/x.png"], compress_type=method))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_a_cut_archive_is_refused(extract, kind, share):
    names = [f"anger/{number}.png" for number in range(40)]
    data = pack(kind, names)
    data = data.rstrip(b"\0") if kind == "tar" else data
    with pytest.raises(ArchiveError, match="must be a whole zip or tar file"):
        extract(data[: int(share * len(data))])


def test_a_tar_that_ends_between_two_files_is_refused(extract):
    with pytest.raises(ArchiveError, match="cut or damaged"):
        extract(pack_tar(["anger/a.png", "anger/b.png"])[:1024])


def test_a_tar_with_a_damaged_header_in_its_middle_is_refused(extract):
    data = bytearray(pack_tar(["anger/a.png", "anger/b.png", "anger/c.png"]))
    data[1024 + 3] ^= 1
    with pytest.raises(ArchiveError, match="cut or damaged"):
        extract(bytes(data))


def test_a_second_tar_behind_the_first_is_not_dropped_in_silence(extract):
    with pytest.raises(ArchiveError, match="bytes follow its end"):
        extract(pack_tar(["anger/a.png"]) + pack_tar(["anger/b.png"]))


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_a_flipped_bit_is_noticed(extract, kind):
    out = io.BytesIO()
    noise = os.urandom(50_000)
    if kind == "zip":
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr("anger/a.png", noise)
    else:
        with tarfile.open(fileobj=out, mode="w:gz") as archive:
            info = tarfile.TarInfo("anger/a.png")
            info.size = len(noise)
            archive.addfile(info, io.BytesIO(noise))
    data = bytearray(out.getvalue())
    data[25_000] ^= 1
    with pytest.raises(ArchiveError, match="Fetch or pack it again"):
        extract(bytes(data))


def build_zip(entries, *, shared=False) -> bytes:
    """Put a zip file together from names, deflated bodies, their sizes and checksums, all of them declared truly."""
    bodies, directory = b"", b""
    for name, packed, size, checksum in entries:
        fields = (20, 0, 8, 0, 33, checksum, len(packed), size, len(name), 0)
        place = 0 if shared else len(bodies)
        directory += struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, *fields, 0, 0, 0, 0, place) + name
        if not shared or not bodies:
            bodies += struct.pack("<4s5H3L2H", b"PK\3\4", *fields) + name + packed
    count = len(entries)
    return bodies + directory + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, len(directory), len(bodies), 0)


def deflate_zeros(pieces: int) -> bytes:
    """Deflate zeros, 16 MB a piece; the packed form of a piece is made once."""
    packer = zlib.compressobj(9, wbits=-15)
    piece = packer.compress(bytes(1 << 24)) + packer.flush(zlib.Z_FULL_FLUSH)
    return piece * pieces + packer.flush()


def build_bomb(kind) -> bytes:
    """Ten gigabytes of zeros."""
    pieces = 640
    if kind == "zip":
        body = deflate_zeros(pieces // 5)
        return build_zip([(b"anger/%d.png" % number, body, 1 << 31, 0) for number in range(5)])
    header = tarfile.TarInfo("anger/x.png")
    header.size = pieces << 24
    # All three formats may be concatenated.
    pack = PACKERS[kind]
    return pack(header.tobuf(format=tarfile.GNU_FORMAT)) + pack(bytes(1 << 24)) * pieces + pack(bytes(1024))


@pytest.mark.parametrize("kind", ["zip", "gz", "bz2", "xz"])
def test_ten_gigabytes_of_zeros_are_refused_long_before_they_are_unpacked(tmp_path, kind):
    path = tmp_path / "bomb"
    path.write_bytes(build_bomb(kind))
    reader = ArchiveReader(path)
    with pytest.raises(ArchiveError, match="or 100 times its own size, once unpacked"):
        list(reader.list_files())
    assert reader.unpacked < 1 << 28
    assert path.stat().st_size < 11 << 20


def test_a_zip_whose_entries_share_their_bytes_is_refused(extract):
    size = 1 << 24
    packed = deflate_zeros(1)
    checksum = zlib.crc32(bytes(size))
    # A name in the directory that is not the one beside the bytes is refused by itself, so one name it is.
    with pytest.raises(ArchiveError, match="a second file of that name"):
        extract(build_zip([(b"anger/x.png", packed, size, checksum)] * 400, shared=True))
    with pytest.raises(ArchiveError, match="must be a whole zip"):
        extract(build_zip([(b"anger/%d.png" % n, packed, size, checksum) for n in range(9)], shared=True))


def test_a_million_members_are_refused_before_any_is_unpacked(extract, tmp_path):
    count = 1_000_000
    name = struct.Struct("<4s6H3L5H2L7s")
    entry = (20, 20, 0, 0, 0, 33, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0)
    directory = b"".join(name.pack(b"PK\1\2", *entry, b"%07d" % number) for number in range(count))
    local = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 0, 0, 33, 0, 0, 0, 7, 0) + b"0000000"
    # The end record claims five.
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 5, 5, len(directory), len(local), 0)
    path = tmp_path / "crowd.zip"
    path.write_bytes(local + directory + end)
    with pytest.raises(ArchiveError, match="holds 1,000,000 members or more"):
        extract(path)


@pytest.mark.parametrize("kind", KINDS)
def test_members_are_counted_while_reading(extract, kind):
    names = [f"anger/{number}.png" for number in range(100)]
    with pytest.raises(ArchiveError, match="holds 100 members or more"):
        extract(pack(kind, names), Limits(members=100))
    assert len(list(extract(pack(kind, names), Limits(members=101)).rglob("*.png"))) == 100


def test_a_single_enormous_file_is_refused(extract):
    with pytest.raises(ArchiveError, match=r"'anger/x.png', which unpacks to more than 0 MB"):
        extract(pack_zip(["anger/x.png"]), Limits(file_bytes=5))


def test_a_tar_header_that_would_fill_the_memory_is_refused(extract):
    header = tarfile.TarInfo("././@PaxHeader")
    header.type, header.size = tarfile.XHDTYPE, 1 << 33
    with pytest.raises(ArchiveError, match="a header is too long"):
        extract(gzip.compress(header.tobuf(format=tarfile.GNU_FORMAT) + bytes(1 << 20)))


def test_a_tar_of_headers_without_end_is_refused(extract):
    header = tarfile.TarInfo("././@PaxHeader")
    header.type = tarfile.XHDTYPE
    with pytest.raises(ArchiveError, match="must be a whole"):
        extract(header.tobuf() * 5000)


@pytest.mark.parametrize("size", [-2, -1024])
def test_a_tar_whose_sizes_lead_backwards_ends(extract, size):
    header = tarfile.TarInfo("anger/x.png").tobuf(format=tarfile.GNU_FORMAT)
    changed = header[:124] + size.to_bytes(12, signed=True) + header[136:148] + b" " * 8 + header[156:]
    checksum = b"%06o\0 " % sum(changed[:512])
    with pytest.raises(ArchiveError, match=r"negative size|backwards"):
        extract(changed[:148] + checksum + changed[156:] + bytes(1024))


@pytest.mark.parametrize("data", [b"", b"text", b"PK\5\6", b"PK\3\4" + bytes(100), b"\x1f\x8b", b"7z\xbc\xaf\x27\x1c"])
def test_what_is_no_archive_is_refused(extract, data):
    with pytest.raises(ArchiveError, match="must be a whole zip or tar file"):
        extract(data)


def test_archives_are_known_by_their_suffix():
    assert all(is_archive(f"faces.{kind}") and is_archive(f"FACES.{kind.upper()}") for kind in KINDS)
    assert not any(is_archive(name) for name in ("faces", "zip", "faces.rar", "tar.faces", "faces.gz"))


@given(st.text(max_size=40) | st.text(alphabet="./\\aC:\0", max_size=12))
def test_a_name_without_fault_stays_below_its_folder(name):
    if not find_name_fault(name):
        path = os.path.normpath(os.path.join("/top", fold_name(name)))  # noqa: PTH118 - the plain rule to compare with
        assert path == "/top" or path.startswith("/top/")
        assert fold_name(fold_name(name)) == fold_name(name)


@given(
    kind=st.sampled_from(["zip", "tar", "gz"]),
    changes=st.lists(st.tuples(st.integers(0, 4000), st.binary(max_size=6)), min_size=1, max_size=4),
)
def test_any_damage_is_refused_or_harmless(tmp_path_factory, kind, changes):
    data = bytearray(pack(kind, ["anger/a.png", "sad/b.png", "labels.csv"]))
    for place, replacement in changes:
        place %= len(data)
        data[place : place + len(replacement)] = replacement
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(data)
    try:
        files = list(ArchiveReader(path).list_files())
    except ArchiveError:
        return
    assert all(not find_name_fault(name) for name, _ in files)


@given(st.sampled_from([b"", b"PK\3\4", b"PK\5\6", b"\x1f\x8b\x08", b"BZh9", b"\xfd7zXZ\0"]), st.binary(max_size=600))
def test_any_bytes_are_refused_or_empty(tmp_path_factory, magic, rest):
    path = tmp_path_factory.getbasetemp() / "bytes"
    path.write_bytes(magic + rest)
    with contextlib.suppress(ArchiveError):
        assert list(ArchiveReader(path).list_files()) == []
