"""Rows and runs for the tests of the report."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest
from PIL import Image

from trapmeter.prediction.estimates import RunSummary
from trapmeter.prediction.run import PredictRun
from trapmeter.records import Box, Distance, Estimate, Observation, Status
from trapmeter.tables.species_names import PERSON, VEHICLE

SHARED = Path(__file__).parents[2].parent / "shared"

FACTS: dict[str, Any] = {
    "trapmeter": "0.1.0",
    "finished": "2025-06-03T12:04:10+00:00",
    "arguments": {"paths": ["survey"], "every_s": 1.0, "site": {"level": 1}, "box_model": None, "overwrite": False},
    "models": {"distance": {"model_id": "box-model-1", "sha256": "ab12cd34ef567890"}},
    "unreadable_folders": [],
    "seconds": {"find": 0.01, "look": 123.4},
}


def make_row(
    distance_m: float = 5.0,
    media_id: str = "a.jpg",
    time_s: float = 0.0,
    animal_id: int = 1,
    site_id: str = "",
    status: Status = Status.MEASURED,
    xyxy: tuple[float, float, float, float] | None = (0.25, 0.25, 0.75, 0.75),
    low_m: float | None = None,
    high_m: float | None = None,
    reason: str = "",
    **of_observation: Any,
) -> Estimate:
    """A row; without further arguments, an animal measured at 5 m with an interval of 0.7 to 1.5 times that."""
    if status is not Status.MEASURED:
        return Estimate(Observation(media_id, time_s, None, 0, site_id), status, reason="broken")
    box = None if xyxy is None else Box(*xyxy, 0.9)
    distance = Distance(
        distance_m, distance_m * 0.7 if low_m is None else low_m, distance_m * 1.5 if high_m is None else high_m
    )
    observation = Observation(media_id, time_s, box, animal_id, site_id, **of_observation)
    return Estimate(observation, status, distance, 0.0, reason, "box-model-1")


def make_run(root: Path, rows: Sequence[Estimate], **changes: Any) -> PredictRun:
    """A run; changes replace counts of its summary, and `facts` adds to its facts."""
    statuses = [row.status for row in rows]
    distances = [row.distance.distance_m for row in rows if row.distance is not None]
    failures = tuple(sorted({(row.observation.media_id, row.reason) for row in rows if row.status is Status.FAILED}))
    counts: dict[str, Any] = {
        "n_media": len({row.observation.media_id for row in rows}),
        "n_failed_media": len(failures),
        "n_seconds": len({(row.observation.media_id, row.observation.time_s) for row in rows}),
        "n_animals": len(distances),
        "n_measured": len(distances),
        "n_no_animal": statuses.count(Status.NO_ANIMAL),
        "n_unknown": statuses.count(Status.UNKNOWN),
        "n_static": sum(row.is_static for row in rows),
        "n_failed": statuses.count(Status.FAILED),
        "n_past_end": statuses.count(Status.PAST_END),
        "n_people": sum(row.observation.species == PERSON for row in rows),
        "n_vehicles": sum(row.observation.species == VEHICLE for row in rows),
        "n_without_site": 0,
        "n_unasked": 0,
        "median_m": median(distances) if distances else None,
        "failures": failures,
        "doubts": (),
    }
    facts = {**FACTS, **changes.pop("facts", {})}
    return PredictRun(root, tuple(rows), RunSummary(**{**counts, **changes}), facts)


@pytest.fixture
def row() -> Callable[..., Estimate]:
    """Makes a row, see `make_row`."""
    return make_row


@pytest.fixture
def run_of() -> Callable[..., PredictRun]:
    """Makes a run from its root folder and its rows."""
    return make_run


@pytest.fixture
def survey(row: Callable[..., Estimate]) -> list[Estimate]:
    """Ninety measurements at three sites, half of them at night, of two species."""
    rows = []
    for i in range(90):
        species = "duiker" if i % 5 else "leopard <b>"
        estimate = row(1.0 + (i * 7 % 90) / 8, f"{i}.mp4", site_id=f"S{i % 3}", is_night=i % 2 == 0, species=species)
        d = estimate.distance
        draws = tuple(d.distance_m * (0.7 + 0.06 * k) for k in range(10))
        rows.append(replace(estimate, distance=replace(d, draws_m=draws)))
    return rows


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with the photos a.jpg, b.jpg and c.jpg, grey and 400 x 300."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a", "b", "c"):
        Image.fromarray(np.full((300, 400, 3), 128, np.uint8)).save(folder / f"{name}.jpg", quality=95)
    return folder


@pytest.fixture
def simtrap() -> Path:
    """The small set of rendered videos; skips without it."""
    folder = SHARED / "simtrap-mini"
    if not folder.exists():
        pytest.skip("the shared data simtrap-mini are missing")
    return folder
