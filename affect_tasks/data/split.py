"""Cut a manifest into train, validation and test, by class and by group of duplicates."""

from typing import TYPE_CHECKING

import numpy as np

from affect_tasks.errors import EmptyClassError

if TYPE_CHECKING:  # folder trees are split without Arrow, whose import takes longer than their split
    from affect_tasks.manifest import Manifest


def split_images(manifest: "Manifest", *, test_fraction: float, validation_fraction: float, seed: int) -> "Manifest":
    """Assign every image of a manifest to one split, as `assign_splits` does."""
    splits = assign_splits(
        manifest.values("label"),
        manifest.values("group"),
        test_fraction=test_fraction,
        validation_fraction=validation_fraction,
        seed=seed,
    )
    return manifest.replace({"split": splits})


def assign_splits(
    labels: np.ndarray, groups: np.ndarray, *, test_fraction: float, validation_fraction: float, seed: int
) -> np.ndarray:
    """Assign every image to one split.

    Each class is rounded by itself: of n images, n - round(n * (1 - test_fraction)) are for testing. A group
    never straddles splits; a group with several labels goes by its most frequent one. The result depends on
    the images and the seed, not on the order of rows. A fraction of 0 leaves its split out.

    Args:
        labels: Each image's label, (n,) str.
        groups: Each image's group, (n,) str.
        test_fraction: Share of each class for testing, 0 to 1.
        validation_fraction: Share of each class for validation, 0 to 1.
        seed: Equal seeds split equally.

    Returns:
        `train`, `validation` or `test` for each image, (n,) str objects.

    Raises:
        EmptyClassError: A class has fewer images than splits, or its groups leave a split without it.
    """
    classes, label_of = np.unique(labels.astype(str), return_inverse=True)
    _, group_of = np.unique(groups.astype(str), return_inverse=True)
    sizes = np.bincount(group_of)
    group_label = _find_group_labels(group_of, label_of, len(classes))
    wanted = np.array([True, validation_fraction > 0, test_fraction > 0])
    # Groups are sorted by name here, so drawing one number each is independent of the rows' order.
    key = np.random.default_rng([seed, 0x5917]).random(len(sizes))
    split_of_group = np.zeros(len(sizes), dtype=np.int8)
    for index, label in enumerate(classes):
        members = np.flatnonzero(group_label == index)
        members = members[np.argsort(key[members], kind="stable")]
        total = int(sizes[members].sum())
        test = total - round(total * (1 - test_fraction))
        validation = round(total * validation_fraction)
        chosen = _fill(sizes[members], test)
        rest = np.flatnonzero(~chosen)
        chosen_validation = np.zeros(len(members), dtype=bool)
        chosen_validation[rest[_fill(sizes[members][rest], validation)]] = True
        split_of_group[members[chosen]] = 2
        split_of_group[members[chosen_validation]] = 1
        images = np.bincount(split_of_group[members], weights=sizes[members], minlength=3)
        _check_class(str(label), total, images, wanted)
    return np.array(["train", "validation", "test"], dtype=object)[split_of_group[group_of]]


def _find_group_labels(group_of: np.ndarray, labels: np.ndarray, class_count: int) -> np.ndarray:
    """Return each group's most frequent label, (groups,) int; of equals, the first by name."""
    votes = np.bincount(group_of * class_count + labels, minlength=(group_of.max() + 1) * class_count)
    return votes.reshape(-1, class_count).argmax(axis=1)


def _fill(sizes: np.ndarray, target: int) -> np.ndarray:
    """Choose groups in order until `target` images are reached, never more; (groups,) bool."""
    total = np.cumsum(sizes)
    chosen = total <= target
    missing = target - (int(sizes[chosen].sum()) if chosen.any() else 0)
    singles = np.flatnonzero(~chosen & (sizes == 1))[:missing]
    chosen[singles] = True
    return chosen


def _check_class(label: str, total: int, images: np.ndarray, wanted: np.ndarray) -> None:
    if images[wanted].min() < 1:
        msg = (
            f"Every class must reach every split; {label!r} has {total} images and gives train {int(images[0])}, "
            f"validation {int(images[1])}, test {int(images[2])}. Add images to it, or change the shares."
        )
        raise EmptyClassError(msg)
