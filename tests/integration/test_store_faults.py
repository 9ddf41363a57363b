"""A store that is slow, refuses, breaks off or lies, by a proxy before a real one."""

import time
from concurrent.futures import ThreadPoolExecutor

import boto3
import pytest
from local_stack.proxy import Proxy

from affect_tasks import steps
from affect_tasks.errors import CorruptBlobError, StorageError
from affect_tasks.settings import read_settings
from affect_tasks.storage import open_storage, read_blob, write_blob

FACE = b"a face" * 50_000


@pytest.fixture
def proxy(stack):
    with Proxy(stack.ports["s3"]) as proxy:
        yield proxy


@pytest.fixture
def settings(stack, stack_settings, proxy, monkeypatch):
    """As on a worker, but through the proxy, with a part of the store and an MLflow of this test's own."""
    monkeypatch.setenv("AFFECT_S3_ENDPOINT_URL", proxy.url)
    monkeypatch.setenv("AFFECT_STORAGE_URL", f"{stack_settings.storage_url}/{time.monotonic_ns()}")
    monkeypatch.delenv("AFFECT_TRACKING_URI")
    return read_settings()


@pytest.fixture
def storage(settings):
    return open_storage(settings)


@pytest.fixture
def list_keys(stack, settings):
    """List what lies in this test's part of the store, past the proxy."""

    def list_keys() -> set[str]:
        keys = {"aws_access_key_id": "pipeline-key", "aws_secret_access_key": stack.secrets["s3-pipeline"]}
        client = boto3.client("s3", endpoint_url=stack.url("s3"), region_name="us-east-1", **keys)
        bucket, _, prefix = settings.storage_url.removeprefix("s3://").partition("/")
        found = client.list_objects_v2(Bucket=bucket, Prefix=f"{prefix}/").get("Contents", ())
        return {entry["Key"].removeprefix(f"{prefix}/") for entry in found}

    return list_keys


def test_r12_five_refusals_in_a_row_are_waited_out(storage, proxy, say):
    proxy.faults.refuse = 5
    started = time.monotonic()
    name = write_blob(storage, FACE, suffix=".bin")
    assert read_blob(storage, name) == FACE
    assert proxy.faults.refuse == 0
    say(f"R12 five times 503, then stored and read after {time.monotonic() - started:.0f} s")


def test_r13_a_slow_store_is_slow_but_right(storage, proxy, say):
    name = write_blob(storage, FACE, suffix=".bin")
    proxy.faults.latency_seconds = 30
    started = time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: read_blob(storage, name), range(4))) == {FACE}
    seconds = time.monotonic() - started
    assert 30 <= seconds < 60
    say(f"R13 30 s of latency: four reads at once in {seconds:.0f} s")


def test_r13_an_answer_that_breaks_off_is_asked_for_again(storage, proxy, say):
    name = write_blob(storage, FACE, suffix=".bin")
    proxy.faults.cut_answers = 3
    assert read_blob(storage, name) == FACE
    proxy.faults.cut_answers = 1_000
    started = time.monotonic()
    with pytest.raises(StorageError, match="must answer"):
        read_blob(storage, name)
    seconds = time.monotonic() - started
    assert seconds < 60
    say(f"R13 answers cut at half a body: read at the fourth try; given up after {seconds:.0f} s if it never ends")


def test_r13_a_wrong_etag_changes_nothing(storage, proxy):
    proxy.faults.edit_head = lambda head: head.replace(b"ETag: ", b'ETag: "0000"\r\nX-Was: ')
    name = write_blob(storage, FACE, suffix=".bin")
    assert read_blob(storage, name) == FACE


def test_r13_wrong_bytes_are_never_taken(storage, proxy, say):
    name = write_blob(storage, FACE, suffix=".bin")
    proxy.faults.edit_body = lambda body: body.replace(b"a face", b"a fake", 1)
    with pytest.raises((StorageError, CorruptBlobError)):
        read_blob(storage, name)
    say("R13 a changed byte on the way: refused")


def test_r13_a_step_whose_uploads_break_off_publishes_nothing(settings, proxy, tiles, list_keys, say):
    run = steps.check({"data": str(tiles)}, name="cut", settings=settings)
    proxy.faults.cut_uploads = 1_000
    started = time.monotonic()
    with pytest.raises(StorageError, match="must answer"):
        steps.ingest(run, settings=settings)
    seconds = time.monotonic() - started
    assert seconds < 150
    assert not {key for key in list_keys() if key.startswith(("steps/", "blobs/"))}
    proxy.faults.cut_uploads = 0
    key = steps.ingest(run, settings=settings)
    assert key in list_keys()
    say(f"R13 uploads cut at half a body: given up after {seconds:.0f} s, nothing listed; whole when tried again")
