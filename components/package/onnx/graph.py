"""A small builder of ONNX graphs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto

OPSET, IR_VERSION = 18, 9
ML = "ai.onnx.ml"


class UnsupportedError(Exception):
    """A part of the model is not supported in ONNX; names it."""


@dataclass
class Graph:
    """An ONNX graph in the making.

    Attributes:
        inputs: The graph's inputs.
        nodes: Its nodes, each after those whose outputs it takes.
        constants: Its initializers.
        ml_opset: The version of ai.onnx.ml. Version 5 has TreeEnsemble, but lacks operators that skl2onnx writes.
    """

    inputs: list[ValueInfoProto] = field(default_factory=list)
    nodes: list[NodeProto] = field(default_factory=list)
    constants: list[TensorProto] = field(default_factory=list)
    ml_opset: int = 3

    def input(self, name: str, dtype: Any) -> str:
        """Adds an input of shape (rows, 1); returns its name."""
        from onnx import helper

        self.inputs.append(helper.make_tensor_value_info(name, element_type(dtype), [None, 1]))
        return name

    def constant(self, value: Any, dtype: Any = np.float64) -> str:
        """Adds an initializer; returns its name."""
        from onnx import helper, numpy_helper

        name, array = f"modelway.constant_{len(self.constants)}", np.asarray(value, dtype=dtype)
        if array.dtype == object:
            texts = [text.encode() for text in array.ravel()]
            self.constants.append(helper.make_tensor(name, element_type(object), array.shape, texts))
        else:
            self.constants.append(numpy_helper.from_array(array, name))
        return name

    def add(self, operator: str, *inputs: str, output: str | None = None, domain: str = "", **attributes: Any) -> str:
        """Adds a node with one output; returns the output's name."""
        from onnx import helper

        output = output or f"modelway.value_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [output], domain=domain, **attributes))
        return output

    def cast(self, value: str, dtype: Any) -> str:
        """Adds a conversion to another type."""
        return self.add("Cast", value, to=element_type(dtype))

    def embed(self, other: GraphProto, value: str, *, prefix: str = "modelway.model_") -> dict[str, str]:
        """Adds another graph's nodes with a value as its only input; returns its outputs' names in this graph."""
        from onnx import compose

        prefixed = compose.add_prefix_graph(other, prefix)
        (input_name,) = (node.name for node in prefixed.input)
        for node in prefixed.node:
            node.input[:] = [value if name == input_name else name for name in node.input]
        self.nodes.extend(prefixed.node)
        self.constants.extend(prefixed.initializer)
        return {old.name: new.name for old, new in zip(other.output, prefixed.output, strict=True)}

    def model(self, outputs: list[tuple[str, Any, tuple[int | None, ...]]], properties: dict[str, str]) -> ModelProto:
        """Returns the checked model with its outputs, each a name, an element type and a shape, and its metadata."""
        import onnx
        from onnx import helper

        infos = [helper.make_tensor_value_info(name, element_type(dtype), shape) for name, dtype, shape in outputs]
        graph = helper.make_graph(self.nodes, "modelway", self.inputs, infos, self.constants)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(ML, self.ml_opset)]
        model = helper.make_model(graph, producer_name="modelway", ir_version=IR_VERSION, opset_imports=opsets)
        helper.set_model_props(model, properties)
        onnx.checker.check_model(model)
        return model


def element_type(dtype: Any) -> int:
    """Returns ONNX's element type for a NumPy dtype; object is text."""
    from onnx import TensorProto, helper

    if np.dtype(dtype) == object:
        return int(TensorProto.STRING)
    return int(helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))
