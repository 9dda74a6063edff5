"""The backend without a cluster does what a real one does and kfp.local does not."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Optional

import pytest
from backend import Backend, RefusedError, Run, compiled
from kfp import dsl, kubernetes
from kfp.dsl import Artifact, Dataset, Input, Metrics, Output

component = dsl.component(base_image="stand-in:1", install_kfp_package=False)


@component
def source(text: str, data: Output[Dataset], number: int = 3, note: Optional[str] = None) -> NamedTuple(  # noqa: UP045
    "Outputs", [("count", int), ("seen", str)]
):
    """Writes a text."""
    import json
    from pathlib import Path

    Path(data.path).write_text(text * number)
    data.metadata.update({"whole": True, "rows": 4, "columns": ["a"], "by": {"a": 1}})
    return (len(text), json.dumps([text, number, note]))


@component
def reader(data: Input[Dataset], count: int, metrics: Output[Metrics]) -> str:
    """Says what it was given."""
    import json
    from pathlib import Path

    metrics.log_metric("rows", count)
    kind = type(data).__name__
    return json.dumps([Path(data.path).read_text(), data.uri, data.name, data.metadata, kind, type(count).__name__])


@component
def failing(data: Input[Dataset], page: Output[Artifact], when: str = "now") -> str:
    """Writes its output and fails, unless it was told a file that is there."""
    from pathlib import Path

    Path(page.path).write_text(f"the page of {data.metadata['rows']} rows")
    if not Path(when).exists():
        raise ValueError("it does not work")
    return "worked"


@component
def after(page: Input[Artifact]) -> str:
    """Never gets to anything."""
    from pathlib import Path

    return Path(page.path).read_text()


@component
def witness(run: str, name: str, text: str, folder: str) -> str:
    """Notes that it ran."""
    from pathlib import Path

    with (Path(folder) / "ran").open("a") as file:
        file.write(f"{run} {name} {text}\n")
    return run


@component
def environment() -> str:
    """Says which of its variables are a pod's."""
    import json
    import os

    names = ("RUN", "KEY", "ADDRESS", "AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_URI", "_KFP_RUNTIME")
    return json.dumps({name: os.environ[name] for name in names if name in os.environ})


@component
def silent(data: Output[Dataset], count: dsl.OutputPath(int)) -> None:
    """Leaves nothing."""


@component
def labelled(data: Output[Dataset], value: str) -> None:
    """Labels its output with a value of JSON."""
    import json

    data.metadata["value"] = json.loads(value)


def with_handler(body: Callable[..., None], name: str = "small") -> str:
    """A package whose group below the exit handler is this; its parameters are text, folder and when."""

    @dsl.pipeline(name=name)
    def pipeline(folder: str, text: str = "abc", when: str = "/nowhere") -> None:
        run = dsl.PIPELINE_JOB_ID_PLACEHOLDER
        exit_task = witness(run=run, name=dsl.PIPELINE_JOB_NAME_PLACEHOLDER, text=f"of {run}", folder=folder)
        exit_task.set_caching_options(False)
        with dsl.ExitHandler(exit_task):
            body(folder=folder, text=text, when=when)

    return compiled(pipeline)


def chain(*, text: Any, **_: Any) -> None:
    task = source(text=text)
    reader(data=task.outputs["data"], count=task.outputs["count"])


def uncached_chain(*, text: Any, **_: Any) -> None:
    task = source(text=text).set_caching_options(False)
    reader(data=task.outputs["data"], count=task.outputs["count"])
    environment()


def broken(*, text: Any, when: Any, **_: Any) -> None:
    task = source(text=text)
    page = failing(data=task.outputs["data"], when=when).set_caching_options(False)
    after(page=page.outputs["page"]).set_display_name("goes on")
    reader(data=task.outputs["data"], count=task.outputs["count"])


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    nowhere = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:1", "AWS_SECRET_ACCESS_KEY": "of the tests"}
    backend = Backend(
        tmp_path_factory.mktemp("backend"),
        preloaded=nowhere,
        secrets={"keys": {"key": "1234"}},
        config_maps={"services": {"address": "http://here"}},
    )
    yield backend
    backend.close()


@pytest.fixture(scope="module")
def packages() -> dict[str, str]:
    return {body.__name__: with_handler(body) for body in (chain, uncached_chain, broken)}


def output(run: Run, task: str, name: str = "Output") -> Any:
    """What a task put out as JSON."""
    return json.loads(run.tasks[task].parameters[name])


def ran(folder: Path) -> list[list[str]]:
    """What the exit task noted: id, name and text of each time."""
    return [line.split(" ", 2) for line in (folder / "ran").read_text().splitlines()]


