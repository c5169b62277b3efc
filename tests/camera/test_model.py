"""The camera above sloping ground: places and distances belong together."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from trapmeter.camera.model import PinholeCamera, draw_distances

CAMERA = PinholeCamera(hfov_deg=45.0, height_m=1.0, pitch_deg=-8.0)


@st.composite
def cameras(draw: st.DrawFn) -> PinholeCamera:
    return PinholeCamera(
        hfov_deg=draw(st.floats(20.0, 65.0)),
        height_m=draw(st.floats(0.3, 3.0)),
        pitch_deg=draw(st.floats(-30.0, 5.0)),
        roll_deg=draw(st.floats(-5.0, 5.0)),
        slope_along_deg=draw(st.floats(-8.0, 8.0)),
        slope_across_deg=draw(st.floats(-8.0, 8.0)),
        distortion=draw(st.floats(-0.06, 0.06)),
    )


@given(cameras(), st.floats(1.0, 30.0), st.floats(-0.45, 0.45))
def test_the_place_of_a_distance_shows_that_distance(camera: PinholeCamera, metres: float, share: float) -> None:
    x, y = camera.place(metres, share * camera.hfov_deg)
    assume(0 <= x <= 1 and 0 <= y <= 1)
    assert camera.distance_m(x, y) == pytest.approx(metres, rel=1e-4)


@given(cameras())
def test_a_camera_survives_its_parameters(camera: PinholeCamera) -> None:
    again = PinholeCamera.from_parameters(camera.parameters, camera.aspect_ratio)
    assert again.parameters == pytest.approx(camera.parameters)


def test_a_level_camera_has_its_horizon_in_the_middle() -> None:
    level = PinholeCamera(hfov_deg=45.0, height_m=1.0, pitch_deg=0.0)
    assert level.distance_m(0.5, 0.5) == math.inf
    assert level.distance_m(0.5, 0.4) == math.inf
    # A ray 45 degrees down meets the ground as far away as the camera is high.
    steep = PinholeCamera(hfov_deg=45.0, height_m=1.3, pitch_deg=-45.0)
    assert steep.distance_m(0.5, 0.5) == pytest.approx(1.3)


def test_roll_and_slopes_have_the_stated_signs() -> None:
    # Leaning to the right lifts the right side of the scene in the picture.
    leaning = PinholeCamera(45.0, 1.0, -8.0, roll_deg=5.0)
    assert leaning.place(5.0, 15.0)[1] < CAMERA.place(5.0, 15.0)[1]
    rising = PinholeCamera(45.0, 1.0, -8.0, slope_along_deg=5.0)
    assert rising.place(8.0, 0.0)[1] < CAMERA.place(8.0, 0.0)[1]
    to_the_right = PinholeCamera(45.0, 1.0, -8.0, slope_across_deg=5.0)
    assert to_the_right.place(8.0, 15.0)[1] < to_the_right.place(8.0, -15.0)[1]


def test_heights_are_above_the_ground() -> None:
    _, foot = CAMERA.place(5.0, 0.0)
    _, at_lens = CAMERA.place(5.0, 0.0, height_m=1.0)
    assert at_lens < foot
    # What is as high as the lens lies on the horizon.
    assert CAMERA.distance_m(0.5, at_lens - 1e-6) == math.inf
    assert CAMERA.distance_m(0.5, at_lens + 0.05) < 80


def test_points_behind_the_camera_have_no_place() -> None:
    assert all(map(math.isnan, CAMERA.place(5.0, 180.0)))


def test_lines_run_through_the_picture_from_left_to_right() -> None:
    lines = draw_distances(CAMERA, [0.5, 3.0, 10.0])
    assert set(lines) == {3.0, 10.0}, "the nearest ground that the picture shows is farther than 0.5 m"
    for metres, line in lines.items():
        assert line == sorted(line)
        assert line[0][0] < 0.05
        assert line[-1][0] > 0.95
        for x, y in line:
            if 0 <= x <= 1 and 0 <= y <= 1:
                assert CAMERA.distance_m(x, y) == pytest.approx(metres, rel=1e-4)
