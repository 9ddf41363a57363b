"""Folder trees without a run: relabel a folder of images, and split it, in seconds.

Trees are exports: the same scanning, labels, splits and copies as in a run, written as folders that any other
tool reads. Nothing is lost on the way: images in = images out + images reported.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from affect_tasks.data.export import TreeFile, dump_csv, list_reports, list_rest, place_images, write_tree
from affect_tasks.data.labels import parse_labels, rewrite_labels
from affect_tasks.data.reading import digest_file, read_file, read_images
from affect_tasks.data.relabel import choose_labels
from affect_tasks.data.render import RenderJob, count_cores, open_rendering
from affect_tasks.data.scan import FoundFile, FoundFolder, SkippedFile, check_readable, scan_folder
from affect_tasks.data.transaction import stage_folder
from affect_tasks.data.tree import (
    TreePlan,
    check_apart,
    check_choices,
    check_unsplit,
    find_contradictions,
    plan_tree,
)
from affect_tasks.errors import InputError, LabelsFileError, UnreadableImageError
from affect_tasks.params import RunParams, read_params
from affect_tasks.progress import track
from affect_tasks.steps.tree_results import RelabelledTree, SplitTree, report_aside, report_split

log = logging.getLogger(__name__)

_SPLITS = ("train", "validation", "test")
_COPY_COLUMN = "copy_of"


@dataclass(frozen=True)
class _Images:
    paths: tuple[str, ...]
    labels: tuple[str, ...]
    image_ids: tuple[str, ...]
    unreadable: tuple[SkippedFile, ...]


def relabel_tree(
    path: Path, *, output_path: Path, labels_csv: Path | None = None, copy: bool = False
) -> RelabelledTree:
    """Write a folder's images as `train/<label>/<name>` under the labels of a CSV file, and the file itself.

    Every image is kept, readable or not: those that the file does not list keep their folder's label, and of
    those that land on one name all but the first by image id get a suffix. `labels.csv` is written with the
    new paths and labels, its further columns and order kept; `relabel-collisions.csv` and
    `relabel-quarantine.csv` list the collisions and the files that are no images, if there are any.

    Args:
        path: Holds `train/<class>/` or `<class>/`.
        output_path: A new or empty folder.
        labels_csv: The labels; `labels.csv` in `path` by default.
        copy: Copy the files rather than link them.

    Raises:
        InputError: The images, the labels file or the output folder cannot be used.
        StorageError: The tree cannot be written; nothing is left of it.
    """
    path, output_path = path.expanduser(), output_path.expanduser()
    with stage_folder(output_path) as staging:
        found = scan_folder(path)
        check_apart(output_path, found)
        source = labels_csv.expanduser() if labels_csv else path / "labels.csv"
        data = _read_bytes(source, LabelsFileError, "labels file")
        old, folders = [file.path for file in found.files], [file.folder_label for file in found.files]
        table = parse_labels(data, class_names=set(folders), name=source.name)
        chosen = choose_labels(old, folders, table)
        placed = place_images(
            [f"{label}/{path.rpartition('/')[2]}" for label, path in zip(chosen.labels, old, strict=True)],
            old,
            identify=lambda row: digest_file(found, found.files[row]),
        )
        moved = dict(zip(old, zip(placed.paths, chosen.labels, strict=True), strict=True))
        images = [(f"train/{new}", f"{found.root}/{path}") for path, (new, _) in moved.items()]
        extra = [
            ("labels.csv", rewrite_labels(data, moved, name=source.name)),
            *list_reports("relabel", placed.collisions, found.skipped),
        ]
        write_tree(staging, chain(track(images, "relabel", total=len(images)), extra), copy=copy)
    done = RelabelledTree(
        output_path, len(old), chosen.changed, chosen.unlisted, chosen.missing, placed.collisions, found.skipped
    )
    log.info("relabel: %d images, %d labels changed, in %s", done.images, done.changed, done.folder)
    if done.unlisted or done.missing:
        log.warning("relabel: %d images not listed, %d rows without image", done.unlisted, done.missing)
    report_aside("relabel", done.collisions, done.skipped)
    return done


def split_tree(
    path: Path,
    *,
    output_path: Path | None = None,
    balance_train: bool = False,
    balance_test: bool = False,
    train_split: float = 0.8,
    validation_split: float = 0.0,
    seed: int = 27,
    label_col: str = "label",
    filename_col: str = "filename",
    global_multiplier: float = 1.0,
    pipeline_yaml: Path | None = None,
    workers: int | None = None,
    group_near_duplicates: bool = True,
    group_col: str | None = None,
    group_pattern: str | None = None,
    copy: bool = False,
    unreadable_fraction: float = 0.05,
) -> SplitTree:
    """Write a folder's images as `train/<class>/<name>` and `test/<class>/<name>`, and `train.csv`, `test.csv`.

    The CSV files name each image's label, its path below the folder and, in the column `copy_of`, an altered
    copy's original. `datasplit-collisions.csv` and `datasplit-quarantine.csv` list equal names and files that
    are left out, if there are any. The tree is the same for any number of workers.

    Args:
        path: Holds `train/<class>/` or `<class>/`.
        output_path: A new or empty folder. None rewrites `path` in place, in one step; what lies beside the
            class folders stays, and what lies in them but is no readable image moves to `quarantine/`.
        balance_train: Fill the classes of the training split up to its largest with altered copies.
        balance_test: The same for the test split; its scores are then partly of altered images.
        train_split: Share of each class that is not for testing, 0 to 1.
        validation_split: Share of each class for `validation/`, taken from the training share.
        seed: Equal seeds split and alter equally.
        label_col: Name of the label's column.
        filename_col: Name of the path's column.
        global_multiplier: With balancing: fill up to this multiple of the largest class; at least 1.
        pipeline_yaml: A recipe that Albumentations saved; the default recipe otherwise.
        workers: Processes that draw copies; by default one a core.
        group_near_duplicates: Keep images that look alike in one split; equal files always are.
        group_col: Column of `labels.csv` in `path` that names the subject; one subject's images stay together.
        group_pattern: Instead, a regular expression over an image's path that names it.
        copy: Copy the files rather than link them.
        unreadable_fraction: Tolerated share of unreadable files.

    Raises:
        ParameterError: Shares, a multiplier or column names that cannot be.
        InputError: The images or the output folder cannot be used.
        StorageError: The tree cannot be written; the one that was there is unchanged.
    """
    check_choices(train_split, validation_split, global_multiplier, (label_col, filename_col, _COPY_COLUMN))
    path, in_place = path.expanduser(), output_path is None
    folder = path if output_path is None else output_path.expanduser()
    recipe = _read_recipe(pipeline_yaml) if pipeline_yaml else None
    with stage_folder(folder, in_place=in_place) as staging:
        found = scan_folder(path)
        check_unsplit(path) if in_place else check_apart(folder, found)
        images = _read_all(found, unreadable_fraction)
        sources = [f"{found.root}/{path}" for path in images.paths]
        groups = _find_groups(images, sources, near_duplicates=group_near_duplicates)
        whole = _join_subjects(path, images, groups, {"group_column": group_col, "group_pattern": group_pattern})
        plan = plan_tree(
            *(images.paths, images.labels, images.image_ids, whole),
            test_fraction=1 - train_split,
            validation_fraction=validation_split,
            seed=seed,
            balanced=[split for split, wanted in (("train", balance_train), ("test", balance_test)) if wanted],
            multiplier=global_multiplier,
        )
        aside = (*found.skipped, *images.unreadable)
        _write_images(staging, plan, sources, copy=copy, workers=workers or count_cores(), recipe=recipe)
        reports = list_reports("datasplit", plan.collisions, aside)
        write_tree(staging, chain(_list_csvs(plan, (label_col, filename_col)), reports), copy=copy)
        if in_place:
            write_tree(staging, list_rest(path, found, taken=images.paths), copy=False)
    contradictions = find_contradictions(images.paths, images.labels, groups)
    done = SplitTree(folder, plan.count_images(), plan.count_copies(), plan.collisions, aside, contradictions)
    report_split(done)
    return done


def _write_images(
    staging: Path, plan: TreePlan, sources: Sequence[str], *, copy: bool, workers: int, recipe: bytes | None
) -> None:
    """Link or copy the originals, and draw the copies meanwhile."""
    jobs, copy_paths = _list_jobs(plan, sources)
    with open_rendering(jobs, workers=workers, pipeline_yaml=recipe) as drawn:
        originals = track(zip(plan.paths, sources, strict=False), "write", total=len(sources))
        copies = zip(copy_paths, track(drawn, "draw copies", total=len(copy_paths)), strict=True)
        write_tree(staging, chain(originals, copies), copy=copy)


def _find_groups(images: _Images, sources: Sequence[str], *, near_duplicates: bool) -> Sequence[str]:
    """Return each image's group: equal files share one and, if asked for, near-duplicates do."""
    if not near_duplicates:
        return images.image_ids
    from affect_tasks.data.groups import join_near_duplicates

    # OpenCV decodes outside of Python's lock.
    with ThreadPoolExecutor(count_cores()) as pool:
        drawn = track(pool.map(_fingerprint_file, sources, chunksize=64), "compare", total=len(sources))
        fingerprints = list(drawn)
    return join_near_duplicates(
        images.image_ids, images.image_ids, fingerprints, near_duplicate_bits=RunParams().near_duplicate_bits
    ).tolist()


