"""Each reference mark against a fit to the others."""

from __future__ import annotations

import math

import pytest

from trapmeter.camera.left_out import left_out_distances
from trapmeter.camera.model import PinholeCamera
from trapmeter.camera.prior import camera_prior
from trapmeter.tables.cameras import CameraSetup
from trapmeter.tables.reference_marks import Mark, Upright, UprightKind, ground_point

CAMERA = PinholeCamera(hfov_deg=45, height_m=1.1, pitch_deg=-9, slope_along_deg=2)
PLACES = ((2.0, -8), (3.0, 10), (4.5, -12), (6.0, 5), (8.0, -5), (11.0, 9), (15.0, 0))


def point(metres: float, bearing_deg: float, says_m: float | None = None) -> Upright:
    return ground_point(*CAMERA.place(metres, bearing_deg), says_m or metres)


def pole(metres: float, bearing_deg: float, low_m: float, high_m: float, says_m: float | None = None) -> Upright:
    marks = tuple(Mark(*CAMERA.place(metres, bearing_deg, height), height) for height in (low_m, high_m))
    return Upright(marks, says_m, UprightKind.POLE)


def test_no_marks_have_no_distances() -> None:
    assert left_out_distances([], camera_prior()) == []


def test_exact_marks_are_where_the_others_say() -> None:
    found = left_out_distances([point(*place) for place in PLACES], camera_prior())
    assert found == pytest.approx([metres for metres, _ in PLACES], rel=0.03)


def test_a_slip_of_the_pen_stands_out_and_leaves_the_others_alone() -> None:
    marks = [point(*place) for place in PLACES]
    marks[3] = point(*PLACES[3], says_m=12.0)
    found = left_out_distances(marks, camera_prior())
    assert found == pytest.approx([metres for metres, _ in PLACES], rel=0.05)


def test_poles_are_found_by_their_lowest_mark_even_above_the_lens() -> None:
    marks = [pole(metres, bearing, 0.0, 1.5, metres) for metres, bearing in PLACES]
    for low_m, high_m in ((0.0, 1.5), (0.5, 1.5), (1.6, 2.0)):
        *_, found = left_out_distances([*marks, pole(5.0, 3, low_m, high_m)], camera_prior())
        assert found == pytest.approx(5.0, rel=0.05), low_m
    # A mark at the height of the lens is on one row of the picture, near or far.
    *_, found = left_out_distances([*marks, pole(5.0, 3, 1.1, 2.0)], camera_prior())
    assert found is None


def test_one_mark_alone_or_one_other_cant_tell() -> None:
    assert left_out_distances([point(6, 0)], camera_prior()) == [None]
    near, far = left_out_distances([point(2, 0), point(15, 0)], camera_prior())
    assert (near, far) == (None, None)


def test_a_measured_camera_can_tell_without_other_marks() -> None:
    prior = camera_prior(CameraSetup(hfov_deg=45, height_m=1.1, pitch_deg=-9))
    level = PinholeCamera(hfov_deg=45, height_m=1.1, pitch_deg=-9)
    (found,) = left_out_distances([ground_point(*level.place(2, 0), 2.0)], prior)
    assert found == pytest.approx(2.0, rel=0.1)


def test_a_mark_above_the_horizon_is_infinitely_far() -> None:
    marks = [point(*place) for place in PLACES]
    *_, sky = left_out_distances([*marks, ground_point(0.5, 0.02, 9.0)], camera_prior())
    assert sky == math.inf


def test_only_those_asked_for_are_computed() -> None:
    marks = [point(*place) for place in PLACES]
    found = left_out_distances(marks, camera_prior(), only=[2])
    assert [value is None for value in found] == [True, True, False, True, True, True, True]
