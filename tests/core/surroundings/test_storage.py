"""Whether stores and sources can be used: in folders, and in S3 as far as it can be asked without one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from service_answers import EMPTY, SEARCH, about, serving

from modelway.components.core.surroundings.findings import Status


def test_a_file_stands_where_the_store_would_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    finding = about("store", tmp_path / "file" / "store")
    assert finding.status is Status.MISSING
    assert finding.message.endswith(f"{tmp_path / 'file'} is a file")


def test_a_store_that_nobody_may_write_to() -> None:
    finding = about("store", "/proc/modelway")
    assert finding.status is Status.REFUSED
    assert "/proc/modelway cannot be written to" in finding.message


def test_without_s3_keys_both_are_named_and_nobody_is_asked() -> None:
    finding = about("S3 credentials", "s3://bucket/store", "s3://bucket/data.csv")
    assert finding.status is Status.MISSING
    assert "AWS_ACCESS_KEY_ID" in finding.remedy


@pytest.mark.parametrize(
    ("endpoint", "message"),
    [
        ("http://ho_st:port", "is not an address"),
        ("http://{server}", "does not speak S3"),
        ("https://{server}", "it does not speak TLS"),
    ],
)
def test_an_endpoint_that_is_no_s3(endpoint: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving({"/bucket": (200, "text/html", "<html>"), SEARCH: EMPTY}) as server:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://{server}")
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint.format(server=server))
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        finding = about("S3", "", "s3://bucket/data/")
    assert finding.status is Status.UNREACHABLE
    assert message in finding.message


def test_a_wrong_region_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        "<Error><Code>AuthorizationHeaderMalformed</Code><Message>the region 'us-east-1' is wrong</Message>"
        "<Resource>/</Resource><RequestId>1</RequestId><HostId>1</HostId></Error>"
    )
    with serving({"/bucket": (400, "application/xml", text)}) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{server}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        finding = about("S3", "", "s3://bucket/data/")
    assert "the region 'us-east-1' is wrong" in finding.message
    assert "AWS_REGION" in finding.remedy


def test_a_config_map_without_a_key_is_given_the_key(pod: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (pod / "mlflow-tracking-uri").write_text("http://mlflow:5000", encoding="utf-8")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    finding = about("S3 endpoint", "s3://models/claims")
    assert "has no key s3-endpoint" in finding.message
    command = "kubectl -n team-a patch configmap modelway --type merge -p '"
    assert finding.remedy.startswith(command)
    change = json.loads(finding.remedy.removeprefix(command).removesuffix("'"))
    assert list(change["data"]) == ["s3-endpoint"]


@pytest.mark.usefixtures("pod")
def test_a_folder_of_a_pod_is_no_store() -> None:
    finding = about("store", "/modelway/store")
    assert finding.status is Status.MISSING
    assert "s3://" in finding.remedy


@pytest.mark.usefixtures("pod")
def test_a_file_on_somebodys_laptop_is_no_source() -> None:
    finding = about("source", "", "/home/ada/claims.csv")
    assert finding.message == "there is no /home/ada/claims.csv in this pod"
    assert "s3://" in finding.remedy
