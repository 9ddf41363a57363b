"""What a dataset version holds, counted: classes, splits, sizes, origins, groups, changed labels."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from affect_tasks.manifest import Manifest

# A class's images fall into these parts; altered copies are told from originals.
PARTS = ("train", "train, copies", "validation", "test", "test, copies")
_MOST_SIZES = _MOST_ORIGINS = 12
_MOST_GROUPS = 8
_MOST_CHANGED = 30


@dataclass(frozen=True)
class ClassCount:
    """One class's images, a number for each of PARTS."""

    label: str
    counts: tuple[int, ...]

    @property
    def total(self) -> int:
        """All of its images."""
        return sum(self.counts)


@dataclass(frozen=True)
class Group:
    """Images that go to one split together."""

    split: str
    image_ids: tuple[str, ...]
    paths: tuple[str, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True)
class LabelChanges:
    """Folder labels against labels: `counts[i][j]` images lay in folder i and are labelled j."""

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    changed: int


@dataclass(frozen=True)
class DatasetSummary:
    """A dataset version in numbers. Sizes, origins and groups are those of originals, the most frequent first."""

    dataset: str
    originals: int
    copies: int
    altered_test: bool
    classes: tuple[ClassCount, ...]
    sizes: tuple[tuple[str, int], ...]
    origins: tuple[tuple[str, int], ...]
    repeated: int
    subjects: int
    group_sizes: tuple[tuple[int, int], ...]
    groups: tuple[Group, ...]
    changes: LabelChanges


def summarize_dataset(manifest: Manifest) -> DatasetSummary:
    """Count what a dataset version holds, altered copies included."""
    is_copy = manifest.values("source_id") != ""
    originals = manifest.select(~is_copy)
    sizes = (f"{w} x {h}" for w, h in zip(originals.values("width"), originals.values("height"), strict=True))
    members = Counter(originals.values("group").tolist())
    return DatasetSummary(
        dataset=manifest.digest,
        originals=len(originals),
        copies=int(is_copy.sum()),
        altered_test=manifest.has_altered_test,
        classes=_count_classes(manifest, is_copy),
        sizes=_keep_most(Counter(sizes), _MOST_SIZES),
        origins=_keep_most(Counter(originals.values("origin").tolist()), _MOST_ORIGINS),
        repeated=len(originals) - len(set(originals.values("image_id").tolist())),
        subjects=len(set(originals.values("subject").tolist()) - {""}),
        group_sizes=tuple(sorted(Counter(members.values()).items())),
        groups=_list_groups(originals, [name for name, count in _rank(members) if count > 1][:_MOST_GROUPS]),
        changes=_count_changes(originals),
    )


def choose_samples(
    manifest: Manifest, *, originals_each: int = 3, copies_each: int = 2, most_classes: int = 20
) -> dict[str, tuple[tuple[str, ...], ...]]:
    """Choose some images of each class that have altered copies, those with most copies first.

    Returns:
        By label, for the first classes: the image_id of an original, then those of some of its copies.
    """
    labels, sources, image_ids = (manifest.values(name) for name in ("label", "source_id", "image_id"))
    chosen: dict[str, tuple[tuple[str, ...], ...]] = {}
    for label in manifest.class_names[:most_classes]:
        copies_of: dict[str, list[str]] = {}
        for row in np.flatnonzero((labels == label) & (sources != "")):
            copies_of.setdefault(sources[row], []).append(image_ids[row])
        ranked = _rank(Counter({source: len(copies) for source, copies in copies_of.items()}))[:originals_each]
        if ranked:
            chosen[label] = tuple((source, *copies_of[source][:copies_each]) for source, _ in ranked)
    return chosen


def _count_classes(manifest: Manifest, is_copy: np.ndarray) -> tuple[ClassCount, ...]:
    parts = (
        f"{split}, copies" if copy else split for split, copy in zip(manifest.values("split"), is_copy, strict=True)
    )
    found = Counter(zip(manifest.values("label").tolist(), parts, strict=True))
    return tuple(ClassCount(name, tuple(found[name, part] for part in PARTS)) for name in manifest.class_names)


def _list_groups(originals: Manifest, names: Sequence[str]) -> tuple[Group, ...]:
    groups = originals.values("group")
    columns = [originals.values(name) for name in ("split", "image_id", "path", "label")]
    found: list[Group] = []
    for name in names:
        rows = np.flatnonzero(groups == name)
        splits, image_ids, paths, labels = (tuple(column[rows].tolist()) for column in columns)
        found.append(Group(splits[0], image_ids, paths, labels))
    return tuple(found)


def _count_changes(originals: Manifest) -> LabelChanges:
    pairs = Counter(zip(originals.values("folder_label").tolist(), originals.values("label").tolist(), strict=True))
    moved = Counter({pair: count for pair, count in pairs.items() if pair[0] != pair[1]})
    touched = Counter(label for pair, count in moved.items() for label in pair for _ in range(count))
    labels = sorted(name for name, _ in _rank(touched)[:_MOST_CHANGED])
    counts = tuple(tuple(pairs[folder, label] for label in labels) for folder in labels)
    return LabelChanges(tuple(labels), counts, moved.total())


def _keep_most(counts: Counter[str], most: int) -> tuple[tuple[str, int], ...]:
    ranked = _rank(counts)
    rest = ranked[most:]
    others = ((f"{len(rest)} others", sum(count for _, count in rest)),) if rest else ()
    return (*ranked[:most], *others)


def _rank(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
