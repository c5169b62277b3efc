"""What `trapmeter calibrate` does: results in, corrected ones out; or which seconds are worth a label."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from trapmeter import __version__
from trapmeter.calibration.camera import TRAINED_HFOV_DEG
from trapmeter.calibration.picking import pick
from trapmeter.calibration.picture import SitePanel, draw_sites
from trapmeter.calibration.rows import make_rows
from trapmeter.calibration.site import COVARIANCE, Corrected, Known, correct_site, label_errors_m
from trapmeter.errors import InputError, RunError
from trapmeter.files import sha256_of, whole_file
from trapmeter.records import Distance, Estimate, Observation
from trapmeter.tables.cameras import Camera, read_cameras
from trapmeter.tables.corrections import SiteCorrection, write_corrections
from trapmeter.tables.distances import read_distances, write_distances
from trapmeter.tables.picks import LabelledRow, read_labelled, write_picks
from trapmeter.tables.reference_points import ReferencePoint, read_reference_points
from trapmeter.tables.truth import match_truth, truth_names

DISTANCES, CORRECTIONS, PICTURE, RUN = "distances.csv", "calibration.csv", "calibration.png", "run.json"
PICKS = "to-label.csv"
CALIBRATED = "calibrated"
"""Added to the model_id of every row that was moved."""


@dataclass(frozen=True, slots=True)
class CalibrateSettings:
    """results: a folder of `predict` or its distances.csv; out: the folder to write into; the rest: what is known."""

    results: Path
    out: Path
    labels: Path | None = None
    points: Path | None = None
    cameras: Path | None = None
    trained_hfov_deg: float = TRAINED_HFOV_DEG

    def __post_init__(self) -> None:
        if not 5 <= self.trained_hfov_deg <= 170:
            raise InputError(f"--trained-hfov must be 5 to 170 degrees, got {self.trained_hfov_deg:g}")


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was done: rows, the sites' corrections, and how many labels found no measured animal."""

    estimates: tuple[Estimate, ...]
    corrections: tuple[SiteCorrection, ...]
    n_moved: int
    n_labels: int
    n_labels_unused: int


@dataclass(frozen=True, slots=True)
class _Measured:
    """The measured rows of a site: their positions in the table, and what is in them."""

    positions: tuple[int, ...]
    observations: tuple[Observation, ...]
    distances: tuple[Distance, ...]


def calibrate(settings: CalibrateSettings) -> Calibration:
    """Corrects results by whatever is known, and writes distances.csv, calibration.csv, calibration.png and run.json.

    Raises:
        InputError: a table is not as expected, or speaks of videos and sites that the results lack.
        RunError: the output folder can't be used.
    """
    if settings.labels is None and settings.points is None and settings.cameras is None:
        raise InputError(
            "nothing is known to calibrate by: give --labels, --points or --cameras, or --pick to be told what to label"
        )
    source, estimates = _read_results(settings.results)
    if any(estimate.model_id.endswith(CALIBRATED) for estimate in estimates):
        raise InputError(
            f"{source} is calibrated already, and its labels would count twice; start from what `predict` wrote, "
            "with all that is known at once"
        )
    sites = _sites(estimates)
    named = {seen.site_id for site in sites.values() for seen in site.observations}
    points = {} if settings.points is None else read_reference_points(settings.points)
    cameras = {} if settings.cameras is None else read_cameras(settings.cameras)
    for path, told in ((settings.points, points), (settings.cameras, cameras)):
        _check_sites(path, told, named, source)
    rows = [] if settings.labels is None else read_labelled(settings.labels)
    labels = _match_labels(settings.labels, rows, estimates, source)
    n_used = len(labels)

    _make_folder(settings.out, source)
    after = list(estimates)
    corrections, panels = [], []
    for key, site in sites.items():
        known = _known(key, site, labels, points, cameras, settings.trained_hfov_deg)
        corrected = _correct(key, site, known)
        for position, distance in zip(site.positions, corrected.distances, strict=True):
            if distance is not estimates[position].distance:
                before = estimates[position]
                after[position] = replace(before, distance=distance, model_id=f"{before.model_id}; {CALIBRATED}")
        if corrected.factor != 1.0 or corrected.ground is not None or known.labels:
            corrections.append(_correction(key, site, known, corrected))
            panels.append(_panel(key, site, known, corrected))
    write_distances(settings.out / DISTANCES, after)
    write_corrections(settings.out / CORRECTIONS, corrections)
    draw_sites(panels, settings.out / PICTURE)
    n_moved = sum(old is not new for old, new in zip(estimates, after, strict=True))
    done = Calibration(tuple(after), tuple(corrections), n_moved, n_used, len(rows) - n_used)
    _write_facts(settings, source, done)
    return done


def pick_seconds(results: Path, out: Path, count: int) -> tuple[Path, int]:
    """Writes which `count` seconds of each site to label into to-label.csv; returns the file and how many rows it has.

    Raises:
        InputError: the results hold no measured animal, or count is less than 1.
        RunError: the folder can't be used.
    """
    if count < 1:
        raise InputError(f"--pick needs a number of seconds of 1 or more for each site, got {count}")
    source, estimates = _read_results(results)
    chosen = []
    for site in _sites(estimates).values():
        answers = np.log1p(np.array([distance.distance_m for distance in site.distances]))
        chosen += [site.observations[i] for i in pick(make_rows(site.observations, answers), count, COVARIANCE)]
    _make_folder(out, source)
    write_picks(out / PICKS, chosen)
    return out / PICKS, len(chosen)


