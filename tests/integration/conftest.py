import shutil
from pathlib import Path

import pytest

from affect_tasks.settings import Settings, read_settings


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        if "stack" in item.fixturenames:
            item.add_marker("services")


@pytest.fixture(scope="session")
def stack():
    """All services of the stack as processes here, ended after the last test."""
    from local_stack.programs import list_missing

    missing = list_missing()
    if missing:
        pytest.skip("not installed: " + "; ".join(missing.values()))
    pytest.importorskip("psycopg2", reason="`make test-services` installs it")
    from local_stack.stack import Stack, make_folder

    stack = Stack(make_folder())
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()
    shutil.rmtree(stack.folder)


@pytest.fixture(scope="session")
def api(stack):
    """A user of Airflow who is logged in; the DAG is there, its pool too."""
    from local_stack.airflow_api import AirflowApi
    from local_stack.processes import wait_until

    api = AirflowApi(stack.url("airflow"), "tester", stack.secrets["airflow-user"])
    api.log_in()
    wait_until("the DAG", api.is_parsed, seconds=120)
    api.prepare()
    yield api
    api.close()


@pytest.fixture
def stack_settings(stack, monkeypatch) -> Settings:
    """What a worker of the stack would read."""
    for name, value in stack.describe_package("test").items():
        monkeypatch.setenv(name, value)
    return read_settings()


@pytest.fixture(scope="session")
def tiles(tmp_path_factory) -> Path:
    from local_stack.tiles import write_tiles

    return write_tiles(tmp_path_factory.mktemp("tiles") / "train")


@pytest.fixture(scope="session")
def conf(tiles) -> dict[str, object]:
    """A small run; other seeds and epochs make it a new one."""
    small = {"side_px": 32, "batch_size": 16, "resamples": 200, "test_fraction": 0.4, "warmup_epochs": 0}
    return {"data": str(tiles), "networks": ["resnet18"], "epochs": 2, "model_name": "small", **small}


@pytest.fixture
def say(capsys):
    """Print a line that pytest does not swallow."""

    def say(line: str) -> None:
        with capsys.disabled():
            print(f"\n  {line}")

    return say
