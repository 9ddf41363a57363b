"""Find the servers that the tests start; as a command, install those that are missing where this may be done."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

MINIO_MODULE = "github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c"
_PACKAGES = {"redis-server": "redis-server", "postgres": "postgresql"}


def find_program(name: str) -> Path | None:
    """Return where a server lies: on PATH, in Debian's folders, or where `install_missing` puts MinIO."""
    kept = [cache_folder(), *sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_read_version, reverse=True)]
    places = os.pathsep.join([*map(str, kept), os.environ.get("PATH", "")])  # noqa: TID251 - PATH is no setting
    found = shutil.which(name, path=places)
    return Path(found) if found else None


def cache_folder() -> Path:
    return Path.home() / ".cache" / "affect-tasks"


def list_missing() -> dict[str, str]:
    """Return each server that is not there, with what to install."""
    wanted = {
        "redis-server": "Redis's server: `apt install redis-server` on Debian and Ubuntu",
        "postgres": "Postgres 15 or later: `apt install postgresql` on Debian and Ubuntu",
        "minio": "MinIO: put a `minio` on PATH, or install Go 1.24 or later, with which it is built",
    }
    return {name: remedy for name, remedy in wanted.items() if find_program(name) is None}


def install_missing() -> None:
    packages = [_PACKAGES[name] for name in list_missing() if name in _PACKAGES]
    if packages and os.geteuid() == 0 and shutil.which("apt-get"):
        print(f"Installing {' and '.join(packages)} ...", flush=True)
        install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300"]
        if _run([*install, *packages], fails="may") != 0:
            _run(["apt-get", "update", "-q"])
            _run([*install, *packages])
    if "minio" in list_missing() and shutil.which("go"):
        print("Building MinIO, once; this takes some minutes ...", flush=True)
        options = ["-trimpath", "-ldflags=-s -w"]
        _run(["go", "install", *options, MINIO_MODULE], GOBIN=str(cache_folder()), CGO_ENABLED="0")


def _run(command: list[str], *, fails: str = "never", **environment: str) -> int:
    inherited = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}  # noqa: TID251 - a child's environment
    done = subprocess.run(
        command, check=False, env={**inherited, **environment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.returncode != 0 and fails == "never":
        sys.exit(f"`{' '.join(command)}` must succeed; it says:\n{done.stdout.decode(errors='replace')[-2000:]}")
    return done.returncode


def _read_version(folder: Path) -> float:
    return float(folder.parent.name)


if __name__ == "__main__":
    install_missing()
    left = list_missing()
    if left:
        sys.exit("The services need programs that are not here. Install " + "; ".join(left.values()) + ". Then again.")
