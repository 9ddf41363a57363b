"""The only door to MLflow: runs, model versions and their aliases."""

import json
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from affect_tasks.errors import NoChampionError, RegistryError
from affect_tasks.settings import Settings

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.models.model import ModelInfo

# Without it the UI takes the experiment for one of language models.
_KIND = {"mlflow.experimentKind": "custom_model_development"}
EXPERIMENT = "affect"
CHAMPION = "champion"
CHALLENGER = "challenger"

_KEY_TAG = "affect.key"
_PARENT_TAG = "mlflow.parentRunId"


@dataclass(frozen=True)
class ModelVersion:
    """One registered version of a model and what is known of it."""

    name: str
    version: str
    run_id: str
    source: str
    tags: Mapping[str, str]


class Registry:
    """Runs are found again by a key of ours, so that a retry goes on with the run it began."""

    def __init__(self, client: "MlflowClient", experiment_id: str) -> None:
        self._client = client
        self._experiment_id = experiment_id

    def open_run(self, name: str, *, key: str, parent_id: str | None = None) -> str:
        """Return the id of the run with this key, made if there is none, and mark it as running."""
        found = self._client.search_runs(
            [self._experiment_id], filter_string=f"tags.`{_KEY_TAG}` = '{key}'", max_results=1
        )
        tags = {_KEY_TAG: key, **({_PARENT_TAG: parent_id} if parent_id else {})}
        if not found:
            return self._client.create_run(self._experiment_id, run_name=name, tags=tags).info.run_id
        run_id = found[0].info.run_id
        self._client.update_run(run_id, status="RUNNING")
        if parent_id:
            self._client.set_tag(run_id, _PARENT_TAG, parent_id)
        return run_id

    def find_last_run(self) -> str | None:
        """Return the name of the parent run that began last, None where there is none."""
        found = self._client.search_runs(
            [self._experiment_id],
            filter_string=f"tags.`{_KEY_TAG}` LIKE 'run:%'",
            order_by=["attributes.start_time DESC"],
            max_results=1,
        )
        return found[0].info.run_name if found else None

    def close_run(self, run_id: str, *, failed: bool = False) -> None:
        """Mark a run as finished or failed."""
        self._client.set_terminated(run_id, status="FAILED" if failed else "FINISHED")

    def log_params(self, run_id: str, params: Mapping[str, object]) -> None:
        """Track parameters; logging the same values again is harmless."""
        from mlflow.entities import Param

        self._client.log_batch(run_id, params=[Param(name, _to_text(value)) for name, value in params.items()])

    def log_metrics(self, run_id: str, metrics: Mapping[str, float], *, step: int = 0) -> None:
        """Track metrics at a step."""
        from mlflow.entities import Metric

        now = time.time_ns() // 1_000_000
        self._client.log_batch(run_id, metrics=[Metric(name, value, now, step) for name, value in metrics.items()])

    def find_last_step(self, run_id: str, metric: str) -> int:
        """Return the last step at which a metric was tracked, 0 if none."""
        return max((point.step for point in self._client.get_metric_history(run_id, metric)), default=0)

    def set_tags(self, run_id: str, tags: Mapping[str, object]) -> None:
        """Set tags of a run."""
        from mlflow.entities import RunTag

        self._client.log_batch(run_id, tags=[RunTag(name, _to_text(value)) for name, value in tags.items()])

    def log_file(self, run_id: str, data: bytes, *, name: str) -> None:
        """Attach a file; `name` may hold folders, `plots/confusion.png` say."""
        folder, _, file = name.rpartition("/")
        with TemporaryDirectory() as temporary:
            path = Path(temporary) / file
            path.write_bytes(data)
            self._client.log_artifact(run_id, str(path), folder or None)

    def register(
        self,
        model_file: bytes,
        *,
        name: str,
        run_id: str,
        side_px: int,
        class_names: tuple[str, ...],
        tags: Mapping[str, str],
    ) -> ModelVersion:
        """Log a Keras model with its signature into its run and register it; a retry finds the version made.

        Args:
            model_file: A `.keras` file: from (n, side_px, side_px, 3) uint8 RGB to (n, classes) probabilities.
            name: The registered model.
            run_id: The run that trained it.
            side_px: Height and width of its input, in pixels.
            class_names: Its classes, in the order of its outputs.
            tags: What else to say of the version.
        """
        version = self.find_version(name, run_id=run_id)
        if version is None:
            logged = self._log_model(model_file, run_id=run_id, side_px=side_px, class_names=class_names)
            self._ensure_model(name)
            about = {"labels": json.dumps(class_names), "side_px": str(side_px), **tags}
            # A server refuses the address of a model without the model's id beside it.
            made = self._client.create_model_version(
                name, logged.model_uri, run_id=run_id, tags=about, model_id=logged.model_id
            )
            version = _describe_version(made)
        return version

    def find_version(self, name: str, *, run_id: str) -> ModelVersion | None:
        """Return the version that a run made, if it made one."""
        found = self._client.search_model_versions(f"name = '{name}' and run_id = '{run_id}'")
        return _describe_version(found[0]) if found else None

    def find_champion(self, name: str) -> ModelVersion | None:
        """Return the version with the champion alias, None where there is none."""
        from mlflow.exceptions import MlflowException

        try:
            return _describe_version(self._client.get_model_version_by_alias(name, CHAMPION))
        except MlflowException as error:
            if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
                return None
            raise _unreachable(error) from error

    def read_champion(self, name: str) -> ModelVersion:
        """Return the version with the champion alias.

        Raises:
            NoChampionError: There is none.
        """
        champion = self.find_champion(name)
        if champion is None:
            msg = f"A prediction needs a champion; the model {name!r} has none. Train one: `make demo` or `affect run`."
            raise NoChampionError(msg)
        return champion

    def set_alias(self, version: ModelVersion, alias: str) -> None:
        """Point an alias at a version in one call; it never points nowhere in between."""
        self._client.set_registered_model_alias(version.name, alias, version.version)

    def tag_version(self, version: ModelVersion, tags: Mapping[str, str]) -> None:
        """Set tags of a version."""
        for name, value in tags.items():
            self._client.set_model_version_tag(version.name, version.version, name, value)

    @contextmanager
    def fetch_model_file(self, version: ModelVersion) -> Generator[Path]:
        """Download a version's `.keras` file for the time of the block."""
        from mlflow.artifacts import download_artifacts

        with TemporaryDirectory() as temporary:
            folder = Path(download_artifacts(version.source, dst_path=temporary))
            yield next(folder.rglob("*.keras"))

    def _ensure_model(self, name: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise _unreachable(error) from error

    def _log_model(self, model_file: bytes, *, run_id: str, side_px: int, class_names: tuple[str, ...]) -> "ModelInfo":
        import keras
        import mlflow
        import numpy as np
        from mlflow.keras import log_model
        from mlflow.models.signature import ModelSignature
        from mlflow.types import Schema, TensorSpec

        shape = (-1, side_px, side_px, 3)
        signature = ModelSignature(
            inputs=Schema([TensorSpec(np.dtype("uint8"), shape, "image")]),
            outputs=Schema([TensorSpec(np.dtype("float32"), (-1, len(class_names)), "probabilities")]),
        )
        with TemporaryDirectory() as temporary:
            path = Path(temporary) / "model.keras"
            path.write_bytes(model_file)
            model: Any = keras.saving.load_model(path, compile=False, safe_mode=True)
        with mlflow.start_run(run_id=run_id):
            # Given requirements save the half minute in which MLflow would infer them by running the model.
            return log_model(
                model,
                name="model",
                signature=signature,
                pip_requirements=[f"keras=={keras.__version__}", "tensorflow", f"numpy=={np.__version__}"],
                metadata={"labels": list(class_names), "side_px": side_px},
            )


def open_registry(settings: Settings) -> Registry:
    """Connect to MLflow and make sure that the experiment is there.

    Raises:
        RegistryError: MLflow does not answer or its database cannot be used.
    """
    import mlflow
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    embedded = not settings.tracking_uri
    try:
        if embedded:
            settings.artifact_folder.mkdir(parents=True, exist_ok=True)
        mlflow.set_tracking_uri(settings.mlflow_uri)
        client = mlflow.MlflowClient(settings.mlflow_uri)
        experiment = client.get_experiment_by_name(EXPERIMENT)
        if experiment is not None:
            return Registry(client, experiment.experiment_id)
        location = settings.artifact_folder.as_uri() if embedded else None
        return Registry(client, client.create_experiment(EXPERIMENT, artifact_location=location, tags=_KIND))
    except (MlflowException, SQLAlchemyError, OSError) as error:
        raise _unreachable(error) from error


def _describe_version(version: Any) -> ModelVersion:
    return ModelVersion(version.name, str(version.version), version.run_id, version.source, dict(version.tags))


def _to_text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _unreachable(error: Exception) -> RegistryError:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return RegistryError(f"MLflow must answer; it says: {reason}. Check AFFECT_TRACKING_URI and that the server is up.")
