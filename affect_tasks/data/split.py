"""Cut a manifest into train, validation and test, by class and by group of duplicates."""

from typing import TYPE_CHECKING

import numpy as np

from affect_tasks.data.codes import encode_texts
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
    label_of, classes = encode_texts(labels)
    group_of, names = encode_texts(groups)
    votes = np.bincount(group_of * len(classes) + label_of, minlength=len(names) * len(classes))
    # Of a group's equally frequent labels, the first by name.
    group_label = votes.reshape(len(names), -1).argmax(axis=1) if len(names) else votes
    sizes = np.bincount(group_of, minlength=len(names))
    # Groups are sorted by name here, so drawing one number each is independent of the rows' order.
    key = np.random.default_rng([seed, 0x5917]).random(len(names))
    split_of_group = np.zeros(len(names), dtype=np.int8)
    for index in range(len(classes)):
        members = np.flatnonzero(group_label == index)
        members = members[np.argsort(key[members], kind="stable")]
        total = int(sizes[members].sum())
        test = _fill(sizes[members], total - round(total * (1 - test_fraction)))
        split_of_group[members[test]] = 2
        rest = members[~test]
        split_of_group[rest[_fill(sizes[rest], round(total * validation_fraction))]] = 1
    split_of = split_of_group[group_of]
    wanted = np.array([True, validation_fraction > 0, test_fraction > 0])
    _check_classes(classes, label_of, split_of, group_of, wanted=wanted)
    return np.array(["train", "validation", "test"], dtype=object)[split_of]


def _fill(sizes: np.ndarray, target: int) -> np.ndarray:
    """Choose groups in order up to `target` images, passing over what is too large; if all are, the smallest."""
    chosen = np.zeros(len(sizes), dtype=bool)
    missing = target
    while len(fitting := np.flatnonzero(~chosen & (sizes <= missing))):
        taken = fitting[np.cumsum(sizes[fitting]) <= missing]
        chosen[taken] = True
        missing -= int(sizes[taken].sum())
    if target > 0 and len(sizes) > 1 and not chosen.any():
        chosen[sizes.argmin()] = True
    return chosen


def _check_classes(
    classes: list[str], label_of: np.ndarray, split_of: np.ndarray, group_of: np.ndarray, *, wanted: np.ndarray
) -> None:
    counts = np.bincount(label_of * 3 + split_of, minlength=3 * len(classes)).reshape(-1, 3)
    for label, images in enumerate(counts):
        if images[wanted].min() >= 1:
            continue
        sizes = np.unique(group_of[label_of == label], return_counts=True)[1]
        msg = (
            f"Every class must reach every split; {classes[label]!r} has {images.sum()} images in {len(sizes)} groups, "
            f"the largest of {sizes.max()}, and gives train {images[0]}, validation {images[1]}, test {images[2]}. "
            "Add images to it, change the shares, or group less."
        )
        raise EmptyClassError(msg)