def _join_subjects(
    folder: Path, images: _Images, groups: Sequence[str], chosen: Mapping[str, str | None]
) -> Sequence[str]:
    """Let all images of a subject share a group, where a column or a pattern names subjects."""
    if not any(chosen.values()):
        return groups
    from affect_tasks.data.groups import join_subjects
    from affect_tasks.steps.grouping import name_subjects, read_table

    params, file = read_params(chosen), folder / "labels.csv"
    data = _read_bytes(file, LabelsFileError, "labels file") if params.group_column else None
    table = read_table(data, set(images.labels), params.group_column)
    return join_subjects(images.image_ids, groups, name_subjects(list(images.paths), table, params)).tolist()


def _fingerprint_file(path: str) -> str:
    from affect_tasks.data.decode import decode_image
    from affect_tasks.data.fingerprint import compute_fingerprint

    try:
        return compute_fingerprint(decode_image(read_file(path)))
    except UnreadableImageError:
        return ""


def _read_all(found: FoundFolder, tolerated: float) -> _Images:
    files: list[FoundFile] = []
    image_ids: list[str] = []
    unreadable: list[SkippedFile] = []
    for file, read in zip(found.files, track(read_images(found), "read", total=len(found.files)), strict=True):
        if read.fault:
            unreadable.append(SkippedFile(file.path, read.fault))
        else:
            files.append(file)
            image_ids.append(read.image_id)
    check_readable(len(found.files), unreadable, tolerated=tolerated)
    paths, labels = tuple(file.path for file in files), tuple(file.folder_label for file in files)
    return _Images(paths, labels, tuple(image_ids), tuple(unreadable))


def _list_jobs(plan: TreePlan, sources: Sequence[str]) -> tuple[list[RenderJob], list[str]]:
    """List what to draw, by original, and the copies' paths in the same order."""
    rows_of = plan.group_copies()
    jobs = [
        RenderJob(sources[source], tuple(plan.copies[row - plan.originals].seed for row in rows))
        for source, rows in rows_of.items()
    ]
    return jobs, [plan.paths[row] for rows in rows_of.values() for row in rows]


def _list_csvs(plan: TreePlan, columns: tuple[str, str]) -> Iterator[TreeFile]:
    present = set(plan.splits)
    for split in _SPLITS:
        if split in present:
            yield f"{split}.csv", dump_csv((*columns, _COPY_COLUMN), plan.list_rows(split))


def _read_recipe(path: Path) -> bytes:
    from affect_tasks.data.recipe import load_recipe, read_recipe

    data = read_recipe(path.expanduser())
    load_recipe(data)  # its faults are told before any work
    return data


def _read_bytes(path: Path, fault: type[InputError], what: str) -> bytes:
    try:
        return path.expanduser().read_bytes()
    except OSError as error:
        raise fault(f"The {what} must be a readable file; {path}: {error.strerror}. Correct its path.") from error
