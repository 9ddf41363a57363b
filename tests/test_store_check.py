"""On a store in this process; `make test-services` checks a real one."""

import pytest
from moto import mock_aws

from affect_tasks import store_check
from affect_tasks.cli import main
from affect_tasks.errors import SettingsError
from affect_tasks.settings import read_settings
from affect_tasks.storage import connect_s3
from affect_tasks.store_check import POINTS, check_store


@pytest.fixture
def store(monkeypatch):
    monkeypatch.setenv("AFFECT_STORAGE_URL", "s3://bucket/prefix")
    monkeypatch.setenv("AFFECT_S3_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AFFECT_S3_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        client = connect_s3(read_settings(), None, None)
        client.create_bucket(Bucket="bucket")
        yield client


@pytest.fixture
def careless(store, monkeypatch):
    """A store that does not honour conditions."""
    connect = store_check.connect_s3

    def connect_carelessly(*arguments):
        client = connect(*arguments)
        for operation in ("PutObject", "CompleteMultipartUpload"):
            client.meta.events.register(
                f"before-parameter-build.s3.{operation}", lambda params, **_: params.pop("IfNoneMatch", None) and None
            )
        return client

    monkeypatch.setattr(store_check, "connect_s3", connect_carelessly)


def test_the_check_leaves_nothing_behind(store):
    check_store(read_settings())
    assert "Contents" not in store.list_objects_v2(Bucket="bucket")


def test_a_store_without_conditions_is_told_with_the_remedy(careless, capsys):
    with pytest.raises(SystemExit, match="lacks 3"):
        main(["check-store"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(POINTS)
    lacking = [line for line in lines if line.startswith("LACKS")]
    assert [line.split(":")[0] for line in lacking] == [
        "LACKS  put if absent",
        "LACKS  put if absent, eight writers at once",
        "LACKS  uploads in parts if absent",
    ]
    assert all("use a store that honours" in line for line in lacking)


def test_a_folder_is_not_checked(settings):
    with pytest.raises(SettingsError, match="AFFECT_STORAGE_URL"):
        check_store(settings)
