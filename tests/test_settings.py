import pytest

from affect_tasks.errors import SettingsError
from affect_tasks.settings import read_settings


def test_an_unknown_setting_is_refused(monkeypatch):
    monkeypatch.setenv("AFFECT_STORE", "x")
    with pytest.raises(SettingsError, match="AFFECT_STORE is no setting"):
        read_settings()


def test_a_storage_address_of_another_kind_is_refused(monkeypatch):
    monkeypatch.setenv("AFFECT_STORAGE_URL", "ftp://somewhere")
    with pytest.raises(SettingsError, match="AFFECT_STORAGE_URL"):
        read_settings()


def test_secrets_do_not_show_when_printed(monkeypatch):
    monkeypatch.setenv("AFFECT_S3_SECRET_ACCESS_KEY", "hush-hush")
    assert "hush-hush" not in repr(read_settings())


def test_everything_embedded_lies_in_the_home(settings):
    home = str(settings.folder)
    assert all(home in place for place in (settings.store_url, settings.mlflow_uri, str(settings.cache_folder)))
