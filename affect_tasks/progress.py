"""Show how far long work is: a bar in a terminal, lines with counts and rate in a log."""

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

log = logging.getLogger(__name__)

_T = TypeVar("_T")
_BAR_SECONDS = 0.2
_LINE_SECONDS = 10.0
_WIDTH = 30


def track(items: Iterable[_T], what: str, *, total: int, measure: Callable[[], int] | None = None) -> Iterator[_T]:
    """Hand the items on, showing the progress now and then; nothing is shown for work that is done at once.

    Args:
        items: Handed on one by one.
        what: The work's name.
        total: How much there is to do.
        measure: Says how much is done, where that is not the number of items.
    """
    terminal = sys.stderr.isatty()
    interval = _BAR_SECONDS if terminal else _LINE_SECONDS
    begin = shown = time.monotonic()
    for number, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now - shown >= interval:
            shown, done = now, measure() if measure else number
            _show(describe_progress(what, done, total=total, seconds=now - begin), done / total, terminal=terminal)
    if terminal and shown > begin:
        sys.stderr.write("\r\033[K")


def describe_progress(what: str, done: int, *, total: int, seconds: float) -> str:
    """Say how much is done, how fast, and how long the rest will take."""
    rate = done / seconds
    left = f"{(total - done) / rate:.0f} s left" if rate else "just begun"
    return f"{what}: {done:,} of {total:,}, {rate:,.0f} a second, {left}"


def _show(line: str, share: float, *, terminal: bool) -> None:
    if terminal:
        full = round(_WIDTH * min(share, 1.0))
        sys.stderr.write(f"\r\033[K[{'#' * full}{'.' * (_WIDTH - full)}] {line}")
        sys.stderr.flush()
    else:
        log.info("%s", line)
