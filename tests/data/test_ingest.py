import cv2
import numpy as np
import pytest

from affect_tasks.data.augment import plan_copies, render_copies
from affect_tasks.data.decode import MAX_PIXELS, decode_face, decode_image
from affect_tasks.data.ingest import ingest_images
from affect_tasks.data.labels import parse_labels
from affect_tasks.data.relabel import relabel_images
from affect_tasks.data.scan import scan_folder
from affect_tasks.data.shards import iterate_images
from affect_tasks.data.split import split_images
from affect_tasks.errors import (
    EmptyClassError,
    InputError,
    LabelsFileError,
    NoImagesError,
    UnknownLabelError,
    UnreadableImageError,
)

CLASSES = {"anger", "happy", "sad"}


@pytest.fixture
def divided(faces, write_shard):
    manifest = ingest_images(scan_folder(faces), write_shard, unreadable_fraction=0.0).manifest
    table = parse_labels((faces / "labels.csv").read_bytes(), class_names=CLASSES)
    return split_images(relabel_images(manifest, table).manifest, test_fraction=0.2, validation_fraction=0.2, seed=27)


def test_every_image_is_kept_with_its_bytes(faces, write_shard, blobs):
    done = ingest_images(scan_folder(faces), write_shard, unreadable_fraction=0.0)
    assert len(done.manifest) == 94
    paths = done.manifest.values("path")
    for row, data in iterate_images(done.manifest, blobs.__getitem__):
        assert data == (faces / "train" / paths[row]).read_bytes()


def test_class_folders_are_found_with_and_without_train(faces):
    assert len(scan_folder(faces / "train").files) == len(scan_folder(faces).files) == 94


def test_relabelling_keeps_every_image_and_corrects_the_displaced(faces, write_shard):
    manifest = ingest_images(scan_folder(faces), write_shard, unreadable_fraction=0.0).manifest
    table = parse_labels((faces / "labels.csv").read_bytes(), class_names=CLASSES)
    done = relabel_images(manifest, table)
    assert (done.changed, done.unlisted, done.missing) == (5, 0, 0)
    assert list(done.manifest.values("image_id")) == list(manifest.values("image_id"))


def test_unreadable_files_are_set_aside_with_a_reason(faces, write_shard):
    whole = (faces / "train" / "sad" / "sad_000.png").read_bytes()
    (faces / "train" / "sad" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (faces / "train" / "sad" / "empty.jpg").write_bytes(b"")
    (faces / "train" / "sad" / "page.jpg").write_bytes(b"<html></html>")
    done = ingest_images(scan_folder(faces), write_shard, unreadable_fraction=0.05)
    assert {file.path for file in done.quarantined} == {"sad/cut.png", "sad/empty.jpg", "sad/page.jpg"}
    with pytest.raises(InputError, match="3 of 97"):
        ingest_images(scan_folder(faces), write_shard, unreadable_fraction=0.01)


def test_links_and_hidden_files_are_skipped_with_a_reason(faces):
    (faces / "train" / "sad" / ".hidden.png").write_bytes(b"")
    (faces / "train" / "sad" / "out.png").symlink_to("/etc/hostname")
    assert {file.path: file.reason.split(",")[0] for file in scan_folder(faces).skipped} == {
        "sad/.hidden.png": "hidden",
        "sad/out.png": "a link",
    }


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


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        (b"index,path,label\n0,a.png,sad\n", LabelsFileError, "`pth`"),
        (b"pth,label\na.png,glad\n", UnknownLabelError, "line 2 has 'glad'"),
        (b"pth,label\na.png,NA\n", UnknownLabelError, "'NA'"),
        (b"pth,label\na.png,sad,1\n", LabelsFileError, "line 2 has 3"),
        (b"pth,label\na.png,sad\na.png,happy\n", LabelsFileError, "line 3"),
        (b"pth,label\n../a.png,sad\n", LabelsFileError, "line 2"),
        (b"pth,label\n/etc/x.png,sad\n", LabelsFileError, "relative"),
        (b"pth,label\nfile:///x.png,sad\n", LabelsFileError, "relative"),
        (b"pth;label\na.png;sad\n", LabelsFileError, "separated by commas"),
        (b"pth,label\n", LabelsFileError, "at least one row"),
        (b"", LabelsFileError, "header"),
        ("pth,label\nä.png,sad\n".encode("latin-1"), LabelsFileError, "UTF-8"),
        ("pth,label\na.png,sad\n".encode("utf-16"), LabelsFileError, "UTF-8"),
        (b"pth,label\na\0.png,sad\n", LabelsFileError, "NUL"),
        (b'pth,label\n"a.png,sad\n', LabelsFileError, "well-formed"),
    ],
)
def test_a_faulty_labels_file_is_refused_with_its_line(text, error, words):
    with pytest.raises(error, match=words):
        parse_labels(text, class_names=CLASSES)


def test_labels_keep_their_text_and_fold_case():
    table = parse_labels(b"\xef\xbb\xbf,pth,label\r\n0,train/000123.png,Sad\r\n", class_names=CLASSES)
    assert table.labels == {"000123.png": "sad"}


def test_a_bomb_is_refused_by_its_header():
    side = int(MAX_PIXELS**0.5) + 100
    data = cv2.imencode(".png", np.zeros((1, 1, 3), np.uint8))[1].tobytes()
    bomb = data[:16] + side.to_bytes(4, "big") * 2 + data[24:]
    with pytest.raises(UnreadableImageError):
        decode_image(bomb)


def test_grey_and_deep_images_become_rgb_bytes():
    grey = cv2.imencode(".png", np.full((10, 12), 30_000, np.uint16))[1].tobytes()
    face = decode_face(grey, side_px=8)
    assert (face.shape, face.dtype) == ((8, 8, 3), np.uint8)
    assert len(np.unique(face)) == 1


def test_balancing_fills_classes_of_train_alone(divided, blobs, write_shard):
    copies = plan_copies(divided, multiplier=1.0, seed=27)
    done = render_copies(divided, copies, blobs.__getitem__, write_shard)
    train = done.of_split("train")
    assert len(set(np.unique(train.values("label").astype(str), return_counts=True)[1])) == 1
    for split in ("validation", "test"):
        assert done.of_split(split).table.equals(divided.of_split(split).table)
    assert set(done.values("group")) == set(divided.values("group"))


def test_copies_are_equal_for_equal_seeds(divided, blobs, write_shard):
    digests = {
        render_copies(divided, plan_copies(divided, multiplier=2.0, seed=s), blobs.__getitem__, write_shard).digest
        for s in (1, 1, 2)
    }
    assert len(digests) == 2
