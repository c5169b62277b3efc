"""The preview of detection in the report."""

import pytest

from trapmeter.report.detection_preview import MIN_MEASUREMENTS, preview_cutpoints, preview_detection


def test_preview_needs_rows_and_takes_draws(survey, row):
    few = preview_detection(survey[: MIN_MEASUREMENTS - 1])
    assert few.fits == ()
    assert "59" in few.reason
    found = preview_detection(survey)
    assert found.has_draws
    assert {fit.key for fit in found.fits} == {"half-normal", "hazard-rate"}
    assert found.fits[0].aic <= found.fits[1].aic
    assert found.distances is not None
    assert found.distances.n == pytest.approx(90 * 0.97, abs=3)
    alike = preview_detection([row(5.0, f"{i}.jpg") for i in range(100)])
    assert alike.fits == ()
    assert "100 observations" in alike.reason


@pytest.mark.parametrize(("farthest_m", "last", "n"), [(0.3, 4, 4), (9.5, 10, 10), (20.0, 20, 10), (60.0, 60, 20)])
def test_cutpoints_reach_all(farthest_m, last, n):
    edges = preview_cutpoints(farthest_m)
    assert (edges[0], edges[-1], len(edges) - 1) == (0.0, last, n)
