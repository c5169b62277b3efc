"""Pictures fitted into the detector's input, and boxes converted back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trapmeter.detect.letterbox import Letterbox, letterbox

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
    fitted = letterbox(np.full((*picture_hw, 3), 200, dtype=np.uint8), 640, 640)
    assert fitted.content_hw == content_hw
    assert fitted.canvas.shape == (640, 640, 3) and fitted.canvas.dtype == np.uint8
    height, width = content_hw
    assert (fitted.canvas[:height, :width] == 200).all()
    assert fitted.canvas[height:].sum() == 0 and fitted.canvas[:, width:].sum() == 0


def test_a_picture_of_the_right_size_is_copied_unchanged() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (400, 640, 3), dtype=np.uint8)
    assert np.array_equal(letterbox(picture, 640, 640).canvas[:400], picture)


def test_the_input_picture_is_not_changed() -> None:
    picture = np.full((640, 640, 3), 7, dtype=np.uint8)
    letterbox(picture, 640, 640).canvas[:] = 0
    assert (picture == 7).all()


@given(
    height=st.integers(1, 3000),
    width=st.integers(1, 3000),
    corners=st.lists(st.floats(0, 1), min_size=4, max_size=4),
)
def test_boxes_convert_back_to_the_same_fractions(height: int, width: int, corners: list[float]) -> None:
    content = letterbox(np.zeros((height, width, 3), dtype=np.uint8), 64, 32).content_hw
    box = np.array([corners])
    on_canvas = box * (content[1], content[0], content[1], content[0])
    np.testing.assert_allclose(Letterbox(BLANK, content).to_fractions(on_canvas), box, atol=1e-12)


def test_boxes_are_clipped_to_the_picture() -> None:
    fractions = Letterbox(BLANK, (320, 640)).to_fractions(np.array([[-10.0, -10.0, 700.0, 700.0]]))
    assert fractions.tolist() == [[0.0, 0.0, 1.0, 1.0]]


def test_no_boxes_convert_to_no_boxes() -> None:
    assert Letterbox(BLANK, (320, 640)).to_fractions(np.empty((0, 4))).shape == (0, 4)
