"""Starting and ending the stack."""

import json
import os
import re
import shutil
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from affect_tasks.errors import ServiceError, SettingsError
from affect_tasks.stack.engine import COMPOSE_FILE, ROOT, Stack, check_engine, ensure_images, list_images, run
from affect_tasks.stack.secret_file import prepare_secrets, write_token

LOOPBACK = "127.0.0.1"
OWN_STORE = "http://s3:9000"
_PUBLISHED_PORT = re.compile(r"127\.0\.0\.1:\$\{(\w+):-(\d+)\}")
_S3_PORTS = ("S3_PORT", "S3_CONSOLE_PORT")
_WAIT_SECONDS = 900
_LEAST_DISK_GB = 10


def open_stack(project: str, secret_file: Path) -> Stack:
    """Describe the stack: the secrets of its file, and the profiles and limits that fit this machine.

    Raises:
        SettingsError: A secret is weak or readable by others.
    """
    # The environment wins over the file, as it does for compose itself.
    values = prepare_secrets(secret_file)
    values |= {name: os.environ[name] for name in os.environ if name in values or name in list_variables()}
    cores = os.cpu_count() or 1
    limits = {"SERVICE_CPUS": str(min(2, cores)), "WORKER_CPUS": str(cores)}
    return Stack(project, secret_file, {**limits, **values, "COMPOSE_PROFILES": ",".join(list_profiles(values))})


def check_data_has_secrets(project: str, secret_file: Path) -> None:
    """Refuse to draw new secrets where an earlier stack's data waits for its own.

    Raises:
        SettingsError: The file is gone and the data is not.
    """
    volumes = run(["docker", "volume", "ls", "--quiet", "--filter", f"name=^{project}_postgres$"]).stdout.split()
    if volumes and not secret_file.exists():
        raise SettingsError(
            f"The stack's data opens with the secrets it was made with; {secret_file} is gone. Bring it back from your "
            "back-up, or remove the data: make clean-stack"
        )


def list_variables() -> frozenset[str]:
    """List the variables that the compose file is filled with."""
    return frozenset(re.findall(r"(?<!\$)\$\{(\w+)", COMPOSE_FILE.read_text(encoding="utf-8")))


def list_profiles(values: Mapping[str, str], *, gpu: bool | None = None) -> list[str]:
    """Choose the compose profiles: our own store unless another is named, the queue `gpu` on a card or without."""
    store = ["s3"] if values.get("S3_ENDPOINT_URL", OWN_STORE) == OWN_STORE else []
    named = values.get("GPU", "")
    with_card = named == "yes" if named else bool(check_engine()["gpu"]) if gpu is None else gpu
    return [*store, "gpu" if with_card else "cpu"]


def list_ports(values: Mapping[str, str], profiles: Sequence[str]) -> dict[str, int]:
    """Name the ports that the compose file publishes, by the variable that sets each."""
    found = _PUBLISHED_PORT.findall(COMPOSE_FILE.read_text(encoding="utf-8"))
    ports = {name: int(values.get(name) or default) for name, default in found}
    return {name: port for name, port in ports.items() if name not in _S3_PORTS or "s3" in profiles}


def find_taken_ports(ports: Mapping[str, int]) -> dict[str, int]:
    """Return the ports on which something listens."""
    taken: dict[str, int] = {}
    for name, port in ports.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                taken[name] = port
    return taken


def start_stack(stack: Stack) -> None:
    """Check what starting needs, build, start, wait until all are healthy, and say what to do next.

    Raises:
        ServiceError: A port is taken, an image missing, or a service does not become healthy.
    """
    profiles = stack.values["COMPOSE_PROFILES"].split(",")
    ports = list_ports(stack.values, profiles)
    _check_ports(stack, ports)
    ensure_images(list_images(stack.values, COMPOSE_FILE.read_text(encoding="utf-8"), profiles))
    _prepare_folders(stack)
    print("Building the images; the first time takes some minutes ...", flush=True)
    if stack.compose("build", "--quiet").returncode:
        raise ServiceError("The images must be built; the lines above say what failed. Mend it and run it again.")
    print("Starting; this takes up to two minutes ...", flush=True)
    started = time.monotonic()
    done = stack.compose("up", "--detach", "--wait", "--wait-timeout", str(_WAIT_SECONDS), "--remove-orphans")
    if done.returncode:
        raise ServiceError(describe_failure(stack))
    seconds = round(time.monotonic() - started)
    write_token(stack.values, stack.secret_file.with_name("worker.env"))
    note_timing(stack, seconds)
    print(describe_stack(stack.values, ports, seconds=seconds, show_secrets=sys.stdout.isatty()))


