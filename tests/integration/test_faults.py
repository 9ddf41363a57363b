"""The faults that need no containers, on the services of the stack; R numbers are those of the reliability page."""

import re
import signal
import time
from datetime import UTC, datetime

import httpx
import pytest

from affect_tasks.records import OutcomeRecord, TrainedRecord, load_record, name_outcome
from affect_tasks.storage import open_storage


@pytest.fixture
def read_trained(stack_settings):
    """Read the record of the one network that a run trained."""

    def read(run: str) -> TrainedRecord:
        storage = open_storage(stack_settings)
        outcome = load_record(storage, name_outcome(run), OutcomeRecord)
        return load_record(storage, outcome.scores[0].trained, TrainedRecord)

    return read


@pytest.fixture
def list_epochs(stack_settings, read_trained):
    """List the epochs that MLflow knows of a run's network, in the order in which they were tracked."""

    def read(run: str) -> list[int]:
        from mlflow import MlflowClient

        client = MlflowClient(stack_settings.mlflow_uri)
        return [point.step for point in client.get_metric_history(read_trained(run).mlflow_run_id, "loss")]

    return read


@pytest.fixture
def count_versions(stack_settings):
    def count(model_name: str) -> int:
        from mlflow import MlflowClient

        return len(MlflowClient(stack_settings.mlflow_uri).search_model_versions(f"name = '{model_name}'"))

    return count


def await_epoch(stack, worker: str, epoch: int) -> None:
    from local_stack.processes import wait_until

    checkpoints = stack.folder / f"home-{worker}" / "cache" / "training"
    probe = lambda: list(checkpoints.glob(f"*/epoch-{epoch:05d}.json"))  # noqa: E731 - one look
    wait_until(f"epoch {epoch}", probe, seconds=180)


def find_training(worker) -> int:
    """Return the process that trains: of a worker's processes, the one that holds the most memory."""
    import psutil

    return max(worker.list_pids(), key=lambda pid: psutil.Process(pid).memory_info().rss)


def await_task(api, run: str, name: str, state: str) -> None:
    from local_stack.processes import wait_until

    def reached() -> bool:
        task = api.find_task(run, name)
        return task is not None and task.state == state

    wait_until(f"{name} {state}", reached, seconds=120)


def test_r06_a_killed_scheduler_goes_on_where_it_was(stack, api, conf, list_epochs, count_versions, say):
    run = api.trigger(**{**conf, "seed": 6, "model_name": "r06"})
    await_task(api, run, "augment", "running")
    stack.servers["scheduler"].kill()
    time.sleep(5)
    stack.servers["scheduler"].start()
    started = time.monotonic()
    assert api.await_end(run, seconds=240) == "success"
    tasks = api.list_tasks(run)
    assert {task.state for task in tasks} == {"success"}
    assert list_epochs(run) == [1, 2]
    assert count_versions("r06") == 1
    say(f"R06 scheduler killed in mid-DAG: green {time.monotonic() - started:.0f} s after its restart, one output each")


def test_r08_a_training_whose_worker_was_killed_goes_on_from_its_checkpoint(stack, api, conf, list_epochs, say):
    run = api.trigger(**{**conf, "seed": 8, "epochs": 8, "model_name": "r08"})
    await_epoch(stack, "gpu", 3)
    worker, killed = stack.servers["worker-gpu"], datetime.now(UTC)
    worker.kill()
    worker.start()
    assert api.await_end(run, seconds=300) == "success"
    task = api.find_task(run, "network.train")
    assert task.tries == 2
    again = [int(epoch) for epoch in re.findall(r"epoch (\d+) of", api.read_log(run, task, attempt=2))]
    assert again[0] >= 3
    assert list_epochs(run) == list(range(1, 9))
    waited = (task.started - killed).total_seconds()
    say(
        f"R08 GPU worker killed at epoch 3: tried again after {waited:.0f} s from epoch {again[0]}, one point per epoch"
    )


def test_r09_a_frozen_worker_that_thaws_changes_nothing(stack, api, conf, stack_settings, read_trained, say):
    from local_stack.processes import wait_until

    run = api.trigger(**{**conf, "seed": 9, "epochs": 6, "model_name": "r09"})
    await_epoch(stack, "gpu", 2)
    frozen = stack.servers["worker-gpu"]
    frozen.send(signal.SIGSTOP)
    trying = find_training(frozen)
    other = stack.add_worker("gpu-2", queue="gpu", concurrency=1)
    try:
        assert api.await_end(run, seconds=300) == "success"
        before = read_trained(run)
        frozen.send(signal.SIGCONT)
        seconds = wait_until("the end of the stale try", lambda: trying not in frozen.list_pids(), seconds=120)
        assert read_trained(run) == before
        assert open_storage(stack_settings).exists(name_outcome(run))
        assert api.find_task(run, "network.train").state == "success"
        assert api.read_state(run) == "success"
        say(f"R09 frozen worker thawed after its retry: its try ended in {seconds:.0f} s, the retry's output stands")
    finally:
        other.stop()
        frozen.send(signal.SIGCONT)


def test_r14_all_recover_from_a_restart_of_postgres(stack, api, conf, say):
    from local_stack.processes import wait_until

    postgres = stack.servers["postgres"]
    run = api.trigger(**{**conf, "model_name": "r14"})
    await_task(api, run, "check", "success")
    postgres.stop(number=signal.SIGINT)
    restarted = datetime.now(UTC)
    postgres.start()
    seconds = wait_until("recovery from the restart", lambda: is_healthy(stack, since=restarted), seconds=60)
    assert api.await_end(run, seconds=200) == "success"
    say(f"R14 Postgres restarted in mid-DAG: Airflow and MLflow recovered in {seconds:.0f} s, DAG green")


def is_healthy(stack, *, since: datetime) -> bool:
    """Tell whether Airflow's parts have reported to the database since, and MLflow reads its own."""
    login = ("pipeline", stack.secrets["mlflow-user"])
    search = f"{stack.url('mlflow')}/api/2.0/mlflow/experiments/search?max_results=1"
    try:
        airflow = httpx.get(f"{stack.url('airflow')}/api/v2/monitor/health", timeout=5)
        mlflow = httpx.get(search, auth=login, timeout=5)
    except httpx.TransportError:
        return False
    if (airflow.status_code, mlflow.status_code) != (200, 200):
        return False
    parts = airflow.json()
    beats = [parts[part][f"latest_{part}_heartbeat"] for part in ("scheduler", "dag_processor")]
    return all(beat and datetime.fromisoformat(beat) > since for beat in beats)
