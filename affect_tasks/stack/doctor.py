"""One screen about the stack: versions, health, devices, exposure, disk; on request memory and time."""

import json
import re
import shutil
import stat
from collections.abc import Iterable, Mapping, Sequence

from affect_tasks.stack.engine import COMPOSE_FILE, Container, Stack, check_engine, list_images, run

_UNITS = {"B": 1, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "KB": 10**3, "MB": 10**6, "GB": 10**9}
_LOOPBACKS = {"127.0.0.1", "::1"}


def show_stack(stack: Stack, *, timing: bool = False) -> None:
    """Print the screen."""
    containers = stack.list_containers()
    print(_title("Versions"), *_list_versions(stack), sep="\n")
    print(
        _title("Health"),
        *(_describe(one) for one in containers),
        *([] if containers else ["  nothing runs: make up"]),
        sep="\n",
    )
    print(_title("Devices"), *_list_devices(), sep="\n")
    print(_title("Exposure"), *list_exposure(containers), _describe_secret_file(stack), sep="\n")
    print(_title("Disk"), *_list_disk(stack), sep="\n")
    if timing:
        print(_title("Timing"), *_list_timing(stack, containers), sep="\n")


def list_exposure(containers: Iterable[Container]) -> list[str]:
    """Say of each published port whether others than this machine can reach it."""
    return [
        f"  {'ok  ' if address in _LOOPBACKS else 'OPEN'} {one.service:<22} {address}:{port}"
        for one in containers
        for address, port in one.published
    ]


def read_bytes(text: str) -> int:
    """Turn Docker's `1.5GiB` into bytes."""
    match = re.fullmatch(r"([\d.]+)\s*([kKMG]?i?B)", text.strip())
    return round(float(match[1]) * _UNITS[match[2].upper()]) if match else 0


def _list_versions(stack: Stack) -> list[str]:
    engine = check_engine()
    profiles: Sequence[str] = stack.values["COMPOSE_PROFILES"].split(",")
    images = list_images(stack.values, COMPOSE_FILE.read_text(encoding="utf-8"), profiles)
    inside = stack.compose(
        "exec", "-T", "airflow-api", "python", "-c",
        "from importlib.metadata import version as v; "
        "print('Airflow', v('apache-airflow'), '| affect-tasks', v('affect-tasks'))",
        capture=True,
    )  # fmt: skip
    lines = [f"Docker {engine['engine']}, compose {engine['compose']}", inside.stdout.strip() or "Airflow: not running"]
    return [f"  {line}" for line in (*lines, *images.values())]


def _describe(one: Container) -> str:
    state = "done" if one.state == "exited" and one.exit_code == 0 else one.health or one.state
    return f"  {'ok  ' if one.is_well else 'ILL '} {one.service:<22} {state}"


def _list_devices() -> list[str]:
    runtime = "Docker can hand out a GPU" if check_engine()["gpu"] else "no NVIDIA runtime in Docker"
    cards = run(["nvidia-smi", "-L"]).stdout.splitlines() if shutil.which("nvidia-smi") else []
    return [f"  {line}" for line in (runtime, *(cards or ["no card is seen on this machine"]))]


def _describe_secret_file(stack: Stack) -> str:
    mode = stat.S_IMODE(stack.secret_file.stat().st_mode)
    return f"  {'ok  ' if not mode & 0o077 else 'OPEN'} {stack.secret_file.name:<22} mode {mode:04o}"


def _list_disk(stack: Stack) -> list[str]:
    free = shutil.disk_usage(COMPOSE_FILE).free / 1e9
    found = run(["docker", "system", "df", "--verbose", "--format", "{{json .Volumes}}"])
    volumes: list[Mapping[str, str]] = json.loads(found.stdout or "[]") if found.returncode == 0 else []
    ours = [one for one in volumes if one["Name"].startswith(f"{stack.project}_")]
    sizes = [f"{one['Name'].removeprefix(f'{stack.project}_'):<14} {one['Size']:>9}" for one in ours]
    return [f"  {line}" for line in (*sizes, f"{'free':<14} {free:>7.0f}GB")]


def _list_timing(stack: Stack, containers: Sequence[Container]) -> list[str]:
    names = [one.name for one in containers if one.state == "running"]
    found = run(["docker", "stats", "--no-stream", "--format", "{{.Name}}\t{{.MemUsage}}", *names]) if names else None
    rows = [line.split("\t") for line in (found.stdout.splitlines() if found else [])]
    used = {name: read_bytes(usage.split("/")[0]) for name, usage in rows}
    note = stack.secret_file.with_name(".timing.json")
    seconds = json.loads(note.read_text(encoding="utf-8"))["healthy_seconds"] if note.exists() else "?"
    lines = [f"{name:<34} {count / 2**20:>6.0f} MiB" for name, count in sorted(used.items())]
    lines.append(f"{'all together':<34} {sum(used.values()) / 2**20:>6.0f} MiB")
    return [f"  {line}" for line in (*lines, f"healthy after {seconds} s at the last `make up`, images built")]


def _title(text: str) -> str:
    return f"\n{text}"
