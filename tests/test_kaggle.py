"""Kaggle by its own client, against a server of this machine that answers as Kaggle does, and against none."""

import io
import json
import socket
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from kagglesdk import kaggle_env

from affect_tasks import kaggle
from affect_tasks.data.scan import scan_folder
from affect_tasks.errors import DownloadError
from affect_tasks.sources import open_source

HANDLE = "kaggle:noamsegal/affectnet-training-data"


@pytest.fixture(autouse=True)
def _no_credentials(monkeypatch, tmp_path):
    for name in ("KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_API_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path))


@pytest.fixture
def point_to(monkeypatch):
    """Let Kaggle's client ask this address instead."""
    return lambda address: monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.PROD, address)


@pytest.fixture
def server(point_to, faces):
    """A Kaggle that knows one data set, with one outer folder, and counts what it is asked."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for file in (file for file in faces.rglob("*") if file.is_file()):
            archive.write(file, f"outer/{file.relative_to(faces).as_posix()}")

    class Kaggle(BaseHTTPRequestHandler):
        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            kaggle_server.asked.append(self.path.rpartition("/")[2])
            known = asked.get("datasetSlug") == "affectnet-training-data"
            download = self.path.endswith("DownloadDataset")
            body = packed.getvalue() if download else json.dumps({"currentVersionNumber": 3}).encode()
            self.send_response(200 if known else 403)
            self.send_header("Content-Type", "application/zip" if download else "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    kaggle_server = ThreadingHTTPServer(("127.0.0.1", 0), Kaggle)
    kaggle_server.asked = []
    thread = threading.Thread(target=kaggle_server.serve_forever)
    thread.start()
    point_to(f"http://127.0.0.1:{kaggle_server.server_port}")
    yield kaggle_server
    kaggle_server.shutdown()
    thread.join()
    kaggle_server.server_close()


def test_a_data_set_is_fetched_once(server, faces, settings, capfd):
    folder = open_source(HANDLE, settings=settings)
    assert [file.path for file in scan_folder(folder).files] == [file.path for file in scan_folder(faces).files]
    assert (folder / "labels.csv").is_file()
    assert open_source(HANDLE, settings=settings) == folder
    assert server.asked == ["GetDataset", "DownloadDataset"]
    assert capfd.readouterr().out == ""


def test_what_kaggle_does_not_hand_out_is_one_sentence_and_leaves_nothing(server, settings):
    with pytest.raises(DownloadError, match=r"kaggle:owner/secret: the server answered 403.*KAGGLE_USERNAME") as caught:
        open_source("kaggle:owner/secret", settings=settings)
    assert "\n" not in str(caught.value)
    assert not list((settings.folder / "imports").iterdir())


def test_without_network_it_is_one_sentence_at_once(point_to, settings):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        point_to(f"http://127.0.0.1:{free.getsockname()[1]}")
        began = time.monotonic()
        with pytest.raises(DownloadError, match=r"no connection.*KAGGLE_USERNAME and KAGGLE_KEY.*by hand") as caught:
            open_source(HANDLE, settings=settings)
    assert time.monotonic() - began < 5
    assert "\n" not in str(caught.value)
    assert not list((settings.folder / "imports").iterdir())


def test_a_server_that_never_answers_is_given_up(point_to, settings, monkeypatch):
    monkeypatch.setattr(kaggle, "_TIMEOUTS_SECONDS", (0.5, 0.5))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        point_to(f"http://127.0.0.1:{silent.getsockname()[1]}")
        began = time.monotonic()
        with pytest.raises(DownloadError, match="no answer in time"):
            open_source(HANDLE, settings=settings)
    assert time.monotonic() - began < 5


def test_credentials_that_cannot_be_read_are_one_sentence(point_to, settings, tmp_path):
    (tmp_path / "kaggle.json").write_text("{broken")
    with pytest.raises(DownloadError, match="Invalid Kaggle credentials file"):
        open_source(HANDLE, settings=settings)
