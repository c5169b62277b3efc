"""Pictures fitted into the detector's input, and boxes converted back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trapmeter.detect.letterbox import FittedPicture, letterbox, stretch

BLANK = np.zeros((640, 640, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("picture_hw", "content_hw"),
    [
        ((640, 640), (640, 640)),
        ((360, 640), (360, 640)),
        ((1080, 1920), (360, 640)),
        ((1920, 1080), (640, 360)),
        ((60, 106), (362, 640)),  # enlarged: 60 * 640 / 106 = 362.3
        ((1, 1), (640, 640)),
        ((1, 5000), (1, 640)),  # a line remains one pixel high
        ((5000, 1), (640, 1)),
        ((641, 640), (640, 639)),
    ],
)
def test_the_picture_touches_the_canvas_and_keeps_its_aspect(
    picture_hw: tuple[int, int], content_hw: tuple[int, int]
) -> None:
    fitted = letterbox(np.full((*picture_hw, 3), 200, dtype=np.uint8), (640, 640), (640, 640))
    assert fitted.content_hw == content_hw
    assert fitted.canvas.shape == (640, 640, 3) and fitted.canvas.dtype == np.uint8
    height, width = content_hw
    assert (fitted.canvas[:height, :width] == 200).all()
    assert fitted.canvas[height:].sum() == 0 and fitted.canvas[:, width:].sum() == 0


def test_a_picture_of_the_right_size_is_copied_unchanged() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (400, 640, 3), dtype=np.uint8)
    assert np.array_equal(letterbox(picture, (640, 640), (640, 640)).canvas[:400], picture)


def test_the_input_picture_is_not_changed() -> None:
    picture = np.full((640, 640, 3), 7, dtype=np.uint8)
    letterbox(picture, (640, 640), (640, 640)).canvas[:] = 0
    assert (picture == 7).all()


@given(
    height=st.integers(1, 3000),
    width=st.integers(1, 3000),
    corners=st.lists(st.floats(0, 1), min_size=4, max_size=4),
)
def test_boxes_convert_back_to_the_same_fractions(height: int, width: int, corners: list[float]) -> None:
    content = letterbox(np.zeros((height, width, 3), dtype=np.uint8), (64, 64), (32, 32)).content_hw
    box = np.array([corners])
    on_canvas = box * (content[1], content[0], content[1], content[0])
    np.testing.assert_allclose(FittedPicture(BLANK, content).to_fractions(on_canvas), box, atol=1e-12)


def test_boxes_are_clipped_to_the_picture() -> None:
    fractions = FittedPicture(BLANK, (320, 640)).to_fractions(np.array([[-10.0, -10.0, 700.0, 700.0]]))
    assert fractions.tolist() == [[0.0, 0.0, 1.0, 1.0]]


def test_no_boxes_convert_to_no_boxes() -> None:
    assert FittedPicture(BLANK, (320, 640)).to_fractions(np.empty((0, 4))).shape == (0, 4)


def test_a_centred_picture_lies_between_grey_margins() -> None:
    fitted = letterbox(np.full((90, 160, 3), 200, np.uint8), (64, 64), (64, 64), margin=114, is_centred=True)
    assert (fitted.content_hw, fitted.offset_yx) == ((36, 64), (14, 0))
    assert (fitted.canvas[14:50] == 200).all()
    assert (fitted.canvas[:14] == 114).all() and (fitted.canvas[50:] == 114).all()
    assert fitted.to_fractions(np.array([[16.0, 23.0, 32.0, 41.0]])).tolist() == [[0.25, 0.25, 0.5, 0.75]]


@given(st.integers(1, 400), st.integers(1, 400), st.integers(1, 5), st.integers(1, 5))
def test_a_canvas_is_no_larger_than_its_size(height: int, width: int, rows: int, columns: int) -> None:
    size_hw = (32 * rows, 32 * columns)
    fitted = letterbox(np.zeros((height, width, 3), np.uint8), size_hw, (32, 32), margin=114, is_centred=True)
    for canvas, content, offset, most in zip(
        fitted.canvas.shape, fitted.content_hw, fitted.offset_yx, size_hw, strict=False
    ):
        assert canvas % 32 == 0 and canvas <= most
        assert 0 <= offset <= canvas - content - offset <= offset + 1


def test_a_stretched_picture_fills_the_canvas() -> None:
    fitted = stretch(np.full((90, 160, 3), 200, np.uint8), (64, 64))
    assert fitted.canvas.shape == (64, 64, 3) and (fitted.canvas == 200).all()
    assert fitted.to_fractions(np.array([[16.0, 16.0, 32.0, 48.0]])).tolist() == [[0.25, 0.25, 0.5, 0.75]]
