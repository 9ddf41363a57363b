"""The only door to object storage: plain files for `file://`, boto3 for `s3://`, put-if-absent on both.

Two kinds of objects live there. A **blob** is named by the sha256 of its bytes, so equal content is stored
once and a changed byte is noticed on reading. A **record** is a small JSON file under a step's key that
names blobs; writing it is what publishes a step, so a reader sees the whole of a step or nothing.
"""

import errno
import hashlib
import os
import random
import time
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from affect_tasks.errors import CorruptBlobError, MissingBlobError, StorageError
from affect_tasks.settings import Settings

# Between the tries of a body that breaks off; requests are tried again by the client itself.
_PAUSES_SECONDS = (0.2, 1.0, 4.0)


class Storage(Protocol):
    """What the steps need of object storage. Keys are relative, with forward slashes."""

    url: str

    def write_new(self, key: str, data: bytes) -> bool:
        """Write the object unless the key is taken; tell whether it was written."""
        ...

    def replace(self, key: str, data: bytes) -> None:
        """Write the object whole, over any that is there."""
        ...

    def read(self, key: str) -> bytes:
        """Return the object's bytes. Raises MissingBlobError."""
        ...

    def exists(self, key: str) -> bool:
        """Tell whether the key is taken."""
        ...


class FileStorage:
    """Objects as files: written aside, flushed to the disk, then linked to their name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.url = folder.as_uri()

    def write_new(self, key: str, data: bytes) -> bool:
        """See Storage."""
        path = self._folder / key
        if path.exists():
            return False
        with _name_faults(f"{path}"), self._write_aside(path, data) as aside:
            try:
                path.hardlink_to(aside)
            except FileExistsError:
                return False
            sync_folder(path.parent)
        return True

    def replace(self, key: str, data: bytes) -> None:
        """See Storage."""
        path = self._folder / key
        with _name_faults(f"{path}"), self._write_aside(path, data) as aside:
            aside.replace(path)
            sync_folder(path.parent)

    def read(self, key: str) -> bytes:
        """See Storage."""
        path = self._folder / key
        try:
            with _name_faults(f"{path}"):
                return path.read_bytes()
        except FileNotFoundError as error:
            raise _missing(f"{self.url}/{key}") from error

    def exists(self, key: str) -> bool:
        """See Storage."""
        return (self._folder / key).is_file()

    @contextmanager
    def _write_aside(self, path: Path, data: bytes) -> Generator[Path]:
        _make_folder(path.parent)
        aside = path.with_name(f".aside-{uuid.uuid4().hex}")
        try:
            with aside.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            yield aside
        finally:
            aside.unlink(missing_ok=True)


class S3Storage:
    """Objects in a bucket; put-if-absent is S3's `If-None-Match: *`."""

    def __init__(self, bucket: str, prefix: str, client: Any) -> None:
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._client = client
        self.url = f"s3://{bucket}/{self._prefix}".rstrip("/")

    def write_new(self, key: str, data: bytes) -> bool:
        """See Storage."""
        if self.exists(key):
            return False
        return self._put(key, data, IfNoneMatch="*")

    def replace(self, key: str, data: bytes) -> None:
        """See Storage."""
        self._put(key, data)

    def read(self, key: str) -> bytes:
        """See Storage."""
        for pause in _PAUSES_SECONDS:
            try:
                return self._read_once(key)
            except StorageError as error:
                if not _is_broken_body(error.__cause__):
                    raise
            time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - spreads the tries of many workers
        return self._read_once(key)

    def exists(self, key: str) -> bool:
        """See Storage."""
        try:
            with name_s3_faults(f"{self.url}/{key}"):
                self._client.head_object(Bucket=self._bucket, Key=self._prefix + key)
        except MissingBlobError:
            return False
        return True

    def _put(self, key: str, data: bytes, **condition: str) -> bool:
        from botocore.exceptions import ClientError

        try:
            with name_s3_faults(f"{self.url}/{key}"):
                self._client.put_object(Bucket=self._bucket, Key=self._prefix + key, Body=data, **condition)
        except StorageError as error:
            cause = error.__cause__
            if isinstance(cause, ClientError) and _status(cause) in {409, 412}:
                return False
            raise
        return True

    def _read_once(self, key: str) -> bytes:
        with name_s3_faults(f"{self.url}/{key}"):
            return self._client.get_object(Bucket=self._bucket, Key=self._prefix + key)["Body"].read()


