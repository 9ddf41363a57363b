import pytest

from affect_tasks.data.summary import PARTS, choose_samples, summarize_dataset
from affect_tasks.manifest import Manifest, build_manifest


def build(rows) -> Manifest:
    """Rows of (image_id, label, folder_label, split, group, source_id)."""
    image_ids, labels, folders, splits, groups, sources = zip(*rows, strict=True)
    return build_manifest(
        {
            "image_id": image_ids,
            "path": ["" if source else f"{folder}/{image}.png" for image, _, folder, _, _, source in rows],
            "label": labels,
            "folder_label": folders,
            "origin": ["web"] * len(rows),
            "width": [96] * len(rows),
            "height": [64] * len(rows),
            "group": groups,
            "split": splits,
            "source_id": sources,
            "seed": [-1] * len(rows),
            "shard": ["s"] * len(rows),
        }
    )


@pytest.fixture
def manifest() -> Manifest:
    return build(
        [
            ("a", "happy", "sad", "train", "a", ""),
            ("b", "happy", "happy", "train", "a", ""),
            ("b", "sad", "sad", "train", "a", ""),
            ("c", "sad", "sad", "test", "c", ""),
            ("d", "sad", "sad", "validation", "d", ""),
            ("x", "happy", "sad", "train", "a", "a"),
            ("y", "happy", "happy", "train", "a", "b"),
            ("z", "happy", "sad", "train", "a", "a"),
        ]
    )


def test_every_image_is_counted_once_in_its_class_and_part(manifest):
    summary = summarize_dataset(manifest)
    happy, sad = summary.classes
    assert dict(zip(PARTS, happy.counts, strict=True)) == {
        "train": 2, "train, copies": 3, "validation": 0, "test": 0, "test, copies": 0,
    }  # fmt: skip
    assert (happy.total, sad.total) == (5, 3)
    assert (summary.originals, summary.copies, summary.altered_test) == (5, 3, False)
    assert summary.sizes == (("96 x 64", 5),)


def test_changed_labels_are_a_matrix_of_folder_by_label(manifest):
    changes = summarize_dataset(manifest).changes
    assert changes.labels == ("happy", "sad")
    assert changes.counts == ((1, 0), (1, 3))
    assert changes.changed == 1


def test_groups_and_equal_files_are_those_of_originals(manifest):
    summary = summarize_dataset(manifest)
    assert summary.repeated == 1
    assert summary.group_sizes == ((1, 2), (3, 1))
    (group,) = summary.groups
    assert (group.split, group.image_ids, group.labels) == ("train", ("a", "b", "b"), ("happy", "happy", "sad"))


def test_rare_origins_are_added_up():
    rows = [(f"{number:03}", "sad", "sad", "train", f"{number}", "") for number in range(40)]
    columns = build(rows).replace({"origin": [f"o{number // 2 if number < 8 else number}" for number in range(40)]})
    origins = summarize_dataset(columns).origins
    assert origins[0] == ("o0", 2)
    assert origins[-1][0] == "24 others"
    assert sum(count for _, count in origins) == 40


def test_samples_are_originals_with_most_copies_first(manifest):
    assert choose_samples(manifest) == {"happy": (("a", "x", "z"), ("b", "y"))}
    assert choose_samples(manifest, originals_each=1, copies_each=1) == {"happy": (("a", "x"),)}
