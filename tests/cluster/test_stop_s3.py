"""A stage that is told to end as Argo tells it leaves its record in a real S3."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from user_files import minimal_project_text

from modelway.components.core.evidence.runs import State, read_outcome
from modelway.components.core.storage.s3 import S3
from modelway.components.core.storage.uri import write_uri

pytestmark = pytest.mark.cluster
COMPONENT = '''
def train_model(project: str) -> str:
    """Reads its project, and works in compiled code then."""
    import hashlib

    from modelway.components.core.config.project import Project

    Project.load(project)
    print("works", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 100_000_000)
    return project
'''


@pytest.fixture
def store() -> Iterator[str]:
    names = ("MINIO_ENDPOINT", "MINIO_ACCESS_KEY", "MINIO_SECRET_KEY")
    endpoint, access_key, secret_key = (os.environ[name] for name in names)
    client = S3(endpoint, access_key, secret_key=secret_key).client
    bucket = f"modelway-test-{uuid.uuid4().hex[:12]}"
    client.make_bucket(bucket_name=bucket)
    yield f"s3://{bucket}/store"
    for item in client.list_objects(bucket_name=bucket, recursive=True):
        client.remove_object(bucket_name=bucket, object_name=str(item.object_name))
    client.remove_bucket(bucket_name=bucket)


def test_a_second_is_enough_for_the_record(store: str, tmp_path: Path) -> None:
    """KFP's launcher ends when it is told to, and Argo looks every second whether it has: then all is killed."""
    project = f"{store}/config/project-0123456789abcdef.json"
    write_uri(project, minimal_project_text(model={"estimator": "sklearn.svm.SVC"}).encode())
    executor_input = {"inputs": {"parameterValues": {"project": project}}, "outputs": {"outputFile": os.devnull}}
    (tmp_path / "component.py").write_text(COMPONENT, encoding="utf-8")
    executor = [sys.executable, "-m", "kfp.dsl.executor_main", "--component_module_path", tmp_path / "component.py"]
    process = subprocess.Popen(
        [*executor, "--executor_input", json.dumps(executor_input), "--function_to_execute", "train_model"],
        env={**os.environ, "_KFP_RUNTIME": "true", "MODELWAY_RUN": "id-1"},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert "works\n" in iter(process.stdout.readline, "")
    os.killpg(process.pid, signal.SIGTERM)
    time.sleep(1)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    outcome = read_outcome(store, "id-1")
    assert outcome is not None
    assert outcome.state is State.STOPPED
    assert "train_model was terminated" in outcome.error
