"""Start, stop, kill and freeze a server with all that it started."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

LOOPBACK = "127.0.0.1"


@dataclass
class Server:
    """One server: its own session, so that everything it started can be found again, whatever its group."""

    name: str
    command: Sequence[str | Path]
    environment: Mapping[str, str]
    log: Path
    user: str | None = None
    _child: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                [str(word) for word in self.command],
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **describe_user(self.user),
            )

    @property
    def lives(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def list_pids(self) -> list[int]:
        """Return the ids of all live processes of its session; the tasks of a worker are in it."""
        return [pid for pid in psutil.pids() if self._child and _session_of(pid) == self._child.pid and _runs(pid)]

    def send(self, number: int, *, leader_only: bool = False) -> None:
        for pid in [self._child.pid] if leader_only and self._child else self.list_pids():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue

    def kill(self) -> None:
        """End it as a power cut would."""
        self.send(signal.SIGKILL)
        self._reap(seconds=10)

    def stop(self, *, patience_seconds: float = 20, number: int = signal.SIGTERM) -> None:
        """Ask it to end, then kill what is left."""
        if self._child is None:
            return
        self.send(signal.SIGCONT)
        self.send(number, leader_only=True)
        deadline = time.monotonic() + patience_seconds
        while self.list_pids() and time.monotonic() < deadline:
            time.sleep(0.1)
        self.kill()

    def _reap(self, *, seconds: float) -> None:
        if self._child:
            self._child.wait(timeout=seconds)


def describe_user(user: str | None) -> dict[str, object]:
    """Return Popen's options to run as another user; Postgres refuses to be root."""
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": [], "cwd": "/"} if user else {}


def find_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return probe.getsockname()[1]


def wait_until(what: str, probe: Callable[[], object], *, seconds: float, servers: Sequence[Server] = ()) -> float:
    """Wait until the probe says yes and return how long it took; a server that ends meanwhile ends the wait."""
    started = time.monotonic()
    while time.monotonic() < started + seconds:
        if probe():
            return time.monotonic() - started
        for server in servers:
            assert server.lives, f"{server.name} ended: {read_tail(server.log)}"
        time.sleep(0.3)
    tails = "\n".join(f"--- {server.name}: {read_tail(server.log)}" for server in servers)
    raise AssertionError(f"{what} took longer than {seconds:.0f} s\n{tails}")


def read_tail(log: Path, lines: int = 30) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def _session_of(pid: int) -> int:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return 0


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def own(folder: Path, user: str | None) -> None:
    if user:
        shutil.chown(folder, user)
