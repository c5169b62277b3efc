"""The heads of detectors: told apart by a network's outputs, and read.

Every network of a family writes its boxes in the same way, whatever it was trained on. n stands for the number of classes:

YOLOv5                   (1, rows, 5 + n)   cx cy w h objectness, probability of each class; more than 1000 rows
YOLOv8, YOLOv9, YOLO11   (1, 4 + n, rows)   cx cy w h, score of each class
YOLOv10, exports with NMS (1, rows, 6)      x1 y1 x2 y2 score class; at most 1000 rows
RT-DETR of ultralytics   (1, rows, 4 + n)   cx cy w h as fractions, score of each class; at most 1000 rows
RT-DETR, D-FINE          labels (1, rows), boxes (1, rows, 4) x1 y1 x2 y2, scores (1, rows); given orig_target_sizes
RT-DETR of transformers  logits (1, rows, n), pred_boxes (1, rows, 4) cx cy w h as fractions

Boxes are in pixels of the input where nothing else is said. DETR's heads see a stretched picture, the others one between grey
margins: so they were trained, and so ultralytics runs its exports.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from trapmeter.errors import ModelError

Values: TypeAlias = NDArray[np.float32]

MAX_LISTED = 1000
"""Heads that select their boxes themselves list 300; YOLOv5 writes all its cells, 1,008 for an input of 128 pixels."""
_LISTED, _CELLS = range(MAX_LISTED + 1), range(MAX_LISTED + 1, 10_000_000)
_ROWS = range(10_000_000)
_SCORE_SLACK = 1e-3
"""How far beyond 0..1 rounding to half precision may bring a score."""


@dataclass(frozen=True, slots=True)
class FoundBoxes:
    """Boxes in a network's output: xyxy (n x 4) in pixels of its input, scores (n) in 0..1, and class numbers (n)."""

    xyxy: Values
    scores: Values
    classes: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Head:
    """How a network writes its boxes.

    outputs: positions of the outputs that are read, and shapes: theirs without the batch, each side a number or a range.
    decode: turns the outputs, without the batch, and the input's (height, width) into boxes. is_raw: the same animal has many
    boxes. is_stretched: pictures are stretched to the input's size.
    """

    name: str
    outputs: tuple[int, ...]
    shapes: tuple[tuple[int | range, ...], ...]
    decode: Callable[..., FoundBoxes]
    is_raw: bool
    is_stretched: bool

    def fits(self, shapes: Sequence[tuple[int, ...]]) -> bool:
        """Whether the outputs of a network have this head's shapes."""
        return all(_matches(shapes[at], shape) for at, shape in zip(self.outputs, self.shapes, strict=True))

    def read(self, path: Path, outputs: Sequence[NDArray[Any]], size_hw: tuple[int, int]) -> FoundBoxes:
        """The boxes in the outputs for one picture; size_hw: the input's height and width.

        Raises:
            ModelError: the outputs have other shapes than before, or values that no detector writes.
        """
        shapes = [output.shape for output in outputs]
        chosen = [outputs[at][0].astype(np.float32) for at in self.outputs] if self.fits(shapes) else []
        if not chosen or len({values.shape[0] for values in chosen}) != 1:
            raise ModelError(f"{path}: expected the outputs of {self.name}, got {described(shapes)}; export it again")
        if not all(np.isfinite(values).all() for values in chosen):
            raise ModelError(f"{path}: its output is not finite; the detector is unusable, export it again")
        found = self.decode(*chosen, size_hw)
        if found.scores.size and not -_SCORE_SLACK <= found.scores.min() <= found.scores.max() <= 1 + _SCORE_SLACK:
            raise ModelError(
                f"{path}: expected scores of 0 to 1, got {found.scores.min():g} to {found.scores.max():g}; export it again"
            )
        return FoundBoxes(found.xyxy, np.clip(found.scores, 0.0, 1.0), found.classes)


def find_head(path: Path, names: Sequence[str], outputs: Sequence[NDArray[Any]], classes: Sequence[str]) -> Head:
    """The head that wrote a network's outputs for one picture.

    names: of the outputs; classes: of what the detector finds.

    Raises:
        ModelError: no head writes such outputs, or several do.
    """
    shapes = [np.shape(output) for output in outputs]
    heads = [head for head in _candidates(names, len(classes)) if head.fits(shapes)]
    if len(heads) > 1 and len({head.outputs for head in heads}) == 1:
        # With one or two classes the last column is either a class number or a probability.
        last = np.asarray(outputs[heads[0].outputs[0]])[0, :, -1]
        has_numbers = bool((last == np.round(last)).all())
        heads = [head for head in heads if (head.decode is _end_to_end) is has_numbers]
    if len(heads) != 1:
        reason = "no known head writes these outputs" if not heads else "several heads may have written these outputs"
        raise ModelError(
            f"{path}: {reason}: {described(shapes, names)}. Known are {_known(len(classes))}; the file is read as one of "
            f"{len(classes)} classes ({_shortened(classes)}). Export it with its class names and without other outputs"
        )
    return heads[0]