def _read_results(results: Path) -> tuple[Path, list[Estimate]]:
    source = results / DISTANCES if results.is_dir() else results
    if results.is_dir() and not source.exists():
        raise InputError(f"{results} has no {DISTANCES}; give the folder that `trapmeter predict --out` has written")
    return source, read_distances(source)


def _sites(estimates: Sequence[Estimate]) -> dict[tuple[str, str], _Measured]:
    """Measured rows by site; a medium without one is a site by itself. The key says which of both it is."""
    rows: dict[tuple[str, str], list[int]] = defaultdict(list)
    for position, estimate in enumerate(estimates):
        seen = estimate.observation
        if estimate.distance is not None:
            rows[(seen.site_id, "") if seen.site_id else ("", seen.media_id)].append(position)
    if not rows:
        raise InputError("the results hold no measured animal: there is nothing to calibrate")
    return {
        key: _Measured(
            tuple(positions),
            tuple(estimates[i].observation for i in positions),
            tuple(distance for i in positions if (distance := estimates[i].distance) is not None),
        )
        for key, positions in sorted(rows.items())
    }


def _check_sites(path: Path | None, told: Collection[str], named: Collection[str], source: Path) -> None:
    for site_id in told:
        if site_id not in named:
            sites = ", ".join(sorted(name for name in named if name)[:8])
            have = f"its sites are {sites}" if sites else "its rows have no site; measure with --site"
            raise InputError(f"{path}: {source} has no measured row of site {site_id!r}; {have}")


def _match_labels(
    path: Path | None, rows: Sequence[LabelledRow], estimates: Sequence[Estimate], source: Path
) -> dict[int, float]:
    """The known distance (metres) of each labelled row, by its position in the table."""
    if path is None:
        return {}
    truth = [row.truth for row in rows]
    known = set(truth_names({estimate.observation.media_id for estimate in estimates}, truth).values())
    for row in rows:
        if row.truth.video_id not in known:
            raise InputError(
                f"{path}, line {row.line}: {source} has no video {row.truth.video_id!r}; its names begin with "
                f"{estimates[0].observation.media_id!r}; correct the name or remove the row"
            )
    position = {id(estimate): i for i, estimate in enumerate(estimates)}
    with_box = [row for row in truth if row.box is not None]
    pairs = match_truth(estimates, with_box) if with_box else []
    without = [row for row in truth if row.box is None]
    pairs += match_truth(estimates, without) if without else []
    if not pairs:
        raise InputError(
            f"{path}: none of its {len(rows)} labels is of a second at which {source} has a measured animal (line "
            f"{rows[0].line}: {truth[0].video_id} at {truth[0].time_s:g} s); --pick writes a table of such seconds"
        )
    return {position[id(estimate)]: row.distance_m for estimate, row in pairs}


def _known(
    key: tuple[str, str],
    site: _Measured,
    labels: Mapping[int, float],
    points: Mapping[str, Sequence[ReferencePoint]],
    cameras: Mapping[str, Camera],
    trained_hfov_deg: float,
) -> Known:
    own = tuple((i, labels[position]) for i, position in enumerate(site.positions) if position in labels)
    # A medium without a site is no site of that name.
    site_id = key[0]
    return Known(own, tuple(points.get(site_id, ())), cameras.get(site_id), trained_hfov_deg)


def _correct(key: tuple[str, str], site: _Measured, known: Known) -> Corrected:
    try:
        return correct_site(site.observations, site.distances, known)
    except InputError as error:
        raise InputError(f"site {key[0] or key[1]}: {error}") from error


def _correction(key: tuple[str, str], site: _Measured, known: Known, corrected: Corrected) -> SiteCorrection:
    errors = label_errors_m(site.observations, site.distances, known)
    plane = (None, None, None) if corrected.ground is None else corrected.ground.plane.tolist()
    return SiteCorrection(
        key[0] or key[1],
        len(site.positions),
        len(known.labels),
        len(known.points),
        corrected.factor,
        median(distance.distance_m for distance in site.distances),
        median(distance.distance_m for distance in corrected.distances),
        *(errors or (None, None)),
        *plane,
    )


def _panel(key: tuple[str, str], site: _Measured, known: Known, corrected: Corrected) -> SitePanel:
    return SitePanel(
        key[0] or key[1],
        tuple(distance.distance_m for distance in site.distances),
        tuple(distance.distance_m for distance in corrected.distances),
        tuple((site.distances[i].distance_m, metres) for i, metres in known.labels),
    )


def _make_folder(out: Path, source: Path) -> None:
    """The output folder, which must not hold the results themselves or those of another run."""
    if (out / DISTANCES).exists() and not (out / CORRECTIONS).exists():
        what = "the results to be calibrated" if (out / DISTANCES).resolve() == source.resolve() else "other results"
        raise RunError(f"{out} holds {what}; choose another --out")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{out}: can't be written: {error.strerror or error}; choose another --out") from error


def _write_facts(settings: CalibrateSettings, source: Path, done: Calibration) -> None:
    told = {"results": source, "labels": settings.labels, "points": settings.points, "cameras": settings.cameras}
    facts: dict[str, Any] = {
        "trapmeter": __version__,
        "inputs": {name: {"file": str(path), "sha256": sha256_of(path)} for name, path in told.items() if path},
        "trained_hfov_deg": settings.trained_hfov_deg,
        "counts": {
            "rows": len(done.estimates),
            "moved": done.n_moved,
            "sites": len(done.corrections),
            "labels": done.n_labels,
            "labels_unused": done.n_labels_unused,
        },
    }
    with whole_file(settings.out / RUN) as file:
        json.dump(facts, file, indent=2)
        file.write("\n")
