"""The deployments of a new package: from a table of deployments, or else from the times of the media."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from trapmeter.errors import InputError
from trapmeter.tables.cameras import CameraSetup
from trapmeter.tables.camtrapdp.package import with_missing_emptied
from trapmeter.tables.csvfile import Row, to_cell
from trapmeter.tables.deployments import Deployment
from trapmeter.tables.site_locations import SiteLocation

COLUMNS = (
    *("deploymentID", "locationID", "locationName", "latitude", "longitude", "coordinateUncertainty"),
    *("deploymentStart", "deploymentEnd", "setupBy", "cameraID", "cameraModel", "cameraDelay", "cameraHeight"),
    *("cameraDepth", "cameraTilt", "cameraHeading", "detectionDistance", "timestampIssues", "baitUse", "featureType"),
    *("habitat", "deploymentGroups", "deploymentTags", "deploymentComments"),
)
"""The columns of the standard, in its order."""
_TEXTS = (
    *("locationName", "setupBy", "cameraID", "cameraModel", "habitat"),
    *("deploymentGroups", "deploymentTags", "deploymentComments"),
)
_NUMBERS = ("cameraHeight", "cameraDepth", "detectionDistance")
"""Metres, 0 or more."""
_WHOLE = {
    "coordinateUncertainty": (1, None),
    "cameraDelay": (0, None),
    "cameraTilt": (-90, 90),
    "cameraHeading": (0, 360),
}
"""Columns of whole numbers, with the least and the greatest."""
_BOOLEANS = ("timestampIssues", "baitUse")
_TRUTHS = dict.fromkeys(("true", "yes", "1"), "true") | dict.fromkeys(("false", "no", "0"), "false")
_FEATURES = (
    *("roadPaved", "roadDirt", "trailHiking", "trailGame", "roadUnderpass", "roadOverpass", "roadBridge", "culvert"),
    *("burrow", "nestSite", "carcass", "waterSource", "fruitingTree"),
)


@dataclass(frozen=True, slots=True)
class NewDeployment:
    """A camera at a site from start to end, which have a zone. cells: of further columns of the standard."""

    deployment_id: str
    site_id: str
    start: datetime
    end: datetime
    location: SiteLocation
    cells: Mapping[str, str] = field(default_factory=dict)

    def row_cells(self) -> dict[str, str]:
        """The cells of its row by column."""
        return {
            **self.cells,
            "deploymentID": to_cell(self.deployment_id),
            "locationID": to_cell(self.site_id),
            "latitude": format_degrees(self.location.latitude),
            "longitude": format_degrees(self.location.longitude),
            "deploymentStart": format_time(self.start),
            "deploymentEnd": format_time(self.end),
        }

    def seconds_from(self, time: datetime) -> float:
        """How far a time lies outside the deployment; 0 within."""
        return max((self.start - time).total_seconds(), (time - self.end).total_seconds(), 0.0)

    def with_timestamp_issues(self, *, has_issues: bool) -> NewDeployment:
        """The deployment with what is known of its camera's clock, unless its table says something else."""
        cell = self.cells.get("timestampIssues") or str(has_issues).lower()
        return replace(self, cells={**self.cells, "timestampIssues": cell})


def format_time(time: datetime) -> str:
    """A time with its zone as the standard writes it, in whole seconds."""
    text = time.isoformat(timespec="seconds")
    return f"{text.removesuffix('+00:00')}Z" if time.tzinfo is UTC or text.endswith("+00:00") else text


def format_degrees(degrees: float) -> str:
    """Degrees with all decimals that matter, and without an exponent."""
    return f"{degrees:.8f}".rstrip("0").rstrip(".")


