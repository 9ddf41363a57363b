"""What the steps share about groups: subjects from the labels file or the path, near-duplicates, contradictions."""

import logging
from collections.abc import Collection

import numpy as np

from affect_tasks.data.codes import encode_texts
from affect_tasks.data.groups import Contradiction, find_contradictions, join_near_duplicates, join_subjects
from affect_tasks.data.labels import LabelTable, parse_labels
from affect_tasks.data.subjects import extract_subjects, look_up_subjects
from affect_tasks.errors import LabelsFileError
from affect_tasks.manifest import Manifest
from affect_tasks.params import RunParams

log = logging.getLogger(__name__)

# A group above this share of the images makes classes hard to divide, and its near-duplicates doubtful.
_LARGE_GROUP_SHARE, _LARGE_GROUP_IMAGES = 0.02, 20


def group_images(manifest: Manifest, near_duplicate_bits: int | None) -> tuple[Manifest, tuple[Contradiction, ...]]:
    """Set the groups of near-duplicates (None: only exact duplicates share one) and subjects; list contradictions."""
    image_ids, groups = manifest.values("image_id"), manifest.values("group")
    if near_duplicate_bits is not None:
        fingerprints = manifest.values("fingerprint")
        groups = join_near_duplicates(image_ids, groups, fingerprints, near_duplicate_bits=near_duplicate_bits)
    contradictions = find_contradictions(
        image_ids, groups, paths=manifest.values("path"), labels=manifest.values("label")
    )
    if contradictions:
        images = sum(len(found.paths) for found in contradictions)
        example = dict(zip(contradictions[0].paths, contradictions[0].labels, strict=True))
        log.warning(
            "split: %d groups of duplicates (%d images) carry contradicting labels, such as %s",
            len(contradictions),
            images,
            example,
        )
    groups = join_subjects(image_ids, groups, manifest.values("subject"))
    sizes = np.bincount(encode_texts(groups)[0])
    log.info("split: %d images in %d groups, the largest of %d", len(groups), len(sizes), sizes.max(initial=0))
    if sizes.max(initial=0) > max(_LARGE_GROUP_SHARE * len(groups), _LARGE_GROUP_IMAGES):
        log.warning(
            "split: a group holds %.0f %% of all images; if these are no duplicates, lower near_duplicate_bits",
            100 * sizes.max() / len(groups),
        )
    return manifest.replace({"group": groups}), contradictions


def name_subjects(paths: list[str], table: LabelTable | None, params: RunParams) -> list[str]:
    """Return each image's subject as the run's group column or group pattern names it; empty where unknown."""
    if params.group_pattern:
        return extract_subjects(paths, params.group_pattern)
    if params.group_column and table:
        return look_up_subjects(paths, table.subjects, column=params.group_column)
    return [""] * len(paths)


def read_table(data: bytes | None, class_names: Collection[str], group_column: str | None) -> LabelTable | None:
    """Parse the labels file, if there is one.

    Raises:
        LabelsFileError: It is faulty, or missing where a group column is asked for.
    """
    if data is not None:
        return parse_labels(data, class_names=class_names, group_column=group_column)
    if group_column:
        msg = (
            f"`group_column` needs a labels file with that column; got {group_column!r} and no file. Name `labels_csv`."
        )
        raise LabelsFileError(msg)
    return None
