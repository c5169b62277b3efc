"""datapackage.json of a new package: what the survey was, and who made it.

The properties are those that the profile of Camtrap DP 1.0.2 requires.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from trapmeter._version import __version__
from trapmeter.errors import InputError
from trapmeter.tables.camtrapdp.container import TABLES
from trapmeter.tables.camtrapdp.new_deployments import NewDeployment
from trapmeter.tables.site_locations import SiteLocation

STANDARD = "https://raw.githubusercontent.com/tdwg/camtrap-dp/1.0.2"
_CONTRIBUTOR = re.compile(r"([^<>]*[^<>\s])\s*(?:<([^<>@\s]+@[^<>@\s]+)>)?")


class SamplingDesign(StrEnum):
    """How the places of the cameras were chosen (Wearn and Glover-Kapfer 2017, pages 80 to 82)."""

    SIMPLE_RANDOM = "simple-random"
    SYSTEMATIC_RANDOM = "systematic-random"
    CLUSTERED_RANDOM = "clustered-random"
    EXPERIMENTAL = "experimental"
    TARGETED = "targeted"
    OPPORTUNISTIC = "opportunistic"


class CaptureMethod(StrEnum):
    """What made the cameras take photos and videos."""

    ACTIVITY_DETECTION = "activity-detection"
    TIME_LAPSE = "time-lapse"


class ObservationLevel(StrEnum):
    """What a row of observations is about: an animal in one photo or at one second of a video, or its stay in an event."""

    MEDIA = "media"
    EVENT = "event"


@dataclass(frozen=True, slots=True)
class PackageMetadata:
    """What the results can't say about a survey. contributors: as `parse_contributor` returns them, at least one."""

    title: str
    contributors: tuple[dict[str, str], ...]
    sampling_design: SamplingDesign
    capture_method: CaptureMethod
    level: ObservationLevel


def parse_contributor(text: str) -> dict[str, str]:
    """A contributor of a data package from a name, which an e-mail address may follow.

    Raises:
        InputError: it has another form.

    Example:
        >>> parse_contributor("Ada Example <ada@example.org>")
        {'title': 'Ada Example', 'email': 'ada@example.org'}
    """
    found = _CONTRIBUTOR.fullmatch(text.strip())
    if found is None:
        raise InputError(
            f"--contributor: expected a name, with an e-mail address or not, such as 'Ada Example <ada@example.org>', got "
            f"{text!r}"
        )
    title, email = found.groups()
    return {"title": title, "email": email} if email else {"title": title}


def make_metadata(
    title: str | None,
    contributors: Collection[str],
    sampling_design: SamplingDesign | None,
    capture_method: CaptureMethod | None = None,
    level: ObservationLevel | None = None,
) -> PackageMetadata:
    """What a user says about a survey, None where nothing is said. contributors: as `parse_contributor` takes them.

    Raises:
        InputError: something that the standard requires is missing, or a contributor has another form.
    """
    if not title or not contributors or sampling_design is None:
        raise InputError(
            f"a new Camtrap DP needs --title, --contributor and --sampling-design (one of {', '.join(SamplingDesign)}), as "
            "the standard requires them; to fill in a package that you have, give --package"
        )
    return PackageMetadata(
        title,
        tuple(parse_contributor(text) for text in contributors),
        sampling_design,
        capture_method or CaptureMethod.ACTIVITY_DETECTION,
        level or ObservationLevel.MEDIA,
    )


def standard_word(choice: SamplingDesign | CaptureMethod) -> str:
    """A choice as the standard writes it.

    Example:
        >>> standard_word(CaptureMethod.TIME_LAPSE)
        'timeLapse'
    """
    return re.sub("-([a-z])", lambda found: found[1].upper(), choice)


def build_descriptor(
    metadata: PackageMetadata,
    deployments: Sequence[NewDeployment],
    species: Collection[str],
    created: datetime,
) -> dict[str, Any]:
    """The content of datapackage.json.

    deployments: at least one. species: the scientific names in the observations. created: with a zone.
    """
    return {
        "resources": [
            {
                "name": table,
                "path": f"{table}.csv",
                "profile": "tabular-data-resource",
                "format": "csv",
                "mediatype": "text/csv",
                "encoding": "utf-8",
                "schema": f"{STANDARD}/{table}-table-schema.json",
            }
            for table in TABLES
        ],
        "profile": f"{STANDARD}/camtrap-dp-profile.json",
        "name": re.sub(r"[^a-z0-9]+", "-", metadata.title.casefold()).strip("-") or "camera-trap-survey",
        "created": created.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "title": metadata.title,
        "contributors": list(metadata.contributors),
        "sources": [{"title": "trapmeter", "version": __version__}],
        "project": {
            "title": metadata.title,
            "samplingDesign": standard_word(metadata.sampling_design),
            "captureMethod": [standard_word(metadata.capture_method)],
            # individualID tells animals of an event apart; it doesn't recognise those of another one.
            "individualAnimals": False,
            "observationLevel": [metadata.level.value],
        },
        "spatial": _bounding_box([deployment.location for deployment in deployments]),
        "temporal": _period(deployments),
        "taxonomic": [{"scientificName": name} for name in sorted(species)],
    }


def _bounding_box(locations: Iterable[SiteLocation]) -> dict[str, Any]:
    """The rectangle around all locations as GeoJSON."""
    places = list(locations)
    west, east = min(place.longitude for place in places), max(place.longitude for place in places)
    south, north = min(place.latitude for place in places), max(place.latitude for place in places)
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "bbox": [west, south, east, north], "coordinates": [ring]}


def _period(deployments: Iterable[NewDeployment]) -> dict[str, str]:
    """The first and the last day, as the clocks at the cameras showed them."""
    found = list(deployments)
    return {
        "start": min(found, key=lambda deployment: deployment.start).start.date().isoformat(),
        "end": max(found, key=lambda deployment: deployment.end).end.date().isoformat(),
    }