def _candidates(names: Sequence[str], n: int) -> list[Head]:
    """All heads that a network with these outputs and n classes may have."""
    at = {name: number for number, name in enumerate(names)}
    if at.keys() >= {"labels", "boxes", "scores"}:
        parts = (at["boxes"], at["scores"], at["labels"])
        return [
            Head("RT-DETR", parts, ((_LISTED, 4), (_LISTED,), (_LISTED,)), _listed, is_raw=False, is_stretched=True)
        ]
    logits = at.get("logits", at.get("pred_logits"))
    if logits is not None and "pred_boxes" in at:
        shapes = ((_LISTED, 4), (_LISTED, n))
        return [Head("RT-DETR", (at["pred_boxes"], logits), shapes, _logits, is_raw=False, is_stretched=True)]
    return [
        head
        for number in range(len(names))
        for head in (
            Head("YOLOv5", (number,), ((_CELLS, 5 + n),), _yolov5, is_raw=True, is_stretched=False),
            Head("YOLOv8", (number,), ((4 + n, _ROWS),), _yolov8, is_raw=True, is_stretched=False),
            Head("YOLOv10", (number,), ((_LISTED, 6),), _end_to_end, is_raw=False, is_stretched=False),
            Head("RT-DETR", (number,), ((_LISTED, 4 + n),), _rtdetr, is_raw=False, is_stretched=True),
        )
    ]


def _known(n: int) -> str:
    return (
        f"YOLOv5 (1, more than {MAX_LISTED}, {5 + n}), YOLOv8, 9 and 11 (1, {4 + n}, any), YOLOv10 and exports with NMS "
        f"(1, up to {MAX_LISTED}, 6), RT-DETR (1, up to {MAX_LISTED}, {4 + n}), and RT-DETR with the outputs labels, boxes "
        "and scores, or logits and pred_boxes"
    )


def described(shapes: Sequence[tuple[int, ...]], names: Sequence[str] = ()) -> str:
    """The shapes of outputs, with their names if they are given."""
    return ", ".join(" ".join([*names[number : number + 1], str(tuple(shape))]) for number, shape in enumerate(shapes))


def _shortened(classes: Sequence[str]) -> str:
    return ", ".join(classes[:5]) + (", ..." if len(classes) > 5 else "")


def _matches(shape: tuple[int, ...], pattern: tuple[int | range, ...]) -> bool:
    return len(shape) == len(pattern) + 1 and all(
        side in expected if isinstance(expected, range) else side == expected
        for side, expected in zip(shape, (1, *pattern), strict=True)
    )


def _yolov5(rows: Values, size_hw: tuple[int, int]) -> FoundBoxes:
    """A score is objectness times the probability of the likeliest class."""
    return _best_classes(_corners(rows[:, :4]), rows[:, 4:5] * rows[:, 5:])


def _yolov8(columns: Values, size_hw: tuple[int, int]) -> FoundBoxes:
    return _best_classes(_corners(columns[:4].T), columns[4:].T)


def _end_to_end(rows: Values, size_hw: tuple[int, int]) -> FoundBoxes:
    return FoundBoxes(rows[:, :4], rows[:, 4], np.round(rows[:, 5]).astype(np.int64))


def _rtdetr(rows: Values, size_hw: tuple[int, int]) -> FoundBoxes:
    return _best_classes(_corners(rows[:, :4]) * _scale(size_hw), rows[:, 4:])


def _logits(boxes: Values, logits: Values, size_hw: tuple[int, int]) -> FoundBoxes:
    """RT-DETR trains each class's score by itself, so that a sigmoid is the right function for it."""
    scores = np.float32(1.0) / (np.float32(1.0) + np.exp(-np.clip(logits, -60.0, 60.0)))
    return _best_classes(_corners(boxes) * _scale(size_hw), scores)


def _listed(boxes: Values, scores: Values, labels: Values, size_hw: tuple[int, int]) -> FoundBoxes:
    return FoundBoxes(boxes, scores, np.round(labels).astype(np.int64))


def _best_classes(xyxy: Values, scores: Values) -> FoundBoxes:
    """Boxes with the best of their classes' scores (rows x classes): a box shows one thing."""
    if not len(scores):
        return FoundBoxes(xyxy, np.zeros(0, np.float32), np.zeros(0, np.int64))
    return FoundBoxes(xyxy, scores.max(axis=1), scores.argmax(axis=1))


def _corners(boxes: Values) -> Values:
    """Boxes as cx cy w h (n x 4) become x1 y1 x2 y2."""
    centre, half = boxes[:, :2], boxes[:, 2:] / 2
    return np.concatenate([centre - half, centre + half], axis=1)


def _scale(size_hw: tuple[int, int]) -> Values:
    return np.array([size_hw[1], size_hw[0]] * 2, np.float32)
