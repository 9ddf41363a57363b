import re
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

from affect_tasks.errors import NoChampionError, RegistryError
from affect_tasks.registry import CHALLENGER, CHAMPION, Registry, open_registry
from affect_tasks.settings import Settings
from affect_tasks.training.fit import load_trained

SIDE_PX = 32
CLASSES = ("anger", "happy")


@pytest.fixture(scope="session")
def migrated(tmp_path_factory) -> Path:
    """Make MLflow's database once; it takes seconds."""
    from mlflow import MlflowClient

    home = tmp_path_factory.mktemp("migrated")
    (home / "mlflow").mkdir()
    MlflowClient(f"sqlite:///{home / 'mlflow' / 'mlflow.db'}").search_experiments()
    return home


@pytest.fixture
def registry(migrated, settings) -> Registry:
    """MLflow on a database of this test's own."""
    shutil.copytree(migrated, settings.folder)
    return open_registry(settings)


@pytest.fixture
def client(settings):
    from mlflow import MlflowClient

    return MlflowClient(settings.mlflow_uri)


@pytest.fixture(scope="module")
def model_file(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("model") / "model.keras"
    inputs = keras.Input((SIDE_PX, SIDE_PX, 3), dtype="uint8")
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(inputs))
    keras.Model(inputs, keras.layers.Dense(len(CLASSES), activation="softmax")(x)).save(path)
    return path.read_bytes()


@pytest.fixture
def register(registry, model_file):
    def register(run_id: str, **tags: str):
        about = {"side_px": SIDE_PX, "class_names": CLASSES}
        return registry.register(model_file, name="affect", run_id=run_id, tags=tags, **about)

    return register


def test_a_run_is_found_again_by_its_key(registry, client):
    parent = registry.open_run("run", key="run:a")
    run_id = registry.open_run("resnet18", key="train:a", parent_id=parent)
    registry.close_run(run_id, failed=True)
    assert registry.open_run("resnet18", key="train:a", parent_id=parent) == run_id
    assert client.get_run(run_id).info.status == "RUNNING"
    assert registry.open_run("resnet18", key="train:b", parent_id=parent) != run_id
    registry.close_run(run_id)
    assert client.get_run(run_id).info.status == "FINISHED"


def test_a_reused_training_moves_to_the_run_that_reuses_it(registry, client):
    first, second = (registry.open_run(name, key=name) for name in ("first", "second"))
    run_id = registry.open_run("resnet18", key="train:a", parent_id=first)
    registry.open_run("resnet18", key="train:a", parent_id=second)
    assert client.get_run(run_id).data.tags["mlflow.parentRunId"] == second


def test_what_is_tracked_can_be_tracked_again(registry, client):
    run_id = registry.open_run("run", key="run:a")
    for _ in range(2):
        registry.log_params(run_id, {"networks": ["resnet18", "resnet34"], "epochs": 3})
    registry.log_metrics(run_id, {"loss": 0.5}, step=1)
    registry.log_metrics(run_id, {"loss": 0.25}, step=2)
    registry.log_file(run_id, b"text", name="decision/decision.md")
    assert client.get_run(run_id).data.params == {"networks": "resnet18,resnet34", "epochs": "3"}
    assert registry.find_last_step(run_id, "loss") == 2
    assert registry.find_last_step(run_id, "accuracy") == 0
    assert [file.path for file in client.list_artifacts(run_id, "decision")] == ["decision/decision.md"]


def test_a_run_makes_one_version_however_often_it_is_tried(registry, register):
    first, second = (registry.open_run(name, key=name) for name in ("first", "second"))
    version = register(first, network="resnet18")
    assert register(first, network="resnet18") == version
    assert registry.find_version("affect", run_id=first) == version
    assert registry.find_version("affect", run_id=second) is None
    assert {"labels": '["anger", "happy"]', "side_px": "32", "network": "resnet18"}.items() <= version.tags.items()


def test_the_champion_is_the_version_with_the_alias_and_answers(registry, register):
    assert registry.find_champion("affect") is None
    old, new = (register(registry.open_run(name, key=name)) for name in ("old", "new"))
    registry.set_alias(old, CHAMPION)
    registry.set_alias(new, CHALLENGER)
    assert registry.read_champion("affect").version == old.version
    registry.set_alias(new, CHAMPION)
    assert registry.read_champion("affect").version == new.version
    with registry.fetch_model_file(new) as path:
        answer = load_trained(path).predict_on_batch(np.zeros((2, SIDE_PX, SIDE_PX, 3), np.uint8))
    assert answer.shape == (2, len(CLASSES))


def test_a_version_says_what_it_takes_and_gives(register, registry):
    from mlflow.models import get_model_info

    version = register(registry.open_run("run", key="run"))
    signature = get_model_info(version.source).signature
    assert "uint8" in str(signature.inputs)
    assert re.search(rf"-1, {SIDE_PX}, {SIDE_PX}, 3", str(signature.inputs))
    assert re.search(rf"float32.*-1, {len(CLASSES)}", str(signature.outputs))


def test_without_a_champion_the_message_tells_how_to_get_one(registry):
    with pytest.raises(NoChampionError, match=r"'affect' has none\. Train one: `make demo`"):
        registry.read_champion("affect")


def test_a_database_that_cannot_be_used_is_named_with_its_setting(tmp_path):
    (tmp_path / "mlflow.db").write_text("this is no database, and never was one " * 50)
    with pytest.raises(RegistryError, match="AFFECT_TRACKING_URI"):
        open_registry(Settings(home=tmp_path, tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}"))
