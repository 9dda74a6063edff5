"""Pipelines as ONNX."""
