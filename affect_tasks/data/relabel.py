"""Give every image the label that the labels file says; nothing is moved, dropped or renamed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from affect_tasks.data.labels import LabelTable
from affect_tasks.errors import LabelsFileError

if TYPE_CHECKING:  # folder trees are relabelled without Arrow, whose import takes longer than the rest
    from affect_tasks.manifest import Manifest


@dataclass(frozen=True)
class ChosenLabels:
    """Each image's label, in order, and how many differ from the folder, are not listed, or have no image."""

    labels: tuple[str, ...]
    changed: int
    unlisted: int
    missing: int


@dataclass(frozen=True)
class Relabelled:
    """The relabelled manifest and what happened on the way."""

    manifest: "Manifest"
    changed: int
    unlisted: int
    missing: int


def relabel_images(manifest: "Manifest", table: LabelTable | None) -> Relabelled:
    """Replace labels by those of the table.

    Args:
        manifest: All images; every row is kept, in order.
        table: Labels by path. None keeps the folder labels.

    Returns:
        The manifest with counts: labels that differ from the folder, images the table does not list
        (they keep their folder's label), and rows of the table whose image is not there.

    Raises:
        LabelsFileError: No row of the table names an image of the manifest.
    """
    if table is None:
        return Relabelled(manifest, 0, 0, 0)
    chosen = choose_labels(manifest.values("path").tolist(), manifest.values("folder_label").tolist(), table)
    return Relabelled(manifest.replace({"label": chosen.labels}), chosen.changed, chosen.unlisted, chosen.missing)


def choose_labels(paths: Sequence[str], folder_labels: Sequence[str], table: LabelTable) -> ChosenLabels:
    """Look up each image's label by its path; an image that the table does not list keeps its folder's.

    Raises:
        LabelsFileError: No row of the table names an image.
    """
    labels = tuple(str(table.labels.get(path, folder)) for path, folder in zip(paths, folder_labels, strict=True))
    listed = sum(path in table.labels for path in paths)
    if not listed:
        example = next(iter(table.labels))
        msg = f"labels.csv must name images of the folder; none of its {len(table.labels)} rows does ({example!r})."
        raise LabelsFileError(msg)
    changed = sum(label != folder for label, folder in zip(labels, folder_labels, strict=True))
    return ChosenLabels(labels, changed, len(paths) - listed, len(table.labels) - listed)
