"""Docker and its compose command: what the stack asks of them, and what they say."""

import json
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from affect_tasks.errors import ServiceError

ROOT = Path(__file__).parents[2]
COMPOSE_FILE = ROOT / "docker" / "compose.yaml"
GPU_WORKER_FILE = ROOT / "docker" / "gpu-worker.yaml"
GPU_DEVICES_FILE = ROOT / "docker" / "gpu-devices.yaml"
_COMPOSE_LEAST = (2, 20)
_DEFAULT_IMAGE = re.compile(r"\$\{(\w+_IMAGE):-([^}]+)\}")


@dataclass(frozen=True)
class Container:
    """One container of the stack as compose lists it."""

    service: str
    name: str
    state: str
    health: str
    exit_code: int
    published: tuple[tuple[str, int], ...]

    @property
    def is_well(self) -> bool:
        """Whether it runs and is healthy, or did its one task."""
        if self.state == "exited":
            return self.exit_code == 0
        return self.state == "running" and self.health in {"", "healthy"}


@dataclass(frozen=True)
class Stack:
    """One stack of this machine: its compose file, its secrets and what else its file is filled with."""

    project: str
    secret_file: Path
    values: Mapping[str, str]
    compose_files: tuple[Path, ...] = (COMPOSE_FILE,)

    def compose(self, *arguments: str, capture: bool = False) -> subprocess.CompletedProcess[str]:
        """Run `docker compose` on this stack; its output is shown, or captured."""
        files = [part for file in self.compose_files for part in ("-f", str(file))]
        command = ["docker", "compose", "-p", self.project, *files, "--env-file", str(self.secret_file), *arguments]
        # Values of the file are given as the environment too, with what was worked out for this machine.
        return run(command, capture=capture, environment={**os.environ, **self.values})

    def list_containers(self) -> tuple[Container, ...]:
        """List the stack's containers, ended ones too."""
        done = self.compose("ps", "--all", "--format", "json", capture=True)
        return tuple(read_container(json.loads(line)) for line in done.stdout.splitlines() if line.startswith("{"))


def run(
    command: Sequence[str], *, capture: bool = True, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command of Docker's and return how it ended.

    Raises:
        ServiceError: Docker is not installed.
    """
    try:
        return subprocess.run(command, env=environment, check=False, capture_output=capture, text=True)  # noqa: S603 - Docker's own commands
    except FileNotFoundError as error:
        raise ServiceError("The stack needs Docker; the command `docker` is not installed. Install Docker.") from error


def read_container(entry: Mapping[str, object]) -> Container:
    """Turn one line of `docker compose ps --format json` into a container."""
    publishers = entry.get("Publishers") or []
    published = {
        (str(one["URL"]), int(one["PublishedPort"]))
        for one in (publishers if isinstance(publishers, list) else [])
        if one["PublishedPort"]
    }
    return Container(
        service=str(entry["Service"]),
        name=str(entry["Name"]),
        state=str(entry["State"]),
        health=str(entry.get("Health", "")),
        exit_code=int(str(entry.get("ExitCode", 0))),
        published=tuple(sorted(published)),
    )


def check_engine() -> dict[str, str]:
    """Return the engine's and compose's versions and whether containers can use a GPU.

    Raises:
        ServiceError: No engine answers, or compose is missing or too old.
    """
    engine = run(["docker", "info", "--format", "{{json .}}"])
    found = json.loads(engine.stdout) if engine.returncode == 0 and engine.stdout.startswith("{") else {}
    if not found.get("ServerVersion"):
        reason = " ".join((engine.stderr.strip() or str(found.get("ServerErrors", ""))).split())
        raise ServiceError(f"A Docker engine must answer; it says: {reason}. Start Docker, or join the group `docker`.")
    compose = run(["docker", "compose", "version", "--short"]).stdout.strip().lstrip("v")
    numbers = tuple(int(part) for part in re.findall(r"\d+", compose)[:2])
    if numbers < _COMPOSE_LEAST:
        raise ServiceError(
            f"Docker's compose plugin must be 2.20 or newer; found {compose or 'none'}. Install "
            "`docker-compose-plugin`."
        )
    gpu = "nvidia" in (found.get("Runtimes") or {})
    return {"engine": found["ServerVersion"], "compose": compose, "gpu": "yes" if gpu else ""}


def list_images(values: Mapping[str, str], compose_text: str, profiles: Sequence[str]) -> dict[str, str]:
    """Name the images that are not built here, by the variable that names each."""
    defaults = dict(_DEFAULT_IMAGE.findall(compose_text))
    images = {name: values.get(name) or default for name, default in defaults.items()}
    return {name: image for name, image in images.items() if name != "S3_IMAGE" or "s3" in profiles}


def ensure_images(images: Mapping[str, str]) -> None:
    """Pull the images that are not here yet.

    Raises:
        ServiceError: One is neither here nor can be pulled.
    """
    for name, image in images.items():
        if run(["docker", "image", "inspect", image]).returncode == 0:
            continue
        print(f"Pulling {image} ...", flush=True)
        done = run(["docker", "pull", "--quiet", image])
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise ServiceError(
                f"The image {image} must be here or be pulled; the registry says: {reason}. "
                f"Bring it by `docker load`, or name another in docker/.env: {name}=…"
            )
