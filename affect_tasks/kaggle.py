"""The only door to Kaggle: fetch a data set by `kagglehub`, in bounded time, or say in one sentence why not."""

import logging
import zipfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from affect_tasks.errors import DownloadError

# To connect, and between two pieces of an answer.
_TIMEOUTS_SECONDS = (10.0, 60.0)


def fetch_dataset(handle: str, folder: Path) -> None:
    """Fetch the files of a data set into an empty folder.

    Args:
        handle: `owner/dataset` or `owner/dataset/versions/3`.
        folder: Filled; holds a part of the files after an error.

    Raises:
        DownloadError: Kaggle cannot be reached, or does not hand the data set out.
    """
    import kagglehub
    from kagglehub import exceptions

    # It writes its lines to the standard output, where ours are for programs.
    logging.getLogger("kagglehub").handlers.clear()
    faults = (
        *(OSError, ValueError, LookupError, zipfile.BadZipFile),
        *(exceptions.CredentialError, exceptions.UnauthenticatedError, exceptions.BackendError),
        *(exceptions.NotFoundError, exceptions.DataCorruptionError),
    )
    try:
        with _bounded_requests():
            kagglehub.dataset_download(handle, output_dir=str(folder), force_download=True)
    except faults as error:
        msg = (
            f"A Kaggle data set must be there for this machine and its key; kaggle:{handle}: {_describe(error)}. Set "
            "KAGGLE_USERNAME and KAGGLE_KEY and check the network, or fetch it by hand and give its zip or folder."
        )
        raise DownloadError(msg) from error


@contextmanager
def _bounded_requests() -> Generator[None]:
    """Give every request a time limit: Kaggle's client sets none, and a silent network would hold it for ever."""
    import requests

    send = requests.Session.send

    def send_bounded(self: requests.Session, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        return send(self, request, **{"timeout": _TIMEOUTS_SECONDS, **kwargs})

    requests.Session.send = send_bounded
    try:
        yield
    finally:
        requests.Session.send = send


def _describe(error: BaseException) -> str:
    """Return the reason at the bottom of a chain of wrapped errors, as one line."""
    import requests

    if isinstance(error, requests.ConnectionError):
        return "no connection"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    response = getattr(error, "response", None)
    if response is not None:
        return f"the server answered {response.status_code} {response.reason}"
    return " ".join(str(getattr(error, "strerror", None) or error or type(error).__name__).split())[:300]
