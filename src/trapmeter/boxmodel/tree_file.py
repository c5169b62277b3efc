"""LightGBM's trees as one ONNX node, so that the base install needs onnxruntime alone.

Written by hand rather than with a converter for three reasons: thresholds are rounded down to float32, so that every
float32 input goes the way it goes in LightGBM; all outputs share one node and one file; averaging happens in the
leaves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from trapmeter.boxmodel.trees import Forest

_Node = dict[str, Any]


def tree_attributes(forest: Forest, point_share: float) -> dict[str, Any]:
    """Attributes of a TreeEnsembleRegressor: float32 n x features in, float32 n x 3 out (point, low, high).

    The point is multiplied by point_share (0 to 1), so that something else can be added to it.
    """
    lists = _lists([forest.point, (forest.low,), (forest.high,)], (point_share, 1.0, 1.0))
    return {"n_targets": 3, "aggregate_function": "SUM", "post_transform": "NONE", **lists}


def _lists(outputs: Sequence[Sequence[Any]], shares: Sequence[float]) -> dict[str, list[Any]]:
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
