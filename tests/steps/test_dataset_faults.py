"""A dataset in the store under kills, races, a full disk and flipped bits."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from affect_tasks import steps
from affect_tasks.errors import CorruptBlobError, StorageError
from affect_tasks.records import DatasetRecord, open_job

# The data steps, in forks of one process that has imported everything, so that a round takes a fraction of a second.
ROUNDS = """
import json, os, shutil, sys, threading
from pathlib import Path
from affect_tasks.settings import read_settings
settings = read_settings()
from affect_tasks import steps
from affect_tasks.records import CopiesRecord, DatasetRecord, load_record
from affect_tasks.storage import open_storage, read_blob
import affect_tasks.steps.copies, affect_tasks.steps.data

run, task = sys.argv[1:3]
store = settings.folder / "store"

def make_dataset():
    relabelled = steps.relabel(run, steps.ingest(run, settings=settings), settings=settings)
    divided = steps.split(run, relabelled, settings=settings)
    steps.draw_part(run, divided, 0, settings=settings)
    return steps.augment(run, divided, settings=settings)

def start(kill_at=None):
    pid = os.fork()
    if pid:
        return pid
    if kill_at is not None:
        flush, calls, lock = os.fsync, [0], threading.Lock()
        def count(descriptor):
            with lock:
                calls[0] += 1
                if calls[0] == kill_at:
                    os.kill(os.getpid(), 9)
            flush(descriptor)
        os.fsync = count
    status = 1
    try:
        make_dataset()
        status = 0
    finally:
        os._exit(status)

def wait(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def clear():
    for folder in ("steps", "blobs", f"{Path(run).parent}/steps"):
        shutil.rmtree(store / folder, ignore_errors=True)

def list_store():
    return {path.relative_to(store).as_posix(): path.read_bytes() for folder in ("steps", "blobs")
            for path in (store / folder).rglob("*") if path.is_file()}

def check_records():
    storage, whole = open_storage(settings), 0
    for path in (store / "steps").rglob("*.json"):
        if path.name.startswith(".aside"):
            continue
        kind = CopiesRecord if path.parent.name == "draw" else DatasetRecord
        for blob in load_record(storage, path.relative_to(store).as_posix(), kind).blobs:
            read_blob(storage, blob)
        whole += 1
    return whole

clear()
assert wait(start()) == 0
clean = list_store()
if task == "kill":
    killed = 0
    while True:
        clear()
        status = wait(start(kill_at=killed + 1))
        whole = check_records()
        if status == 0:
            break
        assert status == -9, status
        killed += 1
        assert wait(start()) == 0
        after = {key: data for key, data in list_store().items() if ".aside-" not in key}
        assert after == clean, sorted(set(after) ^ set(clean))
    print(json.dumps({"rounds": killed, "whole": whole}))
else:
    for _ in range(int(task)):
        clear()
        pids = [start(), start()]
        assert [wait(pid) for pid in pids] == [0, 0]
        assert list_store() == clean
    print(json.dumps({"rounds": int(task)}))
"""


@pytest.fixture
def run(settings, faces) -> str:
    return steps.check({"data": str(faces), "global_multiplier": 1.5}, name="test", settings=settings)


def run_rounds(run, task) -> dict:
    done = subprocess.run([sys.executable, "-c", ROUNDS, run, task], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def make_dataset(run, settings) -> tuple[str, DatasetRecord]:
    relabelled = steps.relabel(run, steps.ingest(run, settings=settings), settings=settings)
    key = steps.augment(run, steps.split(run, relabelled, settings=settings), settings=settings)
    return key, open_job(run, settings).load(key, DatasetRecord)


def list_blobs(settings) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (settings.folder / "store" / "blobs").rglob("*.*")}


@pytest.mark.integration
def test_a_kill_at_each_write_leaves_whole_records_and_a_retry_ends_byte_equal(run):
    done = run_rounds(run, "kill")
    assert done["rounds"] > 20
    assert done["whole"] == 5


@pytest.mark.integration
def test_two_equal_runs_at_once_make_one_dataset_version_and_both_succeed(run):
    assert run_rounds(run, "50")["rounds"] == 50


def test_a_flipped_bit_stops_what_reads_it_names_the_object_and_is_mended_as_told(run, settings):
    key, record = make_dataset(run, settings)
    ingested = open_job(run, settings).load(steps.ingest(run, settings=settings), DatasetRecord)
    before = list_blobs(settings)
    shard = ingested.shard_blobs[0]
    path = settings.folder / "store" / "blobs" / shard[:2] / shard
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(CorruptBlobError, match=shard):
        steps.measure_floor(run, key, settings=settings)
    with pytest.raises(CorruptBlobError, match=f"{shard}.*Delete that object and run again"):
        steps.train(run, key, "resnet18", settings=settings)
    path.unlink()
    assert make_dataset(run, settings) == (key, record)
    assert list_blobs(settings) == before


def test_a_full_disk_is_a_named_error_and_older_datasets_stay_as_they_are(
    run, settings, faces, small_disk, monkeypatch
):
    shutil.move(settings.folder / "store", small_disk / "store")
    (settings.folder / "store").symlink_to(small_disk / "store")
    make_dataset(run, settings)
    before = list_blobs(settings)
    ballast = small_disk / "ballast"
    free = shutil.disk_usage(small_disk).free
    ballast.write_bytes(b"x" * (free - 60_000))
    more = {"data": str(faces), "global_multiplier": 8.0}
    larger = steps.check(more, name="larger", settings=settings)
    with pytest.raises(StorageError, match="the disk is full"):
        make_dataset(larger, settings)
    assert {name: data for name, data in list_blobs(settings).items() if name in before} == before
    assert list((small_disk / "store").rglob(".aside-*")) == []
    ballast.unlink()
    assert make_dataset(larger, settings)[1].copies > 500


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_each_object_is_flushed_before_it_gets_its_name_and_its_folder_after_it(run, settings, tmp_path):
    script = (
        "import sys\nfrom affect_tasks.settings import read_settings\nsettings = read_settings()\n"
        "from affect_tasks import steps\nsteps.ingest(sys.argv[1], settings=settings)\n"
    )
    trace = tmp_path / "trace"
    command = ["strace", "-f", "-y", "-e", "trace=fsync,rename,link,linkat,renameat,renameat2", "-o", trace]
    traced = subprocess.run([*command, sys.executable, "-c", script, run], check=False, capture_output=True, text=True)
    if "ptrace" in traced.stderr:
        pytest.skip("processes may not be traced here")
    lines = trace.read_text().splitlines()
    named = 0
    for number, line in enumerate(lines):
        moved = re.search(r'(?:link|rename)\w*\(.*"(.*/\.aside-\w+)".*"(.*/store/.*)"', line)
        if moved:
            named += 1
            assert any(f"{moved[1]}>" in earlier and "fsync(" in earlier for earlier in lines[:number])
            folder = str(Path(moved[2]).parent)
            assert any(f"<{folder}>" in later and "fsync(" in later for later in lines[number:])
    assert named >= 4
