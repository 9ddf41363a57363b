import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path

import pytest
from local_stack.airflow_api import AirflowApi
from local_stack.processes import find_port, wait_until
from local_stack.tiles import write_tiles

from affect_tasks.stack.engine import ROOT, Container, Stack, check_engine, run
from affect_tasks.stack.lifecycle import open_stack

PROJECT = "affect-test"
PORTS = ("AIRFLOW_PORT", "BROKER_PORT", "MLFLOW_PORT", "S3_PORT", "S3_CONSOLE_PORT")


class Live:
    """A stack of its own beside any other on this machine: own project, ports, secrets and volumes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.secret_file = folder / ".env"
        write_tiles(folder / "data" / "tiles")
        settings = {name: find_port() for name in PORTS}
        settings |= {"DATA_FOLDER": folder / "data", "GPU": "no", "GPU_WORKERS": 2, "WORKER_MEMORY": "3g"}
        self.secret_file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        self.secret_file.chmod(0o600)
        self.stack = self.open()

    def open(self) -> Stack:
        return open_stack(PROJECT, self.secret_file)

    def make(self, *command: str, answer: str = "") -> subprocess.CompletedProcess[str]:
        """Do what a target of the Makefile does."""
        line = [sys.executable, "-m", "affect_tasks.stack", "--project", PROJECT, "--secret-file", self.secret_file]
        return subprocess.run([*line, *command], cwd=ROOT, input=answer, check=False, capture_output=True, text=True)

    def secret(self, name: str) -> str:
        return self.stack.values[name]

    def url(self, port: str) -> str:
        return f"http://127.0.0.1:{self.stack.values[port]}"

    def find(self, service: str) -> list[Container]:
        return [one for one in self.stack.list_containers() if one.service == service and one.state == "running"]

    def execute(self, service: str, *command: str) -> str:
        done = self.stack.compose("exec", "-T", service, *command, capture=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def await_health(self, *services: str, seconds: float) -> float:
        """Wait until services are healthy; return how long it took."""

        def is_well() -> bool:
            return all((found := self.find(service)) and all(one.is_well for one in found) for service in services)

        return wait_until(f"health of {', '.join(services)}", is_well, seconds=seconds)


@pytest.fixture(scope="session")
def live(tmp_path_factory) -> Generator[Live]:
    """The whole stack on Docker, built and started as `make up` does, removed after the last test."""
    check_engine()
    live = Live(tmp_path_factory.mktemp("stack"))
    started = time.monotonic()
    try:
        done = live.make("up")
        assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        print(f"\nup, images built where they were not: {time.monotonic() - started:.0f} s")
        yield live
    finally:
        removed = live.make("clean", answer="remove\n")
    assert removed.returncode == 0, removed.stderr
    assert not run(["docker", "volume", "ls", "-q", "--filter", f"name=^{PROJECT}_"]).stdout.split()


@pytest.fixture(scope="session")
def api(live) -> Generator[AirflowApi]:
    """The administrator, logged in to Airflow."""
    api = AirflowApi(live.url("AIRFLOW_PORT"), "admin", live.secret("AIRFLOW_ADMIN_PASSWORD"))
    api.log_in()
    wait_until("the DAG", api.is_parsed, seconds=120)
    yield api
    api.close()


@pytest.fixture
def say(capsys):
    """Print a line that pytest does not swallow."""

    def say(line: str) -> None:
        with capsys.disabled():
            print(f"\n  {line}")

    return say
