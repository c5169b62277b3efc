"""Overlap and suppression of boxes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from trapmeter.geometry import iou, nms

corners = arrays(np.int64, st.tuples(st.integers(0, 12), st.just(4)), elements=st.integers(0, 12))


def boxes_from(grid: np.ndarray) -> np.ndarray:
    """Boxes with integer corners, some without area."""
    return np.concatenate([np.minimum(grid[:, :2], grid[:, 2:]), np.maximum(grid[:, :2], grid[:, 2:])], axis=1)


def cells_of(box: np.ndarray) -> set[tuple[int, int]]:
    return {(x, y) for x in range(int(box[0]), int(box[2])) for y in range(int(box[1]), int(box[3]))}


def counted_iou(a: np.ndarray, b: np.ndarray) -> float:
    """IoU by counting unit squares, independent of the formula."""
    first, second = cells_of(a), cells_of(b)
    return len(first & second) / len(first | second) if first | second else 0.0


def simple_nms(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> list[int]:
    kept: list[int] = []
    for index in sorted(range(len(boxes)), key=lambda i: (-scores[i], i)):
        if all(counted_iou(boxes[index], boxes[other]) <= threshold for other in kept):
            kept.append(index)
    return kept


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([0, 0, 2, 2], [0, 0, 2, 2], 1.0),
        ([0, 0, 2, 2], [1, 1, 3, 3], 1 / 7),
        ([0, 0, 2, 2], [2, 0, 4, 2], 0.0),  # touching
        ([0, 0, 1, 1], [5, 5, 6, 6], 0.0),
        ([1, 1, 1, 3], [1, 1, 1, 3], 0.0),  # no area
    ],
)
def test_iou_of_known_pairs(a: list[float], b: list[float], expected: float) -> None:
    assert iou(np.array([a]), np.array([b]))[0, 0] == pytest.approx(expected)


@given(corners, corners)
def test_iou_agrees_with_counting(first: np.ndarray, second: np.ndarray) -> None:
    a, b = boxes_from(first), boxes_from(second)
    expected = np.array([[counted_iou(first_box, second_box) for second_box in b] for first_box in a]).reshape(
        len(a), len(b)
    )
    np.testing.assert_allclose(iou(a, b), expected)


@given(corners, st.data(), st.sampled_from([0.0, 0.3, 0.45, 0.9]))
def test_nms_agrees_with_a_simple_loop(grid: np.ndarray, data: st.DataObject, threshold: float) -> None:
    boxes = boxes_from(grid)
    few = st.sampled_from([0.1, 0.5, 0.5, 0.9])  # makes equal scores common
    scores = np.array(data.draw(st.lists(few, min_size=len(boxes), max_size=len(boxes))))
    assert nms(boxes, scores, threshold).tolist() == simple_nms(boxes, scores, threshold)


def test_nms_of_no_boxes_is_empty() -> None:
    assert nms(np.empty((0, 4)), np.empty(0), 0.45).tolist() == []


def test_nms_prefers_the_earlier_of_equals() -> None:
    twins = np.array([[0, 0, 10, 10], [0, 0, 10, 11], [50, 50, 60, 60]], dtype=np.float32)
    assert nms(twins, np.array([0.5, 0.5, 0.9]), 0.45).tolist() == [2, 0]
