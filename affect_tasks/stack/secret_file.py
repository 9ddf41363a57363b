"""The file `docker/.env`: random secrets where they are missing, and no weak one."""

import base64
import os
import re
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path

from affect_tasks.errors import SettingsError

# What each is for, in the order of the file.
SECRETS = {
    "AIRFLOW_ADMIN_PASSWORD": "Airflow's administrator, whose name is ADMIN_NAME",
    "MLFLOW_ADMIN_PASSWORD": "MLflow's administrator, of the same name",
    "MLFLOW_PIPELINE_PASSWORD": "MLflow's user `pipeline`, as whom the workers log in",
    "AIRFLOW_JWT_SECRET": "signs the tokens of people and tasks",
    "AIRFLOW_FERNET_KEY": "encrypts the connections in Airflow's database",
    "AIRFLOW_API_SECRET_KEY": "signs sessions, and the requests for a worker's logs",
    "MLFLOW_SECRET_KEY": "signs MLflow's forms",
    "POSTGRES_PASSWORD": "Postgres' superuser; no service has it",
    "AIRFLOW_DB_PASSWORD": "the role `airflow`",
    "MLFLOW_DB_PASSWORD": "the role `mlflow`",
    "BROKER_PASSWORD": "the broker of tasks",
    "S3_ADMIN_KEY": "makes buckets, keys and policies; empty with a store whose keys are your own",
    "S3_ADMIN_SECRET": "goes with it",
    "S3_PIPELINE_KEY": "reads and writes the pipeline's bucket",
    "S3_PIPELINE_SECRET": "goes with it",
    "S3_MLFLOW_KEY": "reads and writes MLflow's bucket",
    "S3_MLFLOW_SECRET": "goes with it",
    "S3_SERVING_KEY": "reads models",
    "S3_SERVING_SECRET": "goes with it",
}
# What a worker on another machine may know.
WORKER_SECRETS = (
    "AIRFLOW_API_SECRET_KEY",
    "BROKER_PASSWORD",
    "MLFLOW_PIPELINE_PASSWORD",
    "S3_PIPELINE_KEY",
    "S3_PIPELINE_SECRET",
)

# Characters that a secret has at least; the ids of keys are names rather than secrets.
_LEAST = {"AIRFLOW_JWT_SECRET": 64}
_LEAST_SECRET, _LEAST_KEY_ID, _LEAST_DISTINCT, _LEAST_UNGUESSABLE = 20, 8, 8, 16
_MAY_BE_EMPTY = ("S3_ADMIN_KEY", "S3_ADMIN_SECRET")
_DEFAULTS = ("admin", "airflow", "change_?me", "mlflow", "minio", "password", "postgres", "redis", "secret")
_HEADER = """\
# The stack's secrets, drawn at random by `make up`, and its settings: docs/operations.md lists them.
# Whoever reads this file is its administrator. It is never committed and never leaves this machine.
"""


def read_values(text: str) -> dict[str, str]:
    """Read `NAME=value` lines; the rest of such a file is comments."""
    lines = (line.strip() for line in text.splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name.strip(): value.strip().strip("'\"") for name, _, value in pairs}


def complete_text(text: str) -> str:
    """Add a drawn value for every secret that the text does not name; what it names stays."""
    known = read_values(text)
    missing = {name: meaning for name, meaning in SECRETS.items() if name not in known}
    added = "".join(f"\n# {meaning}\n{name}={draw_secret(name)}\n" for name, meaning in missing.items())
    return f"{text or _HEADER}{added}"


def draw_secret(name: str) -> str:
    """Draw a value of letters, digits, - and _ alone, so that it may stand in an address."""
    if name.endswith("_KEY") and name.startswith("S3_"):
        return f"{name.removeprefix('S3_').removesuffix('_KEY').lower()}-{secrets.token_hex(4)}"
    if name == "AIRFLOW_FERNET_KEY":
        return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    # A value must not begin with a dash: some programs would take it for an option.
    return f"s{secrets.token_urlsafe(66 if name in _LEAST else 24)}"


def find_weak(values: Mapping[str, str]) -> tuple[str, ...]:
    """List what is wrong with the secrets, a phrase each, without their values."""
    faults = (f"{name} {fault}" for name in SECRETS if (fault := _find_fault(name, values.get(name, ""))))
    given = [values[name] for name in SECRETS if values.get(name)]
    repeated = sorted(name for name in SECRETS if values.get(name) and given.count(values[name]) > 1)
    return (*faults, *([f"{', '.join(repeated)} are equal"] if repeated else []))


def _find_fault(name: str, value: str) -> str:
    key_id = name.startswith("S3_") and name.endswith("_KEY")
    least = _LEAST_KEY_ID if key_id else _LEAST.get(name, _LEAST_SECRET)
    if not value:
        return "" if name in _MAY_BE_EMPTY else "is empty"
    if not re.fullmatch(r"[A-Za-z0-9_-]+=?", value):
        return "holds other characters than letters, digits, - and _"
    if len(value) < least:
        return f"has {len(value)} characters of at least {least}"
    unguessable = re.sub("|".join(_DEFAULTS), "", value, flags=re.IGNORECASE)
    if not key_id and (len(set(value)) < _LEAST_DISTINCT or len(unguessable) < _LEAST_UNGUESSABLE):
        return "is made of words that others guess"
    return ""


def prepare_secrets(path: Path) -> dict[str, str]:
    """Make the file or what it lacks, check it, and return its values.

    Raises:
        SettingsError: Others may read it, or a secret is weak.
    """
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    if before and stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise SettingsError(f"Only its owner may read a file of secrets; others may read {path}. chmod 600 {path}")
    text = complete_text(before)
    if text != before:
        write_private(path, text)
    values = read_values(text)
    weak = find_weak(values)
    if weak:
        raise SettingsError(
            f"Secrets must be long and random; in {path} {'; '.join(weak)}. Delete the lines: `make up` draws new ones."
        )
    return values


def write_private(path: Path, text: str) -> None:
    """Write a file that its owner alone may read: aside first, so a crash leaves the old one or the new."""
    aside = path.with_name(f".{path.name}.aside")
    aside.unlink(missing_ok=True)
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)


def write_token(values: Mapping[str, str], path: Path) -> None:
    """Write the file that a GPU worker on another machine needs, and nothing more."""
    kept = {name: values[name] for name in WORKER_SECRETS}
    ports = {name: values[name] for name in _SHARED_SETTINGS if name in values}
    lines = "".join(f"{name}={value}\n" for name, value in {**kept, **ports}.items())
    write_private(
        path, f"# What a GPU worker on another machine needs: `make gpu-worker ADDRESS=… TOKEN=this file`.\n{lines}"
    )


_SHARED_SETTINGS = (
    "AIRFLOW_PORT",
    "BROKER_PORT",
    "MLFLOW_PORT",
    "S3_BUCKET",
    "S3_ENDPOINT_URL",
    "S3_PORT",
    "S3_REGION",
)
