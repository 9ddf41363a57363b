"""Prepare an S3 store: its buckets on any S3, and on MinIO or a fork of it the three keys with their policies.

| key | may |
|---|---|
| pipeline | read, write, list and delete in the bucket of `AFFECT_STORAGE_URL` |
| mlflow | the same in the bucket of `AFFECT_ARTIFACTS_URL` |
| serving | read and list models in MLflow's bucket |

Each call may be repeated: what is there stays, a key's new secret replaces its old one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from affect_tasks.errors import MissingBlobError, SettingsError, StorageError
from affect_tasks.settings import Settings
from affect_tasks.storage import connect_s3, name_s3_faults

Statement = Mapping[str, object]

_OBJECT_ACTIONS = ("GetObject", "PutObject", "DeleteObject", "AbortMultipartUpload", "ListMultipartUploadParts")
_BUCKET_ACTIONS = ("ListBucket", "ListBucketMultipartUploads", "GetBucketLocation")
# MLflow keeps a logged model under <experiment>/models/<model>/artifacts.
_MODELS = "*/models/*"


@dataclass(frozen=True)
class StoreKey:
    """One key to make and what it may do."""

    policy: str
    key_id: SecretStr
    secret: SecretStr
    statements: tuple[Statement, ...]


def prepare_store(settings: Settings) -> tuple[str, ...]:
    """Make what the store lacks: buckets, and with an admin's key the three keys and their policies.

    Returns:
        One line for each thing made or found.

    Raises:
        SettingsError: The store is no S3, or a key's half is missing.
        StorageError: The store does not answer or refuses.
    """
    buckets = list_buckets(settings)
    admin = settings.s3_admin_access_key_id, settings.s3_admin_secret_access_key
    with_admin = all(admin)
    key = admin if with_admin else (settings.s3_access_key_id, settings.s3_secret_access_key)
    client = connect_s3(settings, *key)
    lines = [_ensure_bucket(client, bucket) for bucket in buckets]
    if not with_admin:
        return (*lines, "keys and policies: left to you, because AFFECT_S3_ADMIN_ACCESS_KEY_ID is not set")
    keys = plan_keys(settings)
    _ensure_keys(settings, keys)
    return (*lines, *(f"key {key.key_id.get_secret_value()}: {key.policy}" for key in keys))


def list_buckets(settings: Settings) -> tuple[str, ...]:
    """Return the names of the buckets that the settings speak of, each once."""
    urls = [url for url in (settings.storage_url, settings.artifacts_url) if url.startswith("s3://")]
    if not urls:
        raise SettingsError(
            f"A store to prepare must be an S3; AFFECT_STORAGE_URL is {settings.storage_url!r}. "
            "Set it to s3://bucket/prefix, or leave this out: folders need no preparation."
        )
    return tuple(dict.fromkeys(urlsplit(url).netloc for url in urls))


def plan_keys(settings: Settings) -> tuple[StoreKey, ...]:
    """List the keys whose halves are both given, each with the least that it needs.

    Raises:
        SettingsError: A key lacks its secret or its id, a bucket is not named, or two keys share an id.
    """
    pipeline, models = (urlsplit(url).netloc for url in (settings.storage_url, settings.artifacts_url))
    wanted = (
        ("pipeline", settings.s3_access_key_id, settings.s3_secret_access_key, pipeline, _allow_writing),
        ("mlflow", settings.s3_mlflow_access_key_id, settings.s3_mlflow_secret_access_key, models, _allow_writing),
        ("serving", settings.s3_serving_access_key_id, settings.s3_serving_secret_access_key, models, _allow_models),
    )
    keys: list[StoreKey] = []
    for policy, key_id, secret, bucket, allow in wanted:
        if key_id is None and secret is None:
            continue
        if key_id is None or secret is None or not bucket:
            raise SettingsError(
                f"The key of {policy} needs an id, a secret and a bucket; one is missing. Set "
                "AFFECT_S3_…_ACCESS_KEY_ID, AFFECT_S3_…_SECRET_ACCESS_KEY and the address of its bucket."
            )
        keys.append(StoreKey(f"affect-{policy}", key_id, secret, allow(bucket)))
    ids = [settings.s3_admin_access_key_id, *(key.key_id for key in keys)]
    if len(set(ids)) != len(ids):
        raise SettingsError("Each key needs an id of its own; two are equal. Change one of AFFECT_S3_…_ACCESS_KEY_ID.")
    return tuple(keys)


def _allow_writing(bucket: str) -> tuple[Statement, ...]:
    return (_allow(_BUCKET_ACTIONS, bucket), _allow(_OBJECT_ACTIONS, f"{bucket}/*"))


def _allow_models(bucket: str) -> tuple[Statement, ...]:
    listing = {**_allow(("ListBucket",), bucket), "Condition": {"StringLike": {"s3:prefix": [_MODELS]}}}
    return (_allow(("GetBucketLocation",), bucket), listing, _allow(("GetObject",), f"{bucket}/{_MODELS}"))


def _allow(actions: Sequence[str], resource: str) -> dict[str, object]:
    return {
        "Effect": "Allow",
        "Action": [f"s3:{action}" for action in actions],
        "Resource": [f"arn:aws:s3:::{resource}"],
    }


def _ensure_bucket(client: Any, bucket: str) -> str:
    try:
        with name_s3_faults(f"s3://{bucket}"):
            client.head_bucket(Bucket=bucket)
    except MissingBlobError:
        # In all regions but AWS's first, the place is part of the request.
        region = client.meta.region_name
        place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        with name_s3_faults(f"s3://{bucket}"):
            try:
                client.create_bucket(Bucket=bucket, **place)
            except client.exceptions.BucketAlreadyOwnedByYou:
                return f"bucket {bucket}: there"
        return f"bucket {bucket}: made"
    return f"bucket {bucket}: there"


def _ensure_keys(settings: Settings, keys: Sequence[StoreKey]) -> None:
    try:
        from minio import MinioAdmin
        from minio.credentials.providers import StaticProvider
        from minio.error import MinioAdminException
        from urllib3.exceptions import HTTPError
    except ImportError as error:
        raise StorageError(
            "Keys are made by the package `minio`; it is not installed. Install requirements/services.txt."
        ) from error
    parts = urlsplit(settings.s3_endpoint_url or "")
    key_id, secret = (_reveal(half) for half in (settings.s3_admin_access_key_id, settings.s3_admin_secret_access_key))
    try:
        admin = MinioAdmin(
            endpoint=parts.netloc, credentials=StaticProvider(key_id, secret), secure=parts.scheme == "https"
        )
        for key in keys:
            admin.policy_add(key.policy, policy={"Version": "2012-10-17", "Statement": list(key.statements)})
            admin.user_add(_reveal(key.key_id), _reveal(key.secret))
            admin.policy_set(key.policy, user=_reveal(key.key_id))
    except (MinioAdminException, HTTPError, ValueError) as error:
        raise StorageError(
            f"Keys and policies are made on MinIO and its forks alone; {settings.s3_endpoint_url} answers: {error}. "
            "Check the admin's key, or unset AFFECT_S3_ADMIN_ACCESS_KEY_ID and make the keys in the store's own way."
        ) from error


def _reveal(half: SecretStr | None) -> str:
    return half.get_secret_value() if half else ""