def describe_failure(stack: Stack) -> str:
    """Say which services are not well, with the last line that each wrote."""
    # Those that were only created wait for another that is not well.
    ill = [one for one in stack.list_containers() if not one.is_well and one.state != "created"]
    for one in ill:
        stack.compose("logs", "--no-log-prefix", "--tail", "12", one.service)
    names = ", ".join(f"{one.service} ({one.health or one.state})" for one in ill) or "none that is known"
    return (
        f"Each service must become healthy; these did not: {names}. Their last lines stand above. "
        "Mend it and run `make up` again, or look closer: `make logs`, `make doctor`."
    )


def describe_stack(values: Mapping[str, str], ports: Mapping[str, int], *, seconds: int, show_secrets: bool) -> str:
    """Say where everything is, how to log in and what to do next."""
    name = values.get("ADMIN_NAME") or "admin"

    def login(secret: str) -> str:
        return f"login {name}, password {values[secret] if show_secrets else f'in docker/.env: {secret}'}"

    store = f"http://{LOOPBACK}:{ports['S3_CONSOLE_PORT']}" if "S3_CONSOLE_PORT" in ports else values["S3_ENDPOINT_URL"]
    return (
        f"\nHealthy after {seconds} s. Everything listens on {LOOPBACK} alone.\n\n"
        f"  Airflow  http://{LOOPBACK}:{ports['AIRFLOW_PORT']}/dags/train_affect\n"
        f"           {login('AIRFLOW_ADMIN_PASSWORD')}\n"
        f"  MLflow   http://{LOOPBACK}:{ports['MLFLOW_PORT']}\n"
        f"           {login('MLFLOW_ADMIN_PASSWORD')}\n"
        f"  Store    {store}\n\n"
        f"Next: open Airflow, press Trigger; `demo` draws faces; folders in {values.get('DATA_FOLDER') or 'data'}/\n"
        "are /data/<folder> in the form. `make doctor` looks at everything, `make down` ends it and keeps the data."
    )


def note_timing(stack: Stack, seconds: int) -> None:
    """Keep how long the start took, for `make doctor TIMING=1`."""
    stack.secret_file.with_name(".timing.json").write_text(json.dumps({"healthy_seconds": seconds}), encoding="utf-8")


def stop_stack(stack: Stack) -> None:
    """End every container; volumes stay."""
    if stack.compose("down", "--remove-orphans").returncode:
        raise ServiceError("The stack must end; the lines above say what did not. Run `make down` again.")


def clean_stack(stack: Stack, answer: str) -> None:
    """End the stack and remove its volumes, if the answer is the word asked for.

    Raises:
        ServiceError: The answer is another, or a volume could not be removed.
    """
    if answer.strip() != "remove":
        raise ServiceError("Data is removed only on the word `remove`; nothing was removed.")
    if stack.compose("down", "--remove-orphans", "--volumes").returncode:
        raise ServiceError("The stack's volumes must be removed; the lines above say which were not. Run it again.")
    print("Removed: the databases, the store, the broker's queue and the workers' folders. docker/.env stays.")


def _check_ports(stack: Stack, ports: Mapping[str, int]) -> None:
    ours = {port for one in stack.list_containers() for _, port in one.published}
    taken = find_taken_ports({name: port for name, port in ports.items() if port not in ours})
    if taken:
        listed = ", ".join(f"{port} ({name})" for name, port in taken.items())
        raise ServiceError(
            f"The stack's ports must be free; something listens on {listed}. End it, or choose others in docker/.env, "
            f"`{next(iter(taken))}={next(iter(taken.values())) + 10000}` say."
        )


def _prepare_folders(stack: Stack) -> None:
    # A container's user reads it, whatever the umask of the checkout was.
    COMPOSE_FILE.with_name("database-init.sh").chmod(0o755)
    # Docker would make it itself, as root.
    folder = COMPOSE_FILE.parent / (stack.values.get("DATA_FOLDER") or ROOT / "data")
    folder.mkdir(parents=True, exist_ok=True)
    free_gb = shutil.disk_usage(folder).free / 1e9
    if free_gb < _LEAST_DISK_GB:
        print(f"Only {free_gb:.0f} GB of disk are free; the images alone need 5, with CUDA 10.")
