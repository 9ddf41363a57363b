"""Try on a store all that `storage.py`, MLflow and Airflow's logs need of an S3, and say what it lacks.

Everything happens under a prefix of its own, which is deleted at the end.
"""

import uuid
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from affect_tasks.errors import AffectError, MissingBlobError, SettingsError, StorageError
from affect_tasks.settings import Settings
from affect_tasks.storage import connect_s3, name_s3_faults

_PART_BYTES = 5 * 1024 * 1024  # the least that S3 takes for any part but the last
_WRITERS = 8


@dataclass(frozen=True)
class Finding:
    """One point of the check."""

    point: str
    fault: str | None
    remedy: str

    def __str__(self) -> str:
        """Return the line for people."""
        return f"ok     {self.point}" if self.fault is None else f"LACKS  {self.point}: {self.fault} {self.remedy}"


class _LackingError(AffectError):
    """What was seen instead of what S3 promises."""


@dataclass(frozen=True)
class _Bucket:
    client: Any
    name: str
    prefix: str

    def at(self, key: str) -> dict[str, str]:
        return {"Bucket": self.name, "Key": f"{self.prefix}{key}"}

    def put(self, key: str, data: bytes, **options: str) -> None:
        with name_s3_faults(f"s3://{self.name}/{self.prefix}{key}"):
            self.client.put_object(**self.at(key), Body=data, **options)

    def read(self, key: str, **options: str) -> bytes:
        with name_s3_faults(f"s3://{self.name}/{self.prefix}{key}"):
            return self.client.get_object(**self.at(key), **options)["Body"].read()

    def list(self, folder: str, *, page_size: int) -> list[str]:
        with name_s3_faults(f"s3://{self.name}/{self.prefix}{folder}"):
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.name, Prefix=f"{self.prefix}{folder}", PaginationConfig={"PageSize": page_size}
            )
            return [entry["Key"].removeprefix(self.prefix) for page in pages for entry in page.get("Contents", ())]


def check_store(settings: Settings) -> tuple[Finding, ...]:
    """Try each point on the bucket of `AFFECT_STORAGE_URL`, with the pipeline's key.

    Raises:
        SettingsError: The store is no S3.
        StorageError: The bucket cannot be reached at all, so there is nothing to check.
    """
    parts = urlsplit(settings.storage_url)
    if parts.scheme != "s3":
        raise SettingsError(
            f"The check is for an S3; AFFECT_STORAGE_URL is {settings.storage_url!r}. Set it to s3://bucket/prefix."
        )
    client = connect_s3(settings, settings.s3_access_key_id, settings.s3_secret_access_key)
    with name_s3_faults(f"s3://{parts.netloc}"):
        client.head_bucket(Bucket=parts.netloc)
    base = f"{parts.path.strip('/')}/".lstrip("/")
    with _own_prefix(_Bucket(client, parts.netloc, f"{base}.check-{uuid.uuid4().hex}/")) as bucket:
        return tuple(_try(bucket, *point) for point in POINTS)


def _try(bucket: _Bucket, point: str, remedy: str, probe: Callable[[_Bucket], None]) -> Finding:
    try:
        probe(bucket)
    except _LackingError as error:
        return Finding(point, str(error), remedy)
    except StorageError as error:
        return Finding(point, f"it answers {str(error.__cause__ or error).rstrip('.')}.", remedy)
    return Finding(point, None, remedy)


@contextmanager
def _own_prefix(bucket: _Bucket) -> Generator[_Bucket]:
    try:
        yield bucket
    finally:
        with name_s3_faults(f"s3://{bucket.name}/{bucket.prefix}"):
            for key in bucket.list("", page_size=1000):
                bucket.client.delete_object(**bucket.at(key))


def _expect(true: bool, otherwise: str) -> None:
    if not true:
        raise _LackingError(otherwise)


def _read_after_write(bucket: _Bucket) -> None:
    bucket.put("a/one", b"first")
    _expect(bucket.read("a/one") == b"first", "an object just written reads differently.")
    bucket.put("a/one", b"second")
    _expect(bucket.read("a/one") == b"second", "an object just overwritten reads as before.")


def _missing_objects(bucket: _Bucket) -> None:
    try:
        bucket.read("no/where")
    except MissingBlobError:
        return
    raise _LackingError("an object that was never written can be read.")


def _odd_names(bucket: _Bucket) -> None:
    name = "runs/manual__2026-11-25T06:32:46+00:00/é ü.json"
    bucket.put(name, b"odd")
    _expect(bucket.read(name) == b"odd", "a key with colon, plus and space reads differently.")
    _expect(bucket.list("runs/", page_size=10) == [name], "a key with colon, plus and space is listed differently.")


