"""Calibrates a folder of results and writes the corrected tables and a chart, or selects the seconds to label."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from trapmeter._version import __version__
from trapmeter.boxmodel.model import BoxModel
from trapmeter.calibration.gaussian_process import make_site_rows
from trapmeter.calibration.inputs import CALIBRATED, MeasuredSite, SiteKey, measured_sites, read_inputs
from trapmeter.calibration.label_selection import select_labels
from trapmeter.calibration.settings import CalibrateSettings
from trapmeter.calibration.site_correction import (
    COVARIANCE,
    CorrectedSite,
    SiteFacts,
    correct_for_lens,
    correct_site,
    label_errors_m,
)
from trapmeter.errors import InputError, RunError
from trapmeter.files import atomic_file, atomic_path, sha256_of
from trapmeter.records import Distance, Estimate
from trapmeter.tables.camtrapdp.container import checksum_of_observations, is_package
from trapmeter.tables.corrections import SiteCorrection, write_corrections
from trapmeter.tables.distances import DISTANCES_CSV as DISTANCES
from trapmeter.tables.distances import RUN_KEY, find_distances, read_distances, read_run_facts, write_distances
from trapmeter.tables.truth import write_seconds_to_label

MAX_PANELS = 12
COLUMNS = 4


@dataclass(frozen=True, slots=True)
class SitePanel:
    """before_m, after_m: a site's distances; labels: pairs of the distance before and the true one."""

    site_id: str
    before_m: tuple[float, ...]
    after_m: tuple[float, ...]
    labels: tuple[tuple[float, float], ...]


def draw_site_panels(panels: Sequence[SitePanel], path: Path) -> None:
    """Draws the sites with the most rows into a PNG file; the others are in the table."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    shown = sorted(panels, key=lambda panel: (-len(panel.before_m), panel.site_id))[:MAX_PANELS]
    n_rows = max(1, math.ceil(len(shown) / COLUMNS))
    n_columns = max(1, min(COLUMNS, len(shown)))
    with mpl.rc_context():
        mpl.rcdefaults()
        # A site's name may hold a dollar sign, which is no formula.
        mpl.rcParams.update({"text.parse_math": False, "font.size": 9})
        figure = Figure(figsize=(3.2 * n_columns, 3.0 * n_rows), layout="constrained")
        axes_of = figure.subplots(n_rows, n_columns, squeeze=False)
        for axes in axes_of.flat[len(shown) :]:
            axes.set_axis_off()
        for axes, panel in zip(axes_of.flat, shown, strict=False):
            end = 1.05 * max(
                *panel.before_m, *panel.after_m, *(metres for pair in panel.labels for metres in pair), 1.0
            )
            axes.plot([0, end], [0, end], color="#8a8f98", linewidth=1, linestyle=(0, (4, 3)))
            axes.plot(panel.before_m, panel.after_m, ".", color="#2f6f8f", alpha=0.5, markersize=4, label="after")
            if panel.labels:
                axes.plot(*zip(*panel.labels, strict=True), "x", color="#b3432f", markersize=6, label="labels")
            axes.set(title=panel.site_id, xlim=(0, end), ylim=(0, end), xlabel="before (m)", ylabel="after (m)")
            axes.legend(fontsize=8, frameon=False)
        with atomic_path(path) as partial:
            figure.savefig(partial, format="png", dpi=110)


CORRECTIONS, CHART, RUN = "calibration.csv", "calibration.png", "run.json"
TO_LABEL = "to-label.csv"


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was done: rows, the sites' corrections, and how many labels found no measured animal."""

    estimates: tuple[Estimate, ...]
    corrections: tuple[SiteCorrection, ...]
    n_moved: int
    n_labels: int
    n_labels_unused: int


@dataclass(frozen=True, slots=True)
class LabelSelection:
    """The table of seconds to label, how many it has, of how many sites, and whether these are videos without a site."""

    path: Path
    n_rows: int
    n_sites: int
    has_sites: bool


def calibrate(settings: CalibrateSettings) -> Calibration:
    """Corrects results by whatever is known, and writes distances.csv, calibration.csv, calibration.png and run.json.

    Raises:
        InputError: a table is not as expected, or speaks of videos and sites that the results lack.
        ModelError: the box model can't be read.
        RunError: the output folder can't be used.
    """
    source = find_distances(settings.results)
    estimates = read_distances(source)
    sites = measured_sites(estimates)
    told = read_inputs(settings, source, estimates)
    model = BoxModel.load(settings.box_model) if told.cameras else None

    _make_output_folder(settings.out, source)
    after = list(estimates)
    corrections, panels = [], []
    for key, site in sites.items():
        known = told.for_site(key, site)
        lensed, corrected = _correct(key, site, known, model, settings.trained_hfov_deg)
        for position, distance in zip(site.positions, corrected.distances, strict=True):
            if distance is not estimates[position].distance:
                before = estimates[position]
                after[position] = replace(before, distance=distance, model_id=f"{before.model_id}; {CALIBRATED}")
        if known.labels or any(new is not old for new, old in zip(corrected.distances, site.distances, strict=True)):
            corrections.append(_correction(key, site, known, lensed, corrected))
            panels.append(_panel(key, site, known, corrected))
    write_distances(settings.out / DISTANCES, after)
    write_corrections(settings.out / CORRECTIONS, corrections)
    draw_site_panels(panels, settings.out / CHART)
    n_moved = sum(old is not new for old, new in zip(estimates, after, strict=True))
    done = Calibration(tuple(after), tuple(corrections), n_moved, len(told.labels), told.n_unused)
    _write_run_json(settings, source, done)
    return done


