"""Results to calibrate."""

from __future__ import annotations

from pathlib import Path

import pytest

from calibration_world import make_estimates
from trapmeter.records import Estimate, Observation, Status
from trapmeter.tables.distances import write_distances

TRUTHS_M = [3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0] * 3


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A folder of results: site S1, whose distances are a third too small; S2; and a second without an animal."""
    estimates = make_estimates(TRUTHS_M, lambda m: m / 1.5) + make_estimates(TRUTHS_M, lambda m: m, "S2")
    estimates.append(Estimate(Observation("S2/9.mp4", 0.0, site_id="S2"), Status.NO_ANIMAL))
    folder = tmp_path / "results"
    folder.mkdir()
    write_distances(folder / "distances.csv", estimates)
    return folder
