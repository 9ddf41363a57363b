import numpy as np
import pytest

from affect_tasks.data.tree import find_contradictions, plan_tree

KAGGLE = {
    "anger": 3218, "contempt": 2871, "disgust": 2477, "fear": 3176,
    "happy": 5044, "neutral": 5126, "sad": 3091, "surprise": 4039,
}  # fmt: skip


def plan(sizes, **choices):
    labels = [label for label, count in sizes.items() for _ in range(count)]
    ids = [f"{row * 2654435761 % 2**32:064x}" for row in range(len(labels))]
    paths = [f"{label}/{row}.jpg" for row, label in enumerate(labels)]
    return plan_tree(
        paths, labels, ids, ids, **{"test_fraction": 0.2, "validation_fraction": 0.0, "seed": 27, **choices}
    )


@pytest.mark.parametrize(
    ("balanced", "multiplier", "train", "test"),
    [
        ((), 1.0, [2574, 2297, 1982, 2541, 4035, 4101, 2473, 3231], [644, 574, 495, 635, 1009, 1025, 618, 808]),
        (("train", "test"), 1.0, [4101] * 8, [1025] * 8),
        (("train",), 1.0, [4101] * 8, [644, 574, 495, 635, 1009, 1025, 618, 808]),
        (("train", "test"), 3.0, [12303] * 8, [3075] * 8),
    ],
)
def test_counts_match_the_published_ones(balanced, multiplier, train, test):
    done = plan(KAGGLE, balanced=balanced, multiplier=multiplier)
    counts = done.count_images()
    assert [counts["train"][label] for label in KAGGLE] == train
    assert [counts["test"][label] for label in KAGGLE] == test
    assert sum(train) in {23_234, 32_808, 98_424}
    assert sum(test) in {5_808, 8_200, 24_600}
    assert len(set(done.paths)) == sum(train) + sum(test)


def test_copies_stay_in_the_split_and_class_of_their_original():
    done = plan({"happy": 50, "sad": 20}, balanced=("train", "test"), multiplier=2.0)
    for row, copy in enumerate(done.copies, done.originals):
        assert (done.splits[row], done.labels[row]) == (done.splits[copy.source_row], done.labels[copy.source_row])
    assert done.count_copies() == {"train": 2 * 80 - 56, "test": 2 * 20 - 14}


def test_copies_of_one_image_are_spread_evenly():
    done = plan({"happy": 100, "sad": 30}, balanced=("train",))
    numbers = np.unique([copy.source_row for copy in done.copies], return_counts=True)[1]
    assert numbers.max() - numbers.min() <= 1


def test_validation_is_cut_from_originals_and_is_left_out_without_a_share():
    assert set(plan({"happy": 50, "sad": 20}).splits) == {"train", "test"}
    done = plan({"happy": 50, "sad": 20}, validation_fraction=0.1, balanced=("train",))
    assert done.count_images()["validation"] == {"happy": 5, "sad": 2}
    assert done.count_copies().keys() == {"train"}


def test_an_original_keeps_its_name_before_a_copy():
    labels = ["happy"] * 40 + ["sad"] * 20
    paths = [f"{label}/{row}.jpg" for row, label in enumerate(labels)]
    paths[41:43] = ["sad/x.jpg", "sad/x-copy0.jpg"]
    ids = [f"f{row:063x}" for row in range(len(labels))]
    done = plan_tree(
        paths,
        labels,
        ids,
        ids,
        test_fraction=0.2,
        validation_fraction=0.0,
        seed=1,
        balanced=("train", "test"),
        multiplier=3,
    )
    assert done.paths[42].endswith("/x-copy0.jpg")
    assert any(collision.source.startswith("copy") for collision in done.collisions)


def test_equal_images_with_different_labels_are_listed():
    assert find_contradictions(["a/1", "b/1", "a/2", "a/3"], ["a", "b", "a", "a"], ["g", "g", "h", "h"]) == (
        ("a/1", "b/1"),
    )
