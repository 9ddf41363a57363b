import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from affect_tasks.embedded_runs import DAG_ID, end_abandoned_runs, lock_demo

HOLD = "import fcntl, sys; f = open(sys.argv[1], 'a'); fcntl.flock(f, fcntl.LOCK_EX); print(flush=True); input()"


def test_a_second_demo_is_told_and_a_killed_one_lets_go(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "demo.lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        holder.stdout.readline()
        with lock_demo(tmp_path) as lock:
            assert lock is None
        holder.kill()
    with lock_demo(tmp_path) as lock:
        assert lock is not None


@pytest.fixture
def database(tmp_path):
    with closing(sqlite3.connect(tmp_path / "airflow.db")) as connection:
        connection.execute("CREATE TABLE dag_run (dag_id, run_id, state, triggered_by)")
        connection.execute("CREATE TABLE task_instance (dag_id, run_id, task_id, state)")
        for run, state, by in (("killed", "running", "TEST"), ("done", "success", "TEST"), ("form", "running", "UI")):
            connection.execute("INSERT INTO dag_run VALUES (?, ?, ?, ?)", (DAG_ID, run, state, by))
            connection.execute("INSERT INTO task_instance VALUES (?, ?, 'train', ?)", (DAG_ID, run, state))
        connection.commit()
        yield connection


def test_only_the_runs_of_killed_demos_end(database, tmp_path):
    end_abandoned_runs(tmp_path)
    for table in ("dag_run", "task_instance"):
        states = dict(database.execute(f"SELECT run_id, state FROM {table}"))  # noqa: S608 - a name of ours
        assert states == {"killed": "failed", "done": "success", "form": "running"}
