"""The ground from points and from the camera, and distances by a box's lower edge."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration_world import CAMERA, box_at, distance, point_at, row_of
from trapmeter.calibration.ground import FootSettings, fit_ground, foot_likelihood, ground_from_camera
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

POINTS = [point_at(m, x) for x, m in ((0.3, 3.0), (0.7, 4.0), (0.4, 6.0), (0.6, 9.0), (0.5, 14.0))]


@given(st.floats(3.0, 15.0))
def test_points_on_flat_ground_give_the_distance_of_every_row(metres: float) -> None:
    nearness, sd = fit_ground(POINTS).inverse_distance(0.5, row_of(metres))
    assert 1 / nearness == pytest.approx(metres, rel=0.15)
    assert sd < 0.05


@pytest.mark.parametrize(("row_m", "stated_m"), [(4.0, 40.0), (4.0, 1.5), (14.0, 1.0), (3.0, 20.0)])
def test_one_wrong_point_does_not_decide(row_m: float, stated_m: float) -> None:
    wrong = [*POINTS, ReferencePoint(0.5, row_of(row_m), stated_m)]
    nearness, _ = fit_ground(wrong).inverse_distance(0.5, row_of(5.0))
    assert 1 / nearness == pytest.approx(5.0, rel=0.15)


def test_points_that_contradict_each_other_are_refused() -> None:
    upside_down = [ReferencePoint(p.x, 1 - p.y, p.distance_m) for p in POINTS] * 10
    with pytest.raises(InputError, match="contradict"):
        fit_ground(upside_down)


@given(st.floats(3.0, 12.0))
def test_height_and_pitch_give_flat_ground(metres: float) -> None:
    camera_ground = ground_from_camera(CAMERA)
    assert camera_ground is not None
    nearness, sd = camera_ground.inverse_distance(0.5, row_of(metres))
    assert nearness == pytest.approx(1 / metres, abs=0.02)
    assert sd > 0.02


def test_points_reduce_the_uncertainty_of_the_camera_ground() -> None:
    camera_ground = ground_from_camera(CAMERA)
    both = fit_ground(POINTS[:2], camera_ground)
    assert camera_ground is not None
    assert both.inverse_distance(0.5, 0.8)[1] < camera_ground.inverse_distance(0.5, 0.8)[1]


def test_there_is_no_ground_without_height_and_pitch() -> None:
    assert ground_from_camera(CameraSetup(hfov_deg=40.0)) is None


def test_a_camera_that_points_at_the_sky_is_refused() -> None:
    with pytest.raises(InputError, match="sees no ground"):
        ground_from_camera(CameraSetup(30.0, 1.0, 40.0))


def likeliest_m(box: Box) -> float:
    return float(GRID_M[foot_likelihood(fit_ground(POINTS), box, GRID_M, FootSettings()).argmax()])


def test_feet_are_likeliest_at_the_distance_of_their_row() -> None:
    assert likeliest_m(box_at(6.0)) == pytest.approx(6.0, rel=0.15)


def test_a_doubtful_box_carries_little_weight() -> None:
    confident, doubtful = (
        foot_likelihood(fit_ground(POINTS), box_at(6.0, score), GRID_M, FootSettings()) for score in (0.9, 0.05)
    )
    assert confident.max() / confident.min() > 5 * doubtful.max() / doubtful.min()


def test_a_box_repeated_in_other_videos_carries_little_weight() -> None:
    unique, repeated = (
        foot_likelihood(fit_ground(POINTS), box_at(6.0), GRID_M, FootSettings(), share) for share in (0.0, 0.8)
    )
    assert unique.max() / unique.min() > 5 * repeated.max() / repeated.min()


def test_a_box_cut_by_the_edge_excludes_distances_beyond_its_row() -> None:
    cut = Box(0.3, 0.2, 0.7, 1.0, 0.9)
    likelihood = foot_likelihood(fit_ground(POINTS), cut, GRID_M, FootSettings())
    assert likelihood[GRID_M < 1.0].min() > 10 * likelihood[GRID_M > 8.0].max()


def test_a_gap_in_a_track_is_filled_from_its_neighbours() -> None:
    evidence = np.zeros((5, len(GRID_M)))
    evidence[[0, 1, 3, 4]] = -0.5 * ((np.log(GRID_M) - np.log(6.0)) / 0.05) ** 2
    shares = smooth_along_track(evidence, np.arange(5.0), MotionSettings())
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    assert quantiles_m(shares, (0.5,))[2, 0] == pytest.approx(6.0, rel=0.1)


def test_predictions_move_towards_the_ground_under_the_feet() -> None:
    boxes: list[Box | None] = [box_at(8.0)] * 3
    (first, *_) = fuse_track(
        fit_ground(POINTS), boxes, [distance(5.0)] * 3, np.arange(3.0), np.zeros(3), FusionSettings()
    )
    assert first.distance_m == pytest.approx(8.0, rel=0.15)
    assert first.low_m < 8.0 < first.high_m
    assert first.high_m - first.low_m < distance(5.0).high_m - distance(5.0).low_m


def test_doubts_are_kept_and_predictions_without_draws_get_none() -> None:
    prediction = Distance(5.0, 2.0, 9.0, (), "odd")
    (fused,) = fuse_track(fit_ground(POINTS), [box_at(8.0)], [prediction], np.zeros(1), np.zeros(1), FusionSettings())
    assert (fused.draws_m, fused.doubt) == ((), "odd")
