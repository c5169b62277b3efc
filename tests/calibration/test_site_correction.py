"""What is known of a site, brought to bear together."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration_world import distance, make_estimates, row_of
from trapmeter.calibration.lens import lens_ratio
from trapmeter.calibration.site_correction import SiteFacts, correct_site
from trapmeter.records import Observation
from trapmeter.tables.cameras import CameraSetup
from trapmeter.tables.reference_points import ReferencePoint

ROWS = [estimate.observation for estimate in make_estimates([4.0, 5.0, 8.0, 9.0, 6.0, 7.0], lambda m: m)]
ANSWERS = [distance(m) for m in (4.0, 5.0, 8.0, 9.0, 6.0, 7.0)]
POINTS = tuple(ReferencePoint(0.5, row_of(m), m) for m in (3.0, 5.0, 8.0, 12.0))


def test_where_nothing_is_known_nothing_changes() -> None:
    after = correct_site(ROWS, ANSWERS, SiteFacts()).distances
    assert all(new is old for new, old in zip(after, ANSWERS, strict=True))


@given(st.floats(6, 160))
def test_the_narrower_the_lens_the_farther(hfov_deg: float) -> None:
    assert lens_ratio(CameraSetup(hfov_deg - 1)) > lens_ratio(CameraSetup(hfov_deg))
    assert lens_ratio(CameraSetup(hfov_deg), hfov_deg) == 1.0


def test_rows_that_nobody_tracked_stand_alone() -> None:
    near, far = ROWS[0], ROWS[3]
    same_second = [Observation("a.mp4", 0.0, seen.box, 0, "S1") for seen in (near, far)]
    answers = [distance(6.0), distance(6.0)]
    first, second = correct_site(same_second, answers, SiteFacts(points=POINTS)).distances
    assert first.distance_m == pytest.approx(4.0, rel=0.15)
    assert second.distance_m == pytest.approx(9.0, rel=0.15)


def test_points_and_labels_agree_better_than_either_errs() -> None:
    answers = [distance(seen_m / 2) for seen_m in (4.0, 5.0, 8.0, 9.0, 6.0, 7.0)]
    known = SiteFacts(labels=((0, 4.0), (4, 6.0)), points=POINTS)
    both = correct_site(ROWS, answers, known).distances
    labels_alone = correct_site(ROWS, answers, replace(known, points=())).distances
    assert abs(both[2].distance_m - 8.0) < abs(labels_alone[2].distance_m - 8.0) < 4.0
