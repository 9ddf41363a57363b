"""Turn texts into numbers, so that millions of rows are counted and joined without comparing texts."""

from collections.abc import Sequence

import numpy as np


def encode_texts(values: Sequence[str] | np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Number the distinct texts in their sorted order.

    Returns:
        Each value's number, (n,) int64, and the distinct texts by number.
    """
    places: dict[str, int] = {}
    seen = np.fromiter((places.setdefault(value, len(places)) for value in values), dtype=np.int64, count=len(values))
    names = list(places)
    order = sorted(range(len(names)), key=names.__getitem__)
    number = np.empty(len(names), dtype=np.int64)
    number[order] = np.arange(len(names))
    return number[seen], [names[place] for place in order]
