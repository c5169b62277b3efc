"""Writes a Camtrap DP from nothing: from results, and from tables of where and when the cameras worked."""

from __future__ import annotations

import csv
import io
import json
import mimetypes
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from pathlib import Path, PurePosixPath

from trapmeter.errors import InputError
from trapmeter.files import atomic_folder, atomic_path
from trapmeter.records import Estimate, MediumKind
from trapmeter.tables.cameras import CameraSetup
from trapmeter.tables.camtrapdp import new_deployments, observations
from trapmeter.tables.camtrapdp.container import DESCRIPTOR, is_archive
from trapmeter.tables.camtrapdp.descriptor import ObservationLevel, PackageMetadata, build_descriptor, standard_word
from trapmeter.tables.camtrapdp.export import check_new
from trapmeter.tables.camtrapdp.new_deployments import (
    NewDeployment,
    deployments_from_media,
    deployments_from_table,
    format_time,
)
from trapmeter.tables.camtrapdp.new_observations import event_observations, media_observations
from trapmeter.tables.camtrapdp.package import MediumRow
from trapmeter.tables.csvfile import Row, to_cell
from trapmeter.tables.deployments import Deployment
from trapmeter.tables.medium_times import MediumTime
from trapmeter.tables.site_locations import SiteLocation
from trapmeter.tables.times import to_instant

MEDIA_COLUMNS = (
    *("mediaID", "deploymentID", "captureMethod", "timestamp", "filePath", "filePublic", "fileName", "fileMediatype"),
    *("exifData", "favorite", "mediaComments"),
)
"""The columns of the standard, in its order."""
_ALLOWED_PATH = re.compile(r"(?![./~])(?!.*\.\.).+")
MAX_LISTED = 5


@dataclass(frozen=True, slots=True)
class SurveyTables:
    """What tables say about the cameras, by site. deployments: None without such a table."""

    deployments: Sequence[Deployment] | None = None
    locations: Mapping[str, SiteLocation] = field(default_factory=dict)
    cameras: Mapping[str, CameraSetup] = field(default_factory=dict)


def write_new_package(
    out: Path,
    estimates: Sequence[Estimate],
    media: Mapping[str, MediumTime],
    kinds: Mapping[str, MediumKind],
    survey: SurveyTables,
    metadata: PackageMetadata,
    *,
    created: datetime,
    classified_at: str,
    zone: tzinfo | None,
) -> list[str]:
    """Writes a package of results; returns notes about what was left out or assumed.

    Args:
        out: a folder that doesn't exist yet, or a zip archive.
        estimates: sorted by media_id, time and animal.
        media: the rows of media.csv.
        kinds: whether each medium is a photo or a video.
        survey: what is known about the cameras; times of deployments have a zone.
        metadata: what goes into datapackage.json.
        created: now, with a zone.
        classified_at: when the media were measured, date and time with a zone; "" when it isn't known.
        zone: of times that carry none.

    Raises:
        InputError: a time has no zone, no medium has a time, or a site has no location or deployment.
        RunError: out exists already or can't be written.
    """
    check_new(out)
    seconds: dict[str, float] = {}
    for estimate in estimates:
        name = estimate.observation.media_id
        seconds[name] = max(seconds.get(name, 0.0), estimate.observation.time_s)
    timed, notes = _timed_media(dict.fromkeys([*seconds, *media]), media, zone)
    spans = {name: (start, start + timedelta(seconds=seconds.get(name, 0.0))) for name, start in timed.items()}
    sites = {name: media[name].site_id for name in timed}
    if survey.deployments is None:
        times = ((sites[name], *span) for name, span in spans.items())
        deployments = deployments_from_media(times, survey.locations, survey.cameras)
        notes.append(
            "deployments last from the first to the last medium of each site, which is too short for effort; give "
            "--deployments, a CSV file of site_id, start, end"
        )
    else:
        deployments = deployments_from_table(survey.deployments, survey.locations, survey.cameras)
    placed, outside = _deployment_of_each(timed, sites, deployments)
    if outside:
        notes.append(f"{_listed(outside)} lie outside of their site's deployments, and got the nearest one")
    doubtful = {medium.site_id for medium in media.values() if medium.note}
    deployments = [row.with_timestamp_issues(has_issues=row.site_id in doubtful) for row in deployments]

    rows = {
        name: _medium_row(name, placed[name], timed[name], kinds.get(name), standard_word(metadata.capture_method))
        for name in timed
    }
    found = media_observations([row for row in estimates if row.observation.media_id in rows], rows, classified_at)
    is_by_event = metadata.level is ObservationLevel.EVENT
    cells = event_observations(found, rows) if is_by_event else [cells for _, cells in found]
    cells = list({row["observationID"]: row for row in reversed(cells)}.values())[::-1]
    descriptor = build_descriptor(
        metadata,
        deployments,
        {row["scientificName"] for row in cells if row.get("scientificName")},
        created,
    )
    _write(
        out,
        {
            DESCRIPTOR: json.dumps(descriptor, indent=2, ensure_ascii=False) + "\n",
            "deployments.csv": _table(new_deployments.COLUMNS, (row.row_cells() for row in deployments)),
            "media.csv": _table(MEDIA_COLUMNS, (row.row.cells for row in rows.values())),
            "observations.csv": _table(observations.COLUMNS, cells),
        },
    )
    return [*notes, f"{len(deployments):,} deployments, {len(rows):,} media, {len(cells):,} observations"]


