"""The likelihood of distances by the animal's size."""

from __future__ import annotations

import math

import numpy as np
import pytest

from calibration_world import CAMERA, box_at, distance
from trapmeter.calibration.animal_size import AnimalSize, SizeSettings, size_likelihood
from trapmeter.calibration.track_fusion import GRID_M, FusionSettings, fuse_track
from trapmeter.records import Box
from trapmeter.tables.cameras import CameraSetup
from trapmeter.tables.species import ShoulderHeight

SETTINGS = SizeSettings()


def middle_box(height: float, score: float = 0.95) -> Box:
    return Box(0.45, 0.5 - height / 2, 0.55, 0.5 + height / 2, score)


def fused_m(size: AnimalSize, box: Box, metres: float) -> float:
    (fused,) = fuse_track(None, [box], [distance(metres)], np.zeros(1), np.zeros(1), FusionSettings(), size)
    assert fused.low_m < fused.distance_m < fused.high_m
    return fused.distance_m


def test_distance_follows_from_the_pinhole_formula() -> None:
    focal = 16 / 9 / 2 / math.tan(math.radians(45) / 2)
    expected = 0.4 * SETTINGS.box_over_shoulder * focal / 0.1
    assert AnimalSize(ShoulderHeight(0.4), CameraSetup(45.0)).distance_m(middle_box(0.1), SETTINGS) == pytest.approx(
        expected
    )


def test_a_narrow_lens_and_a_tall_animal_are_farther_away() -> None:
    box = middle_box(0.1)
    fox = AnimalSize(ShoulderHeight(0.4), CAMERA).distance_m(box, SETTINGS)
    assert AnimalSize(ShoulderHeight(0.8), CAMERA).distance_m(box, SETTINGS) == pytest.approx(2 * fox)
    assert AnimalSize(ShoulderHeight(0.4), CameraSetup(22.0)).distance_m(box, SETTINGS) > 2 * fox
    assert AnimalSize(ShoulderHeight(0.4)).sd_log(SETTINGS) > AnimalSize(ShoulderHeight(0.4), CAMERA).sd_log(SETTINGS)


def test_a_cut_off_animal_is_at_most_as_far_as_its_box_says() -> None:
    size = AnimalSize(ShoulderHeight(0.4), CAMERA)
    cut = Box(0.4, 0.8, 0.6, 1.0, 0.95)
    likelihood = size_likelihood(size, cut, GRID_M, SETTINGS)
    at_m = size.distance_m(cut, SETTINGS)
    assert likelihood[0.6 * at_m > GRID_M].min() > 3 * likelihood[1.6 * at_m < GRID_M].max()


def test_a_hedgehog_comes_out_nearer_and_a_confident_box_counts_more() -> None:
    hedgehog = AnimalSize(ShoulderHeight(0.13, 0.1), CAMERA)
    box = middle_box(0.08)
    near_m = hedgehog.distance_m(box, SETTINGS)
    assert fused_m(hedgehog, box, 9.0) == pytest.approx(near_m, rel=0.4)
    assert fused_m(hedgehog, middle_box(0.08, score=0.05), 20.0) > 1.2 * fused_m(hedgehog, box, 20.0)


def test_a_size_that_agrees_keeps_the_prediction_and_narrows_its_interval() -> None:
    size = AnimalSize(ShoulderHeight(SETTINGS.typical_shoulder_m), CAMERA)
    box = box_at(8.0)
    at_m = size.distance_m(box, SETTINGS)
    (fused,) = fuse_track(None, [box], [distance(at_m)], np.zeros(1), np.zeros(1), FusionSettings(), size)
    assert fused.distance_m == pytest.approx(at_m, rel=0.1)
    assert fused.high_m - fused.low_m < distance(at_m).high_m - distance(at_m).low_m
