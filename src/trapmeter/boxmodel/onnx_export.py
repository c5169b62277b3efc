"""Writes a trained ensemble as one ONNX file: a node of trees, and the layers of the networks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trapmeter.boxmodel.ensemble import BoxEnsemble, Forest
from trapmeter.boxmodel.network import CLIP, BoxNetwork
from trapmeter.errors import MissingExtraError

_Node = dict[str, Any]


def tree_attributes(forest: Forest, point_share: float) -> dict[str, Any]:
    """Attributes of a TreeEnsembleRegressor: float32 n x features in, float32 n x 3 out (point, low, high).

    The point is multiplied by point_share (0 to 1), so that something else can be added to it.
    """
    lists = _node_lists([forest.point, (forest.low,), (forest.high,)], (point_share, 1.0, 1.0))
    return {"n_targets": 3, "aggregate_function": "SUM", "post_transform": "NONE", **lists}


def _node_lists(outputs: Sequence[Sequence[Any]], shares: Sequence[float]) -> dict[str, list[Any]]:
    """The node's parallel lists. outputs: for each the boosters whose mean is multiplied by its share."""
    nodes = ("treeids", "nodeids", "featureids", "modes", "values", "truenodeids", "falsenodeids")
    names = [f"nodes_{name}" for name in (*nodes, "missing_value_tracks_true")]
    names += [f"target_{name}" for name in ("treeids", "nodeids", "ids", "weights")]
    lists: dict[str, list[Any]] = {name: [] for name in names}
    tree_id = 0
    for target_id, (boosters, share) in enumerate(zip(outputs, shares, strict=True)):
        for booster in boosters:
            for tree in booster.dump_model()["tree_info"]:
                for node_id, node, true_id, false_id in _walk(tree["tree_structure"]):
                    row: tuple[Any, ...]
                    if "leaf_value" in node:
                        row = (tree_id, node_id, 0, "LEAF", 0.0, 0, 0, 0)
                        leaf = (tree_id, node_id, target_id, share * node["leaf_value"] / len(boosters))
                        for name, value in zip(names[8:], leaf, strict=True):
                            lists[name].append(value)
                    else:
                        values = (node["split_feature"], "BRANCH_LEQ", _round_down(node["threshold"]))
                        row = (tree_id, node_id, *values, true_id, false_id, _goes_left_if_missing(node))
                    for name, value in zip(names[:8], row, strict=True):
                        lists[name].append(value)
                tree_id += 1
    return lists


def _walk(root: _Node) -> Iterator[tuple[int, _Node, int, int]]:
    """Every node of a tree with its number and its children's, breadth first."""
    queue = [root]
    node_id = 0
    while node_id < len(queue):
        node = queue[node_id]
        if "leaf_value" in node:
            yield node_id, node, 0, 0
        else:
            if node["decision_type"] != "<=":
                raise ValueError(f"only splits by <= are written, got {node['decision_type']!r}")
            yield node_id, node, len(queue), len(queue) + 1
            queue += [node["left_child"], node["right_child"]]
        node_id += 1


def _round_down(threshold: float) -> float:
    """The largest float32 that is not above the threshold: x <= it exactly when a float32 x <= threshold."""
    # A split of known from unknown values has a threshold of 1e300.
    nearest = np.float32(min(threshold, float(np.finfo(np.float32).max)))
    if float(nearest) > threshold:
        nearest = np.nextafter(nearest, np.float32(-np.inf))
    return float(nearest)


def _goes_left_if_missing(node: _Node) -> int:
    """LightGBM reads NaN as 0 where training saw none in this feature."""
    if node["missing_type"] == "None":
        return int(node["threshold"] >= 0.0)
    return int(node["default_left"])


INPUT, OUTPUT = "features", "point_low_high"


def to_onnx(ensemble: BoxEnsemble, feature_count: int) -> bytes:
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


def _add_networks(graph: _Graph, networks: Sequence[BoxNetwork], share: float) -> None:
    """Adds share times the networks' mean to the first of the trees' three numbers."""
    from onnx import TensorProto

    answers = []
    # All networks of a training share their inputs.
    values = _add_scaling(graph, networks[0])
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


def _add_scaling(graph: _Graph, network: BoxNetwork) -> str:
    """What Inputs.__call__ does, in float32 as there."""
    inputs = network.inputs
    unknown = graph.add("IsNaN", [INPUT])
    centred = graph.add("Sub", [INPUT, graph.constant(inputs.centre)])
    scaled = graph.add("Div", [centred, graph.constant(inputs.scale)])
    known = graph.add("Where", [unknown, graph.constant(np.zeros(1, np.float32)), scaled])
    bounds = [graph.constant(np.array(end, np.float32)) for end in (-CLIP, CLIP)]
    marks = graph.add("Gather", [unknown, graph.constant(inputs.marked)], axis=1)
    return graph.add("Concat", [graph.double(graph.add("Clip", [known, *bounds])), graph.double(marks)], axis=1)
