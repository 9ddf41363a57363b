import numpy as np
import pytest

from affect_tasks.data.augment import cut_parts, plan_copies, render_parts
from affect_tasks.data.ingest import ingest_images
from affect_tasks.data.labels import parse_labels
from affect_tasks.data.relabel import relabel_images
from affect_tasks.data.scan import scan_folder
from affect_tasks.data.shards import iterate_images
from affect_tasks.data.split import split_images
from affect_tasks.errors import (
    InputError,
)

CLASSES = {"anger", "happy", "sad"}


@pytest.fixture
def divided(faces, write_shard):
    manifest = ingest_images(scan_folder(faces), write_shard, unreadable_fraction=0.0).manifest
    table = parse_labels((faces / "labels.csv").read_bytes(), class_names=CLASSES)
    return split_images(relabel_images(manifest, table).manifest, test_fraction=0.2, validation_fraction=0.2, seed=27)


def draw(manifest, copies, blobs, write_shard):
    parts = cut_parts(manifest, copies)
    return manifest.append(*render_parts(manifest, parts, blobs.__getitem__, write_shard))


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


def test_balancing_fills_classes_of_train_alone(divided, blobs, write_shard):
    copies = plan_copies(divided, multiplier=1.0, seed=27)
    done = draw(divided, copies, blobs, write_shard)
    train = done.of_split("train")
    assert len(set(np.unique(train.values("label").astype(str), return_counts=True)[1])) == 1
    for split in ("validation", "test"):
        assert done.of_split(split).table.equals(divided.of_split(split).table)
    assert set(done.values("group")) == set(divided.values("group"))


def test_copies_are_equal_for_equal_seeds(divided, blobs, write_shard):
    digests = {
        draw(divided, plan_copies(divided, multiplier=2.0, seed=s), blobs, write_shard).digest for s in (1, 1, 2)
    }
    assert len(digests) == 2