def test_what_a_task_is_given(backend: Backend, packages: dict[str, str], tmp_path: Path) -> None:
    run = backend.submit(packages["chain"], {"folder": str(tmp_path), "text": "what"})
    assert run.states == {"source": "SUCCEEDED", "reader": "SUCCEEDED", "witness": "SUCCEEDED"}, run.tasks
    assert output(run, "source", "seen") == ["what", 3, None]
    text, uri, name, metadata, kind, number = output(run, "reader")
    data = run.tasks["source"].artifacts["data"]
    assert (text, kind, number) == ("what" * 3, "Dataset", "int")
    assert uri.startswith(f"minio://mlpipeline/v2/artifacts/small/{run.identifier}/source/")
    assert uri.endswith("/data")
    assert name == str(data.identifier)
    assert metadata.pop("store_session_info")
    assert metadata == {
        "display_name": "data",
        "whole": 1,
        "rows": 4,
        "columns": {"list": ["a"]},
        "by": {"struct": {"a": 1}},
    }
    assert backend.content(data).read_text() == "what" * 3
    assert run.tasks["reader"].artifacts["metrics"].metadata["rows"] == 4
    assert set(data.as_input()) == {"name", "uri", "metadata"}


def test_placeholders_are_replaced_where_they_are_the_whole_value(
    backend: Backend, packages: dict[str, str], tmp_path: Path
) -> None:
    by_hand = backend.submit(packages["chain"], {"folder": str(tmp_path)}, name="Monday")
    by_schedule = backend.submit(packages["chain"], {"folder": str(tmp_path)}, name="Tuesday", scheduled=True)
    inside = "of {{$.pipeline_job_uuid}}"
    assert ran(tmp_path) == [[by_hand.identifier, "Monday", inside], [by_schedule.identifier, "", inside]]
    clone = backend.clone(by_hand)
    assert clone.identifier not in {by_hand.identifier, by_schedule.identifier}
    assert ran(tmp_path)[-1][:2] == [clone.identifier, "Clone"]


def test_a_failed_task_leaves_nothing_and_stops_only_what_waits_for_it(
    backend: Backend, packages: dict[str, str], tmp_path: Path
) -> None:
    run = backend.submit(packages["broken"], {"folder": str(tmp_path), "text": "stop"})
    assert run.state == "FAILED"
    assert run.states == {
        "source": "SUCCEEDED",
        "failing": "FAILED",
        "after": "OMITTED",
        "reader": "SUCCEEDED",
        "witness": "SUCCEEDED",
    }
    failed = run.tasks["failing"]
    assert (failed.parameters, failed.artifacts) == ({}, {})
    assert "ValueError" in failed.error
    assert "ValueError: it does not work" in failed.log
    assert ran(tmp_path) == [[run.identifier, "by", "hand of {{$.pipeline_job_uuid}}"]]


def test_a_retry_keeps_the_id_and_runs_what_did_not_succeed(
    backend: Backend, packages: dict[str, str], tmp_path: Path
) -> None:
    mended = tmp_path / "mended"
    arguments = {"folder": str(tmp_path), "text": "again", "when": str(mended)}
    run = backend.submit(packages["broken"], arguments)
    before = run.tasks["reader"]
    mended.touch()
    again = backend.retry(run)
    assert (again.state, again.identifier) == ("SUCCEEDED", run.identifier)
    assert again.tasks["reader"] is before
    assert again.states["after"] == "SUCCEEDED"
    assert again.tasks["after"].parameters["Output"] == "the page of 4 rows"
    assert [line[0] for line in ran(tmp_path)] == [run.identifier] * 2
    with pytest.raises(RefusedError, match="only failed runs"):
        backend.retry(again)


def test_cached_by_values_and_ids_within_a_pipeline(backend: Backend, packages: dict[str, str], tmp_path: Path) -> None:
    arguments = {"folder": str(tmp_path), "text": "cache"}
    first, second = (backend.submit(packages["chain"], arguments) for _ in range(2))
    assert first.states["reader"] == "SUCCEEDED"
    assert second.states == {"source": "CACHED", "reader": "CACHED", "witness": "SUCCEEDED"}
    assert second.tasks["source"].artifacts == first.tasks["source"].artifacts
    run = backend.submit(packages["chain"], {**arguments, "text": "other"})
    assert {run.states[name] for name in ("source", "reader")} == {"SUCCEEDED"}
    elsewhere = backend.submit(with_handler(chain, "another"), arguments)
    assert {elsewhere.states[name] for name in ("source", "reader")} == {"SUCCEEDED"}


def test_an_uncached_tasks_artifacts_make_what_takes_them_run_again(
    backend: Backend, packages: dict[str, str], tmp_path: Path
) -> None:
    arguments = {"folder": str(tmp_path), "text": "uncached"}
    first, second = (backend.submit(packages["uncached_chain"], arguments) for _ in range(2))
    for run in (first, second):
        assert {run.states[name] for name in ("source", "reader")} == {"SUCCEEDED"}
    assert second.states["environment"] == "CACHED"


