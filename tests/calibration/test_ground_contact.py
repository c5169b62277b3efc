"""Distances by a box's lower edge, and their fusion along a track."""

from __future__ import annotations

import numpy as np
import pytest

from calibration_world import box_at, distance, point_at
from trapmeter.calibration.ground_contact import FootSettings, foot_likelihood
from trapmeter.calibration.track_fusion import (
    GRID_M,
    FusionSettings,
    MotionSettings,
    fuse_track,
    quantiles_m,
    smooth_along_track,
)
from trapmeter.camera.fit import fit_camera
from trapmeter.camera.prior import camera_prior
from trapmeter.records import Box, Distance

POINTS = [point_at(m, x) for x, m in ((0.3, 3.0), (0.7, 4.0), (0.4, 6.0), (0.6, 9.0), (0.5, 14.0))]
FITTED = fit_camera(POINTS, camera_prior())


def likeliest_m(box: Box) -> float:
    return float(GRID_M[foot_likelihood(FITTED, box, GRID_M, FootSettings()).argmax()])


def test_feet_are_likeliest_at_the_distance_of_their_row() -> None:
    assert likeliest_m(box_at(6.0)) == pytest.approx(6.0, rel=0.15)


def test_a_doubtful_box_carries_little_weight() -> None:
    confident, doubtful = (foot_likelihood(FITTED, box_at(6.0, score), GRID_M, FootSettings()) for score in (0.9, 0.05))
    assert confident.max() / confident.min() > 5 * doubtful.max() / doubtful.min()


def test_a_box_repeated_in_other_videos_carries_little_weight() -> None:
    unique, repeated = (foot_likelihood(FITTED, box_at(6.0), GRID_M, FootSettings(), share) for share in (0.0, 0.8))
    assert unique.max() / unique.min() > 5 * repeated.max() / repeated.min()


def test_a_box_cut_by_the_edge_excludes_distances_beyond_its_row() -> None:
    cut = Box(0.3, 0.2, 0.7, 1.0, 0.9)
    likelihood = foot_likelihood(FITTED, cut, GRID_M, FootSettings())
    assert likelihood[GRID_M < 1.0].min() > 10 * likelihood[GRID_M > 8.0].max()


def test_a_gap_in_a_track_is_filled_from_its_neighbours() -> None:
    evidence = np.zeros((5, len(GRID_M)))
    evidence[[0, 1, 3, 4]] = -0.5 * ((np.log(GRID_M) - np.log(6.0)) / 0.05) ** 2
    shares = smooth_along_track(evidence, np.arange(5.0), MotionSettings())
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    assert quantiles_m(shares, (0.5,))[2, 0] == pytest.approx(6.0, rel=0.1)


def test_predictions_move_towards_the_ground_under_the_feet() -> None:
    boxes: list[Box | None] = [box_at(8.0)] * 3
    (first, *_) = fuse_track(FITTED, boxes, [distance(5.0)] * 3, np.arange(3.0), np.zeros(3), FusionSettings())
    assert first.distance_m == pytest.approx(8.0, rel=0.15)
    assert first.low_m < 8.0 < first.high_m
    assert first.high_m - first.low_m < distance(5.0).high_m - distance(5.0).low_m


def test_doubts_are_kept_and_predictions_without_draws_get_none() -> None:
    prediction = Distance(5.0, 2.0, 9.0, (), "odd")
    (fused,) = fuse_track(FITTED, [box_at(8.0)], [prediction], np.zeros(1), np.zeros(1), FusionSettings())
    assert (fused.draws_m, fused.doubt) == ((), "odd")