def _timed_media(
    names: Iterable[str], media: Mapping[str, MediumTime], zone: tzinfo | None
) -> tuple[dict[str, datetime], list[str]]:
    """The time of each medium that has one and that the standard can name, and notes on the others.

    Raises:
        InputError: a time has no zone, a medium has no site, or none has a time.
    """
    timed: dict[str, datetime] = {}
    without, unset, unnameable = [], [], []
    for name in sorted(names):
        medium = media.get(name)
        if medium is None or medium.taken_at is None:
            without.append(name)
        elif not medium.is_date_known:
            unset.append(name)
        elif not _ALLOWED_PATH.fullmatch(to_cell(name)):
            unnameable.append(name)
        elif not medium.site_id:
            raise InputError(
                f"{name} has no site, and Camtrap DP requires one; name the sites: `trapmeter predict --site`"
            )
        elif medium.taken_at.tzinfo is None and zone is None:
            raise InputError(
                f"{name} was taken at {medium.taken_at.isoformat()}, without a zone, and Camtrap DP requires one; name the "
                "zone of the cameras' clocks with --timezone, such as --timezone Europe/Berlin or --timezone +02:00"
            )
        else:
            timed[name] = to_instant(medium.taken_at, zone)
    if not timed:
        raise InputError(
            f"none of the {len(without) + len(unset) + len(unnameable):,} media has a known time, which Camtrap DP requires; "
            "give the times when you measure: `trapmeter predict --media-times`"
        )
    left_out = (
        (without, "without a known time"),
        (unset, "of a camera whose clock was not set"),
        (unnameable, "whose path starts with . or ~ or contains .., which Camtrap DP doesn't allow"),
    )
    return timed, [f"left out: {_listed(found)} {why}" for found, why in left_out if found]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_LISTED:,} more" if len(names) > MAX_LISTED else ""
    return f"{len(names):,} media ({', '.join(names[:MAX_LISTED])}{more})"


def _deployment_of_each(
    timed: Mapping[str, datetime], sites: Mapping[str, str], deployments: Iterable[NewDeployment]
) -> tuple[dict[str, NewDeployment], list[str]]:
    """The deployment of each medium, and the media that lie outside of those of their site.

    Raises:
        InputError: a site has no deployment.
    """
    of_site: dict[str, list[NewDeployment]] = {}
    for deployment in deployments:
        of_site.setdefault(deployment.site_id, []).append(deployment)
    placed, outside = {}, []
    for name, time in timed.items():
        if sites[name] not in of_site:
            raise InputError(
                f"--deployments has no row for the site {sites[name]!r} of {name}; it has "
                f"{', '.join(map(repr, list(of_site)[:MAX_LISTED])) or 'no rows'}. Use the same site_id in both"
            )
        candidates = of_site[sites[name]]
        seconds = [deployment.seconds_from(time) for deployment in candidates]
        placed[name] = candidates[seconds.index(min(seconds))]
        if min(seconds):
            outside.append(name)
    return placed, outside


def _medium_row(
    name: str, deployment: NewDeployment, time: datetime, kind: MediumKind | None, capture_method: str
) -> MediumRow:
    guessed = mimetypes.guess_type(name)[0] or ""
    family = "image" if kind is MediumKind.PHOTO else "video"
    suffix = PurePosixPath(name).suffix.removeprefix(".").lower() or "unknown"
    cells = {
        "mediaID": to_cell(name),
        "deploymentID": to_cell(deployment.deployment_id),
        "captureMethod": capture_method,
        "timestamp": format_time(time),
        "filePath": to_cell(name),
        "filePublic": "false",
        "fileName": to_cell(PurePosixPath(name).name),
        "fileMediatype": guessed if guessed.startswith(f"{family}/") else f"{family}/{suffix}",
    }
    row = Row(Path("media.csv"), 0, cells)
    return MediumRow(name, deployment.deployment_id, time.replace(microsecond=0), name, kind, row)


def _table(columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> str:
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def _write(out: Path, files: Mapping[str, str]) -> None:
    if is_archive(out):
        with atomic_path(out) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in files.items():
                archive.writestr(name, text)
        return
    with atomic_folder(out) as folder:
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8", newline="")
