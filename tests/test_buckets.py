"""Images in S3: fetched in parallel, once, whole, and gone on with after a break."""

import io
import zipfile

import boto3
import pytest
from botocore.exceptions import ResponseStreamingError
from moto import mock_aws

from affect_tasks import buckets
from affect_tasks.buckets import fetch_objects, list_objects
from affect_tasks.data.scan import scan_folder
from affect_tasks.errors import DownloadError, InputError, NoImagesError
from affect_tasks.sources import open_source


@pytest.fixture
def client(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="bucket")
        yield client


@pytest.fixture
def asked(monkeypatch):
    """The keys that were fetched, in order of time."""
    keys = []
    fill = buckets._fill

    def note(file, item, client):
        keys.append(item.key)
        fill(file, item, client)

    monkeypatch.setattr(buckets, "_fill", note)
    return keys


def upload(client, folder, prefix):
    for file in (file for file in folder.rglob("*") if file.is_file()):
        key = f"{prefix}{file.relative_to(folder).as_posix()}"
        client.put_object(Bucket="bucket", Key=key, Body=file.read_bytes())


def read_tree(folder):
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize("prefix", ["", "faces/", "some/where/faces/"])
def test_a_prefix_of_images_is_their_folder(client, faces, settings, prefix):
    upload(client, faces, prefix)
    address = f"s3://bucket/{prefix}".rstrip("/")
    folder = open_source(address, settings=settings)
    assert read_tree(folder) == read_tree(faces)
    assert open_source(f"{address}/", settings=settings) == folder


def test_an_unchanged_prefix_is_fetched_once_and_a_changed_one_only_where_it_changed(client, faces, settings, asked):
    upload(client, faces, "faces/")
    client.put_object(Bucket="bucket", Key="faces/notes.txt", Body=b"no image")
    client.put_object(Bucket="bucket", Key="faces/train/", Body=b"")
    client.put_object(Bucket="bucket", Key="faces-of-others/train/sad/a.png", Body=b"other")
    first = open_source("s3://bucket/faces", settings=settings)
    assert len(asked) == 95
    assert open_source("s3://bucket/faces", settings=settings) == first
    assert len(asked) == 95
    client.put_object(Bucket="bucket", Key="faces/train/sad/sad_000.png", Body=b"changed")
    second = open_source("s3://bucket/faces", settings=settings)
    assert second != first
    assert asked[95:] == ["faces/train/sad/sad_000.png"]
    assert (second / "train" / "sad" / "sad_000.png").read_bytes() == b"changed"
    assert (first / "train" / "sad" / "sad_000.png").read_bytes() != b"changed"


@pytest.mark.parametrize("address", ["s3://bucket/faces.zip", "s3://bucket/place", "s3://bucket/place/faces.zip"])
def test_a_prefix_may_hold_one_archive_or_be_one(client, faces, settings, address):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for file in (file for file in faces.rglob("*") if file.is_file()):
            archive.write(file, f"outer/{file.relative_to(faces).as_posix()}")
    client.put_object(Bucket="bucket", Key="faces.zip", Body=packed.getvalue())
    client.put_object(Bucket="bucket", Key="place/faces.zip", Body=packed.getvalue())
    assert read_tree(open_source(address, settings=settings)) == read_tree(faces)


def test_a_connection_that_breaks_off_is_opened_again_where_it_broke(client, settings, tmp_path, monkeypatch):
    data = bytes(range(256)) * 40_000
    client.put_object(Bucket="bucket", Key="a.png", Body=data)
    monkeypatch.setattr(buckets, "_WAITS_SECONDS", (0, 0, 0))
    spans = []
    read = client.get_object

    def break_off(**options):
        spans.append(options.get("Range"))
        answer = read(**options)
        answer["Body"] = BrokenBody(answer["Body"], pieces=3 if len(spans) < 3 else 1000)
        return answer

    monkeypatch.setattr(client, "get_object", break_off)
    (item,) = list_objects("s3://bucket/a.png", client)
    (place,) = fetch_objects([item], client, tmp_path)
    assert place.read_bytes() == data
    assert spans == [None, f"bytes={3 << 20}-", f"bytes={6 << 20}-"]


class BrokenBody:
    """A body whose connection is reset after some pieces."""

    def __init__(self, body, pieces):
        self._body, self._pieces = body, pieces

    def iter_chunks(self, size):
        for number, piece in enumerate(self._body.iter_chunks(size)):
            if number == self._pieces:
                raise ResponseStreamingError(error="reset")
            yield piece


def test_a_killed_fetch_goes_on_where_it_was(client, tmp_path):
    data = bytes(1000)
    client.put_object(Bucket="bucket", Key="a.png", Body=data)
    (item,) = list_objects("s3://bucket", client)
    part = tmp_path / item.digest[:2] / f"{item.digest}.part"
    part.parent.mkdir()
    part.write_bytes(b"x" * 400)
    (place,) = fetch_objects([item], client, tmp_path)
    assert place.read_bytes() == b"x" * 400 + data[400:]
    assert [path.name for path in part.parent.iterdir()] == [item.digest]


def test_an_object_that_changes_while_it_is_fetched_is_an_error_and_no_import(client, faces, settings, monkeypatch):
    upload(client, faces, "faces/")
    listed = list_objects("s3://bucket/faces", client)
    client.put_object(Bucket="bucket", Key=listed[5].key, Body=b"changed")
    with pytest.raises(DownloadError, match="it changed while it was fetched"):
        list(fetch_objects(listed, client, settings.folder))
    monkeypatch.setattr("affect_tasks.sources.list_objects", lambda *_: listed)
    with pytest.raises(DownloadError, match="it changed while it was fetched"):
        open_source("s3://bucket/faces", settings=settings)
    assert [path.name for path in (settings.folder / "imports").iterdir()] == ["objects"]


@pytest.mark.parametrize("key", ["faces/../../x.png", "faces//etc/x.png", "faces/a\\b.png"])
def test_a_key_that_would_lead_out_is_refused_before_anything_is_fetched(client, faces, settings, asked, key):
    upload(client, faces, "faces/")
    client.put_object(Bucket="bucket", Key=key, Body=b"x")
    with pytest.raises(InputError, match="must be a relative name"):
        open_source("s3://bucket/faces", settings=settings)
    assert asked == []


def test_what_is_not_there_is_one_sentence_each(client, settings):
    with pytest.raises(DownloadError, match="NoSuchBucket"):
        open_source("s3://elsewhere/faces", settings=settings)
    with pytest.raises(NoImagesError, match="s3://bucket/nothing"):
        open_source("s3://bucket/nothing", settings=settings)


def test_two_archives_are_not_guessed_between(client, settings):
    for name in ("a.zip", "b.zip"):
        client.put_object(Bucket="bucket", Key=f"faces/{name}", Body=b"x")
    with pytest.raises(InputError, match=r"one archive.*2"):
        open_source("s3://bucket/faces", settings=settings)


def test_class_folders_in_a_bucket_are_found(client, faces, settings):
    upload(client, faces / "train", "Faces/")
    assert len(scan_folder(open_source("s3://bucket/Faces", settings=settings)).files) == 94