def open_storage(settings: Settings) -> Storage:
    """Open the store that the settings name.

    Raises:
        StorageError: The folder cannot be made or written.
    """
    parts = urlsplit(settings.store_url)
    if parts.scheme == "s3":
        return S3Storage(
            parts.netloc, parts.path, connect_s3(settings, settings.s3_access_key_id, settings.s3_secret_access_key)
        )
    folder = Path(unquote(parts.path))
    with _name_faults(f"{folder}"):
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise _unusable(f"{folder}", "it may not be written by this user")
    return FileStorage(folder)


def write_blob(storage: Storage, data: bytes, *, suffix: str) -> str:
    """Store bytes under their own digest.

    Returns:
        The blob's name: 64 hexadecimal digits and the suffix, `ab12….parquet` say.
    """
    name = f"{hashlib.sha256(data).hexdigest()}{suffix}"
    storage.write_new(_blob_key(name), data)
    return name


def read_blob(storage: Storage, name: str) -> bytes:
    """Return a blob's bytes, checked against its name.

    Raises:
        MissingBlobError: There is no such blob.
        CorruptBlobError: The bytes are not those that were written.
    """
    data = storage.read(_blob_key(name))
    if hashlib.sha256(data).hexdigest() != name.split(".", 1)[0]:
        msg = (
            f"A stored object's bytes must match the digest in its name; {storage.url}/{_blob_key(name)} "
            "does not. Delete that object and run again: the step that made it makes it anew."
        )
        raise CorruptBlobError(msg)
    return data


def has_blob(storage: Storage, name: str) -> bool:
    """Tell whether a blob is there, without reading it."""
    return storage.exists(_blob_key(name))


def _make_folder(folder: Path) -> None:
    """Make a folder and its parents where they are missing, each flushed into the one above it."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to the disk, so that a new name survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def connect_s3(settings: Settings, key_id: SecretStr | None, secret: SecretStr | None) -> Any:
    """Make a client of the store with one of its keys; without one, boto3's own chain of credentials."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        "s3",
        endpoint_url=settings.s3_endpoint_url,
        region_name=settings.s3_region,
        aws_access_key_id=key_id.get_secret_value() if key_id else None,
        aws_secret_access_key=secret.get_secret_value() if secret else None,
        config=Config(connect_timeout=10, read_timeout=60, retries={"mode": "standard", "max_attempts": 10}),
    )


def _blob_key(name: str) -> str:
    return f"blobs/{name[:2]}/{name}"


def _status(error: Any) -> int:
    return int(error.response["ResponseMetadata"]["HTTPStatusCode"])


@contextmanager
def name_s3_faults(place: str) -> Generator[None]:
    """Turn what the S3 client raises into StorageError, or MissingBlobError where an object is not there."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        if _status(error) == 404 and error.response["Error"]["Code"] != "NoSuchBucket":
            raise _missing(place) from error
        raise _refused(place, error) from error
    except BotoCoreError as error:
        raise _refused(place, error) from error


def _is_broken_body(error: BaseException | None) -> bool:
    from botocore.exceptions import FlexibleChecksumError, HTTPClientError, IncompleteReadError

    return isinstance(error, FlexibleChecksumError | HTTPClientError | IncompleteReadError)


@contextmanager
def _name_faults(place: str) -> Generator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        reason = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or str(error)
        raise _unusable(place, reason) from error


def _unusable(place: str, reason: str) -> StorageError:
    return StorageError(
        f"The store must be readable and writable; {place}: {reason}. "
        "Free space, mend the permissions or set AFFECT_STORAGE_URL (AFFECT_HOME for everything), then run again."
    )


def _refused(place: str, error: Exception) -> StorageError:
    return StorageError(
        f"The store must answer and allow it; {place}: {str(error).rstrip('.')}. Check that the store is up, "
        "AFFECT_S3_ENDPOINT_URL, and what the key of AFFECT_S3_ACCESS_KEY_ID may do; then run again."
    )


def _missing(place: str) -> MissingBlobError:
    return MissingBlobError(
        f"Every object that a record names must be in the store; {place} is missing. Run the steps again."
    )
