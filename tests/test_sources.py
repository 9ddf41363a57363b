"""What a person may give as images, and that an import is made once, whole or not at all."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from pathlib import Path

import pytest

from affect_tasks.data.scan import scan_folder
from affect_tasks.errors import ArchiveError, InputError, NoImagesError, ParameterError
from affect_tasks.sources import open_source


def pack(folder: Path, path: Path, *, top: str = "") -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(file for file in folder.rglob("*") if file.is_file()):
            archive.write(file, f"{top}{file.relative_to(folder).as_posix()}")
    return path


def digest_images(folder: Path) -> dict[tuple[str, str], str]:
    found = scan_folder(folder)
    return {
        (file.folder_label, file.path.rpartition("/")[2]): hashlib.sha256(
            (found.root / file.path).read_bytes()
        ).hexdigest()
        for file in found.files
    }


def list_imports(settings) -> list[str]:
    return sorted(path.name for path in (settings.folder / "imports").glob("*") if path.name != "objects")


def test_a_folder_is_itself(faces, settings):
    assert open_source(str(faces), settings=settings) == faces
    assert not settings.folder.exists()


@pytest.mark.parametrize("top", ["", "outer/", "outer/inner/", "./"])
@pytest.mark.parametrize("layout", ["train", "bare"])
def test_an_archive_is_its_folder_in_every_layout(faces, tmp_path, settings, top, layout):
    if layout == "bare":
        for entry in list((faces / "train").iterdir()):
            entry.rename(faces / entry.name)
        (faces / "train").rmdir()
    (faces / "__MACOSX").mkdir()
    (faces / "__MACOSX" / "._labels.csv").write_text("what macOS adds")
    archive = pack(faces, tmp_path / "faces.zip", top=top)
    shutil.rmtree(faces / "__MACOSX")
    folder = open_source(str(archive), settings=settings)
    assert digest_images(folder) == digest_images(faces)
    assert (folder / "labels.csv").read_bytes() == (faces / "labels.csv").read_bytes()


def test_class_folders_fold_case_in_an_archive_too(tmp_path, faces, settings):
    archive = pack(faces / "train", tmp_path / "faces.zip")
    with zipfile.ZipFile(archive, "a") as more:
        more.write(faces / "train" / "sad" / "sad_000.png", "SAD/other.png")
    found = scan_folder(open_source(str(archive), settings=settings))
    assert {file.folder_label for file in found.files} == {"anger", "happy", "sad"}
    assert len(found.files) == 95


def test_an_unchanged_archive_is_unpacked_once(faces, tmp_path, settings):
    archive = pack(faces, tmp_path / "faces.zip")
    folder = open_source(str(archive), settings=settings)
    before = folder.stat().st_ctime_ns
    moved = archive.rename(tmp_path / "renamed.zip")
    os.utime(moved, (0, 0))
    assert open_source(str(moved), settings=settings) == folder
    assert folder.stat().st_ctime_ns == before
    pack(faces / "train", moved)
    assert open_source(str(moved), settings=settings) != folder


def test_a_refused_archive_leaves_nothing(tmp_path, settings):
    path = tmp_path / "faces.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("anger/a.png"))
        archive.addfile(tarfile.TarInfo("../b.png"))
    with pytest.raises(ArchiveError, match=r"'\.\./b\.png', a name with `\.\.`"):
        open_source(str(path), settings=settings)
    assert list_imports(settings) == []


@pytest.mark.parametrize("name", ["faces.rar", "faces.csv", "faces"])
def test_another_file_is_refused_with_what_could_be_given(tmp_path, settings, name):
    (tmp_path / name).write_text("x")
    with pytest.raises(InputError, match=r"\.zip, \.tar.*is another file"):
        open_source(str(tmp_path / name), settings=settings)


def test_an_archive_without_images_is_refused_and_leaves_nothing(tmp_path, settings):
    with zipfile.ZipFile(tmp_path / "notes.zip", "w") as archive:
        archive.writestr("notes/readme.txt", "x")
    with pytest.raises(NoImagesError, match=r"notes\.zip"):
        open_source(str(tmp_path / "notes.zip"), settings=settings)
    assert list_imports(settings) == []


@pytest.mark.parametrize(
    "data", ["s3://", "s3:///prefix", "kaggle:", "kaggle:owner", "kaggle:owner/data/3", "kaggle:../x", "kaggle:a/b?c"]
)
def test_an_address_of_the_wrong_form_is_refused_before_any_request(settings, data):
    with pytest.raises(ParameterError, match="given as"):
        open_source(data, settings=settings)


def test_two_imports_of_one_archive_at_once_give_one_folder(faces, tmp_path, settings):
    archive = pack(faces, tmp_path / "faces.zip")
    folders = []
    threads = [
        threading.Thread(target=lambda: folders.append(open_source(str(archive), settings=settings))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(folders) == 4
    assert len(set(folders)) == 1
    assert list_imports(settings) == [folders[0].name]


@pytest.mark.integration
def test_a_killed_import_is_not_there_and_the_next_one_is_whole(faces, tmp_path, settings):
    archive = tmp_path / "faces.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for number in range(20_000):
            packed.writestr(f"{('anger', 'sad')[number % 2]}/{number}.png", b"%d" % number)
    code = (
        "import sys; from affect_tasks.sources import open_source; from affect_tasks.settings import read_settings; "
        "open_source(sys.argv[1], settings=read_settings())"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(archive)]) as process:
        while process.poll() is None and not list((settings.folder / "imports").glob("*/*/5.png")):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert all(name.startswith(".") for name in list_imports(settings))
    # Any later import removes what the killed one left.
    other = open_source(str(pack(faces, tmp_path / "other.zip")), settings=settings)
    assert list_imports(settings) == [other.name]
    folder = open_source(str(archive), settings=settings)
    assert len(scan_folder(folder).files) == 20_000
    assert list_imports(settings) == sorted([folder.name, other.name])
