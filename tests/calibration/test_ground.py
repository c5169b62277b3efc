"""The ground from points and from the camera, and what a box's lower edge tells."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration_world import CAMERA, box_at, distance, row_of
from trapmeter.calibration.ground import FootSettings, Ground, fit_ground, foot_likelihood, ground_from_camera
from trapmeter.calibration.track_fusion import (
    GRID_M,
    FusionSettings,
    MotionSettings,
    fuse_track,
    quantiles_m,
    smooth_along_track,
)
from trapmeter.errors import InputError
from trapmeter.records import Box, Distance
from trapmeter.tables.cameras import CameraSetup
from trapmeter.tables.reference_points import ReferencePoint

POINTS = [ReferencePoint(x, row_of(m), m) for x, m in ((0.3, 3.0), (0.7, 4.0), (0.4, 6.0), (0.6, 9.0), (0.5, 14.0))]


def ground(points: list[ReferencePoint]) -> Ground:
    return fit_ground(points)


@given(st.floats(3.0, 15.0))
def test_points_on_flat_ground_tell_every_distance(metres: float) -> None:
    nearness, sd = ground(POINTS).inverse_distance(0.5, row_of(metres))
    assert 1 / nearness == pytest.approx(metres, rel=0.15)
    assert sd < 0.05


@pytest.mark.parametrize(("row_m", "told_m"), [(4.0, 40.0), (4.0, 1.5), (14.0, 1.0), (3.0, 20.0)])
def test_one_wrong_point_does_not_decide(row_m: float, told_m: float) -> None:
    wrong = [*POINTS, ReferencePoint(0.5, row_of(row_m), told_m)]
    nearness, _ = ground(wrong).inverse_distance(0.5, row_of(5.0))
    assert 1 / nearness == pytest.approx(5.0, rel=0.15)


def test_points_that_contradict_each_other_are_refused() -> None:
    upside_down = [ReferencePoint(p.x, 1 - p.y, p.distance_m) for p in POINTS] * 10
    with pytest.raises(InputError, match="contradict"):
        ground(upside_down)


@given(st.floats(3.0, 12.0))
def test_height_and_pitch_tell_of_flat_ground(metres: float) -> None:
    known = ground_from_camera(CAMERA)
    assert known is not None
    nearness, sd = known.inverse_distance(0.5, row_of(metres))
    assert nearness == pytest.approx(1 / metres, abs=0.02)
    assert sd > 0.02


def test_points_sharpen_what_the_camera_tells() -> None:
    known = ground_from_camera(CAMERA)
    both = fit_ground(POINTS[:2], known)
    assert known is not None
    assert both.inverse_distance(0.5, 0.8)[1] < known.inverse_distance(0.5, 0.8)[1]


def test_no_ground_without_height_and_pitch() -> None:
    assert ground_from_camera(CameraSetup(hfov_deg=40.0)) is None


def test_a_camera_that_looks_at_the_sky_sees_no_ground() -> None:
    with pytest.raises(InputError, match="sees no ground"):
        ground_from_camera(CameraSetup(30.0, 1.0, 40.0))


def likeliest_m(box: Box) -> float:
    return float(GRID_M[foot_likelihood(ground(POINTS), box, GRID_M, FootSettings()).argmax()])


def test_feet_on_a_row_speak_for_its_distance() -> None:
    assert likeliest_m(box_at(6.0)) == pytest.approx(6.0, rel=0.15)


def test_a_doubtful_box_says_little() -> None:
    sure, doubtful = (
        foot_likelihood(ground(POINTS), box_at(6.0, score), GRID_M, FootSettings()) for score in (0.9, 0.05)
    )
    assert sure.max() / sure.min() > 5 * doubtful.max() / doubtful.min()


def test_a_box_that_other_videos_have_too_says_little() -> None:
    new, old = (foot_likelihood(ground(POINTS), box_at(6.0), GRID_M, FootSettings(), share) for share in (0.0, 0.8))
    assert new.max() / new.min() > 5 * old.max() / old.min()


def test_a_box_cut_by_the_edge_speaks_for_no_distance_beyond_its_row() -> None:
    cut = Box(0.3, 0.2, 0.7, 1.0, 0.9)
    told = foot_likelihood(ground(POINTS), cut, GRID_M, FootSettings())
    assert told[GRID_M < 1.0].min() > 10 * told[GRID_M > 8.0].max()


def test_distances_change_little_from_second_to_second() -> None:
    evidence = np.zeros((5, len(GRID_M)))
    evidence[[0, 1, 3, 4]] = -0.5 * ((np.log(GRID_M) - np.log(6.0)) / 0.05) ** 2
    shares = smooth_along_track(evidence, np.arange(5.0), MotionSettings())
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    assert quantiles_m(shares, (0.5,))[2, 0] == pytest.approx(6.0, rel=0.1)


def test_answers_are_drawn_to_where_the_feet_stand() -> None:
    boxes: list[Box | None] = [box_at(8.0)] * 3
    (first, *_) = fuse_track(ground(POINTS), boxes, [distance(5.0)] * 3, np.arange(3.0), np.zeros(3), FusionSettings())
    assert first.distance_m == pytest.approx(8.0, rel=0.15)
    assert first.low_m < 8.0 < first.high_m
    assert first.high_m - first.low_m < distance(5.0).high_m - distance(5.0).low_m


def test_a_doubt_stays_and_answers_without_draws_get_none() -> None:
    answer = Distance(5.0, 2.0, 9.0, (), "odd")
    (weighed,) = fuse_track(ground(POINTS), [box_at(8.0)], [answer], np.zeros(1), np.zeros(1), FusionSettings())
    assert (weighed.draws_m, weighed.doubt) == ((), "odd")
