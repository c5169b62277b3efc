"""Which lines of equal distance a picture gets."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitted_world import LEVEL, fit_of
from trapmeter.camera.distance_lines import (
    MAX_LINES,
    MIN_GAP,
    _gap,
    _rows,
    choose_distances,
    distance_lines,
    has_same_view,
)
from trapmeter.camera.model import PinholeCamera


def test_a_usual_camera_shows_round_distances() -> None:
    assert choose_distances(LEVEL) == (3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 30)


def test_a_camera_that_sees_no_ground_has_no_lines() -> None:
    sky = replace(LEVEL, pitch_deg=60.0)
    assert choose_distances(sky) == ()
    assert distance_lines(fit_of(sky)) == ()


@pytest.mark.parametrize(
    ("camera", "least_m", "most_m"),
    [
        (PinholeCamera(hfov_deg=4.0, height_m=2.0, pitch_deg=-5.0), 18, 31),
        (PinholeCamera(hfov_deg=40.0, height_m=0.4, pitch_deg=-70.0), 0, 2),
    ],
    ids=["a telephoto", "a camera that looks down"],
)
def test_a_camera_that_sees_few_round_distances_gets_finer_steps(
    camera: PinholeCamera, least_m: float, most_m: float
) -> None:
    chosen = choose_distances(camera)
    assert chosen
    assert all(least_m <= metres <= most_m for metres in chosen)


@given(
    st.builds(
        PinholeCamera,
        hfov_deg=st.floats(20, 100),
        height_m=st.floats(0.2, 4),
        pitch_deg=st.floats(-60, 20),
        roll_deg=st.floats(-15, 15),
        slope_along_deg=st.floats(-15, 15),
        slope_across_deg=st.floats(-15, 15),
        distortion=st.floats(-0.05, 0.1),
        aspect_ratio=st.floats(0.5, 2),
    )
)
def test_lines_are_neither_crowded_nor_outside(camera: PinholeCamera) -> None:
    chosen = choose_distances(camera)
    assert len(chosen) <= MAX_LINES
    assert list(chosen) == sorted(set(chosen))
    for i, near in enumerate(chosen):
        for far in chosen[i + 1 :]:
            assert _gap(_rows(camera, near), _rows(camera, far)) >= MIN_GAP
    for line in distance_lines(fit_of(camera)):
        assert any(0 <= x <= 1 and 0 <= y <= 1 for x, y in line.points)
        assert all(math.isfinite(value) for point in line.points for value in point)


def test_a_line_is_rough_where_the_fit_leaves_the_distance_open() -> None:
    sure = distance_lines(fit_of(sd=0.002))
    assert not any(line.is_rough for line in sure)
    loose = {line.distance_m: line.is_rough for line in distance_lines(fit_of(sd=0.02))}
    assert not loose[3.0]
    assert loose[30.0]


def test_lines_fit_pictures_of_the_same_format_only() -> None:
    fit = fit_of(replace(LEVEL, aspect_ratio=16 / 9))
    assert has_same_view(fit, 1920, 1080)
    assert has_same_view(fit, 1920, 1088)
    assert not has_same_view(fit, 1600, 1200)
