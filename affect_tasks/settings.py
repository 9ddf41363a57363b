"""Where things live: the environment (prefix `AFFECT_`) becomes one frozen Settings."""

import os
from pathlib import Path

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from affect_tasks.errors import SettingsError


class Settings(BaseSettings):
    """Addresses, folders and credentials. The embedded mode and the stack differ here and nowhere else."""

    model_config = SettingsConfigDict(env_prefix="AFFECT_", frozen=True, extra="forbid")

    home: Path = Field(default=Path(".affect"), description="Folder of everything embedded.")
    storage_url: str = Field(
        default="",
        pattern=r"^$|^file:///|^s3://[^/]+",
        description="Object storage: `file:///folder` or `s3://bucket/prefix`. Empty: the folder `store` in the home.",
    )
    s3_endpoint_url: str | None = Field(default=None, description="Address of an S3 that is not AWS, MinIO say.")
    s3_region: str = Field(default="us-east-1", description="Region of the bucket.")
    s3_access_key_id: SecretStr | None = Field(default=None, description="Empty: boto3's own chain of credentials.")
    s3_secret_access_key: SecretStr | None = Field(default=None, description="Goes with the access key's id.")
    s3_admin_access_key_id: SecretStr | None = Field(
        default=None,
        description="Key that prepares a MinIO or a fork of it: buckets, keys, policies. Empty: the keys are yours.",
    )
    s3_admin_secret_access_key: SecretStr | None = Field(default=None, description="Goes with the admin's key id.")
    s3_mlflow_access_key_id: SecretStr | None = Field(
        default=None, description="Key to make for the MLflow server: its own bucket alone."
    )
    s3_mlflow_secret_access_key: SecretStr | None = Field(default=None, description="Goes with MLflow's key id.")
    s3_serving_access_key_id: SecretStr | None = Field(
        default=None, description="Key to make for serving: reads models in MLflow's bucket and nothing else."
    )
    s3_serving_secret_access_key: SecretStr | None = Field(default=None, description="Goes with serving's key id.")
    artifacts_url: str = Field(
        default="",
        pattern=r"^$|^s3://[^/]+",
        description="Where the MLflow server keeps artifacts, `s3://bucket/prefix`; `affect prepare-store` reads it.",
    )
    tracking_uri: str = Field(default="", description="MLflow's address. Empty: SQLite in the home.")
    airflow_port: int = Field(default=8080, ge=1, le=65535, description="Port of the Airflow UI, embedded mode.")
    mlflow_port: int = Field(default=5000, ge=1, le=65535, description="Port of the MLflow UI, embedded mode.")

    @property
    def folder(self) -> Path:
        """The home as an absolute path."""
        return self.home.expanduser().resolve()

    @property
    def store_url(self) -> str:
        """Address of object storage, with its default filled in."""
        return self.storage_url or (self.folder / "store").as_uri()

    @property
    def mlflow_uri(self) -> str:
        """Address of MLflow, with its default filled in."""
        return self.tracking_uri or f"sqlite:///{self.folder / 'mlflow' / 'mlflow.db'}"

    @property
    def artifact_folder(self) -> Path:
        """Where the embedded MLflow keeps artifacts."""
        return self.folder / "mlflow" / "artifacts"

    @property
    def demo_folder(self) -> Path:
        """Where the drawn faces lie."""
        return self.folder / "demo-faces"

    @property
    def cache_folder(self) -> Path:
        """Decoded pixels and work in progress; may be deleted at any time between runs."""
        return self.folder / "cache"


# Libraries read these when they are imported: no calls home, no walls of start-up lines, no minutes of retries, and
# memory of tables given back to the system.
_LIBRARY_DEFAULTS = {
    "NO_ALBUMENTATIONS_UPDATE": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "GIT_PYTHON_REFRESH": "quiet",
}


def read_settings() -> Settings:
    """Read the environment once, at the entry point, and set the defaults of libraries that read it too.

    Raises:
        SettingsError: A variable with the prefix `AFFECT_` is unknown or unusable.
    """
    for name, value in _LIBRARY_DEFAULTS.items():
        os.environ.setdefault(name, value)
    known = {f"AFFECT_{name.upper()}" for name in Settings.model_fields}
    unknown = sorted(name for name in os.environ if name.startswith("AFFECT_") and name not in known)
    if unknown:
        msg = f"{', '.join(unknown)} is no setting. Known: {', '.join(sorted(known))}. Correct or unset it."
        raise SettingsError(msg)
    try:
        return Settings()
    except ValidationError as error:
        faults = "; ".join(f"AFFECT_{'_'.join(map(str, f['loc'])).upper()}: {f['msg']}" for f in error.errors())
        msg = f"The settings must be usable; {faults}. Correct the environment."
        raise SettingsError(msg) from error


def read_process_environment() -> dict[str, str]:
    """Copy the whole environment, for handing to a child process."""
    return dict(os.environ)
