"""What is wrong with a project's pipeline is said when it is compiled, with its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from small_projects import write_small_project

from modelway.components.core.errors import ModelwayError
from modelway.pipelines.cli.output import print_error
from modelway.pipelines.compile_checks.project import Problem, check_project, refuse_errors
from modelway.pipelines.project.workspace import Workspace

PROJECT = """\
name: visits
task: binary
label: ill
data:
  source: s3://data/visits.csv
features: {numeric: [age, paid]}
model:
  estimator: sklearn.tree.DecisionTreeClassifier
"""
OWN = "  entrypoint: my_training:fit\n"
TRAINING = """
from sklearn.dummy import DummyClassifier


def fit(features, label, **parameters):
    return DummyClassifier().fit(features, label)
"""
SKLEARN = "  estimator: sklearn.tree.DecisionTreeClassifier\n"
DIGEST = "@sha256:" + "a" * 64
IMAGE, PROJECT_IMAGE = f"registry.example/modelway{DIGEST}", f"registry.example/visits{DIGEST}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project, with a module and a package of its own beside."""
    folder = write_small_project(tmp_path_factory.mktemp("checked"))
    (folder / "my_training.py").write_text(TRAINING, encoding="utf-8")
    (folder / "my_package").mkdir()
    return folder


def problems(folder: Path, text: str = PROJECT, *, image: str = IMAGE, **options: Any) -> list[Problem]:
    (folder / "project.yaml").write_text(text, encoding="utf-8")
    return check_project(Workspace.load(folder), image=image, **options)


def code_beside(folder: Path, text: str) -> str:
    (folder / "project.yaml").write_text(text, encoding="utf-8")
    return Workspace.load(folder).project_code


def only(problems: list[Problem]) -> Problem:
    assert [problem.error.message for problem in problems[1:]] == []
    return problems[0]


def test_a_project_on_pinned_images_and_in_a_bucket_has_no_problem(folder: Path) -> None:
    assert problems(folder) == []


@pytest.mark.parametrize(
    ("model", "says", "remedy"),
    [
        (OWN, "the module my_training (beside project.yaml) will not be in the image", "`modelway image`"),
        ("  estimator: my_package.trees.Tree\n", "the module my_package (beside project.yaml)", "--project-image"),
        (
            "  estimator: statsmodels.api.Logit\n",
            "the package statsmodels will not be in the image",
            "requirements.txt",
        ),
        ("  estimator: evidently.Report\n", "the package evidently will not be", "requirements.txt"),
        (
            "  estimator: catboost.CatBoostClassifier\n",
            "the package that catboost is from, which is not installed here,",
            "req",
        ),
        (
            "  entrypoint: absent:fit\n",
            "the package that absent is from, which is not installed here,",
            "--project-image",
        ),
    ],
)
def test_code_that_will_not_be_in_the_image_is_an_error_at_its_line(
    model: str, says: str, remedy: str, folder: Path
) -> None:
    problem = only(problems(folder, PROJECT.replace(SKLEARN, model)))
    assert problem.severity == "error"
    assert says in problem.error.message
    assert "train_model, evaluate_model and probe_model run in" in problem.error.message
    assert remedy in problem.error.remedy
    assert (problem.error.file, problem.error.line) == (str(folder / "project.yaml"), 8)
    assert problem.error.key in {"model.entrypoint", "model.estimator"}


@pytest.mark.parametrize(
    "model",
    ["  estimator: sklearn.svm.SVC\n", "  entrypoint: json.decoder:loads\n", "  entrypoint: scipy.optimize:fit\n"],
)
def test_code_that_the_components_image_has_is_no_problem(model: str, folder: Path) -> None:
    assert problems(folder, PROJECT.replace(SKLEARN, model)) == []


def test_code_is_in_the_projects_image(folder: Path) -> None:
    text = PROJECT.replace(SKLEARN, OWN)
    code = code_beside(folder, text)
    assert problems(folder, text, project_image=PROJECT_IMAGE, codes={PROJECT_IMAGE: code}) == []


def test_code_may_be_in_an_image_of_a_stages_own(folder: Path) -> None:
    text = PROJECT.replace(SKLEARN, OWN)
    codes = {PROJECT_IMAGE: code_beside(folder, text)}
    assert problems(folder, f"{text}resources: {{default: {{image: '{PROJECT_IMAGE}'}}}}\n", codes=codes) == []
    problem = only(problems(folder, f"{text}resources: {{train_model: {{image: '{PROJECT_IMAGE}'}}}}\n", codes=codes))
    assert problem.severity == "warning"
    assert "evaluate_model and probe_model run in, and the model may need it" in problem.error.message


