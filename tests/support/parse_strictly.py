"""Parses compiled pipelines with the messages of one version of KFP, which refuse a field that they do not know.

    PYTHONPATH=<the wheels> python -S parse_strictly.py <the wheels> < documents.json

On standard input a list of documents: specifications, and settings for Kubernetes. Prints the first refusal.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2


def _executor_settings() -> Any:
    """`KubernetesExecutorConfig`, without the package around it, which imports the whole SDK."""
    file = Path(sys.argv[1], "kfp", "kubernetes", "kubernetes_executor_config_pb2.py")
    description = importlib.util.spec_from_file_location("kubernetes_executor_config_pb2", file)
    assert description is not None
    assert description.loader is not None
    module = importlib.util.module_from_spec(description)
    description.loader.exec_module(module)
    return module.KubernetesExecutorConfig


def main() -> int:
    settings = _executor_settings()
    try:
        for document in json.load(sys.stdin):
            executors = document.get("deploymentSpec", {}).get("executors", {})
            if "platforms" in document:
                json_format.ParseDict(document, pipeline_spec_pb2.PlatformSpec())
                executors = document["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
                message: Any = settings
            else:
                json_format.ParseDict(document, pipeline_spec_pb2.PipelineSpec())
                message = pipeline_spec_pb2.PipelineDeploymentConfig.ExecutorSpec
            for executor in executors.values():
                json_format.ParseDict(executor, message())
    except json_format.ParseError as error:
        print(error)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
