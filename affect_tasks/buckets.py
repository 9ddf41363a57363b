"""Images that lie in S3: list what an address holds, and fetch it once.

A fetched object is kept under the digest of its bucket, key, ETag and size, so what has not changed is not fetched
again. It is fetched into a file beside, which a killed fetch leaves behind and the next one goes on with.
"""

import errno
import fcntl
import hashlib
import json
import logging
import os
import time
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from affect_tasks.errors import DownloadError

log = logging.getLogger(__name__)

# boto3 keeps ten connections to a host.
_THREADS = 10
_PIECE = 1 << 20
_WAITS_SECONDS = (1, 2, 4, 8)


@dataclass(frozen=True, slots=True)
class BucketObject:
    """An object of a bucket as it was when it was listed; `path` is its key below the address."""

    bucket: str
    key: str
    path: str
    etag: str
    size: int

    @property
    def digest(self) -> str:
        """64 hexadecimal digits that change with the content."""
        return hashlib.sha256(json.dumps([self.bucket, self.key, self.etag, self.size]).encode()).hexdigest()


def list_objects(address: str, client: Any) -> tuple[BucketObject, ...]:
    """List the object that an address names, or those below it, sorted by key.

    Args:
        address: `s3://bucket`, `s3://bucket/prefix` or `s3://bucket/key`.
        client: Connected to S3.

    Raises:
        DownloadError: The bucket cannot be listed.
    """
    parts = urlsplit(address, allow_fragments=False)
    bucket, prefix = parts.netloc, parts.path.strip("/")
    with _name_faults(address):
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return tuple(
            BucketObject(bucket, item["Key"], path, item["ETag"], item["Size"])
            for page in pages
            for item in page.get("Contents", ())
            if (path := _find_path(item["Key"], prefix)) and not path.endswith("/")
        )


def fetch_objects(objects: Sequence[BucketObject], client: Any, folder: Path) -> Iterator[Path]:
    """Fetch objects in parallel into a folder, each under its digest; what is there is not fetched again.

    Returns:
        The files, in the order of the objects.

    Raises:
        DownloadError: An object cannot be fetched whole. What was fetched stays.
    """

    def fetch(item: BucketObject) -> Path:
        return _fetch(item, client, folder)

    with ThreadPoolExecutor(_THREADS) as threads:
        # Bounded: the pool keeps a promise for every object it is given.
        for begin in range(0, len(objects), 1000):
            yield from threads.map(fetch, objects[begin : begin + 1000])


def _find_path(key: str, prefix: str) -> str:
    """Return what follows the prefix in a key; empty where the prefix ends within a name."""
    if key == prefix:
        return key.rpartition("/")[2]
    return key.removeprefix(f"{prefix}/") if key.startswith(f"{prefix}/") else "" if prefix else key


def _fetch(item: BucketObject, client: Any, folder: Path) -> Path:
    place = folder / item.digest[:2] / item.digest
    address = f"s3://{item.bucket}/{item.key}"
    with _name_faults(address):
        if _is_whole(place, item):
            return place
        place.parent.mkdir(parents=True, exist_ok=True)
        part = place.with_name(f"{place.name}.part")
        with part.open("ab") as file:
            # Another run may be fetching the same object: wait for it.
            fcntl.flock(file, fcntl.LOCK_EX)
            if not _is_whole(place, item):
                _fill(file, item, client)
                file.flush()
                os.fsync(file.fileno())
                part.replace(place)
    return place


def _is_whole(place: Path, item: BucketObject) -> bool:
    try:
        return place.stat().st_size == item.size
    except FileNotFoundError:
        return False


def _fill(file: IO[bytes], item: BucketObject, client: Any) -> None:
    """Append what a file lacks of an object; a connection that breaks off is opened again."""
    from botocore.exceptions import (
        FlexibleChecksumError,
        IncompleteReadError,
        ReadTimeoutError,
        ResponseStreamingError,
    )

    for wait in (*_WAITS_SECONDS, 0):
        have = file.seek(0, os.SEEK_END)
        if have > item.size:
            have = file.truncate(0)
        # Only a whole answer is checked against the object's checksum.
        span = {"Range": f"bytes={have}-"} if have else {}
        try:
            if have < item.size:
                answer = client.get_object(Bucket=item.bucket, Key=item.key, IfMatch=item.etag, **span)
                for piece in answer["Body"].iter_chunks(_PIECE):
                    file.write(piece)
            return
        except FlexibleChecksumError:
            file.truncate(0)
        except (ResponseStreamingError, ReadTimeoutError, IncompleteReadError) as error:
            log.warning("fetch: %s: %s", item.key, error)
        time.sleep(wait)
    raise _unreachable(f"s3://{item.bucket}/{item.key}", "the connection broke off again and again")


@contextmanager
def _name_faults(address: str) -> Generator[None]:
    from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

    try:
        yield
    except ClientError as error:
        fault = error.response["Error"]
        changed = error.response["ResponseMetadata"]["HTTPStatusCode"] == 412
        reason = "it changed while it was fetched" if changed else f"{fault['Code']}, {fault.get('Message', '')}"
        raise _unreachable(address, reason) from error
    except (BotoCoreError, ParamValidationError) as error:
        raise _unreachable(address, str(error)) from error
    except OSError as error:
        reason = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or str(error)
        raise _unreachable(address, reason) from error


def _unreachable(address: str, reason: str) -> DownloadError:
    reason = " ".join(reason.split()).rstrip(" .,")
    return DownloadError(
        f"Images in S3 must be there for the keys of the settings; {address}: {reason}. Check the address, "
        "AFFECT_S3_ENDPOINT_URL and the keys, and run again: what was fetched is kept."
    )
