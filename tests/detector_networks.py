"""Small ONNX detectors with the heads of real ones: an animal is what is red, a person what is blue.

Each finds the extent of a colour in its input, whatever the size, so that tests see whether boxes come back to their place.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trapmeter.records import Pixels

onnx = pytest.importorskip("onnx")

NAMES = {"names": "{0: 'animal', 1: 'person', 2: 'vehicle'}"}
HEADS = ("yolov5", "yolov8", "yolov10", "rtdetr", "listed", "logits")
ROWS = {"yolov5": 1100, "yolov8": 500, "yolov10": 300, "rtdetr": 300, "listed": 300, "logits": 300}
NAMED_OUTPUTS = {"listed": ("labels", "boxes", "scores"), "logits": ("logits", "pred_boxes")}


class Graph:
    """An ONNX graph that grows node by node; `add` returns the name of the node's output."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.weights: list[Any] = []

    def add(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        name = output or f"v{len(self.nodes)}"
        self.nodes.append(onnx.helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def constant(self, value: Any) -> str:
        name = f"c{len(self.weights)}"
        self.weights.append(onnx.numpy_helper.from_array(np.asarray(value), name))
        return name

    def number(self, value: float) -> str:
        return self.constant(np.full((1, 1), value, np.float32))

    def cast(self, name: str, dtype: int, output: str = "") -> str:
        return self.add("Cast", name, output=output, to=dtype)

    def row(self, *columns: str) -> str:
        """A row (1, 1, columns) of values (1, 1)."""
        return self.add("Unsqueeze", self.add("Concat", *columns, axis=1), self.constant(np.array([1])))


def make_detector(
    path: Path,
    head: str = "yolov5",
    *,
    size_hw: tuple[int | str, int | str] = (192, 320),
    is_half: bool = False,
    is_channels_last: bool = False,
    metadata: Mapping[str, str] = NAMES,
    score: float = 0.9,
    factor: float = 1.0,
    extra_output: tuple[int, ...] | None = None,
    batch: int | str = 1,
    n_channels: int = 3,
) -> Path:
    """Writes a detector.

    score: of what it finds; factor: what the first pixel of the input, where a picture is black, multiplies its output by.
    extra_output: the shape of another output, which is written last.
    """
    graph, helper = Graph(), onnx.helper
    dtype = onnx.TensorProto.FLOAT16 if is_half else onnx.TensorProto.FLOAT
    picture = graph.cast("images", onnx.TensorProto.FLOAT)
    if is_channels_last:
        picture = graph.add("Transpose", picture, perm=[0, 3, 1, 2])
    planes = [graph.add("Gather", picture, graph.constant(np.array([number])), axis=1) for number in (0, 1, 2)]
    animal, person = _find(graph, planes, 0), _find(graph, planes, 2)
    rows = {
        "yolov5": _yolov5, "yolov8": _yolov8, "yolov10": _yolov10, "rtdetr": _rtdetr, "listed": _listed, "logits": _logits
    }[head](graph, animal, person, score)  # fmt: skip
    outputs = []
    for name, value in rows.items():
        scaled = graph.add("Mul", value, graph.constant(np.float32(factor))) if factor != 1 else value
        is_label = name == "labels"
        graph.cast(scaled, onnx.TensorProto.INT64 if is_label else dtype, output=name)
        outputs.append(helper.make_tensor_value_info(name, onnx.TensorProto.INT64 if is_label else dtype, None))
    if extra_output is not None:
        graph.add("Identity", graph.constant(np.zeros(extra_output, np.float32)), output="extra")
        outputs.append(helper.make_tensor_value_info("extra", onnx.TensorProto.FLOAT, None))
    shape = [batch, *size_hw, n_channels] if is_channels_last else [batch, n_channels, *size_hw]
    inputs = [helper.make_tensor_value_info("images", dtype, shape)]
    if head == "listed":
        inputs.append(helper.make_tensor_value_info("orig_target_sizes", onnx.TensorProto.INT64, [1, 2]))
    model = helper.make_model(
        helper.make_graph(graph.nodes, "detector", inputs, outputs, graph.weights),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=10,
    )
    helper.set_model_props(model, dict(metadata))
    path.write_bytes(model.SerializeToString())
    return path


def _find(graph: Graph, planes: list[str], colour: int) -> dict[str, str]:
    """Corners in pixels, the input's sides, and 1 if anything has the colour, else 0: each (1, 1)."""
    others = graph.add("Max", *(plane for number, plane in enumerate(planes) if number != colour))
    excess = graph.add("Sub", planes[colour], others)
    mask = graph.cast(graph.add("Greater", excess, graph.constant(np.float32(0.5))), onnx.TensorProto.FLOAT)
    found = {"present": graph.add("ReduceMax", mask, axes=[1, 2, 3], keepdims=0)}
    found["present"] = graph.add("Unsqueeze", found["present"], graph.constant(np.array([1])))
    shape = graph.cast(graph.add("Shape", mask), onnx.TensorProto.FLOAT)
    for axis, first, last, side in ((3, "x1", "x2", "width"), (2, "y1", "y2", "height")):
        line = graph.add("ReduceMax", mask, axes=[1, 5 - axis], keepdims=0)
        start = graph.add("ArgMax", line, axis=1, keepdims=1)
        end = graph.add("ArgMax", line, axis=1, keepdims=1, select_last_index=1)
        found[first] = graph.cast(start, onnx.TensorProto.FLOAT)
        found[last] = graph.add("Add", graph.cast(end, onnx.TensorProto.FLOAT), graph.number(1))
        length = graph.add("Gather", shape, graph.constant(np.array([axis])), axis=0)
        found[side] = graph.add("Unsqueeze", length, graph.constant(np.array([1])))
    return found


def _centred(graph: Graph, found: dict[str, str], *, is_share: bool = False) -> list[str]:
    """Centre and sides of a box, in pixels or as shares of the input."""
    columns = []
    for kind in ("centre", "side"):
        for first, last, side in (("x1", "x2", "width"), ("y1", "y2", "height")):
            value = graph.add("Sub" if kind == "side" else "Add", found[last], found[first])
            if kind == "centre":
                value = graph.add("Mul", value, graph.number(0.5))
            columns.append(graph.add("Div", value, found[side]) if is_share else value)
    return columns


def _times(graph: Graph, found: dict[str, str], value: float) -> str:
    return graph.add("Mul", found["present"], graph.number(value))


def _shifted(graph: Graph, columns: list[str]) -> list[str]:
    """The same box two pixels further to the right, as a neighbouring cell would have it."""
    return [graph.add("Add", columns[0], graph.number(2)), *columns[1:]]


def _padded(graph: Graph, rows: list[str], n: int, n_columns: int) -> str:
    zeros = graph.constant(np.zeros((1, n - len(rows), n_columns), np.float32))
    return graph.add("Concat", *rows, zeros, axis=1)


def _yolov5(graph: Graph, animal: dict[str, str], person: dict[str, str], score: float) -> dict[str, str]:
    box, is_animal = _centred(graph, animal), [graph.number(value) for value in (1.0, 0.1, 0.05)]
    is_person = [graph.number(value) for value in (0.3, 1.0, 0.05)]
    rows = [
        graph.row(*_shifted(graph, box), _times(graph, animal, 0.9 * score), *is_animal),
        graph.row(*box, _times(graph, animal, score), *is_animal),
        graph.row(*_centred(graph, person), _times(graph, person, score), *is_person),
    ]
    return {"output0": _padded(graph, rows, ROWS["yolov5"], 8)}


def _best(graph: Graph, found: dict[str, str], score: float, shares: tuple[float, ...]) -> list[str]:
    return [_times(graph, found, score * share) for share in shares]


def _yolov8(graph: Graph, animal: dict[str, str], person: dict[str, str], score: float) -> dict[str, str]:
    box = _centred(graph, animal)
    rows = [
        graph.row(*_shifted(graph, box), *_best(graph, animal, score, (0.9, 0.1, 0.0))),
        graph.row(*box, *_best(graph, animal, score, (1.0, 0.1, 0.0))),
        graph.row(*_centred(graph, person), *_best(graph, person, score, (0.3, 1.0, 0.0))),
    ]
    return {"output0": graph.add("Transpose", _padded(graph, rows, ROWS["yolov8"], 7), perm=[0, 2, 1])}


def _corners(found: dict[str, str]) -> list[str]:
    return [found["x1"], found["y1"], found["x2"], found["y2"]]


def _yolov10(graph: Graph, animal: dict[str, str], person: dict[str, str], score: float) -> dict[str, str]:
    rows = [
        graph.row(*_corners(animal), _times(graph, animal, score), graph.number(0)),
        graph.row(*_corners(person), _times(graph, person, score), graph.number(1)),
        # The same box again, less surely of an animal.
        graph.row(*_corners(person), _times(graph, person, 0.5 * score), graph.number(0)),
    ]
    return {"output0": _padded(graph, rows, ROWS["yolov10"], 6)}


def _rtdetr(graph: Graph, animal: dict[str, str], person: dict[str, str], score: float) -> dict[str, str]:
    rows = [
        graph.row(*_centred(graph, animal, is_share=True), *_best(graph, animal, score, (1.0, 0.1, 0.05))),
        graph.row(*_centred(graph, person, is_share=True), *_best(graph, person, score, (0.3, 1.0, 0.05))),
    ]
    return {"output0": _padded(graph, rows, ROWS["rtdetr"], 7)}


def _listed(graph: Graph, animal: dict[str, str], person: dict[str, str], score: float) -> dict[str, str]:
    sizes = graph.cast("orig_target_sizes", onnx.TensorProto.FLOAT)
    sides = graph.add("Unsqueeze", graph.add("Concat", sizes, sizes, axis=1), graph.constant(np.array([1])))
    boxes, scores = [], []
    for found, share in ((animal, 1.0), (person, 1.0), (person, 0.5)):
        size = [found[side] for side in ("width", "height", "width", "height")]
        shares = [graph.add("Div", corner, side) for corner, side in zip(_corners(found), size, strict=True)]
        boxes.append(graph.add("Mul", graph.row(*shares), sides))
        scores.append(_times(graph, found, score * share))
    n = ROWS["listed"]
    zeros = graph.constant(np.zeros((1, n - 3), np.float32))
    labels = np.zeros((1, n), np.float32)
    labels[0, 1] = 1
    return {
        "labels": graph.add("Identity", graph.constant(labels)),
        "boxes": _padded(graph, boxes, n, 4),
        "scores": graph.add("Concat", *scores, zeros, axis=1),
    }


def _logits(graph: Graph, animal: dict[str, str], person: dict[str, str], score: float) -> dict[str, str]:
    """A sigmoid turns -6 into 0.002 and the logit of the score into the score."""
    rise = float(np.log(score / (1 - score))) + 6

    def logits(found: dict[str, str], number: int) -> list[str]:
        up = graph.add("Add", _times(graph, found, rise), graph.number(-6))
        return [up if number == column else graph.number(-6) for column in range(3)]

    n = ROWS["logits"]
    low = graph.constant(np.full((1, n - 2, 3), -6, np.float32))
    rows = [graph.row(*logits(animal, 0)), graph.row(*logits(person, 1))]
    boxes = [graph.row(*_centred(graph, found, is_share=True)) for found in (animal, person)]
    return {"logits": graph.add("Concat", *rows, low, axis=1), "pred_boxes": _padded(graph, boxes, n, 4)}


RED, BLUE = (255, 0, 0), (0, 0, 255)


def paint(
    height: int,
    width: int,
    *objects: tuple[tuple[float, float, float, float], tuple[int, int, int]],
) -> Pixels:
    """A grey picture with rectangles (x1, y1, x2, y2 as fractions) in colours."""
    picture = np.full((height, width, 3), 90, np.uint8)
    for (x1, y1, x2, y2), colour in objects:
        picture[round(y1 * height) : round(y2 * height), round(x1 * width) : round(x2 * width)] = colour
    return picture
