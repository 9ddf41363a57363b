"""Runs of the embedded mode: one demo at a time in a home, and none that a kill leaves running for ever."""

import fcntl
import os
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

DAG_ID = "train_affect"

# `airflow dags test` marks its runs so.
_FAIL_TASKS = """
UPDATE task_instance SET state = 'failed' WHERE state = 'running' AND run_id IN
  (SELECT run_id FROM dag_run WHERE dag_id = ? AND state = 'running' AND triggered_by = 'TEST')
"""
_FAIL_RUNS = "UPDATE dag_run SET state = 'failed' WHERE dag_id = ? AND state = 'running' AND triggered_by = 'TEST'"


@contextmanager
def lock_demo(home: Path) -> Generator[int | None, None, None]:
    """Hold a home's lock for a demo; give its file descriptor, or None where another demo holds it.

    The system releases it when the last process that has the descriptor ends, killed or not.

    Args:
        home: Airflow's folder.
    """
    descriptor = os.open(home / "demo.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield None
    else:
        yield descriptor
    finally:
        os.close(descriptor)


def end_abandoned_runs(home: Path) -> None:
    """Mark the runs of killed demos as failed; to be called while the lock is held.

    Airflow's scheduler looks after its own tasks alone: a task that `airflow dags test` left running would keep
    its place in the pool `gpu`, and no other training would ever start.

    Args:
        home: Airflow's folder, with its database.
    """
    with closing(sqlite3.connect(home / "airflow.db", timeout=30)) as database, database:
        database.execute(_FAIL_TASKS, (DAG_ID,))
        database.execute(_FAIL_RUNS, (DAG_ID,))
