"""A trained ensemble as one ONNX file: a node of trees, and the networks' layers added to its point.

The networks are reckoned in float64 and rounded at the end: with float32 the order in which a runtime adds up, which
changes with the number of rows, would show in the last digits of a distance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trapmeter.boxmodel.ensemble import Ensemble
from trapmeter.boxmodel.network import CLIP, Network
from trapmeter.boxmodel.tree_file import tree_attributes
from trapmeter.errors import MissingExtraError

INPUT, OUTPUT = "features", "point_low_high"


def write_model(ensemble: Ensemble, feature_count: int) -> bytes:
    """An ONNX model: float32 n x feature_count in, float32 n x 3 out (point, low, high in the target).

    Raises:
        MissingExtraError: onnx is not installed.
    """
    try:
        from onnx import TensorProto, checker, helper
    except ImportError as error:
        raise MissingExtraError("onnx", "boxmodel") from error
    graph = _Graph()
    share = ensemble.network_share if ensemble.networks else 0.0
    trees = OUTPUT if not ensemble.networks else "trees"
    attributes = tree_attributes(ensemble.forest, 1 - share)
    graph.nodes.append(helper.make_node("TreeEnsembleRegressor", [INPUT], [trees], domain="ai.onnx.ml", **attributes))
    if ensemble.networks:
        _add_networks(graph, ensemble.networks, share)
    made = helper.make_graph(
        graph.nodes,
        "boxmodel",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [None, feature_count])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [None, 3])],
        graph.constants,
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(made, opset_imports=opsets, ir_version=8, producer_name="trapmeter")
    checker.check_model(model)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


class _Graph:
    """Nodes and constants so far."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(self, kind: str, inputs: Sequence[str], output: str = "", **attributes: Any) -> str:
        """A node of the kind; its output's name."""
        from onnx import helper

        output = output or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def constant(self, value: NDArray[Any]) -> str:
        """A constant; its name."""
        from onnx import numpy_helper

        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def double(self, name: str) -> str:
        """The same values as float64."""
        from onnx import TensorProto

        return self.add("Cast", [name], to=TensorProto.DOUBLE)


def _add_networks(graph: _Graph, networks: Sequence[Network], share: float) -> None:
    """Adds share times the networks' mean to the first of the trees' three numbers."""
    from onnx import TensorProto

    answers = []
    # All networks of a training share their inputs.
    values = _inputs(graph, networks[0])
    for network in networks:
        reached = values
        for layer, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
            # Kept as float32 in the file, half the size.
            matrix, offset = graph.double(graph.constant(weight)), graph.double(graph.constant(bias))
            reached = graph.add("Gemm", [reached, matrix, offset])
            if layer < len(network.weights) - 1:
                reached = graph.add("Mul", [reached, graph.add("Sigmoid", [reached])])
        answers.append(reached)
    each = graph.constant(np.array([[share / len(networks), 0.0, 0.0]]))
    moved = graph.add("Mul", [graph.add("Sum", answers), each])
    graph.add("Add", ["trees", graph.add("Cast", [moved], to=TensorProto.FLOAT)], OUTPUT)


def _inputs(graph: _Graph, network: Network) -> str:
    """What Inputs.__call__ does, in float32 as there."""
    inputs = network.inputs
    unknown = graph.add("IsNaN", [INPUT])
    centred = graph.add("Sub", [INPUT, graph.constant(inputs.centre)])
    scaled = graph.add("Div", [centred, graph.constant(inputs.scale)])
    known = graph.add("Where", [unknown, graph.constant(np.zeros(1, np.float32)), scaled])
    bounds = [graph.constant(np.array(end, np.float32)) for end in (-CLIP, CLIP)]
    marks = graph.add("Gather", [unknown, graph.constant(inputs.marked)], axis=1)
    return graph.add("Concat", [graph.double(graph.add("Clip", [known, *bounds])), graph.double(marks)], axis=1)
