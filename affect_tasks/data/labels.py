"""Read labels.csv: which label each image should carry, and whom it shows.

Its paths are names to look up among the images found; none is ever opened.
"""

import csv
import io
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from affect_tasks.data.scan import fold_label
from affect_tasks.errors import LabelsFileError, UnknownLabelError

PATH_COLUMN = "pth"
LABEL_COLUMN = "label"


@dataclass(frozen=True)
class LabelTable:
    """Labels by image path, as the file gives them, and subjects if a column names them (empty: unknown)."""

    labels: dict[str, str]
    subjects: dict[str, str] = field(default_factory=dict[str, str])


def parse_labels(
    data: bytes, *, class_names: Collection[str], group_column: str | None = None, name: str = "labels.csv"
) -> LabelTable:
    """Parse a labels file of the Kaggle data set's shape.

    Args:
        data: The file's bytes: UTF-8, a header with the columns `pth` and `label`, others ignored.
        class_names: Labels that may occur, folded.
        group_column: The column that names each image's subject, if any does.
        name: How messages call the file.

    Raises:
        LabelsFileError: Not UTF-8, a column is missing, a row has another length than the header, a path
            leads out of the folder, or one path has two different labels or subjects. The message names the
            line.
        UnknownLabelError: A label is no class. The message names the line.
    """
    rows = csv.reader(io.StringIO(_decode_text(data, name), newline=""), strict=True)
    labels: dict[str, str] = {}
    subjects: dict[str, str] = {}
    try:
        header = next(rows, [])
        path_at, label_at = _find_column(header, PATH_COLUMN, name), _find_column(header, LABEL_COLUMN, name)
        subject_at = _find_column(header, group_column, name) if group_column else None
        for row in rows:
            if not row:
                continue
            where = f"{name}, line {rows.line_num}"
            if len(row) != len(header):
                msg = f"Every row must have the header's {len(header)} fields; {where} has {len(row)}. Mend that line."
                raise LabelsFileError(msg)
            path = _check_path(row[path_at], where)
            _set_once(labels, path, _check_label(row[label_at], class_names, where), f"label; {where}")
            if subject_at is not None:
                _set_once(subjects, path, row[subject_at].strip(), f"{group_column}; {where}")
    except csv.Error as error:
        msg = f"The labels file must be well-formed CSV; {name}, line {rows.line_num}: {error}. Mend that line."
        raise LabelsFileError(msg) from error
    if not labels:
        raise LabelsFileError(f"The labels file must have at least one row; {name} has none. Fill or remove it.")
    return LabelTable(labels, subjects)


def rewrite_labels(data: bytes, places: Mapping[str, tuple[str, str]], *, name: str = "labels.csv") -> bytes:
    """Write a labels file anew for images that have moved; further columns and the rows' order are kept.

    Args:
        data: A file that `parse_labels` accepts.
        places: New path and label by old path. Rows of other paths are left out; images without a row get
            one at the end, with nothing in the further columns.
        name: How messages call the file.
    """
    rows = csv.reader(io.StringIO(_decode_text(data, name), newline=""), strict=True)
    header = next(rows)
    path_at, label_at = _find_column(header, PATH_COLUMN, name), _find_column(header, LABEL_COLUMN, name)
    text = io.StringIO(newline="")
    out = csv.writer(text, lineterminator="\n")
    out.writerow(header)
    unlisted = dict(places)
    for row in rows:
        path = _check_path(row[path_at], name) if row else ""
        if path in places:
            row[path_at], row[label_at] = places[path]
            out.writerow(row)
            unlisted.pop(path, None)
    for path, label in unlisted.values():
        row = [""] * len(header)
        row[path_at], row[label_at] = path, label
        out.writerow(row)
    return text.getvalue().encode()


def _decode_text(data: bytes, name: str) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        msg = f"The labels file must be UTF-8; {name}, line {line} has {data[error.start : error.end]!r}. Save it so."
        raise LabelsFileError(msg) from error
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise LabelsFileError(f"The labels file must be text; {name}, line {line} has a NUL. Mend that line.")
    return text


def _find_column(header: list[str], column: str, name: str) -> int:
    names = [field.strip() for field in header]
    if names.count(column) != 1:
        msg = (
            f"The labels file must have one column `{column}`, separated by commas; {name}, line 1 has {header!r}. "
            "Name the column so."
        )
        raise LabelsFileError(msg)
    return names.index(column)


def _check_path(path: str, where: str) -> str:
    parts = path.split("/")
    kept = "/".join(part for part in parts if part not in {"", "."}).removeprefix("train/")
    if not kept.strip() or "\\" in path or path.startswith("/") or ".." in parts or ":" in parts[0]:
        msg = (
            "A path must be relative, with / between folders, and stay in the images' folder; "
            f"{where} has {path!r}. Mend that line."
        )
        raise LabelsFileError(msg)
    return kept


def _set_once(values: dict[str, str], path: str, value: str, what: str) -> None:
    if values.setdefault(path, value) != value:
        msg = f"A path may have one {what} gives {path!r} {value!r} after {values[path]!r}. Remove one."
        raise LabelsFileError(msg)


def _check_label(label: str, class_names: Collection[str], where: str) -> str:
    folded = fold_label(label)
    if folded not in class_names:
        msg = f"A label must be one of {', '.join(sorted(class_names))}; {where} has {label!r}. Correct it."
        raise UnknownLabelError(msg)
    return folded
