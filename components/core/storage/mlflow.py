"""The edge to MLflow: runs, models, the registry, and the evidence kept beside them.

The tracking server is ``MLFLOW_TRACKING_URI``: an ``http(s)://`` server in real use, ``sqlite:///`` for one machine.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal

from modelway.components.core.errors import (
    CredentialsError,
    ModelwayError,
    NotFoundError,
    SetupError,
    UnavailableError,
    first_line,
)
from modelway.components.core.storage.certificates import distrust, trust_for_mlflow
from modelway.components.core.storage.database import SQLITE, check_database, database_error_of
from modelway.components.core.termination import TerminatedError, sigterm_raises

for _name, _value in {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_UV_AUTO_DETECT": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}.items():
    os.environ.setdefault(_name, _value)
if os.path.expanduser("~") == "~":  # noqa: PTH111 - an account without a home, which MLflow's import fails for
    os.environ["HOME"] = "/nonexistent"

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

_URI_VARIABLE = "MLFLOW_TRACKING_URI"
TAG = "modelway."
RUN_VARIABLE = "MODELWAY_RUN"  # the pipeline run's id: a task that is cached must not be given it as an argument
PIPELINE_RUN_TAG = f"{TAG}pipeline_run"

_ABSENT = {"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"}
_NO_ALIAS = _ABSENT | {"INVALID_PARAMETER_VALUE"}
_AWAY = {"TEMPORARILY_UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"}
_UNAUTHENTICATED = {"UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED"}
_REFUSED = "PERMISSION_DENIED"


class Tracking:
    """An MLflow server, with errors that say what to do.

    Args:
        uri: The tracking server.
    """

    def __init__(self, uri: str) -> None:
        import logging

        logging.getLogger("mlflow").setLevel(logging.WARNING)
        logging.getLogger("alembic").setLevel(logging.WARNING)
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # what it logs, it raises too
        from mlflow import MlflowClient

        self.uri = uri
        trust_for_mlflow()
        check_database(uri)
        with self.translate_errors():
            self.client = MlflowClient(tracking_uri=uri, registry_uri=uri)

    @classmethod
    def from_environment(cls) -> Tracking:
        """The server that ``MLFLOW_TRACKING_URI`` names.

        Raises:
            SetupError: the variable is not set.
            ModelwayError: it names a database that cannot be used.
        """
        uri = os.environ.get("MLFLOW_TRACKING_URI")
        if not uri:
            raise SetupError(
                "MLFLOW_TRACKING_URI is not set",
                key="MLFLOW_TRACKING_URI",
                remedy="set it to the MLflow server, such as http://mlflow.mlflow:5000 (`modelway run` sets its own)",
            )
        return cls(uri)

    def prepare(self) -> None:
        """Makes sure that the server answers and its database is up to date."""
        with self.translate_errors():
            self.client.search_experiments(max_results=1)

    @contextmanager
    def run(self, experiment: str, name: str, *, tags: Mapping[str, str]) -> Iterator[str]:
        """A run to log into: the one that KFP's MLflow integration injected, else a new one that ends with the block.

        A new run is tagged with the pipeline run that ``MODELWAY_RUN`` names, so that `end_unfinished` knows it. It
        ends as FINISHED, as FAILED where the block fails, and as KILLED where the process is told to end (SIGTERM).

        Args:
            experiment: The experiment of a new run; created if it is not there.
            name: A new run's name.
            tags: Tags to set, without our prefix.

        Yields:
            The run's id.
        """
        injected = os.environ.get("MLFLOW_RUN_ID")
        tags = {f"{TAG}{key}": value for key, value in tags.items()}
        with sigterm_raises():
            if injected:
                with self.translate_errors():
                    for key, value in tags.items():
                        self.client.set_tag(injected, key, value)
                yield injected
                return
            with self.translate_errors():
                run_id = self._start_run(experiment, name, tags=tags)
            try:
                yield run_id
            except BaseException as error:
                status = "KILLED" if isinstance(error, TerminatedError) else "FAILED"
                with suppress(ModelwayError), self.translate_errors():  # what failed first is what is worth reading
                    self.client.set_terminated(run_id, status)
                raise
            with self.translate_errors():
                self.client.set_terminated(run_id, "FINISHED")

    def _start_run(self, experiment: str, name: str, *, tags: Mapping[str, str]) -> str:
        existing = self.client.get_experiment_by_name(experiment)
        if existing is not None:
            identifier = existing.experiment_id
        else:
            identifier = self.client.create_experiment(experiment, artifact_location=_local_artifacts(self.uri))
        pipeline_run = os.environ.get(RUN_VARIABLE)
        if pipeline_run:
            tags = {**tags, PIPELINE_RUN_TAG: pipeline_run}
        return str(self.client.create_run(identifier, run_name=name, tags=dict(tags)).info.run_id)

    def end_unfinished(
        self, experiment: str, pipeline_run: str, *, status: Literal["FAILED", "KILLED"] = "FAILED"
    ) -> list[str]:
        """Ends what `run` began for a pipeline run and could not end: its process was killed.

        Args:
            experiment: The experiment to look in; it need not be there.
            pipeline_run: The id of a pipeline run of which no task runs any more.
            status: What they end as.

        Returns:
            The ids of the MLflow runs that were ended.
        """
        unfinished: list[str] = []
        with self.translate_errors():
            existing = self.client.get_experiment_by_name(experiment)
            token = None
            while existing is not None:
                page = self.client.search_runs(
                    [existing.experiment_id], filter_string="attributes.status = 'RUNNING'", page_token=token
                )
                unfinished += [run.info.run_id for run in page if run.data.tags.get(PIPELINE_RUN_TAG) == pipeline_run]
                token = page.token
                if not token:
                    break
            for run_id in unfinished:
                self.client.set_terminated(run_id, status)
        return unfinished

    def log(
        self, run_id: str, params: Mapping[str, object] | None = None, *, metrics: Mapping[str, float] | None = None
    ) -> None:
        """Logs parameters and metrics into a run."""
        from mlflow.entities import Metric, Param

        now = int(time.time() * 1000)
        with self.translate_errors():
            self.client.log_batch(
                run_id,
                metrics=[Metric(key, value, now, 0) for key, value in (metrics or {}).items()],
                params=[Param(key, str(value)[:6000]) for key, value in (params or {}).items()],
            )

    def log_evidence(self, run_id: str, folder: Path, *, path: str) -> None:
        """Uploads a folder of evidence below a path among a run's artifacts."""
        with self.translate_errors():
            self.client.log_artifacts(run_id, str(folder), path)

    def tag_run(self, run_id: str, key: str, *, value: str) -> None:
        """Tags a run."""
        with self.translate_errors():
            self.client.set_tag(run_id, f"{TAG}{key}", value)

    @contextmanager
    def logged_model(self, run_id: str, name: str, *, params: Mapping[str, object]) -> Iterator[tuple[str, str]]:
        """A model entry of a run, made ready at the end or marked as failed.

        Yields:
            The model's id, and where its files will be.
        """
        from mlflow.entities import LoggedModelOutput

        with self.translate_errors():
            experiment = self.client.get_run(run_id).info.experiment_id
            model = self.client.create_logged_model(
                experiment, name, run_id, params={key: str(value)[:250] for key, value in params.items()}
            )
            self.client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
        status: Literal["READY", "FAILED"] = "FAILED"
        try:
            yield str(model.model_id), str(model.artifact_location)
            status = "READY"
        finally:
            with self.translate_errors():
                self.client.finalize_logged_model(model.model_id, status)

    def upload_model(self, model_id: str, folder: str) -> None:
        """Uploads a model's folder to its entry."""
        with self.translate_errors():
            self.client.log_model_artifacts(model_id, folder)

    def version_with_alias(self, name: str, alias: str) -> ModelVersion | None:
        """The version of a registered model that holds an alias, if any."""
        from mlflow.exceptions import MlflowException

        with self.translate_errors():
            try:
                return self.client.get_model_version_by_alias(name, alias)
            except MlflowException as error:
                if error.error_code in _NO_ALIAS:
                    return None
                raise

    def with_tag(self, name: str, key: str, *, value: str) -> ModelVersion | None:
        """The first version of a registered model that carries one of our tags with this value, if any."""
        versions = reversed(self.versions(name))
        return next((version for version in versions if version.tags.get(f"{TAG}{key}") == value), None)

    def versions(self, name: str) -> list[ModelVersion]:
        """All versions of a registered model, the newest first."""
        with self.translate_errors():
            versions = self.client.search_model_versions(f"name = '{name}'", max_results=1000)
        return sorted(versions, key=lambda version: -int(version.version))

    @contextmanager
    def new_version(self, name: str, model_id: str, *, run_id: str, tags: Mapping[str, str]) -> Iterator[str]:
        """A new version of a registered model, which is gone again if the block fails.

        Args:
            name: The registered model's name; created if it is not there.
            model_id: The model's id.
            run_id: The run that trained it.
            tags: Tags of the version, without our prefix.

        Yields:
            The version.
        """
        from mlflow.exceptions import MlflowException

        with self.translate_errors():
            try:
                self.client.create_registered_model(name)
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            version = self.client.create_model_version(
                name,
                source=f"models:/{model_id}",
                run_id=run_id,
                tags={f"{TAG}{key}": value for key, value in tags.items()},
                model_id=model_id,
            )
        try:
            yield str(version.version)
        except BaseException:
            with self.translate_errors():
                self.client.delete_model_version(name, version.version)
            raise

    def set_alias(self, name: str, version: str, *, alias: str) -> None:
        """Moves an alias to a version."""
        with self.translate_errors():
            self.client.set_registered_model_alias(name, alias, version)

    def delete_alias(self, name: str, alias: str) -> None:
        """Takes an alias away, if a version holds it."""
        if self.version_with_alias(name, alias) is not None:
            with self.translate_errors():
                self.client.delete_registered_model_alias(name, alias)

    def download_model(self, name: str, version: str, *, folder: str) -> Path:
        """Downloads a registered model's folder."""
        from mlflow.artifacts import download_artifacts

        with self.translate_errors():
            location = self.client.get_model_version_download_uri(name, version)  # `models:/` takes the global server
            path = download_artifacts(location, dst_path=folder, tracking_uri=self.uri)
        return Path(path)

    def evidence(self, name: str, version: str) -> dict[str, bytes]:
        """The evidence that a version was registered with, by the files' names; empty if it has none."""
        with self.translate_errors():
            model_version = self.client.get_model_version(name, version)
            folder = model_version.tags.get(f"{TAG}evidence")
            if folder is None or model_version.run_id is None:
                return {}
            if not self.client.list_artifacts(model_version.run_id, folder):
                return {}
            with TemporaryDirectory() as work:
                path = Path(self.client.download_artifacts(model_version.run_id, folder, work))
                return {file.name: file.read_bytes() for file in path.iterdir() if file.is_file()}

    @contextmanager
    def translate_errors(self) -> Iterator[None]:
        """Turns MLflow's errors into ones that say what to do.

        Raises:
            NotFoundError: MLflow has no such thing.
            CredentialsError: it refuses access.
            UnavailableError: it cannot be reached, or not now.
            ModelwayError: it answers something else.
        """
        from mlflow.exceptions import MlflowException
        from requests.exceptions import RequestException

        server, key = f"MLflow at {self.uri}", _URI_VARIABLE
        try:
            yield
        except (MlflowException, RequestException) as error:
            if self.uri.startswith(SQLITE) and (database_error := database_error_of(self.uri, str(error))):
                raise database_error from error
            code = getattr(error, "error_code", None)
            if code in _UNAUTHENTICATED or code == _REFUSED:
                raise access_error(server, is_known=code == _REFUSED) from error
            # Of one file among several that failed, MLflow keeps only the text.
            no_answer = "Max retries exceeded" in str(error) or isinstance(error.__context__, RequestException)
            if isinstance(error, RequestException) or no_answer or code in _AWAY:
                raise distrust(error, server, key=key) or UnavailableError(
                    f"{server} cannot be reached",
                    key=key,
                    remedy="check MLFLOW_TRACKING_URI and that the server runs, then run again",
                ) from error
            kind = NotFoundError if code in _ABSENT else ModelwayError
            raise kind(
                f"{server} answers: {first_line(error)}", key=key, remedy="see the MLflow server's log"
            ) from error


def access_error(server: str, *, is_known: bool) -> CredentialsError:
    """The error of an MLflow server that refuses: an account that it knows and that lacks a right, or the credentials.

    Args:
        server: What to call the server.
        is_known: Whether it knows the account (403), or does not accept the credentials (401).
    """
    user = os.environ.get("MLFLOW_TRACKING_USERNAME")
    if is_known:
        return CredentialsError(
            f"{server} refuses access" + (f" to {user}" if user else ""),
            key=_URI_VARIABLE,
            remedy=f"have its administrator give {user or 'the account'} the right to edit the experiment and the "
            "registered model, or set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD to an account that has it",
        )
    return CredentialsError(
        f"{server} does not accept the credentials" + (f" of {user}" if user else ""),
        key=_URI_VARIABLE,
        remedy="set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD (or MLFLOW_TRACKING_TOKEN) anew: they are "
        "missing, wrong or have expired",
    )


def _local_artifacts(uri: str) -> str | None:
    """Where a sqlite tracking database keeps artifacts: beside it. A server decides for itself."""
    if not uri.startswith(SQLITE):
        return None
    return (Path(uri.removeprefix(SQLITE)).resolve().parent / "mlartifacts").as_uri()
