"""What the tests of density share: the camera traps and point transects that R's results are known for."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest


class Survey(NamedTuple):
    """Observations (station, metres), and the effort of every station."""

    station_ids: list[str]
    distance_m: list[float]
    effort_snapshots: dict[str, float]


@pytest.fixture(scope="session")
def ctds(shared: Path) -> Path:
    """The folder of distance sampling data, with R's results."""
    folder = shared / "ctds"
    if not folder.is_dir():
        pytest.skip(f"no distance sampling data at {folder}")
    return folder


def read_table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="session")
def read_survey(ctds: Path) -> Callable[[str], Survey]:
    """Reads a flat file of R's by its name; a station is a Sample.Label, whose effort is told once."""

    def read(name: str) -> Survey:
        survey = Survey([], [], {})
        for row in read_table(ctds / f"{name}.csv"):
            survey.effort_snapshots[row["Sample.Label"]] = float(row["Effort"])
            if row["distance"] not in {"", "NA"}:
                survey.station_ids.append(row["Sample.Label"])
                survey.distance_m.append(float(row["distance"]))
        return survey

    return read


@pytest.fixture(scope="session")
def peak(ctds: Path) -> dict[str, dict[str, str]]:
    """R's results for the duikers at peak activity, by model."""
    return {row["model"]: row for row in read_table(ctds / "ref_peak.csv")}


@pytest.fixture(scope="session")
def points(ctds: Path) -> dict[str, dict[str, str]]:
    """R's results for ordinary point transects, by case."""
    return {row["case"]: row for row in read_table(ctds / "ref_points.csv")}
