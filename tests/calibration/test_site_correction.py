"""Correction of a site by several facts together."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration_world import distance, make_estimates, point_at
from fakes import HeightModel
from trapmeter.calibration.lens import lens_ratio
from trapmeter.calibration.site_correction import SiteFacts, apply_known_facts, correct_site
from trapmeter.records import Observation
from trapmeter.tables.cameras import CameraSetup
from trapmeter.tables.species import ShoulderHeight

TRUTHS_M = (4.0, 5.0, 8.0, 9.0, 6.0, 7.0)
ROWS = [estimate.observation for estimate in make_estimates(TRUTHS_M, lambda m: m)]
PREDICTIONS = [distance(m) for m in TRUTHS_M]
POINTS = tuple(point_at(m) for m in (3.0, 5.0, 8.0, 12.0))


def test_a_site_without_facts_is_unchanged() -> None:
    after = correct_site(ROWS, PREDICTIONS, SiteFacts()).distances
    assert all(new is old for new, old in zip(after, PREDICTIONS, strict=True))


@given(st.floats(6, 160))
def test_narrower_lenses_show_things_larger(hfov_deg: float) -> None:
    assert lens_ratio(CameraSetup(hfov_deg - 1)) > lens_ratio(CameraSetup(hfov_deg))
    assert lens_ratio(CameraSetup(hfov_deg), hfov_deg) == 1.0


def test_rows_without_an_animal_id_are_corrected_separately() -> None:
    near, far = ROWS[0], ROWS[3]
    same_second = [Observation("a.mp4", 0.0, row.box, 0, "S1") for row in (near, far)]
    predictions = [distance(6.0), distance(6.0)]
    first, second = correct_site(same_second, predictions, SiteFacts(uprights=POINTS)).distances
    assert first.distance_m == pytest.approx(4.0, rel=0.15)
    assert second.distance_m == pytest.approx(9.0, rel=0.15)


def test_points_and_labels_together_beat_labels_alone() -> None:
    predictions = [distance(m / 2) for m in TRUTHS_M]
    facts = SiteFacts(labels=((0, 4.0), (4, 6.0)), uprights=POINTS)
    both = correct_site(ROWS, predictions, facts).distances
    labels_alone = correct_site(ROWS, predictions, replace(facts, uprights=())).distances
    assert abs(both[2].distance_m - 8.0) < abs(labels_alone[2].distance_m - 8.0) < 4.0


def test_a_box_model_is_told_lens_and_size_which_are_then_used_up() -> None:
    shoulders = (ShoulderHeight(0.45),) * len(ROWS)
    facts = SiteFacts(camera=CameraSetup(45.0), shoulders=shoulders, labels=((0, 4.0),), uprights=POINTS)
    informed, left = apply_known_facts(ROWS, PREDICTIONS, facts, HeightModel())
    untold = HeightModel().estimate(ROWS)
    assert [d.distance_m for d in informed] == pytest.approx([d.distance_m / 2 for d in untold])
    assert left == SiteFacts(camera=CameraSetup(45.0), labels=((0, 4.0),), uprights=POINTS)


def test_without_points_nothing_of_the_camera_is_left() -> None:
    _, left = apply_known_facts(ROWS, PREDICTIONS, SiteFacts(camera=CameraSetup(45.0, 1.2, -5.0)), HeightModel())
    assert left == SiteFacts()


def test_other_models_are_corrected_for_the_lens_by_a_factor_and_the_rest_is_left() -> None:
    facts = SiteFacts(camera=CameraSetup(20.0), shoulders=(ShoulderHeight(0.4), *[None] * (len(ROWS) - 1)))
    informed, left = apply_known_facts(ROWS, PREDICTIONS, facts)
    assert informed[0].distance_m == pytest.approx(TRUTHS_M[0] * lens_ratio(CameraSetup(20.0)) ** 0.5)
    assert left is facts


def test_where_nothing_is_known_the_distances_are_the_same_objects() -> None:
    for model in (None, HeightModel()):
        informed, _ = apply_known_facts(ROWS, PREDICTIONS, SiteFacts(uprights=POINTS), model)
        assert all(new is old for new, old in zip(informed, PREDICTIONS, strict=True))
