"""Camera traps and point transects with results of R."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from density.surveys import flat_text
from trapmeter.density.survey.flat_file import survey_from_rows
from trapmeter.density.survey.survey import Survey
from trapmeter.tables.flatfile import read_flat_file


class TransectData(NamedTuple):
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
def read_transects(ctds: Path) -> Callable[[str], TransectData]:
    """Reads a flat file of R by its name; each Sample.Label is a station."""

    def read(name: str) -> TransectData:
        transects = TransectData([], [], {})
        for row in read_table(ctds / f"{name}.csv"):
            transects.effort_snapshots[row["Sample.Label"]] = float(row["Effort"])
            if row["distance"] not in {"", "NA"}:
                transects.station_ids.append(row["Sample.Label"])
                transects.distance_m.append(float(row["distance"]))
        return transects

    return read


@pytest.fixture(scope="session")
def survey(tmp_path_factory: pytest.TempPathFactory) -> Survey:
    """Point transects of 40 stations with the density `true_density()`."""
    path = tmp_path_factory.mktemp("flat") / "flat.csv"
    path.write_text(flat_text(n_stations=40))
    return survey_from_rows(read_flat_file(path))


@pytest.fixture(scope="session")
def peak(ctds: Path) -> dict[str, dict[str, str]]:
    """R's results for the duikers at peak activity, by model."""
    return {row["model"]: row for row in read_table(ctds / "ref_peak.csv")}


@pytest.fixture(scope="session")
def covariate_models(ctds: Path) -> dict[str, dict[str, str]]:
    """R's results for point transects with covariates and group sizes, by model."""
    return {row["model"]: row for row in read_table(ctds / "ref_covariates.csv")}


@pytest.fixture(scope="session")
def points(ctds: Path) -> dict[str, dict[str, str]]:
    """R's results for ordinary point transects, by case."""
    return {row["case"]: row for row in read_table(ctds / "ref_points.csv")}