@pytest.mark.parametrize(
    ("codes", "severity", "says"),
    [
        ({PROJECT_IMAGE: "m0ld"}, "error", "was made of other code (m0ld) than lies beside project.yaml (m"),
        ({PROJECT_IMAGE: None}, "warning", "no label io.modelway.code"),
        ({}, "warning", "could not be looked up"),
    ],
)
@pytest.mark.parametrize(
    ("own", "subject", "key"),
    [
        (f"resources:\n  train_model: {{image: '{PROJECT_IMAGE}'}}\n", "the image", "resources.train_model.image"),
        (f"resources:\n  default: {{image: '{PROJECT_IMAGE}'}}\n", "the image", "resources.default.image"),
        ("", "the project's image", None),
    ],
)
def test_an_image_must_have_the_code_that_lies_here(
    own: str, subject: str, key: str | None, codes: dict[str, str | None], severity: str, says: str, folder: Path
) -> None:
    text = PROJECT.replace(SKLEARN, OWN) + own
    options = {"codes": codes, "project_image": "" if own else PROJECT_IMAGE}
    problem = next(entry for entry in problems(folder, text, **options) if says in entry.error.message)
    assert problem.severity == severity
    assert problem.error.message.startswith(subject)
    assert (problem.error.key, problem.error.line) == (key, 10 if key else None)


def test_a_store_on_this_machine_is_warned_of(folder: Path) -> None:
    assert problems(folder, store="s3://models/visits") == []
    problem = only(problems(folder, store="/somewhere"))
    assert (problem.severity, problem.error.value) == ("warning", "/somewhere")


def test_all_that_would_fail_a_run_is_refused_at_once(folder: Path) -> None:
    text = PROJECT.replace(SKLEARN, OWN)
    refuse_errors(problems(folder, image="modelway/components:0.1.0"))
    with pytest.raises(ModelwayError, match=r"^the module my_training") as single:
        refuse_errors(problems(folder, text))
    assert single.value.line == 8
    several = [*problems(folder, text), *problems(folder, project_image="visits:1")]
    with pytest.raises(ModelwayError, match=r"^2 problems would fail each run") as combined:
        refuse_errors(several)
    assert "line 8: the module my_training" in combined.value.message
    assert "visits:1 is not pinned" in combined.value.message
    assert combined.value.line == 8


def test_images_that_are_not_pinned(folder: Path) -> None:
    component = only(problems(folder, image="modelway/components:0.1.0"))
    assert (component.severity, component.error.value) == ("warning", "modelway/components:0.1.0")
    assert "is not pinned" in component.error.message
    project = problems(folder, project_image="visits:1")[0]
    assert (project.severity, project.error.value) == ("error", "visits:1")


@pytest.mark.parametrize(
    ("resources", "line", "says"),
    [
        (
            "resources:\n  train_model:\n    memory: 4Gi\n    gpu: {count: 2}\n",
            12,
            "train_model asks for 2 nvidia.com/gpu",
        ),
        ("resources:\n  default:\n    gpu: {}\n", 11, "every stage without keys of its own asks for 1"),
    ],
)
def test_a_gpu_without_a_node_is_warned_of(resources: str, line: int, says: str, folder: Path) -> None:
    problem = only(problems(folder, PROJECT + resources))
    assert (problem.severity, problem.error.line) == ("warning", line)
    assert says in problem.error.message


@pytest.mark.parametrize(
    "resources",
    [
        "resources: {train_model: {gpu: {}, node_selector: {accelerator: h100}}}\n",
        "resources: {train_model: {gpu: {}, tolerations: [{key: gpu, operator: Exists}]}}\n",
        "resources: {default: {node_selector: {pool: gpu}}, train_model: {gpu: {}}}\n",
        "resources: {train_model: {memory: 4Gi}}\n",
    ],
)
def test_a_gpu_with_a_node_is_no_problem(resources: str, folder: Path) -> None:
    assert problems(folder, PROJECT + resources) == []


def test_data_on_this_machine_is_warned_of(folder: Path) -> None:
    text = PROJECT.replace("s3://data/visits.csv", "visits.csv\n  serving: asked.csv")
    source, serving = problems(folder, text)
    assert (source.severity, source.error.key, source.error.line) == ("warning", "data.source", 5)
    assert source.error.value == str(folder / "visits.csv")
    assert (serving.error.key, serving.error.line) == ("data.serving", 6)


def test_errors_come_first_and_are_read_with_their_lines(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = PROJECT.replace(SKLEARN, OWN).replace("s3://data/visits.csv", "visits.csv")
    several = problems(folder, text, image="modelway/components:0.1.0")
    assert [problem.severity for problem in several] == ["error", "warning", "warning"]
    assert several[0].as_json().items() >= {"severity": "error", "line": 8, "value": "my_training:fit"}.items()
    for problem in several:
        print_error(problem.error, severity=problem.severity)
    stderr = capsys.readouterr().err
    assert "error: the module my_training" in stderr
    assert "project.yaml:8" in stderr
    assert "warning: data.source is a path on this machine" in stderr


def test_code_that_could_not_be_called_is_warned_of(folder: Path) -> None:
    (folder / "my_broken.py").write_text("def fit(features, label):\n    raise ValueError('no')\n", encoding="utf-8")
    options = {"project_image": PROJECT_IMAGE, "codes": {PROJECT_IMAGE: code_beside(folder, _broken())}}
    problem = only(problems(folder, _broken(), **options))
    assert problem.severity == "warning"
    assert "every file of code below" in problem.error.message
    assert "my_broken:fit failed to fit: no" in problem.error.message


def _broken() -> str:
    return PROJECT.replace(SKLEARN, OWN.replace("my_training", "my_broken"))
