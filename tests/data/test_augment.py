from collections import defaultdict

import numpy as np
import pytest

from affect_tasks.data.augment import cut_parts, plan_copies, render_parts
from affect_tasks.data.ingest import ingest_images
from affect_tasks.data.scan import scan_folder
from affect_tasks.data.split import split_images
from affect_tasks.manifest import Manifest


@pytest.fixture
def divided(faces, write_shard) -> Manifest:
    manifest = ingest_images(scan_folder(faces), write_shard, unreadable_fraction=0.0).manifest
    return split_images(manifest, test_fraction=0.2, validation_fraction=0.2, seed=27)


@pytest.fixture
def copies(divided):
    return plan_copies(divided, multiplier=3.0, seed=27)


def draw(manifest, copies, blobs, write_shard, *, part_copies, workers=1) -> Manifest:
    parts = cut_parts(manifest, copies, part_copies=part_copies)
    return manifest.append(*render_parts(manifest, parts, blobs.__getitem__, write_shard, workers=workers))


def test_the_dataset_version_is_the_same_for_one_two_and_eight_workers(divided, copies, blobs, write_shard):
    digests = {draw(divided, copies, blobs, write_shard, part_copies=50, workers=n).digest for n in (1, 2, 8)}
    assert len(digests) == 1


def test_a_copy_does_not_depend_on_the_parts(divided, copies, blobs, write_shard):
    def list_copies(part_copies):
        done = draw(divided, copies, blobs, write_shard, part_copies=part_copies)
        return sorted(zip(done.values("source_id"), done.values("seed"), done.values("image_id"), strict=True))

    assert list_copies(1) == list_copies(40) == list_copies(10_000)


def test_parts_hold_every_copy_once_and_all_copies_of_an_image(divided, copies):
    parts = cut_parts(divided, copies, part_copies=20)
    assert sorted(copy.seed for part in parts for copy in part) == sorted(copy.seed for copy in copies)
    assert all(len(part) >= 20 for part in parts[:-1])
    parts_of = defaultdict(set)
    for number, part in enumerate(parts):
        for copy in part:
            parts_of[copy.source_row].add(number)
    assert all(len(numbers) == 1 for numbers in parts_of.values())


def test_the_order_of_the_copies_does_not_matter(divided, copies):
    assert cut_parts(divided, copies[::-1], part_copies=20) == cut_parts(divided, copies, part_copies=20)


def test_without_copies_there_are_no_parts_and_nothing_changes(divided, blobs, write_shard):
    assert cut_parts(divided, ()) == ()
    assert draw(divided, (), blobs, write_shard, part_copies=20).digest == divided.digest


def test_the_listing_of_the_folder_and_the_threads_that_read_it_do_not_matter(faces, write_shard):
    found = scan_folder(faces)
    digests = {ingest_images(found, write_shard, unreadable_fraction=0.0, workers=n).manifest.digest for n in (1, 2, 8)}
    assert len(digests) == 1


def test_copies_lie_in_the_split_and_group_of_their_original(divided, copies, blobs, write_shard):
    done = draw(divided, copies, blobs, write_shard, part_copies=50)
    row_of = {image_id: row for row, image_id in enumerate(divided.values("image_id"))}
    is_copy = done.values("source_id") != ""
    sources = np.array([row_of[image_id] for image_id in done.values("source_id")[is_copy]])
    for column in ("split", "group", "label", "folder_label", "origin"):
        assert done.values(column)[is_copy].tolist() == divided.values(column)[sources].tolist()
