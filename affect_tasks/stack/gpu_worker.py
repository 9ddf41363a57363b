"""Let this machine join a stack that runs elsewhere, as one more worker of the queue `gpu`."""

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from affect_tasks.errors import ServiceError, SettingsError
from affect_tasks.stack.engine import GPU_DEVICES_FILE, GPU_WORKER_FILE, Stack, check_engine
from affect_tasks.stack.lifecycle import OWN_STORE
from affect_tasks.stack.secret_file import WORKER_SECRETS, read_values

_PROJECT = "affect-gpu-worker"
_PORTS = {"AIRFLOW_PORT": 8080, "BROKER_PORT": 6379, "MLFLOW_PORT": 5000}
_CONNECT_SECONDS = 5


def start_gpu_worker(address: str, token: Path) -> None:
    """Check the token and that the stack answers, build the image, start the worker and wait until it is well.

    Args:
        address: Where the stack is reached from here; 127.0.0.1 at a tunnel's end.
        token: The stack's file `docker/worker.env`.

    Raises:
        SettingsError: The token is missing or lacks a secret.
        ServiceError: The stack cannot be reached, or the worker does not become healthy.
    """
    values = read_token(token)
    store = find_store(values, address)
    check_reachable(address, values, store)
    with_card = bool(check_engine()["gpu"])
    filled = {
        **values,
        "ADDRESS": address,
        "S3_ENDPOINT_URL": store,
        "STAGE": "gpu" if with_card else "worker",
        "WORKER_CPUS": str(os.cpu_count() or 1),
        "WORKER_NAME": socket.gethostname(),
    }
    files = (GPU_WORKER_FILE, GPU_DEVICES_FILE) if with_card else (GPU_WORKER_FILE,)
    worker = Stack(_PROJECT, token, filled, files)
    if not with_card:
        print("Docker here knows no NVIDIA runtime: this worker will train on the processor.")
    print("Building and starting the worker ...", flush=True)
    if worker.compose("up", "--build", "--detach", "--wait", "--wait-timeout", "300").returncode:
        worker.compose("logs", "--no-log-prefix", "--tail", "20")
        raise ServiceError("The worker must become healthy; its last lines stand above. Mend it and run it again.")
    print(
        f"{socket.gethostname()} serves the queue `gpu` of {address}. Raise the pool there, a slot for each worker: "
        f"GPU_WORKERS=… in docker/.env, then `make up`. To leave: docker compose -p {_PROJECT} down"
    )


def read_token(path: Path) -> dict[str, str]:
    """Read the token's secrets and ports."""
    if not path.is_file():
        raise SettingsError(f"The token must be the stack's docker/worker.env; {path} is no file. Copy it here.")
    values = read_values(path.read_text(encoding="utf-8"))
    missing = [name for name in WORKER_SECRETS if not values.get(name)]
    if missing:
        raise SettingsError(
            f"A token holds all of a worker's secrets; {path} lacks {', '.join(missing)}. Copy it anew."
        )
    return values


def find_store(values: Mapping[str, str], address: str) -> str:
    """Return the store's address as this machine sees it: the stack's own is reached where the stack is."""
    named = values.get("S3_ENDPOINT_URL") or OWN_STORE
    return f"http://{address}:{values.get('S3_PORT') or 9000}" if named == OWN_STORE else named


def check_reachable(address: str, values: Mapping[str, str], store: str) -> None:
    """Connect to each port that the worker needs.

    Raises:
        ServiceError: One does not answer.
    """
    places = {name: (address, int(values.get(name) or port)) for name, port in _PORTS.items()}
    parts = urlsplit(store)
    places["the store"] = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    closed = [f"{host}:{port} ({name})" for name, (host, port) in places.items() if not _answers(host, port)]
    if closed:
        raise ServiceError(
            f"A GPU worker must reach the stack; {', '.join(closed)} does not answer. The stack listens on its own "
            "127.0.0.1 alone: open a tunnel to it, as docs/operations.md shows, and give ADDRESS=127.0.0.1."
        )


def _answers(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=_CONNECT_SECONDS):
            return True
    except OSError:
        return False
