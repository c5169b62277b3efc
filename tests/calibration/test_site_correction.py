"""Correction of a site by several facts together."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration_world import distance, make_estimates, point_at
from trapmeter.calibration.lens import lens_ratio
from trapmeter.calibration.site_correction import SiteFacts, correct_site
from trapmeter.records import Observation
from trapmeter.tables.cameras import CameraSetup

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
