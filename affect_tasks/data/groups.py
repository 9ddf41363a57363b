"""Put images that belong together into one group: duplicates, near-duplicates, and images of one subject.

A group is named by its least image_id. All functions here take and give columns, (n,) of str each.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from affect_tasks.data.codes import encode_texts
from affect_tasks.data.duplicates import group_fingerprints, link_groups
from affect_tasks.data.fingerprint import unpack_fingerprints

if TYPE_CHECKING:  # folder trees are grouped without Arrow, which takes long to import
    from affect_tasks.manifest import Manifest

Texts = Sequence[str] | np.ndarray


@dataclass(frozen=True)
class Contradiction:
    """A group of duplicates whose images carry more than one label: at least one of them is wrong."""

    group: str
    image_ids: tuple[str, ...]
    paths: tuple[str, ...]
    labels: tuple[str, ...]


def join_near_duplicates(
    image_ids: Texts, groups: Texts, fingerprints: Texts, *, near_duplicate_bits: int
) -> np.ndarray:
    """Let near-duplicates share a group, together with all images of the groups they are in.

    Args:
        image_ids: Each image's id.
        groups: Each image's group: what shares one, goes on sharing one.
        fingerprints: Each image's fingerprint; empty ones join nothing.
        near_duplicate_bits: Largest number of bits, of 255, in which near-duplicates' fingerprints differ.

    Returns:
        Each image's group, (n,) str objects.
    """
    codes, distinct = encode_texts(fingerprints)
    # Sorted, so the empty one is the first; -1 links nothing.
    absent = int(bool(distinct) and not distinct[0])
    near = group_fingerprints(unpack_fingerprints(distinct[absent:]), max_bits=near_duplicate_bits)
    return _join(image_ids, groups, np.concatenate([np.full(absent, -1), near])[codes])


def join_subjects(image_ids: Texts, groups: Texts, subjects: Texts) -> np.ndarray:
    """Let all images of a subject share a group, together with all images of the groups they are in.

    Args:
        image_ids: Each image's id.
        groups: Each image's group: what shares one, goes on sharing one.
        subjects: Each image's subject; empty ones join nothing.

    Returns:
        Each image's group, (n,) str objects.
    """
    codes, distinct = encode_texts(subjects)
    return _join(image_ids, groups, codes - int(bool(distinct) and not distinct[0]))


def find_unseen(ours: "Manifest", theirs: "Manifest", *, near_duplicate_bits: int | None) -> np.ndarray:
    """Tell which images share no group, subject or look with another manifest's images.

    Args:
        ours: The images to judge.
        theirs: The images that were seen; its groups may be named otherwise, as those of another dataset version.
        near_duplicate_bits: As for `join_near_duplicates`; None: looks do not matter.

    Returns:
        Mask over the rows of `ours`, (n,) bool.
    """
    both = theirs.append(ours)
    image_ids, fingerprints = both.values("image_id"), both.values("fingerprint")
    groups = join_subjects(image_ids, join_subjects(image_ids, both.values("group"), image_ids), both.values("subject"))
    if near_duplicate_bits is not None:
        groups = join_near_duplicates(image_ids, groups, fingerprints, near_duplicate_bits=near_duplicate_bits)
    return ~np.isin(groups[len(theirs) :].astype(str), groups[: len(theirs)].astype(str))


def find_contradictions(image_ids: Texts, groups: Texts, *, paths: Texts, labels: Texts) -> tuple[Contradiction, ...]:
    """List the groups with more than one label, sorted by group; each one's images are sorted by path.

    A subject's images may rightly differ in label, so ask before subjects are joined.
    """
    first: dict[str, str] = {}
    torn = {group for group, label in zip(groups, labels, strict=True) if first.setdefault(group, label) != label}
    members: dict[str, list[tuple[str, str, str]]] = {}
    for group, path, image_id, label in zip(groups, paths, image_ids, labels, strict=True):
        if group in torn:
            members.setdefault(group, []).append((path, image_id, label))
    return tuple(_describe(group, sorted(images)) for group, images in sorted(members.items()))


def _describe(group: str, images: list[tuple[str, str, str]]) -> Contradiction:
    paths, image_ids, labels = zip(*images, strict=True)
    return Contradiction(group, image_ids, paths, labels)


def _join(image_ids: Texts, groups: Texts, links: np.ndarray) -> np.ndarray:
    """Join groups that share a link, (n,) int, -1 for none."""
    codes, names = encode_texts(groups)
    linked = np.flatnonzero(links >= 0)
    pairs = np.stack([codes[linked], links[linked] + len(names)], axis=1)
    part = link_groups(pairs, len(names) + int(links.max(initial=-1)) + 1)[codes]
    ranks, ids = encode_texts(image_ids)
    least = np.full(int(part.max(initial=-1)) + 1, len(ids))
    np.minimum.at(least, part, ranks)
    return np.array(ids, dtype=object)[least[part]]
