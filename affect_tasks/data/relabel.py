"""Give every image the label that the labels file says; nothing is moved, dropped or renamed."""

from dataclasses import dataclass

import numpy as np

from affect_tasks.data.labels import LabelTable
from affect_tasks.errors import LabelsFileError
from affect_tasks.manifest import Manifest


@dataclass(frozen=True)
class Relabelled:
    """The relabelled manifest and what happened on the way."""

    manifest: Manifest
    changed: int
    unlisted: int
    missing: int


def relabel_images(manifest: Manifest, table: LabelTable | None) -> Relabelled:
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
    paths, folders = manifest.values("path"), manifest.values("folder_label")
    labels = [str(table.labels.get(path, folder)) for path, folder in zip(paths, folders, strict=True)]
    listed = sum(path in table.labels for path in paths)
    if not listed:
        example = next(iter(table.labels))
        msg = f"labels.csv must name images of the folder; none of its {len(table.labels)} rows does ({example!r})."
        raise LabelsFileError(msg)
    changed = int(np.count_nonzero(np.asarray(labels, dtype=object) != folders))
    return Relabelled(manifest.replace({"label": labels}), changed, len(paths) - listed, len(table.labels) - listed)