def select_seconds(results: Path, out: Path, count: int) -> LabelSelection:
    """Writes which `count` seconds of each site to label into to-label.csv.

    Raises:
        InputError: the results hold no measured animal, some of it has a site and some not, or count is less than 1.
        RunError: the folder can't be used.
    """
    if count < 1:
        raise InputError(f"--pick needs a number of seconds of 1 or more for each site, got {count}")
    source = find_distances(results)
    estimates = read_distances(source)
    sites = measured_sites(estimates)
    chosen = []
    for site in sites.values():
        answers = np.log1p(np.array([distance.distance_m for distance in site.distances]))
        chosen += [
            site.observations[i] for i in select_labels(make_site_rows(site.observations, answers), count, COVARIANCE)
        ]
    _make_output_folder(out, source)
    write_seconds_to_label(out / TO_LABEL, chosen)
    return LabelSelection(out / TO_LABEL, len(chosen), len(sites), all(site_id for site_id, _ in sites))


def _correct(
    key: SiteKey, site: MeasuredSite, known: SiteFacts, model: BoxModel | None, trained_hfov_deg: float
) -> tuple[list[Distance], CorrectedSite]:
    """The site's distances with the lens reckoned in, and with all that is known."""
    # A network's answers can't be asked for anew: a lens multiplies them.
    answered = model if model is not None and site.model_ids == {model.identity.model_id} else None
    lensed = correct_for_lens(site.observations, site.distances, known.camera, trained_hfov_deg, answered)
    try:
        return lensed, correct_site(site.observations, lensed, known)
    except InputError as error:
        raise InputError(f"site {key[0] or key[1]}: {error}") from error


def _correction(
    key: SiteKey, site: MeasuredSite, known: SiteFacts, lensed: Sequence[Distance], corrected: CorrectedSite
) -> SiteCorrection:
    errors = label_errors_m(site.observations, site.distances, lensed, known)
    plane = (None, None, None) if corrected.ground is None else corrected.ground.plane.tolist()
    ratios = [new.distance_m / max(old.distance_m, 0.1) for new, old in zip(lensed, site.distances, strict=True)]
    return SiteCorrection(
        key[0] or key[1],
        len(site.positions),
        len(known.labels),
        len(known.points),
        median(ratios),
        median(distance.distance_m for distance in site.distances),
        median(distance.distance_m for distance in corrected.distances),
        *(errors or (None, None)),
        *plane,
    )


def _panel(key: SiteKey, site: MeasuredSite, known: SiteFacts, corrected: CorrectedSite) -> SitePanel:
    return SitePanel(
        key[0] or key[1],
        tuple(distance.distance_m for distance in site.distances),
        tuple(distance.distance_m for distance in corrected.distances),
        tuple((site.distances[i].distance_m, metres) for i, metres in known.labels),
    )


def _make_output_folder(out: Path, source: Path) -> None:
    """The output folder, which must not hold the results themselves or those of another run."""
    if (out / DISTANCES).exists() and not (out / CORRECTIONS).exists():
        what = "the results to be calibrated" if (out / DISTANCES).resolve() == source.resolve() else "other results"
        raise RunError(f"{out} holds {what}; choose another --out")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{out}: can't be written: {error.strerror or error}; choose another --out") from error


def _checksum(path: Path) -> str:
    return checksum_of_observations(path) if is_package(path) else sha256_of(path)


def _write_run_json(settings: CalibrateSettings, source: Path, done: Calibration) -> None:
    told = {"results": source, "labels": settings.labels, "points": settings.points, "cameras": settings.cameras}
    facts: dict[str, Any] = {
        "trapmeter": __version__,
        "inputs": {name: {"file": str(path), "sha256": _checksum(path)} for name, path in told.items() if path},
        "trained_hfov_deg": settings.trained_hfov_deg,
        "species": settings.species,
        "shoulder_m": settings.shoulder_m,
        "counts": {
            "rows": len(done.estimates),
            "moved": done.n_moved,
            "sites": len(done.corrections),
            "labels": done.n_labels,
            "labels_unused": done.n_labels_unused,
        },
    }
    # So that reports and exports of the corrected results can tell of the run.
    facts[RUN_KEY] = read_run_facts(source)
    with atomic_file(settings.out / RUN) as file:
        json.dump(facts, file, indent=2)
        file.write("\n")
