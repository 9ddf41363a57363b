"""What may lie in a user's folder: names, kinds of files, damaged images, and classes of any size."""

import hashlib
import os
import shutil
import unicodedata
from collections import Counter

import numpy as np
import pytest

from affect_tasks.data.decode import encode_jpeg
from affect_tasks.data.ingest import ingest_images
from affect_tasks.data.scan import scan_folder
from affect_tasks.data.split import split_images
from affect_tasks.errors import EmptyClassError, InputError, NoImagesError

NAMES = (
    unicodedata.normalize("NFC", "é.png"), unicodedata.normalize("NFD", "é.png"), "a b.png", " a.png", "-rf.png",
    "a.PNG", "a.png", "A.png", "日本.png", "x" * 251 + ".png", "a'\"$`;.png", "%00.png", "🙂.png",
)  # fmt: skip


def digest_folder(folder):
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return [(path, path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).digest()) for path in files]


def ingest(folder, write_shard, *, tolerated=0.05):
    return ingest_images(scan_folder(folder), write_shard, unreadable_fraction=tolerated)


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_kept_as_it_is(faces, write_shard, name):
    source = faces / "train" / "sad" / "sad_000.png"
    source.rename(source.with_name(name))
    done = ingest(faces, write_shard)
    assert f"sad/{name}" in done.manifest.values("path").tolist()
    assert len(done.manifest) == 94


def test_names_that_differ_in_form_or_case_alone_are_different_images(faces, write_shard):
    source = faces / "train" / "sad" / "sad_000.png"
    for name in NAMES:
        shutil.copy(source, source.with_name(name))
    done = ingest(faces, write_shard)
    assert len(done.manifest) == 94 + len(NAMES)
    assert len(set(done.manifest.values("path").tolist())) == len(done.manifest)


@pytest.mark.parametrize("name", ["a\nb.png", "a\tb.png", "a\x7fb.png"])
def test_a_name_with_control_characters_is_skipped_with_a_reason(faces, name):
    (faces / "train" / "sad" / "sad_000.png").rename(faces / "train" / "sad" / name)
    found = scan_folder(faces)
    assert [(file.path, file.reason) for file in found.skipped] == [(f"sad/{name}", "a name with control characters")]


def test_what_is_no_plain_file_is_skipped_with_a_reason_and_never_opened(faces, write_shard, tmp_path):
    sad = faces / "train" / "sad"
    (tmp_path / "secret.png").write_bytes(b"secret")
    (sad / "link.png").symlink_to(tmp_path / "secret.png")
    (sad / "folder.png").mkdir()
    # Opening a pipe that nobody writes to would wait for ever.
    os.mkfifo(sad / "pipe.png")
    (sad / "device.png").symlink_to("/dev/zero")
    (sad / "notes.txt").write_text("notes")
    found = scan_folder(faces)
    assert {file.path: file.reason for file in found.skipped} == {
        "sad/link.png": "a link, which may lead out of the folder",
        "sad/folder.png": "not a plain file",
        "sad/pipe.png": "not a plain file",
        "sad/device.png": "a link, which may lead out of the folder",
        "sad/notes.txt": "no image suffix",
    }
    assert len(ingest(faces, write_shard).manifest) == 94


def test_a_linked_class_folder_is_no_class(faces, tmp_path):
    shutil.copytree(faces / "train" / "sad", tmp_path / "elsewhere")
    (faces / "train" / "glad").symlink_to(tmp_path / "elsewhere")
    assert {file.folder_label for file in scan_folder(faces).files} == {"anger", "happy", "sad"}


def test_the_input_is_left_as_it_was(faces, write_shard):
    before = digest_folder(faces)
    ingest(faces, write_shard)
    assert digest_folder(faces) == before


def test_one_cut_and_one_hidden_empty_file_among_many_are_both_listed(tmp_path, write_shard):
    random = np.random.default_rng(5)
    for label in ("happy", "sad"):
        (tmp_path / label).mkdir()
        for number in range(100):
            pixels = random.integers(0, 255, (16, 16, 3)).astype(np.uint8)
            (tmp_path / label / f"{number}.jpg").write_bytes(encode_jpeg(pixels))
    cut = tmp_path / "sad" / "7.jpg"
    cut.write_bytes(cut.read_bytes()[:-60])
    (tmp_path / "sad" / ".7.jpg").touch()
    found = scan_folder(tmp_path)
    done = ingest(tmp_path, write_shard)
    assert [file.path for file in (*found.skipped, *done.quarantined)] == ["sad/.7.jpg", "sad/7.jpg"]
    assert len(done.manifest) == 199


def test_too_many_unreadable_files_stop_the_run_with_the_numbers(faces, write_shard):
    for file in sorted((faces / "train").rglob("*.png"))[:38]:
        file.write_bytes(b"damaged")
    with pytest.raises(InputError, match=r"At most 5% .* 38 of 94 are, such as anger/anger_005.png: .*'damaged'"):
        ingest(faces, write_shard)


def test_a_class_folder_without_files_is_no_class_and_listed(faces):
    (faces / "train" / "surprise").mkdir()
    found = scan_folder(faces)
    assert [(file.path, file.reason) for file in found.skipped] == [("surprise", "a class folder without files")]
    assert {file.folder_label for file in found.files} == {"anger", "happy", "sad"}


def test_a_class_of_unreadable_images_alone_is_refused_by_name(faces, write_shard):
    (faces / "train" / "Surprise").mkdir()
    (faces / "train" / "Surprise" / "a.png").write_bytes(b"damaged")
    with pytest.raises(EmptyClassError, match=r"'surprise' has none, such as Surprise/a.png: .*damaged"):
        ingest(faces, write_shard)


def test_a_folder_without_images_or_with_one_class_is_refused(tmp_path, faces):
    with pytest.raises(NoImagesError, match="is none"):
        scan_folder(tmp_path / "nowhere")
    (tmp_path / "bare").mkdir()
    with pytest.raises(NoImagesError, match="found none"):
        scan_folder(tmp_path / "bare")
    for label in ("happy", "sad"):
        (faces / "train" / label).rename(tmp_path / label)
    with pytest.raises(EmptyClassError, match="'anger'"):
        scan_folder(faces)


@pytest.mark.parametrize("images", [1, 2, 3, 4, 5])
def test_a_small_class_reaches_every_split_or_is_refused_by_name(faces, write_shard, images):
    for file in sorted((faces / "train" / "sad").iterdir())[images:]:
        file.unlink()
    manifest = ingest(faces, write_shard).manifest
    options = {"test_fraction": 0.2, "validation_fraction": 0.2, "seed": 27}
    if images < 3:
        with pytest.raises(EmptyClassError, match=rf"'sad' has {images} images"):
            split_images(manifest, **options)
    else:
        done = split_images(manifest, **options)
        sad = done.select(done.values("label") == "sad")
        assert len(Counter(sad.values("split"))) == 3
