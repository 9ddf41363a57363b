"""Put images that belong together into one group: duplicates, near-duplicates, and images of one subject."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from affect_tasks.data.duplicates import group_fingerprints, link_groups
from affect_tasks.data.fingerprint import unpack_fingerprints
from affect_tasks.manifest import Manifest


@dataclass(frozen=True)
class Contradiction:
    """A group of duplicates whose images carry more than one label: at least one of them is wrong."""

    group: str
    image_ids: tuple[str, ...]
    paths: tuple[str, ...]
    labels: tuple[str, ...]


def group_duplicates(manifest: Manifest, *, near_duplicate_bits: int) -> Manifest:
    """Let near-duplicates share a group; images that share one already keep sharing it.

    Args:
        manifest: Images with fingerprints; those without join only the groups they are in.
        near_duplicate_bits: Largest number of bits, of 255, in which near-duplicates' fingerprints differ.
    """
    codes, fingerprints = manifest.encode("fingerprint")
    known = np.flatnonzero(pc.not_equal(fingerprints, "").to_numpy(zero_copy_only=False))
    # Images without a fingerprint keep -1, which links nothing.
    group_of = np.full(len(fingerprints), -1)
    group_of[known] = group_fingerprints(
        unpack_fingerprints(fingerprints.take(pa.array(known)).to_pylist()), max_bits=near_duplicate_bits
    )
    return _merge(manifest, group_of[codes])


def merge_subjects(manifest: Manifest) -> Manifest:
    """Let all images of a subject share a group, together with the groups these images are in."""
    codes, subjects = manifest.encode("subject")
    unknown = pc.equal(subjects, "").to_numpy(zero_copy_only=False)
    return _merge(manifest, np.where(unknown[codes], -1, codes))


def find_contradictions(manifest: Manifest) -> tuple[Contradiction, ...]:
    """List the groups with more than one label, sorted by group; each one's images are sorted by path.

    A subject's images may rightly differ in label, so ask before subjects are merged.
    """
    names = ("group", "path", "image_id", "label")
    counts = manifest.table.group_by("group").aggregate([("label", "count_distinct")])
    torn = counts.filter(pc.greater(counts.column("label_count_distinct"), 1)).column("group")
    rows = manifest.table.filter(pc.is_in(manifest.table.column("group"), value_set=torn)).select(names)
    members: dict[str, list[tuple[str, ...]]] = {}
    for group, *member in zip(*(rows.column(name).to_pylist() for name in names), strict=True):
        members.setdefault(group, []).append(tuple(member))
    found: list[Contradiction] = []
    for group, images in sorted(members.items()):
        paths, image_ids, labels = zip(*sorted(images), strict=True)
        found.append(Contradiction(group, image_ids, paths, labels))
    return tuple(found)


def _merge(manifest: Manifest, links: np.ndarray) -> Manifest:
    """Join groups that share a link, (n,) int, -1 for none; name each by its least image_id."""
    if not len(manifest):
        return manifest
    codes, groups = manifest.encode("group")
    linked = np.flatnonzero(links >= 0)
    pairs = np.stack([codes[linked], links[linked] + len(groups)], axis=1)
    part = link_groups(pairs, len(groups) + int(links.max(initial=-1)) + 1)[codes]
    ranks, image_ids = manifest.encode("image_id")
    least = np.full(part.max() + 1, len(image_ids))
    np.minimum.at(least, part, ranks)
    return manifest.replace({"group": image_ids.take(pa.array(least[part]))})

