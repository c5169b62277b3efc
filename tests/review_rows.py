"""Rows of every kind to review."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from trapmeter.records import Box, Distance, Estimate, Observation, Status
from trapmeter.review.results import Results, read_results
from trapmeter.tables.distances import write_distances


def row(
    media_id: str,
    time_s: float,
    distance_m: float | None = 5.0,
    animal_id: int = 1,
    *,
    site_id: str = "S01",
    width_m: float = 2.0,
    status: Status = Status.NO_ANIMAL,
    reason: str = "",
    x: float = 0.4,
) -> Estimate:
    """A measured row, or a row without an animal if distance_m is None."""
    if distance_m is None:
        return Estimate(Observation(media_id, time_s, site_id=site_id), status, reason=reason)
    observation = Observation(media_id, time_s, Box(x, 0.3, x + 0.2, 0.7, 0.8), animal_id, site_id)
    distance = Distance(distance_m, max(0.0, distance_m - width_m / 2), distance_m + width_m / 2)
    return Estimate(observation, Status.MEASURED, distance, 45 * (x - 0.4), reason, "model")


AVI, MP4, ODD, GONE = "S01/a.avi", "S02/b.mp4", "odd.mp4", "gone.mp4"
ODD_NAME = "<img src=x onerror=document.title='run'>.asf"
ODD_SITE = "<script>document.title='run'</script>"

ROWS = (
    row(AVI, 0, 5.0, width_m=1),
    row(AVI, 1, 6.0, width_m=8),
    row(AVI, 2, None),
    row(MP4, 0, 9.0, site_id="S02", width_m=2),
    row(MP4, 0, 3.0, 2, site_id="S02", width_m=1, x=0.7),
    row(MP4, 1, 8.0, site_id="S02", width_m=3, reason="unlike the training"),
    row(MP4, 3, None, site_id="S02", status=Status.PAST_END),
    row(GONE, 0, None, site_id="", status=Status.FAILED, reason="broken"),
    row(ODD, 1, 7.0, site_id="S03", width_m=1),
    row(ODD_NAME, 2, 7.0, site_id=ODD_SITE, width_m=0.5),
)
"""Every kind of row: seconds with one animal, with two, without one, past the end, and failed."""


def results_of(folder: Path, rows: Sequence[Estimate] = ROWS, root: Path | None = None) -> Results:
    """Writes a folder of results and reads it back."""
    folder.mkdir(parents=True, exist_ok=True)
    write_distances(folder / "distances.csv", rows)
    if root is not None:
        (folder / "run.json").write_text(json.dumps({"root": str(root), "arguments": {"store": None}}))
    return read_results(folder)
