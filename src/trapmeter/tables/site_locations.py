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
from trapmeter.tables.csvfile import Row, read_rows
from trapmeter.tables.wildlife_insights import read_survey_columns, read_survey_rows

OWN_COLUMNS = ("site_id", "latitude", "longitude")
CAMTRAP_DP_COLUMNS = ("locationID", "latitude", "longitude")


@dataclass(frozen=True, slots=True)
class SiteLocation:
    """The position of a site's camera, in degrees (WGS 84)."""

    latitude: float
    longitude: float


def read_site_locations(path: str | Path) -> dict[str, SiteLocation]:
    """Reads site_id, latitude and longitude from a CSV file, a Camtrap DP, or the deployments of a download.

    Of a Camtrap DP the package or its table of deployments, of Wildlife Insights the deployments.csv.

    A site with several rows, one for each deployment for example, has the location of its first row. Deployments of a package
    without a location are skipped.

    Raises:
        InputError: a column is missing, or a location is not on Earth; names file, line and column.
    """
    locations: dict[str, SiteLocation] = {}
    for site_id, row in _rows_by_site(Path(path)):
        latitude, longitude = row.number("latitude"), row.number("longitude")
        for column, degrees, limit in (("latitude", latitude, 90), ("longitude", longitude, 180)):
            if abs(degrees) > limit:
                raise row.error(column, f"degrees from -{limit} to {limit}")
        locations.setdefault(site_id, SiteLocation(latitude, longitude))
    return locations


def _rows_by_site(path: Path) -> Iterator[tuple[str, Row]]:
    """Each row with its site."""
    if is_package(path):
        for deployment in read_deployment_rows(path):
            if deployment.row.optional_text("latitude") and deployment.row.optional_text("longitude"):
                yield deployment.site_id, deployment.row
    elif CAMTRAP_DP_COLUMNS[0] in read_survey_columns(path):
        yield from (
            (site_id_of(row), row) for row in map(with_missing_emptied, read_rows(path, required=CAMTRAP_DP_COLUMNS))
        )
    else:
        yield from ((row.text(OWN_COLUMNS[0]), row) for row in read_survey_rows(path, required=OWN_COLUMNS))


def write_geojson(path: str | Path, estimates: Iterable[Estimate], locations: Mapping[str, SiteLocation]) -> list[str]:
    """Writes a point for each site of the estimates that has a location; returns the sites without one.

    Raises:
        InputError: no site has a location.
        RunError: the file can't be written.
    """
    distances: dict[str, list[float]] = defaultdict(list)
    media: dict[str, set[str]] = defaultdict(set)
    for estimate in estimates:
        site_id = estimate.observation.site_id
        media[site_id].add(estimate.observation.media_id)
        if estimate.distance is not None:
            distances[site_id].append(estimate.distance.distance_m)
    without = sorted(site_id for site_id in media if site_id not in locations)
    if len(without) == len(media):
        raise InputError(
            f"none of the {len(media)} sites has a location; the results have {', '.join(map(repr, without[:3]))}, "
            f"the table of locations {', '.join(map(repr, list(locations)[:3])) or 'no row'}; use the same site_id in both"
        )
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [locations[site_id].longitude, locations[site_id].latitude]},
            "properties": {"site_id": site_id, "media": len(media[site_id]), **_figures(distances[site_id])},
        }
        for site_id in sorted(media)
        if site_id in locations
    ]
    with atomic_file(Path(path)) as file:
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
