"""Writes results of `predict` in the formats of other tools."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from pathlib import Path
from typing import Any

from trapmeter.errors import InputError, MediaError
from trapmeter.files import PathLike, check_writable
from trapmeter.media.discovery import medium_kind
from trapmeter.media.opening import open_medium
from trapmeter.records import Estimate, Medium, MediumKind, Status, row_order
from trapmeter.tables.cameras import read_cameras
from trapmeter.tables.camtrapdp.descriptor import (
    CaptureMethod,
    ObservationLevel,
    SamplingDesign,
    make_metadata,
)
from trapmeter.tables.camtrapdp.export import export_package
from trapmeter.tables.camtrapdp.new_package import SurveyTables, write_new_package
from trapmeter.tables.csvfile import read_columns
from trapmeter.tables.deployments import read_deployments
from trapmeter.tables.distances import find_distances, read_distances, read_run_facts
from trapmeter.tables.drivendata import write_nearest_distances
from trapmeter.tables.file_names import leaves_root
from trapmeter.tables.medium_times import MEDIA_CSV, read_media
from trapmeter.tables.megadetector import write_megadetector
from trapmeter.tables.site_locations import SiteLocation, read_site_locations, write_geojson
from trapmeter.tables.timelapse import write_timelapse
from trapmeter.tables.times import TimeReader, parse_zone

MILLISECOND_RATE = 1000.0
"""Frame rate of videos that are missing. Their frame numbers count milliseconds, which tools convert to the same times."""


class ExportFormat(StrEnum):
    """The formats in which results can be written."""

    MEGADETECTOR = "megadetector"
    TIMELAPSE = "timelapse"
    DRIVENDATA = "drivendata"
    GEOJSON = "geojson"
    CAMTRAP_DP = "camtrap-dp"


@dataclass(frozen=True, slots=True)
class NewPackageOptions:
    """What a new Camtrap DP needs besides the results; see `trapmeter export`.

    title, contributors and sampling_design are required. deployments: a table as `trapmeter density` takes it. cameras: a
    table as `trapmeter predict` takes it.
    """

    title: str | None = None
    contributors: tuple[str, ...] = ()
    sampling_design: SamplingDesign | None = None
    capture_method: CaptureMethod | None = None
    level: ObservationLevel | None = None
    deployments: PathLike | None = None
    cameras: PathLike | None = None


NO_OPTIONS = NewPackageOptions()


def export_results(
    results: PathLike,
    out: PathLike,
    form: ExportFormat,
    places: PathLike | None = None,
    package: PathLike | None = None,
    timezone: str | None = None,
    new_package: NewPackageOptions = NO_OPTIONS,
) -> list[str]:
    """Writes results in another format and returns notes for the user.

    results: a folder that `predict` wrote, or a distances.csv. places: the locations of the sites, as `read_site_locations`
    takes them; for geojson, and for a new Camtrap DP. package: the Camtrap DP to copy, with the distances added; without
    it, camtrap-dp writes a new one. timezone: of the package's times that carry none, such as Europe/Berlin or +02:00.
    new_package: for a new Camtrap DP only.

    Raises:
        InputError: a table is not as expected, or has nothing that the format can express.
        RunError: the file can't be written.
    """
    results, out = Path(results), Path(out)
    zone = None if timezone is None else parse_zone(timezone)
    is_new_package = form is ExportFormat.CAMTRAP_DP and package is None
    _check_options(form, places, package, new_package, is_new_package=is_new_package)
    if form is not ExportFormat.CAMTRAP_DP:
        check_writable(out)
    source = find_distances(results)
    if out.exists() and out.samefile(source):
        raise InputError(f"{out} contains the results themselves; choose another --out")
    estimates = sorted(read_distances(source), key=row_order)
    if not estimates:
        raise InputError(f"{source} has no rows; there is nothing to write")
    match form:
        case ExportFormat.TIMELAPSE:
            write_timelapse(out, estimates)
        case ExportFormat.DRIVENDATA:
            n_several = write_nearest_distances(out, estimates)
            return [f"{n_several:,} seconds show several animals: only the nearest is written"] if n_several else []
        case ExportFormat.GEOJSON if places is not None:
            missing = write_geojson(out, estimates, read_site_locations(Path(places)))
            names = ", ".join(missing[:5])
            return [f"{len(missing):,} sites have no location and were left out: {names}"] if missing else []
        case ExportFormat.CAMTRAP_DP if package is not None:
            return export_package(Path(package), out, estimates, _finished_at(read_run_facts(source)), zone)
        case ExportFormat.CAMTRAP_DP:
            return _export_new_package(source, out, estimates, places, zone, new_package)
        case _:
            return _export_megadetector(source, out, estimates)
    return []


def _check_options(
    form: ExportFormat,
    places: PathLike | None,
    package: PathLike | None,
    new_package: NewPackageOptions,
    *,
    is_new_package: bool,
) -> None:
    """Raises InputError if an option is of another format, or one that the format requires is missing."""
    if package is not None and form is not ExportFormat.CAMTRAP_DP:
        raise InputError(
            "--package, the Camtrap DP that the media are of, goes with --format camtrap-dp, and only there"
        )
    if form is ExportFormat.GEOJSON and places is None:
        raise InputError("--format geojson needs --places, a CSV file of site_id, latitude and longitude")
    if places is not None and not (form is ExportFormat.GEOJSON or is_new_package):
        raise InputError(
            "--places, a CSV file of site_id, latitude and longitude, goes with --format geojson, or with --format "
            "camtrap-dp without --package, and only there"
        )
    given = [f"--{name.replace('_', '-')}" for name in _given(new_package)]
    if given and not is_new_package:
        raise InputError(
            f"{', '.join(given)} goes with --format camtrap-dp without --package, which writes a new package, and only there"
        )


def _given(options: NewPackageOptions) -> list[str]:
    """The names of the options that are set, as the command line has them."""
    names = {"contributors": "contributor"}
    return [names.get(field.name, field.name) for field in fields(options) if getattr(options, field.name)]


def _export_new_package(
    source: Path,
    out: Path,
    estimates: Sequence[Estimate],
    places: PathLike | None,
    zone: tzinfo | None,
    options: NewPackageOptions,
) -> list[str]:
    metadata = make_metadata(
        options.title, options.contributors, options.sampling_design, options.capture_method, options.level
    )
    times = source.with_name(MEDIA_CSV)
    if not times.is_file():
        raise InputError(
            f"{times} does not exist, so nothing says when the media were taken, which Camtrap DP requires; run `trapmeter "
            "predict` again, or give its folder"
        )
    media = read_media(times)
    deployments = None if options.deployments is None else Path(options.deployments)
    survey = SurveyTables(
        None if deployments is None else read_deployments(deployments, TimeReader(zone)),
        _locations(places, deployments),
        {} if options.cameras is None else read_cameras(options.cameras),
    )
    if survey.deployments and survey.deployments[0].start.tzinfo is None:
        raise InputError(
            f"{survey.deployments[0].where}: Camtrap DP requires times with a zone; name that of the table with --timezone, "
            "such as --timezone Europe/Berlin or --timezone +02:00"
        )
    names = {estimate.observation.media_id for estimate in estimates} | media.keys()
    return write_new_package(
        out,
        estimates,
        media,
        {name: medium_kind(Path(name)) or MediumKind.VIDEO for name in names},
        survey,
        metadata,
        created=datetime.now(UTC),
        classified_at=_finished_at(read_run_facts(source)),
        zone=zone,
    )


def _locations(places: PathLike | None, deployments: Path | None) -> dict[str, SiteLocation]:
    """The locations of the sites: from a table of their own, or else from that of the deployments if it has them."""
    if places is not None:
        return read_site_locations(places)
    if deployments is not None and {"latitude", "longitude"} <= set(read_columns(deployments)):
        return read_site_locations(deployments)
    return {}


def _export_megadetector(source: Path, out: Path, estimates: Sequence[Estimate]) -> list[str]:
    facts = read_run_facts(source)
    root = facts.get("root")
    # Media that failed have no frames to number and are not opened again.
    rates: dict[str, float | None] = dict.fromkeys(estimate.observation.media_id for estimate in estimates)
    for name in {e.observation.media_id for e in estimates if e.status in (Status.MEASURED, Status.NO_ANIMAL)}:
        rates[name] = _frame_rate(Path(root) if isinstance(root, str) else None, name)
    n_unknown = sum(rate == MILLISECOND_RATE for rate in rates.values())
    write_megadetector(out, estimates, rates, _detector_name(facts))
    n_without = sum(estimate.distance is not None and estimate.observation.box is None for estimate in estimates)
    notes = []
    if n_unknown:
        notes.append(f"{n_unknown:,} videos are missing here: their frame numbers count milliseconds")
    if n_without:
        notes.append(f"{n_without:,} distances have no box and were left out")
    return notes


def _frame_rate(root: Path | None, media_id: str) -> float | None:
    """Frames per second of a video, None for a photo."""
    if medium_kind(Path(media_id)) is MediumKind.PHOTO:
        return None
    if root is not None and not leaves_root(media_id):
        try:
            with open_medium(Medium(media_id, root / media_id, MediumKind.VIDEO)) as reader:
                return reader.facts.frame_rate or MILLISECOND_RATE
        except (MediaError, OSError):
            pass
    return MILLISECOND_RATE


def _detector_name(facts: dict[str, Any]) -> str:
    try:
        return str(facts["models"]["detector"]["model_id"])
    except (KeyError, TypeError):
        return "unknown"


def _finished_at(facts: dict[str, Any]) -> str:
    """When the run finished, as Camtrap DP writes times; "" if unknown."""
    try:
        return datetime.fromisoformat(facts["finished"]).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (KeyError, TypeError, ValueError, OverflowError):
        return ""
