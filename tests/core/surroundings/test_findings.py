from __future__ import annotations

import pytest

from modelway.components.core.errors import CredentialsError, ModelwayError, UnavailableError
from modelway.components.core.surroundings.findings import Finding, Status, as_error, as_json, as_text, worst_first

BUCKET = Finding("store", Status.MISSING, "there is no bucket 'models'", "mc mb s3/models", file="s3://models/x")
DENIED = Finding("S3", Status.REFUSED, "the keys are refused", "check them", key="AWS_ACCESS_KEY_ID")
DOWN = Finding("MLflow", Status.UNREACHABLE, "MLflow cannot be reached", "start it", key="MLFLOW_TRACKING_URI")
FINE = Finding("source", Status.OK, "the data is there")
UNSET = Finding("cluster", Status.UNSET, "no cluster is named", "name a kubeconfig file as KUBECONFIG")


def test_the_worst_comes_first_and_nothing_wrong_is_said_twice() -> None:
    again = Finding("source", Status.REFUSED, DENIED.message, "check them")
    assert worst_first([FINE, UNSET, DOWN, DENIED, again, BUCKET]) == [BUCKET, DENIED, DOWN, UNSET, FINE]


@pytest.mark.parametrize(
    ("findings", "kind"),
    [
        ([BUCKET, FINE], ModelwayError),
        ([DENIED], CredentialsError),
        ([DOWN, FINE, UNSET], UnavailableError),
        ([DOWN, DENIED], ModelwayError),
    ],
)
def test_the_error_is_of_the_kind_that_its_findings_are(findings: list[Finding], kind: type[ModelwayError]) -> None:
    error = as_error(findings)
    assert type(error) is kind


def test_one_finding_is_an_error_as_it_is() -> None:
    error = as_error([FINE, BUCKET])
    assert error is not None
    assert error.fields() == {"message": BUCKET.message, "file": BUCKET.file, "remedy": BUCKET.remedy}


def test_several_are_one_error_with_each_remedy_once() -> None:
    first = Finding("S3 endpoint", Status.MISSING, "no endpoint is set", "make the ConfigMap", key="s3-endpoint")
    second = Finding("MLflow", Status.MISSING, "no server is named", "make the ConfigMap", key="MLFLOW_TRACKING_URI")
    error = as_error([DOWN, first, FINE, second])
    assert error is not None
    assert error.message.splitlines() == [
        "3 problems with what the run needs",
        "  1. no endpoint is set",
        "  2. no server is named",
        "  3. MLflow cannot be reached",
    ]
    assert error.remedy.split("\n") == ["", "  1 and 2. make the ConfigMap", "  3. start it"]
    assert error.key == "s3-endpoint"


def test_what_is_not_configured_is_no_error() -> None:
    assert as_error([FINE, UNSET]) is None
    assert as_json([FINE, UNSET])["ok"] is True
    assert as_json([FINE, DOWN]) == {
        "ok": False,
        "findings": [
            {"subject": "source", "status": "ok", "message": "the data is there"},
            {
                "subject": "MLflow",
                "status": "unreachable",
                "message": "MLflow cannot be reached",
                "remedy": "start it",
                "key": "MLFLOW_TRACKING_URI",
            },
        ],
    }


def test_people_read_a_line_for_each_and_its_remedy() -> None:
    assert as_text([BUCKET, FINE]).splitlines() == [
        "missing         store   there is no bucket 'models'",
        "    remedy: mc mb s3/models",
        "ok              source  the data is there",
    ]


def test_passwords_are_hidden() -> None:
    finding = Finding("a", Status.OK, "at https://ada:se:cret@host/x", "ask http://ada@host", file="s3://k:s@b/x")
    assert "ada" not in as_text([finding])
    assert finding.as_json() == {
        "subject": "a",
        "status": "ok",
        "message": "at https://***@host/x",
        "remedy": "ask http://***@host",
        "file": "s3://***@b/x",
    }
