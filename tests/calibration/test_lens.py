"""Distances of networks that don't take the lens."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trapmeter.calibration.lens import lens_ratio, network_lens_factor, scale_distance
from trapmeter.records import Distance
from trapmeter.tables.cameras import CameraSetup


def test_a_lens_with_half_the_tangent_shows_things_twice_as_large() -> None:
    narrow = math.degrees(2 * math.atan(math.tan(math.radians(22.5)) / 2))
    assert lens_ratio(CameraSetup(narrow)) == pytest.approx(2.0)
    assert network_lens_factor(CameraSetup(narrow)) == pytest.approx(math.sqrt(2))


def test_an_unknown_lens_or_the_training_lens_changes_nothing() -> None:
    for camera in (None, CameraSetup(), CameraSetup(45.0), CameraSetup(aspect=1.0)):
        assert network_lens_factor(camera) == 1.0
    distance = Distance(5.0, 4.0, 6.0)
    assert scale_distance(distance, 1.0) is distance


@given(st.floats(6, 160), st.floats(0.01, 5))
def test_wider_lenses_place_things_nearer(hfov_deg: float, wider: float) -> None:
    assert network_lens_factor(CameraSetup(hfov_deg + wider)) < network_lens_factor(CameraSetup(hfov_deg))
