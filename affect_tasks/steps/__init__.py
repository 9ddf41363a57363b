"""One function per pipeline step, called by the command line and by the DAG alike.

Each takes keys of records, does its work once (see `affect_tasks.records`) and returns the key of its own
record. Heavy libraries are imported inside the functions that need them; the functions themselves are imported
when they are first asked for, so that a folder tree is written without waiting for the rest.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from affect_tasks.steps.copies import augment, draw_part, plan_parts
    from affect_tasks.steps.data import check, ingest, relabel, split
    from affect_tasks.steps.models import evaluate, measure_floor, plan, train
    from affect_tasks.steps.promotion import register
    from affect_tasks.steps.reports import report, write_report
    from affect_tasks.steps.trees import relabel_tree, split_tree

_MODULES = {
    "copies": ("augment", "draw_part", "plan_parts"),
    "data": ("check", "ingest", "relabel", "split"),
    "models": ("evaluate", "measure_floor", "plan", "train"),
    "promotion": ("register",),
    "reports": ("report", "write_report"),
    "trees": ("relabel_tree", "split_tree"),
}

__all__ = [
    "augment",
    "check",
    "draw_part",
    "evaluate",
    "ingest",
    "measure_floor",
    "plan",
    "plan_parts",
    "register",
    "relabel",
    "relabel_tree",
    "report",
    "split",
    "split_tree",
    "train",
    "write_report",
]


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
