"""The DAG on the running stack, undisturbed and with its parts killed, frozen and cut off; R numbers as elsewhere.

R12 (errors of the store) and R13 (its slowness) are tried answer by answer by `make test-services`; here the whole
store is frozen and killed under a run.
"""

import json
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from pathlib import Path

import pytest
from local_stack.airflow_api import Task
from local_stack.processes import wait_until

from affect_tasks.stack.engine import run

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1500)]

CONF = {
    "data": "/data/tiles",
    "networks": ["resnet18", "resnet34"],
    "epochs": 3,
    "warmup_epochs": 0,
    "side_px": 48,
    "batch_size": 8,
    "resamples": 200,
    "test_fraction": 0.4,
    "model_name": "tiles",
}


@dataclass(frozen=True)
class Run:
    """A run that ended."""

    name: str
    state: str
    tasks: tuple[Task, ...]
    seconds: float

    def find(self, network: str) -> Task:
        return next(task for task in self.tasks if task.name == "network.train" and task.network == network)


@pytest.fixture(scope="module")
def mlflow(live):
    """A client of the tracking server, logged in as the pipeline."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_USERNAME", "pipeline")
        patch.setenv("MLFLOW_TRACKING_PASSWORD", live.secret("MLFLOW_PIPELINE_PASSWORD"))
        from mlflow import MlflowClient

        yield MlflowClient(live.url("MLFLOW_PORT"))


@pytest.fixture(scope="module")
def first(api) -> Run:
    return await_run(api, api.trigger(**CONF), time.monotonic(), seconds=900)


@pytest.fixture(scope="module")
def epoch_seconds(first, mlflow) -> float:
    """How long an epoch takes here while two networks are trained at once."""
    experiment = mlflow.get_experiment_by_name("affect")
    found = mlflow.search_runs([experiment.experiment_id], "attributes.run_name LIKE 'resnet18%'")
    stamps = [point.timestamp for point in mlflow.get_metric_history(found[0].info.run_id, "loss")]
    return max(0.1, (stamps[-1] - stamps[0]) / 1000 / (len(stamps) - 1))


def await_run(api, name: str, started: float, *, seconds: float) -> Run:
    state = api.await_end(name, seconds=seconds)
    return Run(name, state, tuple(api.list_tasks(name)), time.monotonic() - started)


def await_epoch(live, epoch: int, *, trainings: int) -> None:
    """Wait until so many trainings at once have finished an epoch."""
    find = ("sh", "-c", f"find /var/lib/affect/cache/training -name epoch-{epoch:05d}.json 2>/dev/null | wc -l")
    wait_until(f"epoch {epoch}", lambda: int(live.execute("worker", *find)) >= trainings, seconds=400)


def list_epochs(mlflow, network: str) -> list[int]:
    """List the epochs tracked by the newest run of a network, in the order in which they came."""
    experiment = mlflow.get_experiment_by_name("affect")
    found = mlflow.search_runs(
        [experiment.experiment_id], f"attributes.run_name LIKE '{network}%'", order_by=["attributes.start_time DESC"]
    )
    return [point.step for point in mlflow.get_metric_history(found[0].info.run_id, "loss")]


def test_the_dag_ends_with_a_champion(first, say):
    assert first.state == "success", first.tasks
    assert {task.queue for task in first.tasks if task.name == "network.train"} == {"gpu"}
    say(f"DAG on the stack, two networks: champion after {first.seconds:.0f} s")


def test_the_champion_can_be_pulled_with_mlflows_address_and_password(first, live):
    picture = next((live.folder / "data" / "tiles" / "sad").iterdir())
    environment = {
        "AFFECT_HOME": str(live.folder / "laptop"),
        "AFFECT_TRACKING_URI": live.url("MLFLOW_PORT"),
        "MLFLOW_TRACKING_USERNAME": "pipeline",
        "MLFLOW_TRACKING_PASSWORD": live.secret("MLFLOW_PIPELINE_PASSWORD"),
        "PATH": str(Path(sys.executable).parent),
    }
    command = [Path(sys.executable).parent / "affect", "predict", str(picture), "--model-name", "tiles"]
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] == "sad"


def test_the_doctor_finds_everything_well_and_small(first, live, say):
    screen = live.make("doctor", "--timing").stdout
    assert not re.findall(r"^ +(ILL|OPEN).*", screen, flags=re.MULTILINE), screen
    used = int(re.search(r"all together +(\d+) MiB", screen)[1])
    seconds = int(re.search(r"healthy after (\d+) s", screen)[1])
    assert used <= 5 * 1024
    say(f"healthy {seconds} s after the start, {used} MiB together")


def test_r13_a_store_that_freezes_and_one_that_is_killed_are_waited_for(first, live, api, say):
    started = time.monotonic()
    name = api.trigger(**{**CONF, "networks": ["resnet18"], "seed": 13})
    wait_until("ingest", lambda: api.find_task(name, "ingest").state in {"queued", "running"}, seconds=120)
    store = live.find("s3")[0].name
    run(["docker", "pause", store])
    time.sleep(30)
    run(["docker", "unpause", store])
    wait_until("split", lambda: api.find_task(name, "split").state == "success", seconds=120)
    run(["docker", "kill", store])
    time.sleep(5)
    live.stack.compose("start", "s3")
    ended = await_run(api, name, started, seconds=600)
    assert ended.state == "success", ended.tasks
    say(f"R13 store frozen for 30 s, then killed: DAG green after {ended.seconds:.0f} s")


def test_r07_a_training_outlives_an_api_server_that_is_away(first, live, api, mlflow, epoch_seconds, say):
    # Longer than both absences and the two starts between them.
    epochs = min(1000, ceil(400 / epoch_seconds * 2))
    started = time.monotonic()
    name = api.trigger(**{**CONF, "networks": ["resnet18"], "epochs": epochs, "seed": 7})
    await_epoch(live, 2, trainings=1)
    for seconds in (60, 180):
        live.stack.compose("kill", "airflow-api")
        time.sleep(seconds)
        live.stack.compose("start", "airflow-api")
        live.await_health("airflow-api", seconds=120)
        assert api.find_task(name, "network.train").state == "running", "the training was too short to be disturbed"
    ended = await_run(api, name, started, seconds=1200)
    assert ended.state == "success", ended.tasks
    assert ended.find("resnet18").tries == 1
    assert list_epochs(mlflow, "resnet18") == list(range(1, epochs + 1))
    say(f"R07 API server away for 60 s and 180 s: one try, {epochs} epochs tracked once each")


@dataclass(frozen=True)
class Broken:
    """What was seen while two trainings, the scheduler and Postgres were disturbed in one run."""

    ended: Run
    killed: datetime
    retried: dict[str, datetime]
    epoch: int
    recovery_seconds: float
    stale_seconds: float
    records: tuple[Sequence[str], Sequence[str]]


@pytest.fixture(scope="module")
def broken(first, live, api, epoch_seconds) -> Broken:
    """Kill one GPU worker, freeze the other, kill the scheduler and restart Postgres, all in one run."""
    live.stack.compose("up", "--detach", "--no-recreate", "--scale", "gpu-worker-cpu=2", "gpu-worker-cpu")
    live.await_health("gpu-worker-cpu", seconds=180)
    started = time.monotonic()
    epochs = max(8, min(400, ceil(60 / epoch_seconds)))
    name = api.trigger(**{**CONF, "epochs": epochs, "seed": 8})
    await_epoch(live, 3, trainings=2)
    victims = {task.host: task.network for task in api.list_tasks(name) if task.name == "network.train"}
    assert len(victims) == 2, f"each worker trains one network; got {victims}"
    dead, frozen = live.find("gpu-worker-cpu")
    run(["docker", "pause", frozen.name])
    # From outside and without a word: what a loss of power does. The restart policy brings it back.
    pid = run(["docker", "inspect", "-f", "{{.State.Pid}}", dead.name]).stdout.strip()
    killed = datetime.now().astimezone()
    run(["kill", "-9", pid])
    wait_until("the killed worker's return", lambda: len(live.find("gpu-worker-cpu")) == 2 or None, seconds=60)
    live.stack.compose("kill", "airflow-scheduler")
    time.sleep(5)
    live.stack.compose("start", "airflow-scheduler")
    live.stack.compose("restart", "postgres")
    recovered = live.await_health(
        "postgres",
        "mlflow",
        "airflow-api",
        "airflow-scheduler",
        "airflow-dag-processor",
        "airflow-triggerer",
        seconds=180,
    )
    ended = await_run(api, name, started, seconds=1200)
    before = list_records(live)
    run(["docker", "unpause", frozen.name])
    thawed = time.monotonic()
    wait_until("the end of the stale try", lambda: not is_training(frozen.name), seconds=180)
    stale = time.monotonic() - thawed
    retried = {task.network: task.started for task in ended.tasks if task.name == "network.train"}
    return Broken(ended, killed, retried, 3, recovered, stale, (before, list_records(live)))


def is_training(container: str) -> bool:
    """Tell whether a worker's container runs a task."""
    return "airflow worker -- " in run(["docker", "top", container, "-o", "args"]).stdout


