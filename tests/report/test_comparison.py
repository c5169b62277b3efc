"""Errors against known distances."""

import math

import pytest

from trapmeter.records import Box
from trapmeter.report.comparison import compare
from trapmeter.tables.truth import TruthRow


def test_without_a_match_there_are_no_errors(row):
    found = compare([row(media_id="a.mp4")], [TruthRow("b.mp4", 0.0, 3.0)])
    assert (found.n_truth, found.n_matched, found.n_unmatched) == (1, 0, 1)
    assert found.errors is None
    assert found.pairs_m == ()


def test_errors_have_bands_and_an_interval_over_sites(row):
    rows = [row(3.0, "a.mp4", site_id="S1"), row(8.0, "b.mp4", site_id="S2"), row(8.0, "b.mp4", 1.0, site_id="S2")]
    truth = [
        TruthRow("a.mp4", 0, 3.5),
        TruthRow("b.mp4", 0, 7.0),
        TruthRow("b.mp4", 1, 20.0),
        TruthRow("z.mp4", 0, 1.0),
    ]
    found = compare(rows, truth)
    assert (found.n_matched, found.n_unmatched, found.n_groups, found.is_by_site) == (3, 1, 2, True)
    assert found.errors is not None
    assert found.errors.mae_m == pytest.approx((0.5 + 1 + 12) / 3)
    assert found.errors.bias_m == pytest.approx((-0.5 + 1 - 12) / 3)
    assert found.errors.coverage == pytest.approx(2 / 3)
    assert found.baseline_mae_m == pytest.approx((3.5 + 0 + 13) / 3)
    assert found.mae_interval_m is not None
    low, high = found.mae_interval_m
    assert low <= found.errors.mae_m <= high
    assert [(band.low_m, band.errors.n if band.errors else 0) for band in found.bands] == [
        (0, 0), (2, 1), (4, 0), (6, 1), (10, 0), (15, 1),
    ]  # fmt: skip
    assert math.isinf(found.bands[-1].high_m)
    assert found.pairs_m == ((3.5, 3.0), (7.0, 8.0), (20.0, 8.0))


def test_one_site_gives_no_interval(row):
    rows = [row(3.0, "a.mp4", site_id="S1"), row(8.0, "b.mp4", site_id="S1")]
    found = compare(rows, [TruthRow("a.mp4", 0, 3.5), TruthRow("b.mp4", 0, 7.0)])
    assert found.mae_interval_m is None
    assert found.errors is not None


def test_without_sites_media_are_the_groups(row):
    found = compare([row(3.0, "a.mp4"), row(8.0, "b.mp4")], [TruthRow("a.mp4", 0, 3.5), TruthRow("b.mp4", 0, 7.0)])
    assert (found.is_by_site, found.n_groups) == (False, 2)
    assert found.mae_interval_m is not None


def test_truths_without_an_animal_in_the_picture_are_counted_apart(row):
    truth = [TruthRow("a.mp4", 0, 3.5, Box(0.25, 0.25, 0.75, 0.75, 1.0)), TruthRow("a.mp4", 0, 9.0)]
    found = compare([row(3.0, "a.mp4")], truth)
    assert (found.n_matched, found.n_unmatched, found.n_hidden) == (1, 1, 1)


def test_levels_count_truths_below_each_draw(survey):
    truth = [TruthRow(e.observation.media_id, 0, e.distance.distance_m) for e in survey]
    levels = compare(survey, truth).levels
    assert [level for level, _ in levels] == pytest.approx([0.05 + 0.1 * i for i in range(10)])
    # Draws are 0.70, 0.76, ... 1.24 times the distance: the truth lies above the first five and equals the sixth.
    assert [share for _, share in levels] == [0.0] * 5 + [0.5] + [1.0] * 4
