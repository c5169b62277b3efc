"""Where sites are: read from a table or a Camtrap DP, and written as GeoJSON points."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median

from trapmeter.errors import InputError
from trapmeter.files import atomic_file
from trapmeter.records import Estimate
from trapmeter.tables.camtrapdp.container import is_package
from trapmeter.tables.camtrapdp.package import read_deployment_rows, site_id_of, with_missing_emptied
from trapmeter.tables.csvfile import Row, read_columns, read_rows

OWN_COLUMNS = ("site_id", "latitude", "longitude")
CAMTRAP_DP_COLUMNS = ("locationID", "latitude", "longitude")


@dataclass(frozen=True, slots=True)
class SiteLocation:
    """Where a camera stands, in degrees (WGS 84)."""

    latitude: float
    longitude: float


def read_site_locations(path: Path) -> dict[str, SiteLocation]:
    """Reads site_id, latitude and longitude from a CSV file, or the deployments of a Camtrap DP (its table, or the package).

    A site that stands several times, as with a row for each deployment, has the place of its first row. Deployments of a
    package that tell no place are passed over.

    Raises:
        InputError: a column is missing, or a place is none on Earth; names file, line and column.
    """
    places: dict[str, SiteLocation] = {}
    for site_id, row in _rows_by_site(path):
        latitude, longitude = row.number("latitude"), row.number("longitude")
        for column, degrees, most in (("latitude", latitude, 90), ("longitude", longitude, 180)):
            if abs(degrees) > most:
                raise row.error(column, f"degrees from -{most} to {most}")
        places.setdefault(site_id, SiteLocation(latitude, longitude))
    return places


def _rows_by_site(path: Path) -> Iterator[tuple[str, Row]]:
    """Each row with the site that it tells of."""
    if is_package(path):
        for one in read_deployment_rows(path):
            if one.row.optional_text("latitude") and one.row.optional_text("longitude"):
                yield one.site_id, one.row
    elif CAMTRAP_DP_COLUMNS[0] in read_columns(path):
        yield from (
            (site_id_of(row), row) for row in map(with_missing_emptied, read_rows(path, required=CAMTRAP_DP_COLUMNS))
        )
    else:
        yield from ((row.text(OWN_COLUMNS[0]), row) for row in read_rows(path, required=OWN_COLUMNS))


def write_geojson(path: Path, estimates: Iterable[Estimate], places: Mapping[str, SiteLocation]) -> list[str]:
    """Writes a point for each site of the estimates that has a place; returns the sites without one.

    Raises:
        InputError: no site has a place.
        RunError: the file can't be written.
    """
    distances: dict[str, list[float]] = defaultdict(list)
    media: dict[str, set[str]] = defaultdict(set)
    for estimate in estimates:
        site_id = estimate.observation.site_id
        media[site_id].add(estimate.observation.media_id)
        if estimate.distance is not None:
            distances[site_id].append(estimate.distance.distance_m)
    without = sorted(site_id for site_id in media if site_id not in places)
    if len(without) == len(media):
        raise InputError(
            f"none of the {len(media)} sites has a place; the results have {', '.join(map(repr, without[:3]))}, "
            f"the table of places {', '.join(map(repr, list(places)[:3])) or 'no row'}"
        )
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [places[site_id].longitude, places[site_id].latitude]},
            "properties": {"site_id": site_id, "media": len(media[site_id]), **_figures(distances[site_id])},
        }
        for site_id in sorted(media)
        if site_id in places
    ]
    with atomic_file(path) as file:
        json.dump({"type": "FeatureCollection", "features": features}, file, indent=1)
        file.write("\n")
    return without


def _figures(distances_m: list[float]) -> dict[str, float | int | None]:
    if not distances_m:
        return {"measured": 0, "mean_distance_m": None, "median_distance_m": None}
    return {
        "measured": len(distances_m),
        "mean_distance_m": round(fmean(distances_m), 2),
        "median_distance_m": round(median(distances_m), 2),
    }