def list_records(live) -> list[str]:
    """List what the steps of all runs have published, with its sizes and times of writing."""
    code = (
        "import boto3, json, os; e = os.environ; c = boto3.client('s3', endpoint_url=e['AFFECT_S3_ENDPOINT_URL'], "
        "region_name='us-east-1', aws_access_key_id=e['AFFECT_S3_ACCESS_KEY_ID'], "
        "aws_secret_access_key=e['AFFECT_S3_SECRET_ACCESS_KEY']); "
        "pages = c.get_paginator('list_objects_v2').paginate(Bucket='affect', Prefix='store/'); "
        "print(json.dumps([f\"{o['Key']} {o['ETag']} {o['LastModified']}\" for p in pages for o in p['Contents'] "
        "if '/blobs/' not in o['Key']]))"
    )
    return json.loads(live.execute("worker", "python", "-c", code))


def test_r06_the_dag_is_green_after_the_schedulers_death(broken):
    assert broken.ended.state == "success", broken.ended.tasks
    assert {task.state for task in broken.ended.tasks} == {"success"}


def test_r08_a_killed_workers_training_is_tried_again_and_goes_on(broken, api, mlflow, say):
    for network in ("resnet18", "resnet34"):
        task = broken.ended.find(network)
        assert task.tries == 2
        log = api.read_log(broken.ended.name, task, attempt=2)
        again = [int(epoch) for epoch in re.findall(r"epoch (\d+) of", log)]
        assert again[0] >= broken.epoch, "the retry began anew"
        epochs = list_epochs(mlflow, network)
        assert epochs == list(range(1, len(epochs) + 1))
    waited = min((start - broken.killed).total_seconds() for start in broken.retried.values())
    assert waited <= 360
    say(f"R08 GPU worker killed: tried again after {waited:.0f} s from its checkpoint, each epoch tracked once")


def test_r09_a_frozen_worker_that_thaws_changes_nothing(broken, api, say):
    before, after = broken.records
    assert before == after
    assert api.read_state(broken.ended.name) == "success"
    say(f"R09 frozen worker thawed after the end: its try ended in {broken.stale_seconds:.0f} s, nothing was published")


def test_r14_all_recover_from_a_restart_of_postgres(broken, say):
    assert broken.recovery_seconds <= 90
    say(f"R14 Postgres restarted: all services healthy after {broken.recovery_seconds:.0f} s")


def test_the_logs_of_a_worker_that_is_gone_can_be_read(first, live, api):
    check = next(task for task in first.tasks if task.name == "check")
    live.stack.compose("stop", "worker")
    try:
        log = api.read_log(first.name, check)
    finally:
        live.stack.compose("start", "worker")
    assert "120 files in" in log


def test_what_was_ended_comes_back_with_its_data(first, live, api, say):
    assert live.make("down").returncode == 0
    done = live.make("up")
    assert done.returncode == 0, done.stderr[-2000:]
    api.log_in()
    assert api.read_state(first.name) == "success"
    say("make down, make up: the runs are still there")
