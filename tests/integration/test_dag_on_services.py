"""The DAG, unchanged, over Celery on MinIO, Redis, Postgres and an MLflow that asks for a password."""

import json
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import boto3
import httpx
import pytest
from botocore.exceptions import ClientError

from affect_tasks.records import OutcomeRecord, load_record, name_outcome
from affect_tasks.storage import open_storage

AFFECT = Path(sys.executable).parent / "affect"


@dataclass(frozen=True)
class Run:
    name: str
    state: str
    seconds: float


@pytest.fixture(scope="module")
def both(conf) -> dict[str, object]:
    return {**conf, "networks": ["resnet18", "resnet34"], "epochs": 4, "model_name": "affect"}


def trigger(api, conf) -> Run:
    started = time.monotonic()
    name = api.trigger(**conf)
    return Run(name, api.await_end(name, seconds=400), time.monotonic() - started)


@pytest.fixture(scope="module")
def first(api, both) -> Run:
    return trigger(api, both)


def read_outcome(settings, run: Run) -> OutcomeRecord:
    return load_record(open_storage(settings), name_outcome(run.name), OutcomeRecord)


def list_executed(stack, worker: str, run: Run) -> set[str]:
    log = (stack.folder / f"worker-{worker}.log").read_text()
    lines = [line for line in log.splitlines() if "Executing workload" in line and run.name in line]
    return {re.search(r"task_id=([\w.]+)", line)[1] for line in lines}


def test_the_dag_ends_with_a_champion(first, stack_settings, say):
    assert first.state == "success"
    outcome = read_outcome(stack_settings, first)
    assert outcome.verdict == "promoted", outcome.reason
    assert {score.name for score in outcome.scores} == {"resnet18", "resnet34"}
    say(f"DAG over Celery: champion version {outcome.version} after {first.seconds:.0f} s")


def test_the_gpu_worker_trains_and_does_nothing_else(first, stack, api):
    tasks = api.list_tasks(first.name)
    assert {task.network for task in tasks if task.queue == "gpu"} == {"resnet18", "resnet34"}
    assert list_executed(stack, "gpu", first) == {"network.train"}
    assert list_executed(stack, "default", first) == {task.name for task in tasks} - {"network.train"}


def test_the_champion_answers_whoever_has_mlflows_address_and_password(first, stack, tiles):
    environment = {**stack.describe_package("laptop"), "PATH": str(AFFECT.parent)}
    command = [AFFECT, "predict", str(tiles / "sad" / "sad_003.png"), "--model-name", "affect"]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert done.stdout.split()[0] == "sad"


def test_unchanged_inputs_are_reused(first, api, both, stack_settings, say):
    again = trigger(api, both)
    assert again.state == "success"
    outcome = read_outcome(stack_settings, again)
    assert outcome.made == ()
    assert {"ingest", "train.resnet18", "train.resnet34", "evaluate.resnet34"} <= set(outcome.reused)
    assert again.seconds < 60
    tasks = api.list_tasks(again.name)
    say(f"unchanged: everything reused in {again.seconds:.0f} s, {again.seconds / len(tasks):.1f} s for each task")


def test_each_key_reaches_its_own_bucket_and_serving_only_reads_models(first, stack):
    from local_stack.stack import ARTIFACTS, PIPELINE

    def connect(name: str):
        secret = stack.secrets[f"s3-{name}"]
        keys = {"aws_access_key_id": f"{name}-key", "aws_secret_access_key": secret}
        return boto3.client("s3", endpoint_url=stack.url("s3"), region_name="us-east-1", **keys)

    for name, own, other in (("pipeline", PIPELINE, ARTIFACTS), ("mlflow", ARTIFACTS, PIPELINE)):
        keys = [entry["Key"] for entry in connect(name).list_objects_v2(Bucket=own)["Contents"]]
        connect(name).get_object(Bucket=own, Key=keys[0])
        assert is_denied(lambda: connect(name).list_objects_v2(Bucket=other))  # noqa: B023 - called at once
        assert is_denied(lambda: connect(name).put_object(Bucket=other, Key="x", Body=b""))  # noqa: B023 - at once
    found = connect("mlflow").list_objects_v2(Bucket=ARTIFACTS)["Contents"]
    model, other = (
        next(entry["Key"] for entry in found if ("/models/" in entry["Key"]) == wanted) for wanted in (True, False)
    )
    serving = connect("serving")
    serving.get_object(Bucket=ARTIFACTS, Key=model)
    assert serving.list_objects_v2(Bucket=ARTIFACTS, Prefix=model.rsplit("/", 1)[0])["KeyCount"] > 0
    assert is_denied(lambda: serving.get_object(Bucket=ARTIFACTS, Key=other))
    assert is_denied(lambda: serving.put_object(Bucket=ARTIFACTS, Key=model, Body=b""))
    assert is_denied(lambda: serving.delete_object(Bucket=ARTIFACTS, Key=model))
    assert is_denied(lambda: serving.list_objects_v2(Bucket=PIPELINE))


def is_denied(ask) -> bool:
    try:
        ask()
    except ClientError as error:
        return error.response["Error"]["Code"] == "AccessDenied"
    return False


def test_mlflow_answers_only_those_it_knows(stack):
    url = f"{stack.url('mlflow')}/api/2.0/mlflow/experiments/search?max_results=1"
    known = ("pipeline", stack.secrets["mlflow-user"])
    assert httpx.get(url, auth=known).status_code == 200
    assert httpx.get(url).status_code == 401
    assert httpx.get(url, auth=("admin", "password1234")).status_code == 401
    assert httpx.get(url, auth=known, headers={"Host": "10.evil.example"}).status_code == 403


def test_workers_hold_no_address_of_the_database(stack):
    for name in ("default", "gpu"):
        assert "postgresql" not in json.dumps(stack.describe_worker(name))


def test_the_store_holds_all_that_the_workflow_needs(stack):
    environment = {**stack.describe_package("laptop"), "PATH": str(AFFECT.parent)}
    done = subprocess.run([AFFECT, "check-store"], env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {line.split()[0] for line in done.stdout.splitlines()} == {"ok"}


def test_preparing_the_store_again_changes_nothing(stack):
    assert "bucket affect-pipeline: there" in stack.prepare_store()


def test_the_logs_of_a_dead_worker_can_be_read(first, stack, api):
    worker = stack.servers["worker-default"]
    worker.kill()
    stack.forget_logs("default")
    try:
        log = api.read_log(first.name, api.find_task(first.name, "check"))
    finally:
        worker.start()
    assert "120 files in" in log
