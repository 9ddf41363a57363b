import os
import signal
import socket
import stat
import subprocess
import time
from contextlib import suppress

import pytest

from affect_tasks.embedded import LOOPBACK, check_port, end_processes, pick_line, prepare_airflow
from affect_tasks.errors import ServiceError
from affect_tasks.settings import Settings


@pytest.fixture
def start_group():
    """Start a shell in a process group of its own, ready when it says so; whatever a test leaves of it is killed."""
    children: list[subprocess.Popen[bytes]] = []

    def start(script: str) -> subprocess.Popen[bytes]:
        child = subprocess.Popen(["/bin/sh", "-c", script], stdout=subprocess.PIPE, start_new_session=True)
        children.append(child)
        assert child.stdout.readline() == b"ready\n"
        return child

    yield start
    for child in children:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.communicate()


@pytest.mark.timeout(60)
def test_a_whole_group_ends_though_a_grandchild_ignores_the_gentle_signal(start_group):
    child = start_group("(trap '' TERM; echo ready; while :; do sleep 0.1; done) & sleep 60")
    started = time.monotonic()
    end_processes([child], patience_seconds=0.5)
    # The pipe ends when the last process that holds it, the grandchild, is dead.
    assert child.stdout.read() == b""
    assert child.wait() != 0
    assert time.monotonic() - started < 10


@pytest.mark.timeout(60)
def test_a_process_that_listens_may_say_goodbye(start_group):
    child = start_group("trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.05; done")
    end_processes([child])
    assert child.stdout.read() == b"bye\n"
    assert child.wait() == 0


def test_ending_what_has_ended_is_harmless():
    child = subprocess.Popen(["/bin/sh", "-c", "exit 0"], start_new_session=True)
    child.wait()
    end_processes([child])


def test_a_port_in_use_is_named_with_the_setting_that_changes_it():
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ServiceError, match=rf"{port} is in use.*AFFECT_AIRFLOW_PORT"):
            check_port(port, variable="AFFECT_AIRFLOW_PORT")
    check_port(port, variable="AFFECT_AIRFLOW_PORT")


def test_password_and_signing_key_are_for_their_owner_alone_and_stay(settings):
    home = settings.folder / "airflow"
    home.mkdir(parents=True)
    # As left by an earlier run, so that no database is made here.
    (home / ".ready").touch()
    first = prepare_airflow(settings)
    secrets = [home / "passwords.json", home / "jwt-secret"]
    assert [stat.S_IMODE(path.stat().st_mode) for path in secrets] == [0o600, 0o600]
    assert len(first["AIRFLOW__API_AUTH__JWT_SECRET"]) >= 64
    assert prepare_airflow(settings) == first


def test_the_servers_listen_on_this_machine_alone(settings):
    (settings.folder / "airflow").mkdir(parents=True)
    (settings.folder / "airflow" / ".ready").touch()
    environment = prepare_airflow(settings)
    assert environment["AIRFLOW__API__HOST"] == LOOPBACK == "127.0.0.1"


def test_a_home_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ServiceError, match="AFFECT_HOME"):
        prepare_airflow(Settings(home=tmp_path / "file"))


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (
            "2026-01-01T00:00:00Z [info     ] split: done  [affect_tasks.records] loc=records.py:1\n",
            "  split: done",
        ),
        ("affect_tasks.errors.NoImagesError: There must be images\n", "  error: There must be images"),
        ("2026-01-01T00:00:00Z [info     ] Task started [airflow.api] x=1\n", ""),
    ],
)
def test_the_demo_shows_the_lines_that_are_for_people(line, shown):
    assert pick_line(line) == shown
