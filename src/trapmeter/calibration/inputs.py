"""Inputs of `trapmeter calibrate`: reads its tables and matches them with the rows of the results."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from pathlib import Path
from statistics import median

from trapmeter.calibration.animal_facts import AnimalFacts, read_animal_facts
from trapmeter.calibration.field_facts import (
    GROUND,
    LENS,
    SHOULDER,
    check_cameras,
    facts_used_in,
)
from trapmeter.calibration.settings import CalibrateSettings
from trapmeter.calibration.site_correction import SiteFacts
from trapmeter.errors import InputError
from trapmeter.records import Distance, Estimate, Observation
from trapmeter.tables.cameras import COLUMNS as CAMERA_COLUMNS
from trapmeter.tables.cameras import CameraSetup, read_cameras
from trapmeter.tables.camtrapdp.container import is_package
from trapmeter.tables.camtrapdp.media_observations import labels_of
from trapmeter.tables.camtrapdp.package import read_package
from trapmeter.tables.csvfile import find_misspelt_columns
from trapmeter.tables.density_inputs import read_media_starts
from trapmeter.tables.file_names import NameIndex
from trapmeter.tables.medium_times import read_medium_times
from trapmeter.tables.reference_marks import MarkedDeployment, read_reference_marks
from trapmeter.tables.times import TimeReader, to_instant
from trapmeter.tables.truth import LabelledRow, match_truth, read_labelled_rows, truth_name_by_medium

CALIBRATED = "calibrated"
"""Ends the model_id of every corrected row."""
MAX_UNIT_RATIO = 20.0
"""No model is wrong by this factor in the median over all labels: such labels are in another unit."""


@dataclass(frozen=True, slots=True)
class MeasuredSite:
    """The measured rows of a site in one position of its camera, or of a medium without a site.

    site_id: "" for a medium without a site. name: the site, or that medium. positions: of the rows in the table;
    observations, distances and model_ids follow their order. deployment: whose reference marks show this view, if any.
    """

    site_id: str
    name: str
    positions: tuple[int, ...]
    observations: tuple[Observation, ...]
    distances: tuple[Distance, ...]
    model_ids: frozenset[str]
    deployment: MarkedDeployment | None = None


def nothing_measured() -> InputError:
    """The error for results without a distance."""
    return InputError("the results hold no measured animal: there is nothing to calibrate")


@dataclass(frozen=True, slots=True)
class SiteView:
    """One view of a site's camera: its deployment with reference marks, if any, and what to add to the site's name."""

    deployment: MarkedDeployment | None = None
    suffix: str = ""


ONE_VIEW = SiteView()
MOVED = SiteView(None, " (camera moved)")


def measured_sites(
    estimates: Sequence[Estimate], view_of: Callable[[Observation], SiteView] = lambda _: ONE_VIEW
) -> list[MeasuredSite]:
    """The measured rows by site and view, media without a site first. Such a medium counts as a site of its own.

    Raises:
        InputError: no row is measured.
    """
    rows: dict[tuple[str, str], list[int]] = defaultdict(list)
    deployments: dict[tuple[str, str], MarkedDeployment | None] = {}
    for position, estimate in enumerate(estimates):
        site_id = estimate.observation.site_id
        if estimate.distance is not None:
            view = view_of(estimate.observation)
            name = (site_id or estimate.observation.media_id) + view.suffix
            rows[site_id, name].append(position)
            deployments[site_id, name] = view.deployment
    if not rows:
        raise nothing_measured()
    return [
        MeasuredSite(
            site_id,
            name,
            tuple(positions),
            tuple(estimates[i].observation for i in positions),
            tuple(distance for i in positions if (distance := estimates[i].distance) is not None),
            frozenset(estimates[i].model_id for i in positions),
            deployments[site_id, name],
        )
        for (site_id, name), positions in sorted(rows.items())
    ]


@dataclass(frozen=True, slots=True)
class CalibrationInputs:
    """Everything that is known about the sites.

    labels: metres by the row's position in the table. n_unused: labels without a measured row. deployments: with reference
    marks. cameras: by site. animals: species and sizes. starts: when media were taken, by media_id, where it is known.
    notes: on the tables, for the user.
    """

    labels: Mapping[int, float]
    n_unused: int
    deployments: tuple[MarkedDeployment, ...]
    cameras: Mapping[str, CameraSetup]
    animals: AnimalFacts
    starts: Mapping[str, datetime]
    notes: tuple[str, ...] = ()

    def deployment_of(self, observation: Observation) -> int | None:
        """The position of the deployment whose reference marks show an observation's view.

        A site's only deployment holds for media whose time is unknown too; of several, none does.
        """
        of_site = [i for i, found in enumerate(self.deployments) if found.site_id == observation.site_id]
        start = self.starts.get(observation.media_id)
        if start is None:
            return of_site[0] if len(of_site) == 1 else None
        return next((i for i in of_site if self.deployments[i].spans(start)), None)

    def view_of(self, observation: Observation) -> SiteView:
        """The view that an observation shows, if its camera has not moved."""
        position = self.deployment_of(observation)
        if position is None:
            return SiteView(None, " (no reference points)" if self._has_several(observation.site_id) else "")
        deployment = self.deployments[position]
        is_told_apart = self._has_several(observation.site_id) and deployment.start is not None
        return SiteView(deployment, f" from {deployment.start:%Y-%m-%d}" if is_told_apart else "")

    def _has_several(self, site_id: str) -> bool:
        """Whether a site's rows may belong to different views: it has several deployments, or a dated one."""
        of_site = [found for found in self.deployments if found.site_id == site_id]
        return len(of_site) > 1 or any(found.is_dated for found in of_site)

    def for_site(self, site: MeasuredSite) -> SiteFacts:
        """What is known about a site."""
        labels = tuple((i, self.labels[row]) for i, row in enumerate(site.positions) if row in self.labels)
        shoulders = tuple(map(self.animals.shoulder_of, site.observations))
        uprights = () if site.deployment is None else site.deployment.uprights
        return SiteFacts(labels, uprights, camera_of(site.deployment, self.cameras.get(site.site_id)), shoulders)


