"""The embedded mode: Airflow and MLflow as child processes on this machine, everything under one folder."""

import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from affect_tasks.embedded_runs import DAG_ID, end_abandoned_runs, lock_demo
from affect_tasks.errors import ServiceError
from affect_tasks.params import RunParams, is_path
from affect_tasks.records import name_outcome
from affect_tasks.report import read_outcome
from affect_tasks.settings import Settings, read_process_environment
from affect_tasks.storage import open_storage

LOOPBACK = "127.0.0.1"
_LOGIN = "admin"
_START_SECONDS = 180
_STEP_LINE = re.compile(r"\S+ \[(info|warning|error) *\] (?P<text>.*?) *\[affect_tasks\.")
_RUN_LINE = re.compile(r"  check: .*; run (?P<name>\S+)")
_ERROR_LINE = re.compile(r"(affect_tasks\.errors\.\w+|\w+Error): (?P<text>.+)")


def run_demo(params: RunParams, *, settings: Settings) -> None:
    """Run the DAG once through Airflow in this terminal and print how it ended.

    Raises:
        ServiceError: Airflow cannot start, or the run failed; its messages stand above.
    """
    started = time.monotonic()
    environment = prepare_airflow(settings)
    home = settings.folder / "airflow"
    if params.data == "demo":
        print(f"Drawn faces: {settings.demo_folder}", flush=True)
    conf = {**params.model_dump(), "data": _make_absolute(params.data)}
    began = datetime.now(UTC)
    command = [_find_command("airflow"), "dags", "test", DAG_ID, "--conf", json.dumps(conf)]
    log = settings.folder / "logs" / f"{began:%Y%m%d-%H%M%S}.log"
    with lock_demo(home) as lock:
        if lock is None:
            raise ServiceError(
                f"One demo at a time may run in a home; another is running in {settings.folder}. Wait for its end, or "
                "set AFFECT_HOME to another folder."
            )
        end_abandoned_runs(home)
        status, name = _follow(command, environment, log, lock=lock)
    outcome = name_outcome(name)
    if status != 0 or not open_storage(settings).exists(outcome):
        raise ServiceError(
            f"The DAG must end with a registered model; the run failed (status {status}). Mend what the messages above "
            f"name and run it again: finished steps are kept. The whole log: {log}"
        )
    minutes, seconds = divmod(round(time.monotonic() - started), 60)
    print(f"\n{read_outcome(outcome, settings=settings)}")
    print(
        f"\nTook {minutes} min {seconds} s. Everything is in {settings.folder}\n\n"
        f"  See the runs      make ui   (Airflow on http://{LOOPBACK}:{settings.airflow_port}, "
        f"MLflow on http://{LOOPBACK}:{settings.mlflow_port})\n"
        f"  Ask the champion  .venv/bin/affect predict face.jpg\n"
        f"  Your own images   make demo DATA=folder   (one folder per class, with or without labels.csv)"
    )


def serve_uis(*, settings: Settings) -> None:
    """Serve both UIs until Ctrl-C or a service ends; then end every process started.

    Raises:
        ServiceError: A port is in use, or a service does not answer in time.
    """
    for port, variable in (
        (settings.airflow_port, "AFFECT_AIRFLOW_PORT"),
        (settings.mlflow_port, "AFFECT_MLFLOW_PORT"),
    ):
        check_port(port, variable=variable)
    environment = prepare_airflow(settings)
    home = settings.folder / "airflow"
    with lock_demo(home) as lock:
        if lock is not None:
            end_abandoned_runs(home)
    (settings.folder / "mlflow").mkdir(parents=True, exist_ok=True)
    logs = settings.folder / "logs"
    logs.mkdir(exist_ok=True)
    services = {
        "mlflow": [
            _find_command("mlflow"), "server", "--host", LOOPBACK, "--port", str(settings.mlflow_port),
            "--workers", "1", "--backend-store-uri", settings.mlflow_uri,
            "--default-artifact-root", settings.artifact_folder.as_uri(),
        ],
        "airflow": [_find_command("airflow"), "standalone"],
    }  # fmt: skip
    children: list[subprocess.Popen[bytes]] = []
    # A shell that starts it in the background lets it ignore Ctrl-C's signal.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        for name, command in services.items():
            with (logs / f"{name}.log").open("ab") as log:
                children.append(
                    subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)  # noqa: S603 - our own commands
                )
        print("Starting MLflow and Airflow; this takes up to a minute ...", flush=True)
        _await_answer(f"http://{LOOPBACK}:{settings.mlflow_port}/health", children, logs)
        _await_answer(f"http://{LOOPBACK}:{settings.airflow_port}/api/v2/monitor/health", children, logs)
        print(
            f"\n  Airflow  http://{LOOPBACK}:{settings.airflow_port}/dags/{DAG_ID}\n"
            f"           login {_LOGIN}, password {_read_password(settings)}\n"
            f"  MLflow   http://{LOOPBACK}:{settings.mlflow_port}\n\nCtrl-C ends both. Logs: {logs}",
            flush=True,
        )
        while all(child.poll() is None for child in children):
            time.sleep(0.5)
        raise ServiceError(f"Both services must stay up; one has ended. Read the logs in {logs}.")
    except KeyboardInterrupt:
        print("\nEnding both services ...", flush=True)
    finally:
        end_processes(children)


