"""What became of a folder tree, for programs to read and for people."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from affect_tasks.data.export import Collision
from affect_tasks.data.scan import SkippedFile

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RelabelledTree:
    """A relabelled tree, and what happened on the way."""

    folder: Path
    images: int
    changed: int
    unlisted: int
    missing: int
    collisions: tuple[Collision, ...]
    skipped: tuple[SkippedFile, ...]


@dataclass(frozen=True)
class SplitTree:
    """A split tree: its images (copies among them) by split and label, and what happened on the way."""

    folder: Path
    images: Mapping[str, Mapping[str, int]]
    copies: Mapping[str, int]
    collisions: tuple[Collision, ...]
    quarantined: tuple[SkippedFile, ...]
    contradictions: tuple[tuple[str, ...], ...]


def report_split(done: SplitTree) -> None:
    """Log the counts of a split tree, and what a person should look at."""
    for split, counts in done.images.items():
        log.info(
            "datasplit: %s %d images, %d of them copies: %s",
            split,
            sum(counts.values()),
            done.copies.get(split, 0),
            ", ".join(f"{label} {count}" for label, count in sorted(counts.items())),
        )
    if altered := done.copies.get("test", 0):
        log.warning(
            "datasplit: the test split is balanced with %d altered copies; scores on it are of those too", altered
        )
    for paths in done.contradictions[:10]:
        log.warning("datasplit: equal images carry different labels: %s", ", ".join(paths))
    report_aside("datasplit", done.collisions, done.quarantined)


def report_aside(step: str, collisions: Sequence[Collision], aside: Sequence[SkippedFile]) -> None:
    """Log the names that several images wanted and the files set aside, some of each."""
    for collision in collisions[:3]:
        log.warning("%s: %s wanted the name %s and is %s", step, collision.source, collision.wanted, collision.given)
    if len(collisions) > 3:
        log.warning("%s: all %d equal names are in %s-collisions.csv", step, len(collisions), step)
    for file in aside[:10]:
        log.warning("%s: set aside %s: %s", step, file.path, file.reason)
    if len(aside) > 10:
        log.warning("%s: all %d files set aside are in %s-quarantine.csv", step, len(aside), step)
