"""The effort of motion-triggered photographs: what interval a photograph stands for, and how much each counts.

Snapshots at regular moments aren't there to count: photographs come at triggers. `measure_stays` gives the seconds of an
animal's stay for which each photograph stands. Their mean over the animals is the snapshot interval, so that effort is the
working time divided by it, and each animal counts as much as its photograph stands for, relative to that mean.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from trapmeter.density.detection.quadrature import Floats
from trapmeter.density.settings import DensitySettings
from trapmeter.density.survey.effort import StationEffort
from trapmeter.density.survey.stays import CameraPhotographs, Stays, measure_stays
from trapmeter.density.survey.triggers import TriggerTiming, find_timing
from trapmeter.errors import InputError
from trapmeter.tables.deployments import Deployment

FEW_ANIMALS = 30
"""With fewer animals on the last photographs of bursts, the share that stays is rough."""
SURE_OF_SINGLE, SURE_OF_BURST = 0.75, 0.15
"""If fewer animals than this stay until the camera is ready, the curve of leaving is uncertain: in simulations, densities
were off by more than 5 % (docs/results/photographs.md)."""

LEAST_WEIGHT = 1e-6

Photograph = tuple[str, str]
"""A site and a medium."""


@dataclass(frozen=True, slots=True)
class WeighedPhotographs:
    """The effort of sites in mean intervals, the weight of each animal (n, 1 on average), and how that was found."""

    sites: dict[str, StationEffort]
    weight: Floats
    basis: str
    notes: tuple[str, ...]


def counts_triggers(settings: DensitySettings, deployments: Iterable[Deployment], *, is_photos: bool) -> bool:
    """Whether effort follows from triggers: told by an option, or photographs without any snapshot interval."""
    if settings.burst is not None or settings.retrigger_s is not None:
        return True
    return is_photos and settings.snapshot_s is None and all(row.snapshot_s is None for row in deployments)


def in_seconds(deployments: Iterable[Deployment]) -> tuple[list[Deployment], tuple[str, ...]]:
    """The deployments with an interval of a second, from which effort in other intervals follows; notes unused intervals."""
    rows = list(deployments)
    has_interval = any(row.snapshot_s is not None for row in rows)
    note = "snapshot_s was not used: the effort of motion-triggered photographs follows from their triggers"
    return [replace(row, snapshot_s=1.0) for row in rows], (note,) if has_interval else ()


def weigh_photographs(
    sites: Mapping[str, StationEffort],
    photographs: Mapping[str, Mapping[str, datetime]],
    animals: Sequence[Photograph],
    settings: DensitySettings,
    *,
    unknown: Iterable[Photograph] = (),
) -> WeighedPhotographs:
    """The effort and the weights of photographs.

    Args:
        sites: with an effort in seconds.
        photographs: of each site, with and without animals, when they were taken.
        animals: the photograph of each animal that counts (n).
        settings: with the burst and the recovery time, as far as they are known.
        unknown: photographs of which nobody knows whether they show an animal.

    Raises:
        InputError: the photographs contradict the settings, or are too few to learn from.
    """
    counts = Counter(animals)
    inside = {site_id: _while_working(sites[site_id], taken) for site_id, taken in photographs.items()}
    names = [[(site_id, media_id) for _, media_id in taken] for site_id, taken in inside.items()]
    cameras = [
        CameraPhotographs(
            np.array([(when - taken[0][0]).total_seconds() for when, _ in taken]),
            np.array([counts[name] for name in of_camera], np.float64),
        )
        for taken, of_camera in zip(inside.values(), names, strict=True)
    ]
    timing, notes = find_timing(
        [camera.times_s for camera in cameras], burst=settings.burst, retrigger_s=settings.retrigger_s
    )
    stays = measure_stays(cameras, timing)
    seconds = {
        name: stood_for
        for of_camera, of_stay in zip(names, stays.seconds, strict=True)
        for name, stood_for in zip(of_camera, of_stay.tolist(), strict=True)
    }
    stood_for = np.array([seconds[name] for name in animals])
    interval_s = float(stood_for.mean())
    if not interval_s > 0:
        raise InputError(
            "the photographs stand for no time, since each animal was photographed once and never stayed; give --burst and "
            "--retrigger from the camera's settings, or a snapshot interval"
        )
    # An animal that was photographed once and left at once stands for no time, but counts as seen.
    weight = np.maximum(stood_for / interval_s, LEAST_WEIGHT)
    lost_s = dict(zip(inside, stays.lost_s, strict=True))
    known = _known_shares(photographs, unknown)
    scaled = {
        site_id: _in_intervals(site, interval_s, lost_s.get(site_id, 0.0), known.get(site_id, 1.0))
        for site_id, site in sites.items()
    }
    total_s = sum(site.station.effort_snapshots for site in sites.values())
    basis = _basis(timing, stays, interval_s, sum(stays.lost_s), total_s)
    return WeighedPhotographs(scaled, weight, basis, (*notes, *_notes(timing, stays, sum(counts.values()), known)))


def _while_working(site: StationEffort, taken: Mapping[str, datetime]) -> list[tuple[datetime, str]]:
    return sorted((when, media_id) for media_id, when in taken.items() if site.works_at(when))


def _known_shares(photographs: Mapping[str, Mapping[str, datetime]], unknown: Iterable[Photograph]) -> dict[str, float]:
    """The share of each site's photographs of which is known whether they show an animal."""
    lost = Counter(site_id for site_id, _ in unknown)
    return {site_id: 1 - lost[site_id] / len(taken) for site_id, taken in photographs.items() if lost[site_id]}