def prepare_airflow(settings: Settings) -> dict[str, str]:
    """Make Airflow's folder, database, pool and login where they are missing; return its environment."""
    home = settings.folder / "airflow"
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"The home must be writable; {home}: {error.strerror}. Mend its permissions or set AFFECT_HOME."
        raise ServiceError(msg) from error
    environment = {**read_process_environment(), **_describe_airflow(settings, home)}
    ready = home / ".ready"
    if not ready.exists():
        print("Preparing Airflow's database, once ...", flush=True)
        for arguments in (["db", "migrate"], ["pools", "set", "gpu", "1", "One training per card at a time"]):
            _run_quietly([_find_command("airflow"), *arguments], environment)
        ready.touch()
    return environment


def check_port(port: int, *, variable: str) -> None:
    """Raise ServiceError where another process listens on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            msg = f"The port must be free; {LOOPBACK}:{port} is in use. End that program or set {variable}."
            raise ServiceError(msg) from error


def end_processes(children: Sequence[subprocess.Popen[bytes]], *, patience_seconds: float = 15) -> None:
    """End each child's whole process group: TERM, and KILL for what is left when patience ends."""
    for number, seconds in ((signal.SIGTERM, patience_seconds), (signal.SIGKILL, 5)):
        for child in children:
            _signal_group(child, number)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and any(_group_lives(child) for child in children):
            time.sleep(0.2)


def _describe_airflow(settings: Settings, home: Path) -> dict[str, str]:
    passwords = home / "passwords.json"
    if not passwords.exists():
        _write_secret(passwords, json.dumps({_LOGIN: secrets.token_urlsafe(12)}))
    secret = home / "jwt-secret"
    if not secret.exists():
        _write_secret(secret, secrets.token_hex(64))
    return {
        # `airflow standalone` looks its own command up there.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), read_process_environment().get("PATH", "")]),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(Path(__file__).resolve().parent.parent / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{_LOGIN}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "AIRFLOW__API__HOST": LOOPBACK,
        "AIRFLOW__API__PORT": str(settings.airflow_port),
        "AIRFLOW__API__BASE_URL": f"http://{LOOPBACK}:{settings.airflow_port}",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://{LOOPBACK}:{settings.airflow_port}/execution/",
        "AIRFLOW__API_AUTH__JWT_SECRET": secret.read_text(),
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO",
        "AFFECT_HOME": str(settings.folder),
        "AFFECT_MLFLOW_PORT": str(settings.mlflow_port),
        # Its jobs, judges of language models, would be seven more processes.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }


def _write_secret(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)


def _read_password(settings: Settings) -> str:
    passwords: dict[str, str] = json.loads((settings.folder / "airflow" / "passwords.json").read_text())
    return passwords[_LOGIN]


def _make_absolute(data: str) -> str:
    return str(Path(data).expanduser().resolve()) if is_path(data) else data


def _find_command(name: str) -> str:
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if not found:
        raise ServiceError(f"The embedded mode needs the command `{name}`; it is not installed. Run `make setup`.")
    return found


def _follow(command: Sequence[str], environment: dict[str, str], log: Path, *, lock: int) -> tuple[int, str]:
    """Run a command, keep all it says in a file and show the lines that are for people.

    Returns:
        Its exit status and the name that Airflow gave the run, empty if it never began.
    """
    name = ""
    log.parent.mkdir(exist_ok=True)
    child = subprocess.Popen(  # noqa: S603 - our own command
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        pass_fds=(lock,),
    )
    with child, log.open("w") as file:
        for line in child.stdout or ():
            file.write(line)
            file.flush()
            shown = pick_line(line)
            if shown:
                print(shown, flush=True)
            run = _RUN_LINE.fullmatch(shown)
            name = run["name"] if run else name
    return child.returncode, name


def pick_line(line: str) -> str:
    """Return what a person needs of a line of Airflow's log: our own steps' words and errors, else nothing."""
    step = _STEP_LINE.match(line)
    if step:
        return f"  {step['text'].rstrip()}"
    error = _ERROR_LINE.match(line)
    return f"  error: {error['text']}" if error else ""


def _run_quietly(command: Sequence[str], environment: dict[str, str]) -> None:
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)  # noqa: S603 - our own command
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-5:])
        raise ServiceError(
            f"`{' '.join(map(str, command[:3]))}` must succeed; it ended with status {done.returncode}:\n{tail}"
        )


def _await_answer(url: str, children: Sequence[subprocess.Popen[bytes]], logs: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if any(child.poll() is not None for child in children):
            break
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - a loopback address of ours
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise ServiceError(f"Each service must answer within {_START_SECONDS} s; {url} does not. Read the logs in {logs}.")


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _signal_group(child: subprocess.Popen[bytes], number: int) -> None:
    try:
        os.killpg(child.pid, number)
    except ProcessLookupError:
        return


def _group_lives(child: subprocess.Popen[bytes]) -> bool:
    child.poll()
    try:
        os.killpg(child.pid, 0)
    except ProcessLookupError:
        return False
    return True