def camera_of(deployment: MarkedDeployment | None, camera: CameraSetup | None) -> CameraSetup | None:
    """The camera's set-up, with the aspect ratio of its reference photos if it has none."""
    if deployment is None or deployment.aspect is None or (camera is not None and camera.aspect is not None):
        return camera
    return replace(camera or CameraSetup(), aspect=deployment.aspect)


def read_inputs(settings: CalibrateSettings, source: Path, estimates: Sequence[Estimate]) -> CalibrationInputs:
    """Reads the tables that the settings name. source: the table of the estimates.

    Raises:
        InputError: a table is malformed or names videos or sites that the results lack, or the results were corrected by
            the same facts before.
    """
    _check_not_calibrated(settings, source, estimates)
    measured = [estimate.observation for estimate in estimates if estimate.distance is not None]
    # A site may have a camera but no detected animal.
    site_ids = {estimate.observation.site_id for estimate in estimates}
    times = TimeReader(settings.timezone)
    deployments = [] if settings.points is None else read_reference_marks(settings.points, times)
    starts = _read_starts(settings, source, measured, times) if any(d.is_dated for d in deployments) else {}
    _check_zones(settings.points, deployments, starts)
    cameras = {} if settings.cameras is None else read_cameras(settings.cameras)
    if settings.cameras is not None:
        check_cameras(settings.cameras, cameras)
    marked = list(dict.fromkeys(deployment.site_id for deployment in deployments))
    for path, named in ((settings.points, marked), (settings.cameras, list(cameras))):
        _check_sites(path, named, site_ids, source)
    notes = [] if settings.cameras is None else list(find_misspelt_columns(settings.cameras, CAMERA_COLUMNS))
    notes += _notes_on_dates(deployments, measured, starts)
    rows = [] if settings.labels is None else _read_labels(settings.labels, settings.timezone)
    labels = _match_labels(settings.labels, rows, estimates, source)
    media = dict.fromkeys((observation.media_id, observation.site_id) for observation in measured)
    animals = _read_animals(settings, estimates, media)
    notes += animals.notes
    return CalibrationInputs(
        labels, len(rows) - len(labels), tuple(deployments), cameras, animals, starts, tuple(notes)
    )


def _read_animals(
    settings: CalibrateSettings, estimates: Sequence[Estimate], media: Iterable[tuple[str, str]]
) -> AnimalFacts:
    """What is known of the animals. The rows' own species tell their sizes only if `predict` knew nothing of any row.

    Models take all that is known at once, so rows that were told something can't be told more.
    """
    animals = read_animal_facts(settings, media)
    model_ids = {estimate.model_id for estimate in estimates if estimate.distance is not None}
    is_untold = len(model_ids) == 1 and not any(map(facts_used_in, model_ids))
    return replace(animals, has_usual_sizes=settings.species is not None or is_untold)


def _read_starts(
    settings: CalibrateSettings, source: Path, measured: Sequence[Observation], times: TimeReader
) -> dict[str, datetime]:
    """When media were taken: by the table that the settings name, or else by what the run knew."""
    names = dict.fromkeys(observation.media_id for observation in measured)
    if settings.media_times is None:
        known = read_medium_times(source)
        zone = settings.timezone
        found = {name: known[name] for name in names if name in known}
        return {name: to_instant(time, zone) if zone or time.tzinfo else time for name, time in found.items()}
    by_name = read_media_starts(settings.media_times, times)
    return {media_id: by_name[name] for media_id, name in NameIndex(by_name).match(names, settings.media_times).items()}


