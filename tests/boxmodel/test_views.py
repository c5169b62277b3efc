from __future__ import annotations

import numpy as np
import pytest

from trapmeter.boxmodel.features import FEATURES, features
from trapmeter.boxmodel.training_data import View, apply_view
from trapmeter.records import Box, Observation

ROWS = [
    Observation(f"s{site}v{video}.mp4", float(t), Box(0.1, 0.2, 0.3, 0.4, 0.05 + score / 10), 1, f"s{site}")
    for site in range(6)
    for video in range(8)
    for t, score in enumerate(range(10))
]


@pytest.mark.parametrize("view", View)
def test_every_view_keeps_the_rows_and_their_order(view):
    assert apply_view([], view) == []
    seen = apply_view(ROWS, view)
    assert len(seen) == len(ROWS)
    assert all(a.box is None or a.box.xyxy == b.box.xyxy for a, b in zip(seen, ROWS, strict=True))


def test_full_view_is_what_is_there():
    assert apply_view(ROWS, View.FULL) == ROWS


def test_unknown_sites_are_empty():
    assert {seen.site_id for seen in apply_view(ROWS, View.SITE_UNKNOWN)} == {""}


def test_single_observations_have_no_neighbours():
    rows = dict(zip(FEATURES, features(apply_view(ROWS, View.SINGLE)).T, strict=True))
    assert not rows["site_other_media"].any()
    assert np.isnan(rows["before_gap_s"]).all()


class TestOtherDetector:
    def test_bends_scores_but_keeps_their_order_within_a_site(self):
        for site in {row.site_id for row in ROWS}:
            pairs = [
                (before.box.score, after.box.score)
                for before, after in zip(ROWS, apply_view(ROWS, View.OTHER_DETECTOR), strict=True)
                if before.site_id == site and after.box is not None
            ]
            assert [after for _, after in sorted(pairs)] == sorted(after for _, after in pairs)
            assert any(before != after for before, after in pairs)

    def test_sees_half_a_site_and_some_boxes_less(self):
        seen = apply_view(ROWS, View.OTHER_DETECTOR)
        assert {row.site_id for row in seen} == {f"s{site}/{half}" for site in range(6) for half in "ab"}
        assert 0 < sum(row.box is None for row in seen) < len(seen) / 2

    def test_is_the_same_in_any_order(self):
        assert apply_view(ROWS[::-1], View.OTHER_DETECTOR) == apply_view(ROWS, View.OTHER_DETECTOR)[::-1]

    def test_keeps_an_unknown_site_unknown(self):
        assert apply_view([Observation("a", 0.0)], View.OTHER_DETECTOR) == [Observation("a", 0.0)]
