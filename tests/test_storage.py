import boto3
import pytest
from moto import mock_aws

from affect_tasks.errors import CorruptBlobError, MissingBlobError, StorageError
from affect_tasks.settings import Settings
from affect_tasks.storage import S3Storage, has_blob, open_storage, read_blob, write_blob


@pytest.fixture(params=["file", "s3"])
def storage(request, settings, monkeypatch):
    if request.param == "file":
        yield open_storage(settings)
        return
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="bucket")
        yield S3Storage("bucket", "some/prefix", client)


def test_the_first_writer_of_a_key_wins(storage):
    assert storage.write_new("a/b", b"first")
    assert not storage.write_new("a/b", b"second")
    assert storage.read("a/b") == b"first"


def test_replacing_leaves_the_new_content(storage):
    storage.write_new("a/b", b"old")
    storage.replace("a/b", b"new")
    assert storage.read("a/b") == b"new"


def test_a_missing_object_is_named(storage):
    assert not storage.exists("no/where")
    with pytest.raises(MissingBlobError, match="no/where"):
        storage.read("no/where")


def test_equal_bytes_are_one_blob(storage):
    name = write_blob(storage, b"face", suffix=".bin")
    assert write_blob(storage, b"face", suffix=".bin") == name
    assert has_blob(storage, name)
    assert read_blob(storage, name) == b"face"


def test_a_changed_byte_is_noticed_and_named(storage):
    name = write_blob(storage, b"face", suffix=".bin")
    storage.replace(f"blobs/{name[:2]}/{name}", b"fake")
    with pytest.raises(CorruptBlobError, match=name):
        read_blob(storage, name)


def test_an_unusable_folder_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="AFFECT_HOME"):
        open_storage(Settings(home=tmp_path / "file"))


def test_nothing_is_left_aside_when_writing_fails(settings, monkeypatch, tmp_path):
    storage = open_storage(settings)

    def fail(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(StorageError, match="disk is full"):
        storage.write_new("a", b"x" * 100)
    assert [path for path in settings.folder.rglob("*") if path.is_file()] == []