def deployments_from_table(
    rows: Sequence[Deployment], locations: Mapping[str, SiteLocation], cameras: Mapping[str, CameraSetup]
) -> list[NewDeployment]:
    """The deployments of a table, with what it says in columns of the standard.

    Raises:
        InputError: a site has no location, a cell is wrong, or two rows have the same deploymentID.
    """
    n_rows = Counter(row.site_id for row in rows)
    found: dict[str, NewDeployment] = {}
    for row in rows:
        own = row.row.optional_text("deploymentID")
        name = own or (row.site_id if n_rows[row.site_id] == 1 else f"{row.site_id}@{row.start:%Y%m%dT%H%M%S}")
        if name in found:
            raise InputError(
                f"{row.where}: a row above has the deployment {name!r} already; give each its own deploymentID"
            )
        cells = _cells(with_missing_emptied(row.row))
        for column, text in _camera_cells(cameras.get(row.site_id)).items():
            cells.setdefault(column, text)
        if row.stratum:
            cells.setdefault("deploymentGroups", to_cell(f"stratum:{row.stratum}"))
        found[name] = NewDeployment(name, row.site_id, row.start, row.end, location_of(row.site_id, locations), cells)
    return list(found.values())


def deployments_from_media(
    times: Iterable[tuple[str, datetime, datetime]],
    locations: Mapping[str, SiteLocation],
    cameras: Mapping[str, CameraSetup],
) -> list[NewDeployment]:
    """A deployment of each site from its first medium to its last. times: site, start and end of each medium.

    Raises:
        InputError: a site has no location.
    """
    spans: dict[str, list[tuple[datetime, datetime]]] = defaultdict(list)
    for site_id, start, end in times:
        spans[site_id].append((start, end))
    return [
        NewDeployment(
            site_id,
            site_id,
            min(start for start, _ in spans[site_id]),
            max(end for _, end in spans[site_id]),
            location_of(site_id, locations),
            _camera_cells(cameras.get(site_id)),
        )
        for site_id in sorted(spans)
    ]


def location_of(site_id: str, locations: Mapping[str, SiteLocation]) -> SiteLocation:
    """The location of a site.

    Raises:
        InputError: it isn't known.
    """
    if site_id not in locations:
        known = ", ".join(map(repr, list(locations)[:3]))
        raise InputError(
            f"Camtrap DP requires the location of every site, and that of {site_id!r} isn't known"
            f"{f' (those of {known} are)' if known else ''}; give --places, a CSV file of site_id, latitude, longitude, or "
            "fill in columns latitude and longitude of --deployments"
        )
    return locations[site_id]


def _camera_cells(camera: CameraSetup | None) -> dict[str, str]:
    if camera is None or camera.height_m is None or camera.pitch_deg is None:
        return {}
    return {"cameraHeight": f"{camera.height_m:g}", "cameraTilt": str(round(camera.pitch_deg))}


def _cells(row: Row) -> dict[str, str]:
    """The cells that are not empty, in columns of the standard that the user's table has.

    Raises:
        InputError: the standard doesn't allow one of them.
    """
    cells = {column: to_cell(row.optional_text(column)) for column in _TEXTS}
    for column in _NUMBERS:
        number = row.optional_number(column)
        if number is not None and number < 0:
            raise row.error(column, "metres >= 0, or nothing")
        cells[column] = "" if number is None else f"{number:g}"
    for column, (least, greatest) in _WHOLE.items():
        number = row.optional_number(column)
        if number is not None and (round(number) < least or (greatest is not None and round(number) > greatest)):
            most = "" if greatest is None else f" to {greatest}"
            raise row.error(column, f"a whole number from {least}{most}, or nothing")
        cells[column] = "" if number is None else str(round(number))
    for column in _BOOLEANS:
        text = row.optional_text(column).casefold()
        if text and text not in _TRUTHS:
            raise row.error(column, "true, false or nothing")
        cells[column] = _TRUTHS.get(text, "")
    cells["featureType"] = row.optional_text("featureType")
    if cells["featureType"] not in ("", *_FEATURES):
        raise row.error("featureType", f"one of {', '.join(_FEATURES)}, or nothing")
    return {column: text for column, text in cells.items() if text}
