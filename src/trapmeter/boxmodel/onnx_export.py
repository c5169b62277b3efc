"""Writes a trained ensemble as one ONNX model: a node with all trees, and the layers of the networks."""

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

    The point is multiplied by point_share (0..1), to leave room for the networks' share.
    """
    lists = _node_lists([forest.point, (forest.low,), (forest.high,)], (point_share, 1.0, 1.0))
    return {"n_targets": 3, "aggregate_function": "SUM", "post_transform": "NONE", **lists}


def _node_lists(outputs: Sequence[Sequence[Any]], shares: Sequence[float]) -> dict[str, list[Any]]:
    """The node's parallel lists. outputs: the boosters of each; their mean is multiplied by the output's share."""
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
    """Every node of a tree with its number and its children's numbers, breadth first."""
    queue = [root]
    node_id = 0
    while node_id < len(queue):
        node = queue[node_id]
        if "leaf_value" in node:
            yield node_id, node, 0, 0
        else:
            if node["decision_type"] != "<=":
                raise ValueError(f"expected a split by <=, got {node['decision_type']!r}")
            yield node_id, node, len(queue), len(queue) + 1
            queue += [node["left_child"], node["right_child"]]
        node_id += 1


def _round_down(threshold: float) -> float:
    """The largest float32 not above the threshold: a float32 x <= it exactly if x <= threshold."""
    # A split between known and unknown values has a threshold of 1e300.
    nearest = np.float32(min(threshold, float(np.finfo(np.float32).max)))
    if float(nearest) > threshold:
        nearest = np.nextafter(nearest, np.float32(-np.inf))
    return float(nearest)


def _goes_left_if_missing(node: _Node) -> int:
    """LightGBM treats NaN as 0 if the feature had none in training."""
    if node["missing_type"] == "None":
        return int(node["threshold"] >= 0.0)
    return int(node["default_left"])


INPUT, OUTPUT = "features", "point_low_high"


def to_onnx(ensemble: BoxEnsemble, feature_count: int) -> bytes:
    """An ONNX model: float32 n x feature_count in, float32 n x 3 out (point, low, high in log(1 + metres)).

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
    onnx_graph = helper.make_graph(
        graph.nodes,
        "boxmodel",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [None, feature_count])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [None, 3])],
        graph.constants,
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(onnx_graph, opset_imports=opsets, ir_version=8, producer_name="trapmeter")
    checker.check_model(model)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


class _Graph:
    """The nodes and constants added so far. Their order names them, and so decides the bytes of the file."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(self, kind: str, inputs: Sequence[str], output: str = "", **attributes: Any) -> str:
        """Adds a node; returns the name of its output."""
        from onnx import helper

        output = output or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def constant(self, value: NDArray[Any]) -> str:
        """Adds a constant; returns its name."""
        from onnx import numpy_helper

        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def double(self, name: str) -> str:
        """Adds a cast to float64; returns the name of its output."""
        from onnx import TensorProto

        return self.add("Cast", [name], to=TensorProto.DOUBLE)


def _add_networks(graph: _Graph, networks: Sequence[BoxNetwork], share: float) -> None:
    """Adds share times the networks' mean to the point, the first of the trees' three numbers."""
    from onnx import TensorProto

    predictions = []
    # All networks of an ensemble have the same scaler.
    inputs = _add_scaling(graph, networks[0])
    for network in networks:
        values = inputs
        for layer, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
            # Stored as float32, which halves the file.
            matrix, offset = graph.double(graph.constant(weight)), graph.double(graph.constant(bias))
            values = graph.add("Gemm", [values, matrix, offset])
            if layer < len(network.weights) - 1:
                values = graph.add("Mul", [values, graph.add("Sigmoid", [values])])
        predictions.append(values)
    weight_of_each = graph.constant(np.array([[share / len(networks), 0.0, 0.0]]))
    weighted = graph.add("Mul", [graph.add("Sum", predictions), weight_of_each])
    graph.add("Add", ["trees", graph.add("Cast", [weighted], to=TensorProto.FLOAT)], OUTPUT)


def _add_scaling(graph: _Graph, network: BoxNetwork) -> str:
    """Does what `FeatureScaler.__call__` does, in float32 too."""
    scaler = network.inputs
    unknown = graph.add("IsNaN", [INPUT])
    centred = graph.add("Sub", [INPUT, graph.constant(scaler.centre)])
    scaled = graph.add("Div", [centred, graph.constant(scaler.scale)])
    known = graph.add("Where", [unknown, graph.constant(np.zeros(1, np.float32)), scaled])
    bounds = [graph.constant(np.array(end, np.float32)) for end in (-CLIP, CLIP)]
    marks = graph.add("Gather", [unknown, graph.constant(scaler.marked)], axis=1)
    return graph.add("Concat", [graph.double(graph.add("Clip", [known, *bounds])), graph.double(marks)], axis=1)