def _put_if_absent(bucket: _Bucket) -> None:
    bucket.put("absent/one", b"first", IfNoneMatch="*")
    _expect(not _wins(lambda: bucket.put("absent/one", b"second", IfNoneMatch="*")), "a second writer overwrote.")
    _expect(bucket.read("absent/one") == b"first", "the first writer's bytes are gone.")


def _put_if_absent_at_once(bucket: _Bucket) -> None:
    def write(number: int) -> bool:
        return _wins(lambda: bucket.put("absent/race", str(number).encode(), IfNoneMatch="*"))

    with ThreadPoolExecutor(_WRITERS) as pool:
        winners = [number for number, won in enumerate(pool.map(write, range(_WRITERS))) if won]
    _expect(len(winners) == 1, f"{len(winners)} of {_WRITERS} writers at once were told that they were first.")
    _expect(bucket.read("absent/race") == str(winners[0]).encode(), "the winner's bytes are not those kept.")


def _multi_part(bucket: _Bucket) -> None:
    parts = (b"a" * _PART_BYTES, b"b")
    _upload_parts(bucket, "parts/whole", parts)
    _expect(bucket.read("parts/whole") == b"".join(parts), "an object written in parts reads differently.")


def _multi_part_if_absent(bucket: _Bucket) -> None:
    _upload_parts(bucket, "parts/absent", (b"first",), IfNoneMatch="*")
    won = _wins(lambda: _upload_parts(bucket, "parts/absent", (b"second",), IfNoneMatch="*"))
    _expect(not won and bucket.read("parts/absent") == b"first", "a second writer overwrote.")


def _ranges(bucket: _Bucket) -> None:
    bucket.put("range", b"0123456789")
    _expect(bucket.read("range", Range="bytes=2-4") == b"234", "a range of bytes is not what was asked for.")


def _listing(bucket: _Bucket) -> None:
    keys = [f"list/{number}" for number in range(5)]
    for key in keys:
        bucket.put(key, b"")
    _expect(bucket.list("list/", page_size=2) == keys, "pages of a listing leave out, repeat or disorder keys.")


def _deletion(bucket: _Bucket) -> None:
    bucket.put("gone", b"x")
    with name_s3_faults("gone"):
        bucket.client.delete_object(**bucket.at("gone"))
        bucket.client.delete_object(**bucket.at("gone"))
    _expect(bucket.list("gone", page_size=10) == [], "a deleted object is still listed.")


def _wins(write: Callable[[], None]) -> bool:
    """Tell whether a conditional write went through; 412 or 409 says that another was first."""
    try:
        write()
    except StorageError as error:
        status: int = getattr(error.__cause__, "response", {}).get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if status in {409, 412}:
            return False
        raise
    return True


def _upload_parts(bucket: _Bucket, key: str, parts: tuple[bytes, ...], **options: str) -> None:
    place = bucket.at(key)
    with name_s3_faults(f"s3://{bucket.name}/{bucket.prefix}{key}"):
        upload = {**place, "UploadId": bucket.client.create_multipart_upload(**place)["UploadId"]}
        try:
            sent = [
                {
                    "PartNumber": number,
                    "ETag": bucket.client.upload_part(**upload, PartNumber=number, Body=part)["ETag"],
                }
                for number, part in enumerate(parts, 1)
            ]
            bucket.client.complete_multipart_upload(**upload, MultipartUpload={"Parts": sent}, **options)
        except bucket.client.exceptions.ClientError:
            bucket.client.abort_multipart_upload(**upload)
            raise


_CONDITIONS = "Two equal runs at once could then publish twice; use a store that honours `If-None-Match: *`."
_POLICY = "Let the pipeline's key read, write, list and delete in its bucket."
POINTS: tuple[tuple[str, str, Callable[[_Bucket], None]], ...] = (
    ("read after write", f"{_POLICY} If checksums are refused, AWS_REQUEST_CHECKSUM_CALCULATION=when_required helps.",
     _read_after_write),
    ("missing objects answer 404", "Let the key list its bucket: without that right S3 answers 403.", _missing_objects),
    ("keys with colon, plus, space and accents", "Mend the proxy before the store that changes names.", _odd_names),
    ("put if absent", _CONDITIONS, _put_if_absent),
    ("put if absent, eight writers at once", _CONDITIONS, _put_if_absent_at_once),
    ("uploads in parts", f"Large models are uploaded so. {_POLICY}", _multi_part),
    ("uploads in parts if absent", _CONDITIONS, _multi_part_if_absent),
    ("ranges of bytes", "Mend the proxy before the store that drops the header Range.", _ranges),
    ("listing in pages, at once after writing", f"Use a store whose listing is consistent. {_POLICY}", _listing),
    ("deletion, twice", _POLICY, _deletion),
)  # fmt: skip
