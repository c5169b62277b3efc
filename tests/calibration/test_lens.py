"""Boxes as the cameras of the training would have seen them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trapmeter.calibration.lens import box_scale, lens_changes_boxes, lens_ratio, network_lens_factor, to_training_lens
from trapmeter.records import Box
from trapmeter.tables.cameras import CameraSetup

BOX = Box(0.5, 0.3, 0.9, 0.7, 0.8)


def test_without_a_lens_or_with_the_trainings_nothing_changes() -> None:
    for camera in (
        CameraSetup(),
        CameraSetup(45.0),
        CameraSetup(45.0, aspect=16 / 9),
        CameraSetup(height_m=None, aspect=1.0),
    ):
        assert not lens_changes_boxes(camera)
        assert to_training_lens(BOX, camera) is BOX
    assert not lens_changes_boxes(None)


def test_half_the_tangent_shrinks_boxes_about_the_middle() -> None:
    narrow = math.degrees(2 * math.atan(math.tan(math.radians(22.5)) / 2))
    scale = box_scale(2.0)
    assert 0.5 < scale < 0.55
    expected = [0.5 + (value - 0.5) * scale for value in BOX.xyxy]
    assert to_training_lens(BOX, CameraSetup(narrow)).xyxy == pytest.approx(expected)
    assert lens_ratio(CameraSetup(narrow)) == pytest.approx(2.0)
    assert network_lens_factor(CameraSetup(narrow)) == pytest.approx(math.sqrt(2))


def test_upright_pictures_show_more_above_and_below() -> None:
    box = to_training_lens(BOX, CameraSetup(45.0, aspect=4 / 3))
    assert box.x2 - box.x1 == pytest.approx(0.4)
    assert box.y2 - box.y1 == pytest.approx(0.4 * 4 / 3)


@given(st.floats(0.1, 10), st.floats(1.01, 2))
def test_the_longer_the_lens_the_smaller_the_boxes(ratio: float, more: float) -> None:
    assert box_scale(ratio * more) < box_scale(ratio)
    assert box_scale(1 / ratio) == pytest.approx(1 / box_scale(ratio))


@given(
    st.floats(5, 170),
    st.floats(0.3, 4),
    st.tuples(*[st.floats(0, 0.98)] * 2, *[st.floats(0.01, 1)] * 2),
)
def test_whatever_the_lens_it_stays_a_box(hfov_deg: float, aspect: float, at: tuple[float, ...]) -> None:
    box = Box(at[0], at[1], min(at[0] + at[2], 1.0), min(at[1] + at[3], 1.0), 0.5)
    assert to_training_lens(box, CameraSetup(hfov_deg, aspect=aspect)).score == 0.5
