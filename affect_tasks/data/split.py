"""Cut a manifest into train, validation and test, by class and by group."""

import numpy as np
import pyarrow as pa

from affect_tasks.errors import EmptyClassError
from affect_tasks.manifest import SPLITS, Manifest


def split_images(manifest: Manifest, *, test_fraction: float, validation_fraction: float, seed: int) -> Manifest:
    """Assign every image to one split.

    Each class is rounded by itself: of n images, n - round(n * (1 - test_fraction)) are for testing. A group
    never straddles splits; a group with several labels goes by its most frequent one. The result depends on
    the images and the seed, not on the order of rows.

    Raises:
        EmptyClassError: A class has fewer images than splits, or its groups leave a split without it.
    """
    labels, classes = manifest.encode("label")
    group_of, groups = manifest.encode("group")
    votes = np.bincount(group_of * len(classes) + labels, minlength=len(groups) * len(classes))
    # Of equally frequent labels, the first by name.
    group_label = votes.reshape(len(groups), len(classes)).argmax(axis=1) if len(classes) else np.empty(0)
    sizes = np.bincount(group_of, minlength=len(groups))
    # Groups are sorted by name here, so drawing one number each is independent of the rows' order.
    key = np.random.default_rng([seed, 0x5917]).random(len(groups))
    split_of_group = np.zeros(len(groups), dtype=np.int8)
    for index in range(len(classes)):
        members = np.flatnonzero(group_label == index)
        members = members[np.argsort(key[members], kind="stable")]
        total = int(sizes[members].sum())
        test = _fill(sizes[members], total - round(total * (1 - test_fraction)))
        split_of_group[members[test]] = 2
        rest = members[~test]
        split_of_group[rest[_fill(sizes[rest], round(total * validation_fraction))]] = 1
    split_of = split_of_group[group_of]
    _check_classes(classes.to_pylist(), labels, split_of, group_of)
    return manifest.replace({"split": pa.array(SPLITS).take(pa.array(split_of))})


def _fill(sizes: np.ndarray, target: int) -> np.ndarray:
    """Choose groups in order until `target` images are reached, never more, passing over what is too large."""
    chosen = np.zeros(len(sizes), dtype=bool)
    missing = target
    while len(fitting := np.flatnonzero(~chosen & (sizes <= missing))):
        taken = fitting[np.cumsum(sizes[fitting]) <= missing]
        chosen[taken] = True
        missing -= int(sizes[taken].sum())
    return chosen


def _check_classes(names: list[str], labels: np.ndarray, split_of: np.ndarray, group_of: np.ndarray) -> None:
    counts = np.bincount(labels * 3 + split_of, minlength=3 * len(names)).reshape(-1, 3)
    for index in np.flatnonzero(counts.min(axis=1, initial=len(labels)) < 1):
        train, validation, test = counts[index]
        sizes = np.unique(group_of[labels == index], return_counts=True)[1]
        msg = (
            f"Every class must reach every split; {names[index]!r} has {sizes.sum()} images in {len(sizes)} groups "
            f"(the largest: {sizes.max()}) and gives train {train}, validation {validation}, test {test}. Add images "
            "to it, change the shares, or group less."
        )
        raise EmptyClassError(msg)
