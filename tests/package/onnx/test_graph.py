"""Graphs are built, embedded and checked."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from modelway.components.package.onnx.graph import Graph


def run(model: Any, **feed: Any) -> list[Any]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return list(session.run(None, feed))


def doubled() -> Any:
    graph = Graph()
    graph.add("Mul", graph.input("x", np.float64), graph.constant(2.0), output="y")
    return graph.model([("y", np.float64, (None, 1))], {"modelway": "text"})


def test_a_graph_computes_what_was_added_and_keeps_its_metadata() -> None:
    model = doubled()
    assert run(model, x=np.array([[1.5]]))[0].tolist() == [[3.0]]
    assert [(entry.key, entry.value) for entry in model.metadata_props] == [("modelway", "text")]


def test_a_graph_is_embedded_twice_without_a_clash_of_names() -> None:
    graph = Graph()
    once = graph.embed(doubled().graph, graph.input("x", np.float64), prefix="first_")
    twice = graph.embed(doubled().graph, once["y"], prefix="second_")
    graph.add("Identity", twice["y"], output="z")
    assert run(graph.model([("z", np.float64, (None, 1))], {}), x=np.array([[1.5]]))[0].tolist() == [[6.0]]


def test_text_is_a_constant_and_indices_are_cast() -> None:
    graph = Graph()
    index = graph.cast(graph.input("x", np.float64), np.int64)
    graph.add("Gather", graph.constant(["a", "b"], object), index, output="y")
    model = graph.model([("y", object, (None, 1))], {})
    assert run(model, x=np.array([[1.0], [0.0]]))[0].tolist() == [["b"], ["a"]]


def test_a_graph_that_is_not_valid_is_refused() -> None:
    graph = Graph()
    graph.add("Identity", "nowhere", output="y")
    with pytest.raises(onnx.checker.ValidationError, match="nowhere"):
        graph.model([("y", np.float64, (None, 1))], {})
