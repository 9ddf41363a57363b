import json
import subprocess
import sys
from pathlib import Path

import pytest

from affect_tasks.embedded import prepare_airflow
from affect_tasks.params import RunParams
from affect_tasks.records import OutcomeRecord, load_record
from affect_tasks.report import predict_image
from affect_tasks.settings import read_settings
from affect_tasks.storage import open_storage

DAGS = Path(__file__).parents[2] / "dags"
INSPECT = """
import json, sys, time
started = time.monotonic()
import airflow.sdk
before = time.monotonic()
import train_affect
seconds = time.monotonic() - before
from airflow.sdk import DAG
dag = train_affect.train_affect()
print(json.dumps({
    "seconds": seconds,
    "heavy": sorted({"tensorflow", "keras", "mlflow", "cv2", "pyarrow"} & set(sys.modules)),
    "params": sorted(dag.params),
    "doc": dag.doc_md,
    "tasks": {t.task_id: {"up": sorted(t.upstream_task_ids), "queue": t.queue, "pool": t.pool, "retries": t.retries}
              for t in dag.tasks},
}))
"""


@pytest.fixture(scope="module")
def airflow(tmp_path_factory) -> dict[str, str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AFFECT_HOME", str(tmp_path_factory.mktemp("home")))
        return prepare_airflow(read_settings())


@pytest.fixture(scope="module")
def dag(airflow) -> dict:
    done = subprocess.run(
        [sys.executable, "-c", INSPECT],
        env={**airflow, "PYTHONPATH": str(DAGS)},
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def test_the_shape_is_the_pipeline(dag):
    assert {name: task["up"] for name, task in dag["tasks"].items()} == {
        "check": [],
        "ingest": ["check"],
        "relabel": ["check", "ingest"],
        "split": ["check", "relabel"],
        "plan_parts": ["check", "split"],
        "draw_part": ["check", "plan_parts", "split"],
        "augment": ["check", "draw_part", "split"],
        "report": ["augment", "check"],
        "plan": ["check"],
        "measure_floor": ["augment", "check"],
        "network.train": ["augment", "check", "plan"],
        "network.evaluate": ["check", "network.train", "plan"],
        "register": ["check", "measure_floor", "network.evaluate"],
    }


def test_only_training_asks_for_the_gpu(dag):
    asking = {name for name, task in dag["tasks"].items() if "gpu" in (task["queue"], task["pool"])}
    assert asking == {"network.train"}


def test_parsing_is_quick_and_imports_nothing_heavy(dag):
    assert dag["heavy"] == []
    assert dag["seconds"] < 5


def test_the_form_has_every_parameter_and_the_page_is_the_runbook(dag):
    assert dag["params"] == sorted(RunParams.model_fields)
    assert "when it fails" in dag["doc"]


def test_steps_are_retried(dag):
    assert all(task["retries"] == 2 for name, task in dag["tasks"].items())


@pytest.mark.integration
def test_the_whole_dag_ends_with_a_champion_that_predicts(airflow, faces, monkeypatch):
    conf = {
        "data": str(faces), "networks": ["resnet18", "resnet34"], "side_px": 32, "epochs": 5, "batch_size": 16,
        "resamples": 500, "test_fraction": 0.4,
    }  # fmt: skip
    command = [str(Path(sys.executable).parent / "affect"), "demo"]
    options = [f"--{name.replace('_', '-')}={','.join(v) if isinstance(v, list) else v}" for name, v in conf.items()]
    first = subprocess.run([*command, *options], env=airflow, check=False, capture_output=True, text=True)
    assert first.returncode == 0, first.stdout + first.stderr
    monkeypatch.setenv("AFFECT_HOME", airflow["AFFECT_HOME"])
    settings = read_settings()
    (path,) = (settings.folder / "store" / "runs").glob("*/outcome.json")
    key = path.relative_to(settings.folder / "store").as_posix()
    outcome = load_record(open_storage(settings), key, OutcomeRecord)
    assert {score.name for score in outcome.scores} == {"resnet18", "resnet34"}
    assert outcome.reused == ()
    assert "relabel: 5 of 94 labels changed" in first.stdout
    if outcome.verdict != "promoted":
        # Drawn shades are easy for the floor too; then the candidate waits as challenger.
        assert outcome.floor.accuracy[0] > 0.5
        from affect_tasks.registry import CHAMPION, open_registry

        registry = open_registry(settings)
        candidate = registry.find_version("affect", run_id=registry_run(settings, outcome))
        registry.set_alias(candidate, CHAMPION)
    answer = predict_image(faces / "train" / "sad" / "sad_003.png", model_name="affect", settings=settings)
    assert {line.split()[0] for line in answer.splitlines()} == {"anger", "happy", "sad"}
    second = subprocess.run([*command, *options], env=airflow, check=False, capture_output=True, text=True)
    assert "Made:      nothing" in second.stdout, second.stdout + second.stderr


def registry_run(settings, outcome) -> str:
    from affect_tasks.records import TrainedRecord

    return load_record(open_storage(settings), outcome.scores[0].trained, TrainedRecord).mlflow_run_id
