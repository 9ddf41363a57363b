"""Plan a split folder tree: which image, and which altered copy of which image, lies where."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from affect_tasks.data.balance import Copy, choose_copies
from affect_tasks.data.export import Collision, place_images, suffix_name
from affect_tasks.data.scan import FoundFolder
from affect_tasks.data.split import assign_splits
from affect_tasks.errors import InputError, ParameterError

_SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class TreePlan:
    """Labels, splits and new paths of all images, the originals first, then the copies."""

    labels: tuple[str, ...]
    splits: tuple[str, ...]
    paths: tuple[str, ...]
    copies: tuple[Copy, ...]
    collisions: tuple[Collision, ...]

    @property
    def originals(self) -> int:
        """How many of the rows are originals."""
        return len(self.paths) - len(self.copies)

    def count_images(self) -> Mapping[str, Mapping[str, int]]:
        """Count images, copies among them, by split and label."""
        counts: dict[str, Counter[str]] = {}
        for (split, label), count in Counter(zip(self.splits, self.labels, strict=True)).items():
            counts.setdefault(split, Counter())[label] = count
        return counts

    def count_copies(self) -> Mapping[str, int]:
        """Count copies by split."""
        return Counter(self.splits[self.originals :])

    def list_rows(self, split: str) -> Iterator[tuple[str, str, str]]:
        """List one split's images: label, path, and for a copy its original's path."""
        for row, path in enumerate(self.paths):
            if self.splits[row] == split:
                source = self.paths[self.copies[row - self.originals].source_row] if row >= self.originals else ""
                yield self.labels[row], path, source

    def group_copies(self) -> Mapping[int, Sequence[int]]:
        """Give the rows of the copies of each original that has some."""
        rows: dict[int, list[int]] = {}
        for row, copy in enumerate(self.copies, self.originals):
            rows.setdefault(copy.source_row, []).append(row)
        return rows


def plan_tree(
    paths: Sequence[str],
    labels: Sequence[str],
    image_ids: Sequence[str],
    groups: Sequence[str],
    *,
    test_fraction: float,
    validation_fraction: float,
    seed: int,
    balanced: Collection[str] = (),
    multiplier: float = 1.0,
) -> TreePlan:
    """Split images, choose the copies that balance some splits, and place everything in a tree.

    Args:
        paths: Where each image lies now; the last part is the name it keeps.
        labels: Each image's label, the name of its folder.
        image_ids: Each image's id.
        groups: Each image's group; none straddles splits.
        test_fraction: Share of each class for testing.
        validation_fraction: Share of each class for validation.
        seed: Equal seeds plan equally.
        balanced: The splits whose classes are filled up.
        multiplier: Size of a balanced class, as a multiple of the split's largest.
    """
    ids, label_of = np.array(image_ids, dtype=object), np.array(labels, dtype=object)
    splits = assign_splits(
        label_of,
        np.array(groups, dtype=object),
        test_fraction=test_fraction,
        validation_fraction=validation_fraction,
        seed=seed,
    )
    copies: list[Copy] = []
    for split in balanced:
        rows = np.flatnonzero(splits == split)
        chosen = choose_copies(label_of[rows], ids[rows], multiplier=multiplier, seed=seed)
        copies += [replace(copy, source_row=int(rows[copy.source_row])) for copy in chosen]
    of = [*range(len(paths)), *(copy.source_row for copy in copies)]
    all_labels, all_splits = tuple(labels[row] for row in of), tuple(splits[row] for row in of)
    names = [path.rpartition("/")[2] for path in paths]
    names += [_name_copy(names[copy.source_row], copy.number) for copy in copies]
    # No digest begins with x, so an original goes before a copy where both want one name.
    keys = [*image_ids, *(f"x{copy.seed:08x}" for copy in copies)]
    placed = place_images(
        [f"{split}/{label}/{name}" for split, label, name in zip(all_splits, all_labels, names, strict=True)],
        [*paths, *(f"copy {copy.number} of {paths[copy.source_row]}" for copy in copies)],
        identify=keys.__getitem__,
    )
    return TreePlan(all_labels, all_splits, placed.paths, tuple(copies), placed.collisions)


def find_contradictions(
    paths: Sequence[str], labels: Sequence[str], groups: Sequence[str]
) -> tuple[tuple[str, ...], ...]:
    """List the groups whose images carry different labels, each as its images' paths."""
    first: dict[str, str] = {}
    mixed = {group for group, label in zip(groups, labels, strict=True) if first.setdefault(group, label) != label}
    members: dict[str, list[str]] = {}
    for path, group in zip(paths, groups, strict=True):
        if group in mixed:
            members.setdefault(group, []).append(path)
    return tuple(tuple(paths) for paths in members.values())


def check_choices(train_split: float, validation_split: float, multiplier: float, columns: Sequence[str]) -> None:
    """Refuse shares, a multiplier or names of CSV columns that cannot be. Raises ParameterError."""
    if not 0 <= validation_split < train_split < 1:
        msg = (
            "Shares must leave images for training and testing: 0 <= `validation_split` < `train_split` < 1; got "
            f"{validation_split} and {train_split}. Change one."
        )
        raise ParameterError(msg)
    if not 1 <= multiplier <= 20:
        raise ParameterError(f"`global_multiplier` must be between 1 and 20; got {multiplier}. Change it.")
    if len(set(columns)) != len(columns) or not all(columns):
        raise ParameterError(f"Columns must have different names; got {', '.join(columns)}. Rename one.")


def check_unsplit(folder: Path) -> None:
    """Refuse to rewrite a folder in place that already holds what would be written. Raises InputError."""
    for name in ("test", "validation", "quarantine", *(f"{split}.csv" for split in _SPLITS)):
        if (folder / name).exists():
            msg = (
                f"A folder that is rewritten in place must not be split already; {folder} holds {name!r}. "
                "Name an output folder, or move that away."
            )
            raise InputError(msg)


def check_apart(folder: Path, found: FoundFolder) -> None:
    """Refuse an output among the images, where it would be taken for a class. Raises InputError."""
    if folder.resolve().is_relative_to(found.root.resolve()):
        msg = f"The output must lie outside the images' folder {found.root}; got {folder}. Name another folder."
        raise InputError(msg)


def _name_copy(name: str, number: int) -> str:
    return suffix_name(str(PurePosixPath(name).with_suffix(".jpg")), f"copy{number}")