def test_a_pods_variables_come_from_the_platform(backend: Backend, tmp_path: Path) -> None:
    def body(**_: Any) -> None:
        task = environment()
        task.set_caching_options(False)
        task.set_env_variable("KEY", "overruled")
        kubernetes.use_field_path_as_env(task, "RUN", "metadata.labels['pipeline/runid']")
        kubernetes.use_secret_as_env(task, "keys", {"key": "KEY"})
        kubernetes.use_config_map_as_env(task, "services", {"address": "ADDRESS"})
        kubernetes.use_secret_as_env(task, "absent", {"key": "AWS_SECRET_ACCESS_KEY"}, optional=True)
        kubernetes.use_secret_as_volume(task, "absent", "/var/run/absent", optional=True)

    run = backend.submit(with_handler(body), {"folder": str(tmp_path)})
    variables = output(run, "environment")
    assert variables == {"RUN": run.identifier, "KEY": "1234", "ADDRESS": "http://here", "_KFP_RUNTIME": "true"}


@pytest.mark.parametrize(
    ("name", "keys", "message"),
    [("absent", {"key": "KEY"}, "secret 'absent' has no 'key'"), ("keys", {"other": "KEY"}, "has no 'other'")],
)
def test_a_missing_secret_fails_the_task(
    backend: Backend, tmp_path: Path, name: str, keys: dict[str, str], message: str
) -> None:
    def body(**_: Any) -> None:
        kubernetes.use_secret_as_env(environment().set_caching_options(False), name, keys)

    run = backend.submit(with_handler(body), {"folder": str(tmp_path)})
    assert run.states == {"environment": "FAILED", "witness": "SUCCEEDED"}
    assert message in run.tasks["environment"].error


def test_a_missing_volume_fails_the_task(backend: Backend, tmp_path: Path) -> None:
    def body(**_: Any) -> None:
        for number, name in enumerate(("services", "absent")):
            task = environment().set_caching_options(False).set_display_name(f"{number}")
            kubernetes.use_config_map_as_volume(task, name, f"/var/run/{name}")

    run = backend.submit(with_handler(body), {"folder": str(tmp_path)})
    assert run.states == {"environment": "SUCCEEDED", "environment-2": "FAILED", "witness": "SUCCEEDED"}
    assert "configMap 'absent' is not there" in run.tasks["environment-2"].error


def test_what_cannot_be_recorded_fails_the_task(backend: Backend, tmp_path: Path) -> None:
    def body(**_: Any) -> None:
        silent()
        for value in ("null", "NaN", "1.5"):
            labelled(value=value)

    run = backend.submit(with_handler(body), {"folder": str(tmp_path)})
    assert run.states == {
        "silent": "FAILED",
        "labelled": "FAILED",
        "labelled-2": "FAILED",
        "labelled-3": "SUCCEEDED",
        "witness": "SUCCEEDED",
    }
    assert "no output parameter 'count'" in run.tasks["silent"].error
    assert "data.value is null" in run.tasks["labelled"].error
    assert "NaN" in run.tasks["labelled-2"].error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "the parameter folder has no value"),
        ({"folder": "/", "other": "1"}, "no parameter other"),
        ({"folder": 1}, "folder is to be a STRING"),
        ({"folder": "/", "text": "ä" * 5_000}, "text has more than 10000 bytes"),
    ],
)
def test_arguments_that_the_api_server_refuses(
    backend: Backend, packages: dict[str, str], arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(RefusedError, match=message):
        backend.submit(packages["chain"], arguments)


def test_what_no_flat_graph_has_is_refused_by_its_name(backend: Backend) -> None:
    @component
    def optional(data: Optional[Input[Dataset]] = None) -> None:  # noqa: UP045
        """Takes an artifact or not."""

    @component
    def final(status: dsl.PipelineTaskFinalStatus) -> None:
        """Takes the orchestrator's word."""

    @component
    def rejecting() -> None:
        """Ends a run."""

    def condition(*, text: Any, **_: Any) -> None:
        with dsl.If(text == "abc"):
            source(text=text)

    def loop(**_: Any) -> None:
        with dsl.ParallelFor([1, 2]) as number:
            source(text="a", number=number)

    def retried(*, text: Any, **_: Any) -> None:
        source(text=text).set_retry(2)

    def maybe(*, text: Any, **_: Any) -> None:
        optional(data=source(text=text).outputs["data"])

    def regardless(**_: Any) -> None:
        rejecting().after(rejecting()).ignore_upstream_failure()

    @dsl.pipeline(name="small")
    def with_final_status() -> None:
        with dsl.ExitHandler(final()):
            rejecting()

    @dsl.pipeline(name="small")
    def bare() -> None:
        rejecting()

    for package, message in (
        (with_handler(condition), "condition-2 has a condition"),
        (with_handler(loop), r"for-loop-\d+ has what no flat graph has \(task\): .*[iI]terator"),
        (with_handler(retried), r"source has what no flat graph has \(task\): retryPolicy"),
        (with_handler(maybe), r"optional's data has what no flat graph has \(input artifact\): isOptional"),
        (with_handler(regardless), "rejecting has a trigger policy"),
        (compiled(with_final_status), r"final's status has what no flat graph has \(parameter\): taskFinalStatus"),
        (compiled(bare), "a group below an exit handler"),
    ):
        with pytest.raises(AssertionError, match=message):
            backend.submit(package, {})
