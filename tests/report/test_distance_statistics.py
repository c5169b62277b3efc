"""Statistics of the distances of a run."""

import pytest

from trapmeter.records import Status
from trapmeter.report.distance_statistics import (
    LAST_BIN_M,
    histogram,
    interval_bins,
    site_figures,
    spread_of,
    typical_interval,
)


@pytest.mark.parametrize(
    ("distances_m", "counts"),
    [
        ([], []),
        ([0.0], [1]),
        ([0.99, 1.0, 2.5, 2.6], [1, 1, 2]),
        ([24.99, 25.0, 80.0], [0] * 24 + [1, 2]),
    ],
)
def test_the_histogram_has_bins_of_a_metre_and_an_open_one(distances_m, counts):
    assert histogram(distances_m) == counts
    assert len(counts) <= LAST_BIN_M + 1


def test_the_spread_has_median_and_quantiles():
    assert spread_of([]) is None
    found = spread_of([float(i) for i in range(11)])
    assert found is not None
    assert (found.n, found.median_m, found.p10_m, found.p90_m) == (11, 5.0, 1.0, 9.0)


def test_interval_bins_have_medians(row):
    rows = [row(2.0), row(2.4), row(2.8), row(7.0), row(status=Status.NO_ANIMAL)]
    near, far = interval_bins(rows)
    assert (near.n, near.distance_m) == (3, 2.4)
    assert near.low_m == pytest.approx(2.4 * 0.7)
    assert near.high_m == pytest.approx(2.4 * 1.5)
    assert (far.n, far.distance_m) == (1, 7.0)


def test_the_typical_interval_is_the_one_nearest_to_the_median(row):
    assert typical_interval([]) is None
    found = typical_interval([row(1.0), row(5.0), row(5.2), row(20.0)])
    assert found is not None
    assert found.distance_m == pytest.approx(5.1)


def test_without_sites_there_are_no_figures(row):
    assert site_figures([]) == []
    assert site_figures([row(), row(status=Status.FAILED)]) == []


def test_site_figures_count_media_seconds_and_animals(row):
    rows = [
        row(4.0, "S2/b.mp4", 0.0, 1, "S2"),
        row(6.0, "S2/b.mp4", 0.0, 2, "S2"),
        row(8.0, "S2/b.mp4", 1.0, 2, "S2"),
        row(3.0, "S2/c.mp4", 0.0, 1, "S2"),
        row(media_id="S2/d.mp4", site_id="S2", status=Status.FAILED),
        row(media_id="S2/d.mp4", time_s=1.0, site_id="S2", status=Status.FAILED),
        row(media_id="S1/a.mp4", site_id="S1", status=Status.NO_ANIMAL),
        row(9.0, "x.mp4"),
    ]
    first, second, without = site_figures(rows)
    assert (first.site_id, first.n_media, first.n_seconds, first.n_animals, first.spread) == ("S1", 1, 0, 0, None)
    assert (second.site_id, second.n_media, second.n_seconds, second.n_animals) == ("S2", 3, 3, 3)
    assert second.n_failed_media == 1
    assert second.spread is not None
    assert second.spread.median_m == 5.0
    assert (without.site_id, without.n_media) == ("", 1)
