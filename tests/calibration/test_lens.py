"""Boxes as the training lens would have shown them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trapmeter.calibration.lens import box_scale, lens_changes_boxes, lens_ratio, network_lens_factor, to_training_lens
from trapmeter.records import Box
from trapmeter.tables.cameras import CameraSetup

BOX = Box(0.5, 0.3, 0.9, 0.7, 0.8)


def test_an_unknown_lens_or_the_training_lens_changes_nothing() -> None:
    for camera in (
        CameraSetup(),
        CameraSetup(45.0),
        CameraSetup(45.0, aspect=16 / 9),
        CameraSetup(height_m=None, aspect=1.0),
    ):
        assert not lens_changes_boxes(camera)
        assert to_training_lens(BOX, camera) is BOX
    assert not lens_changes_boxes(None)


def test_a_lens_with_half_the_tangent_shrinks_boxes_about_the_middle() -> None:
    narrow = math.degrees(2 * math.atan(math.tan(math.radians(22.5)) / 2))
    scale = box_scale(2.0)
    assert 0.5 < scale < 0.55
    expected = [0.5 + (value - 0.5) * scale for value in BOX.xyxy]
    assert to_training_lens(BOX, CameraSetup(narrow)).xyxy == pytest.approx(expected)
    assert lens_ratio(CameraSetup(narrow)) == pytest.approx(2.0)
    assert network_lens_factor(CameraSetup(narrow)) == pytest.approx(math.sqrt(2))


def test_boxes_in_taller_pictures_become_taller() -> None:
    box = to_training_lens(BOX, CameraSetup(45.0, aspect=4 / 3))
    assert box.x2 - box.x1 == pytest.approx(0.4)
    assert box.y2 - box.y1 == pytest.approx(0.4 * 4 / 3)


@given(st.floats(0.1, 10), st.floats(1.01, 2))
def test_longer_lenses_give_smaller_boxes(ratio: float, factor: float) -> None:
    assert box_scale(ratio * factor) < box_scale(ratio)
    assert box_scale(1 / ratio) == pytest.approx(1 / box_scale(ratio))


@given(
    st.floats(5, 170),
    st.floats(0.3, 4),
    st.tuples(*[st.floats(0, 0.98)] * 2, *[st.floats(0.01, 1)] * 2),
)
def test_every_lens_gives_a_valid_box(hfov_deg: float, aspect: float, sides: tuple[float, ...]) -> None:
    box = Box(sides[0], sides[1], min(sides[0] + sides[2], 1.0), min(sides[1] + sides[3], 1.0), 0.5)
    assert to_training_lens(box, CameraSetup(hfov_deg, aspect=aspect)).score == 0.5