def _check_zones(path: Path | None, deployments: Sequence[MarkedDeployment], starts: Mapping[str, datetime]) -> None:
    """Refuses times with a zone beside times without one."""
    dates = [time for deployment in deployments for time in (deployment.start, deployment.end) if time is not None]
    for media_id, start in starts.items():
        if dates and (start.tzinfo is None) != (dates[0].tzinfo is None):
            has, lack = ("have none", "has one") if start.tzinfo else ("have a zone", "has none")
            raise InputError(
                f"{path}: its start and end {has}, but the time of {media_id} {lack}, so they can't be compared; name the "
                "zone of times without one with --timezone, such as --timezone Europe/Berlin"
            )


def _notes_on_dates(
    deployments: Sequence[MarkedDeployment], measured: Sequence[Observation], starts: Mapping[str, datetime]
) -> list[str]:
    """What could not be assigned to a dated deployment."""
    of_site: dict[str, list[MarkedDeployment]] = defaultdict(list)
    for deployment in deployments:
        of_site[deployment.site_id].append(deployment)
    notes = []
    for site_id, found in of_site.items():
        media = {observation.media_id for observation in measured if observation.site_id == site_id}
        unknown = media - starts.keys()
        outside = [name for name in media & starts.keys() if not any(one.spans(starts[name]) for one in found)]
        if unknown and any(one.is_dated for one in found):
            effect = (
                "its dates are not checked for these" if len(found) == 1 else "no reference points are used for these"
            )
            notes.append(
                f"site {site_id}: it is unknown when {len(unknown):,} of {len(media):,} media were taken, so {effect}; give "
                "--media-times"
            )
        if outside:
            notes.append(
                f"site {site_id}: {len(outside):,} of {len(media):,} media were taken outside of the dates of its reference "
                f"points, so these are not used there (such as {min(outside)})"
            )
    return notes


def _check_not_calibrated(settings: CalibrateSettings, source: Path, estimates: Sequence[Estimate]) -> None:
    model_ids = {estimate.model_id for estimate in estimates}
    if any(model_id.endswith(CALIBRATED) for model_id in model_ids):
        raise InputError(
            f"{source} is calibrated already, and what it was calibrated with would count twice; start from the results of "
            "`predict`, with all facts at once"
        )
    used = {name for model_id in model_ids for name in facts_used_in(model_id)}
    has_size = settings.species is not None or settings.shoulder_m is not None
    for option, twice, is_given in (
        ("--cameras", used & {LENS, GROUND}, settings.cameras is not None),
        ("--species and --shoulder-height", used & {SHOULDER}, has_size),
    ):
        if twice and is_given:
            raise InputError(
                f"{source}: `predict` has used {' and '.join(sorted(twice))} already; leave out {option}, or start from a "
                "run without them"
            )


def _check_sites(path: Path | None, named: Collection[str], site_ids: Collection[str], source: Path) -> None:
    for site_id in named:
        if site_id not in site_ids:
            sites = ", ".join(sorted(name for name in site_ids if name)[:8])
            hint = f"its sites are {sites}" if sites else "its rows have no site; measure with --site"
            raise InputError(f"{path}: {source} has no row of site {site_id!r}; {hint}")


def _read_labels(path: Path, zone: tzinfo | None) -> list[LabelledRow]:
    return labels_of(read_package(path, TimeReader(zone))) if is_package(path) else read_labelled_rows(path)


def _match_labels(
    path: Path | None, rows: Sequence[LabelledRow], estimates: Sequence[Estimate], source: Path
) -> dict[int, float]:
    """The known distance (metres) of each labelled row, by its position in the table."""
    if path is None:
        return {}
    truth = [row.truth for row in rows]
    videos = set(truth_name_by_medium({estimate.observation.media_id for estimate in estimates}, truth).values())
    for row in rows:
        if row.truth.video_id not in videos:
            raise InputError(
                f"{row.where}: {source} has no video {row.truth.video_id!r}; its names begin with "
                f"{estimates[0].observation.media_id!r}; correct the name or remove the row"
            )
    position = {id(estimate): i for i, estimate in enumerate(estimates)}
    pairs = []
    for group in ([row for row in truth if row.box is not None], [row for row in truth if row.box is None]):
        pairs += match_truth(estimates, group) if group else []
    if not pairs:
        raise InputError(
            f"{path}: none of its {len(rows)} labels is of a second at which {source} has a measured animal "
            f"({rows[0].where}: {truth[0].video_id} at {truth[0].time_s:g} s); --pick writes a table of such seconds"
        )
    ratio = median(row.distance_m / max(d.distance_m, 0.1) for estimate, row in pairs if (d := estimate.distance))
    if ratio > MAX_UNIT_RATIO:
        raise InputError(
            f"{path}: its distances are {ratio:.3g} times the measured ones in the median; expected metres, not centimetres"
        )
    return {position[id(estimate)]: row.distance_m for estimate, row in pairs}
