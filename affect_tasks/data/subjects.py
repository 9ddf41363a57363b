"""Name the subject of each image: whom or what it shows, as the user knows it."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from affect_tasks.errors import InputError, ParameterError


def look_up_subjects(paths: Sequence[str] | np.ndarray, subjects: Mapping[str, str], *, column: str) -> list[str]:
    """Take each image's subject from the labels file; empty where it has none.

    Args:
        paths: Each image's path.
        subjects: Subjects by path.
        column: How messages call their column.

    Raises:
        InputError: No image has one.
    """
    found = [subjects.get(path, "") for path in paths]
    if found and not any(found):
        msg = f"A group column must name subjects; {column!r} is empty for all {len(found)} images. Fill or drop it."
        raise InputError(msg)
    return found


def extract_subjects(paths: Sequence[str] | np.ndarray, pattern: str) -> list[str]:
    """Take each image's subject from its path: the pattern's first group, or all that matches if it has none.

    The pattern is matched by RE2, whose time grows with the length of the path alone: no pattern can hang a run.

    Args:
        paths: Each image's path.
        pattern: A regular expression of RE2's, `/(s[0-9]+)_` say; found anywhere in the path.

    Returns:
        The subjects; empty where nothing matches.

    Raises:
        ParameterError: It is no regular expression of RE2's, or matches no path.
    """
    texts = pa.array(paths, pa.string())
    whole = rf"(?s:\A.*?)({pattern})(?s:.*\z)"
    try:
        matching = pc.call_function("match_substring_regex", [texts], pc.MatchSubstringOptions(pattern))
        subjects = _replace(texts, whole, rf"\{_find_group(whole)}")
    except pa.ArrowInvalid as error:
        msg = f"`group_pattern` must be a regular expression as RE2 knows them; got {pattern!r}: {error}. Correct it."
        raise ParameterError(msg) from error
    found = pc.call_function("if_else", [matching, subjects, pa.scalar("")]).to_pylist()
    if found and not any(found):
        msg = f"`group_pattern` must match paths such as {paths[0]!r}; {pattern!r} matches none of {len(found)}."
        raise ParameterError(f"{msg} Correct it.")
    return found


def _find_group(whole: str) -> int:
    """Return 2, the pattern's own first group, where it has one, else 1, all of it."""
    try:
        _replace(pa.array([""]), whole, r"\2")
    except pa.ArrowInvalid:
        return 1
    return 2


def _replace(texts: pa.Array, pattern: str, replacement: str) -> pa.Array:
    return pc.call_function(
        "replace_substring_regex", [texts], pc.ReplaceSubstringOptions(pattern=pattern, replacement=replacement)
    )