def _in_intervals(site: StationEffort, interval_s: float, lost_s: float, known: float) -> StationEffort:
    effort_s = (site.station.effort_snapshots - lost_s) * known
    if not effort_s > 0:
        raise InputError(
            f"site {site.station.station_id!r} has no effort left: its camera was blind all of the time after triggers "
            "without an animal, or whether photographs show an animal is unknown for all of them; leave the site out"
        )
    station = replace(site.station, effort_snapshots=effort_s / interval_s)
    return replace(site, station=station, snapshot_s=interval_s)


def _basis(timing: TriggerTiming, stays: Stays, interval_s: float, lost_s: float, total_s: float) -> str:
    return (
        f"{timing}. A photograph stands for {interval_s:.3g} s of an animal's stay on average, so effort is one snapshot "
        f"every {interval_s:.3g} s, without {lost_s / 3600:.3g} h ({lost_s / total_s:.1%}) in which cameras were blind after "
        f"triggers without an animal that counts. {stays.staying:.0%} of the animals stay until the camera is ready again; "
        f"{stays.blind_share:.0%} of the time that animals stayed lies between bursts"
    )


def _notes(timing: TriggerTiming, stays: Stays, n_animals: int, known: Mapping[str, float]) -> Iterable[str]:
    is_single = timing.burst.n == 1
    if timing.retrigger_s > 0 and stays.staying < (SURE_OF_SINGLE if is_single else SURE_OF_BURST):
        advice = "set cameras to bursts" if is_single else "set cameras to a shorter recovery time or longer bursts"
        yield (
            f"only {stays.staying:.0%} of the animals stay until the camera is ready again, so how long the others stayed is "
            f"uncertain, and density may be off by more than 5 %, mostly too high; {advice}, or record videos"
        )
    if n_animals < FEW_ANIMALS:
        yield (
            f"{n_animals:,} animals on photographs are few: how long animals stay, and with it the interval that a "
            "photograph stands for, is rough; the intervals of density don't include this"
        )
    if known:
        yield (
            f"at {len(known):,} sites, effort is smaller by the share of photographs whose status is unknown or failed, up "
            f"to {1 - min(known.values()):.0%}"
        )
