"""One function per pipeline step, called by the command line and by the DAG alike.

Each takes keys of records, does its work once (see `affect_tasks.records`) and returns the key of its own
record. Heavy libraries are imported inside the functions that need them.
"""

from affect_tasks.steps.data import augment, check, ingest, relabel, split
from affect_tasks.steps.models import evaluate, measure_floor, plan, train
from affect_tasks.steps.promotion import register

__all__ = [
    "augment",
    "check",
    "evaluate",
    "ingest",
    "measure_floor",
    "plan",
    "register",
    "relabel",
    "split",
    "train",
]
