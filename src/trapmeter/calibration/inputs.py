"""Inputs of `trapmeter calibrate`: tables, read and matched with the rows of the results."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from trapmeter.calibration.field_facts import GROUND, LENS, SHOULDER, facts_used_in, shoulders_by_medium
from trapmeter.calibration.settings import CalibrateSettings
from trapmeter.calibration.site_correction import SiteFacts
from trapmeter.errors import InputError
from trapmeter.records import Distance, Estimate, Observation
from trapmeter.tables.cameras import CameraSetup, read_cameras
from trapmeter.tables.camtrapdp.container import is_package
from trapmeter.tables.camtrapdp.media_observations import labels_of
from trapmeter.tables.camtrapdp.package import read_package
from trapmeter.tables.reference_points import ReferencePoint, read_reference_points
from trapmeter.tables.species import ShoulderHeight
from trapmeter.tables.truth import LabelledRow, match_truth, read_labelled_rows, truth_name_by_medium

CALIBRATED = "calibrated"
"""Added to the model_id of every row that was moved."""


@dataclass(frozen=True, slots=True)
class MeasuredSite:
    """The measured rows of a site: their positions in the table, and what is in them."""

    positions: tuple[int, ...]
    observations: tuple[Observation, ...]
    distances: tuple[Distance, ...]
    model_ids: frozenset[str]


MAX_UNIT_RATIO = 20.0
"""No model is so wrong, in the median of all labels: such labels are in another unit."""

SiteKey = tuple[str, str]
"""A site's name and "", or "" and the name of a medium that is of no site."""


def measured_sites(estimates: Sequence[Estimate]) -> dict[SiteKey, MeasuredSite]:
    """Measured rows by site; a medium without one is a site by itself.

    Raises:
        InputError: no row is measured.
    """
    rows: dict[SiteKey, list[int]] = defaultdict(list)
    for position, estimate in enumerate(estimates):
        seen = estimate.observation
        if estimate.distance is not None:
            rows[(seen.site_id, "") if seen.site_id else ("", seen.media_id)].append(position)
    if not rows:
        raise InputError("the results hold no measured animal: there is nothing to calibrate")
    return {
        key: MeasuredSite(
            tuple(positions),
            tuple(estimates[i].observation for i in positions),
            tuple(distance for i in positions if (distance := estimates[i].distance) is not None),
            frozenset(estimates[i].model_id for i in positions),
        )
        for key, positions in sorted(rows.items())
    }


@dataclass(frozen=True, slots=True)
class CalibrationInputs:
    """All that is known. labels: metres by a row's position in the table; n_unused: labels that found no row."""

    labels: Mapping[int, float]
    n_unused: int
    points: Mapping[str, Sequence[ReferencePoint]]
    cameras: Mapping[str, CameraSetup]
    shoulders: Mapping[str, ShoulderHeight]

    def for_site(self, key: SiteKey, site: MeasuredSite) -> SiteFacts:
        """What is known of a site; a medium without one is no site of that name."""
        own = tuple((i, self.labels[position]) for i, position in enumerate(site.positions) if position in self.labels)
        media = {seen.media_id for seen in site.observations}
        shoulders = {media_id: self.shoulders[media_id] for media_id in sorted(media & self.shoulders.keys())}
        return SiteFacts(own, tuple(self.points.get(key[0], ())), self.cameras.get(key[0]), shoulders)


def read_inputs(settings: CalibrateSettings, source: Path, estimates: Sequence[Estimate]) -> CalibrationInputs:
    """Reads all that the settings name; source: the table that the estimates are from.

    Raises:
        InputError: a table is not as expected, speaks of videos and sites that the results lack, or tells what the results
            were told already.
    """
    _check_not_calibrated(settings, source, estimates)
    measured = [estimate.observation for estimate in estimates if estimate.distance is not None]
    # A site where no animal was found has a camera too.
    named = {estimate.observation.site_id for estimate in estimates}
    points = {} if settings.points is None else read_reference_points(settings.points)
    cameras = {} if settings.cameras is None else read_cameras(settings.cameras)
    for path, told in ((settings.points, points), (settings.cameras, cameras)):
        _check_sites(path, told, named, source)
    media = dict.fromkeys((seen.media_id, seen.site_id) for seen in measured)
    rows = [] if settings.labels is None else _read_labels(settings.labels)
    labels = _match_labels(settings.labels, rows, estimates, source)
    shoulders = shoulders_by_medium(settings.species, settings.shoulder_m, media)
    return CalibrationInputs(labels, len(rows) - len(labels), points, cameras, shoulders)


def _check_not_calibrated(settings: CalibrateSettings, source: Path, estimates: Sequence[Estimate]) -> None:
    model_ids = {estimate.model_id for estimate in estimates}
    if any(model_id.endswith(CALIBRATED) for model_id in model_ids):
        raise InputError(
            f"{source} is calibrated already, and its labels would count twice; start from what `predict` wrote, "
            "with all that is known at once"
        )
    used = {name for model_id in model_ids for name in facts_used_in(model_id)}
    animals = settings.species is not None or settings.shoulder_m is not None
    twice = [("--cameras", used & {LENS, GROUND}, settings.cameras is not None)]
    twice += [("--species and --shoulder-height", used & {SHOULDER}, animals)]
    for option, facts, is_told in twice:
        if facts and is_told:
            raise InputError(
                f"{source}: `predict` was told of {' and '.join(sorted(facts))} already; leave out {option}, or start from a "
                "run without"
            )


def _check_sites(path: Path | None, told: Collection[str], named: Collection[str], source: Path) -> None:
    for site_id in told:
        if site_id not in named:
            sites = ", ".join(sorted(name for name in named if name)[:8])
            have = f"its sites are {sites}" if sites else "its rows have no site; measure with --site"
            raise InputError(f"{path}: {source} has no row of site {site_id!r}; {have}")


def _read_labels(path: Path) -> list[LabelledRow]:
    return labels_of(read_package(path)) if is_package(path) else read_labelled_rows(path)


def _match_labels(
    path: Path | None, rows: Sequence[LabelledRow], estimates: Sequence[Estimate], source: Path
) -> dict[int, float]:
    """The known distance (metres) of each labelled row, by its position in the table."""
    if path is None:
        return {}
    truth = [row.truth for row in rows]
    known = set(truth_name_by_medium({estimate.observation.media_id for estimate in estimates}, truth).values())
    for row in rows:
        if row.truth.video_id not in known:
            raise InputError(
                f"{row.where}: {source} has no video {row.truth.video_id!r}; its names begin with "
                f"{estimates[0].observation.media_id!r}; correct the name or remove the row"
            )
    position = {id(estimate): i for i, estimate in enumerate(estimates)}
    with_box = [row for row in truth if row.box is not None]
    pairs = match_truth(estimates, with_box) if with_box else []
    without = [row for row in truth if row.box is None]
    pairs += match_truth(estimates, without) if without else []
    if not pairs:
        raise InputError(
            f"{path}: none of its {len(rows)} labels is of a second at which {source} has a measured animal "
            f"({rows[0].where}: {truth[0].video_id} at {truth[0].time_s:g} s); --pick writes a table of such seconds"
        )
    times = median(row.distance_m / max(d.distance_m, 0.1) for estimate, row in pairs if (d := estimate.distance))
    if times > MAX_UNIT_RATIO:
        raise InputError(
            f"{path}: its distances are {times:.3g} times the measured ones in the median; expected metres, no centimetres"
        )
    return {position[id(estimate)]: row.distance_m for estimate, row in pairs}
