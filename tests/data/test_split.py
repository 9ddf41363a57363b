import importlib.util
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affect_tasks.data.split import assign_splits, split_images
from affect_tasks.errors import EmptyClassError

_spec = importlib.util.spec_from_file_location("manifests", Path(__file__).parent.parent / "test_manifest.py")
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
make_manifest = _module.make_manifest

KAGGLE = {
    "anger": 3218, "contempt": 2871, "disgust": 2477, "fear": 3176,
    "happy": 5044, "neutral": 5126, "sad": 3091, "surprise": 4039,
}  # fmt: skip


@given(
    sizes=st.lists(st.integers(20, 60), min_size=2, max_size=4),
    clusters=st.integers(1, 4),
    seed=st.integers(0, 1000),
    shuffle=st.integers(0, 1000),
)
@settings(max_examples=40, deadline=None)
def test_splitting_is_a_partition_that_keeps_groups_whole_in_any_order(sizes, clusters, seed, shuffle):
    labels = [f"class{i}" for i, size in enumerate(sizes) for _ in range(size)]
    groups = [number // clusters for number in range(len(labels))]
    manifest = make_manifest(labels, groups=groups)
    done = split_images(manifest, test_fraction=0.2, validation_fraction=0.2, seed=seed)
    assert set(done.values("split")) == {"train", "validation", "test"}
    split_of = {}
    for group, split in zip(done.values("group"), done.values("split"), strict=True):
        assert split_of.setdefault(group, split) == split
    order = np.random.default_rng(shuffle).permutation(len(manifest))
    shuffled = type(manifest)(manifest.table.take(order))
    again = split_images(shuffled, test_fraction=0.2, validation_fraction=0.2, seed=seed)
    by_id = dict(zip(done.values("image_id"), done.values("split"), strict=True))
    assert dict(zip(again.values("image_id"), again.values("split"), strict=True)) == by_id


def test_class_sizes_match_the_published_ones():
    manifest = make_manifest([label for label, count in KAGGLE.items() for _ in range(count)])
    done = split_images(manifest, test_fraction=0.2, validation_fraction=0.1, seed=27)
    counts = Counter(done.values("split"))
    assert counts["test"] == 5808
    assert counts["train"] + counts["validation"] == 23234


def test_another_seed_splits_otherwise():
    manifest = make_manifest(["a"] * 50 + ["b"] * 50)
    first, second = (split_images(manifest, test_fraction=0.2, validation_fraction=0.2, seed=s) for s in (1, 2))
    assert list(first.values("split")) != list(second.values("split"))


def test_a_class_too_small_for_three_splits_is_named():
    manifest = make_manifest(["a"] * 50 + ["b"] * 2)
    with pytest.raises(EmptyClassError, match="'b' has 2 images"):
        split_images(manifest, test_fraction=0.2, validation_fraction=0.2, seed=1)


def test_a_class_that_lies_in_few_groups_is_refused_with_their_number():
    manifest = make_manifest(["a"] * 50 + ["b"] * 50, groups=[*range(50), *([50] * 49), 51])
    with pytest.raises(EmptyClassError, match=r"'b' has 50 images in 2 groups, the largest of 49, .*group less"):
        split_images(manifest, test_fraction=0.2, validation_fraction=0.2, seed=1)


def test_a_class_of_three_large_groups_reaches_every_split():
    manifest = make_manifest(["a"] * 60 + ["b"] * 30, groups=[*range(60), *(60 + number // 10 for number in range(30))])
    done = split_images(manifest, test_fraction=0.2, validation_fraction=0.2, seed=1)
    assert Counter(done.select(done.values("label") == "b").values("split")) == {
        "train": 10,
        "validation": 10,
        "test": 10,
    }


@given(sizes=st.lists(st.integers(1, 12), min_size=40, max_size=80), seed=st.integers(0, 1000))
@settings(max_examples=40)
def test_groups_of_any_size_fill_the_shares_up_to_one_group(sizes, seed):
    groups = [number for number, size in enumerate(sizes) for _ in range(size)]
    done = split_images(
        make_manifest(["a"] * len(groups), groups=groups), test_fraction=0.2, validation_fraction=0.2, seed=seed
    )
    counts = Counter(done.values("split"))
    for split in ("test", "validation"):
        assert 0.2 * len(groups) - 12 <= counts[split] <= 0.2 * len(groups) + 1


def test_a_million_rows_are_split_in_seconds():
    count = 1_000_000
    labels = np.array([f"class{number}" for number in range(8)], dtype=object)[np.arange(count) % 8]
    groups = np.array([f"{number:064x}" for number in range(count)], dtype=object)
    started = time.process_time()
    splits = assign_splits(labels, groups, test_fraction=0.2, validation_fraction=0.2, seed=1)
    assert time.process_time() - started < 10
    assert Counter(splits) == {"train": 600_000, "validation": 200_000, "test": 200_000}
