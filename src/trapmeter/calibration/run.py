"""Calibrates a folder of results, and writes the corrected tables and a chart."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from trapmeter._version import __version__
from trapmeter.boxmodel.model import BoxModel
from trapmeter.calibration.chart import SitePanel, draw_site_panels
from trapmeter.calibration.inputs import (
    CALIBRATED,
    MOVED,
    CalibrationInputs,
    MeasuredSite,
    camera_of,
    measured_sites,
    nothing_measured,
    read_inputs,
)
from trapmeter.calibration.moved_cameras import CheckedViews, check_views, media_by_deployment
from trapmeter.calibration.point_check import PointCheck, check_points
from trapmeter.calibration.settings import CalibrateSettings
from trapmeter.calibration.site_correction import (
    SiteFacts,
    apply_known_facts,
    correct_site,
    fit_site_camera,
    label_errors_m,
)
from trapmeter.calibration.view_chart import MOVED_CHART, draw_views
from trapmeter.camera.fit import CameraFit
from trapmeter.camera.fitted_cameras import FITTED_CAMERAS, FittedCamera, fitted_camera, write_fitted_cameras
from trapmeter.errors import InputError, RunError
from trapmeter.files import atomic_file, sha256_of
from trapmeter.progress import Progress, no_progress
from trapmeter.records import Distance, Estimate
from trapmeter.settings import from_values
from trapmeter.tables.camtrapdp.container import checksum_of_observations, is_package
from trapmeter.tables.corrections import SiteCorrection, write_corrections
from trapmeter.tables.distances import (
    DISTANCES_CSV,
    RUN_KEY,
    find_distances,
    read_distances,
    read_run_facts,
    write_distances,
)
from trapmeter.tables.medium_times import copy_media
from trapmeter.tables.point_misfits import PointMisfit, write_point_misfits
from trapmeter.tables.reference_marks import Upright

CORRECTIONS, CHART, RUN = "calibration.csv", "calibration.png", "run.json"
POINTS = "calibration-points.csv"


@dataclass(frozen=True, slots=True)
class Calibration:
    """What `calibrate` did: all rows, a record of each corrected site, and counts of rows moved and labels used.

    notes: about the inputs, for the user. point_misfits: of the reference points, the worst of each site first.
    """

    estimates: tuple[Estimate, ...]
    corrections: tuple[SiteCorrection, ...]
    n_moved: int
    n_labels: int
    n_labels_unused: int
    notes: tuple[str, ...] = ()
    point_misfits: tuple[PointMisfit, ...] = ()

    @property
    def n_measured(self) -> int:
        """How many rows have a distance."""
        return sum(estimate.distance is not None for estimate in self.estimates)


@dataclass(frozen=True, slots=True, eq=False)
class SiteResult:
    """A site, what is known about it, and its distances: with known facts applied, and corrected by what was left."""

    site: MeasuredSite
    facts: SiteFacts
    left: SiteFacts
    informed: tuple[Distance, ...]
    distances: tuple[Distance, ...]
    camera: CameraFit | None


def calibrate(
    results: str | Path, out: str | Path, *, progress: Progress = no_progress, **settings: Any
) -> Calibration:
    """Corrects distances by what is known about their sites.

    Writes distances.csv, calibration.csv, calibration.png, cameras.json and run.json into the folder `out`, and with
    reference points calibration-points.csv.

    Args:
        results: a folder of `predict`, or its distances.csv.
        out: folder for the corrected results.
        progress: called as reference photographs are compared with the media, with the stage "view".
        settings: the other settings of `CalibrateSettings`, by name; paths as text or Path.

    Raises:
        InputError: a setting is wrong, a table is malformed, it names videos or sites that the results lack, or reference
            points can't belong to one camera.
        ModelError: the box model can't be read.
        RunError: the output folder can't be used.

    Example:
        >>> calibrate("results", "calibrated", labels="labels.csv", species="red fox")
    """
    return run_calibration(from_values(CalibrateSettings, {"results": results, "out": out} | settings), progress)


def run_calibration(settings: CalibrateSettings, progress: Progress = no_progress) -> Calibration:
    """As `calibrate`, with a settings record."""
    source = find_distances(settings.results)
    estimates = read_distances(source)
    if not any(estimate.distance for estimate in estimates):
        raise nothing_measured()
    inputs = read_inputs(settings, source, estimates)
    estimates = [replace(row, observation=inputs.animals.name(row.observation)) for row in estimates]
    checked = PointCheck()
    if settings.points is not None:
        checked = check_points(settings.points, inputs.deployments, inputs.cameras)
    views = _check_views(settings, source, inputs, estimates, progress)
    sites = [
        replace(site, observations=tuple(map(views.in_reference, site.observations)))
        for site in measured_sites(
            estimates, lambda row: MOVED if views.moved_reason(row.media_id) else inputs.view_of(row)
        )
    ]
    has_sizes = any(inputs.animals.shoulder_of(row.observation) for row in estimates if row.distance is not None)
    model = BoxModel.load(settings.box_model) if inputs.cameras or has_sizes else None

    make_output_folder(settings.out, source)
    after = list(estimates)
    corrected = []
    for site in sites:
        result = _correct(site, inputs.for_site(site), model, settings.trained_hfov_deg)
        moved = [
            (i, new)
            for i, new in zip(site.positions, result.distances, strict=True)
            if new is not estimates[i].distance
        ]
        for i, distance in moved:
            after[i] = replace(estimates[i], distance=distance, model_id=f"{estimates[i].model_id}; {CALIBRATED}")
        for i in site.positions:
            if reason := views.moved_reason(estimates[i].observation.media_id):
                after[i] = replace(after[i], reason="; ".join(filter(None, (after[i].reason, reason))))
        if moved or result.facts.labels:
            corrected.append(result)
    corrections = [_correction(result) for result in corrected]
    write_distances(settings.out / DISTANCES_CSV, after)
    copy_media(source, settings.out)
    write_corrections(settings.out / CORRECTIONS, corrections)
    _write_points(settings, checked)
    _write_views(settings, inputs, views)
    write_fitted_cameras(
        settings.out / FITTED_CAMERAS,
        _fitted_cameras(inputs, corrected),
        {media_id: placed.reason for media_id, placed in sorted(views.placements.items()) if placed.reason},
    )
    draw_site_panels([_panel(result, checked) for result in corrected], settings.out / CHART)
    n_moved = sum(old is not new for old, new in zip(estimates, after, strict=True))
    calibration = Calibration(
        tuple(after),
        tuple(corrections),
        n_moved,
        len(inputs.labels),
        inputs.n_unused,
        (*inputs.notes, *checked.notes, *views.notes, *_notes_on_moved(views)),
        checked.misfits,
    )
    _write_run_json(settings, source, calibration, model)
    return calibration


def describe_correction(correction: SiteCorrection) -> str:
    """A line for the user: a site's median distance before and after, and the error at its labels."""
    line = f"{correction.site_id}: median {correction.before_m:.1f} m before, {correction.after_m:.1f} m after"
    before, after = correction.label_error_m, correction.label_error_left_out_m
    if before is None or after is None:
        return f"{line}; labels of a single video can't show whether that is better" if correction.labels else line
    line += f"; error at labelled seconds {before:.2f} m, {after:.2f} m if corrected by the labels of other videos"
    return f"{line}: WORSE; check the labels and facts of this site, or leave them out" if after > before else line


def _correct(site: MeasuredSite, facts: SiteFacts, model: BoxModel | None, trained_hfov_deg: float) -> SiteResult:
    box_model = model if model is not None and site.model_ids == {model.identity.model_id} else None
    base_ids = {model_id.partition("; with ")[0] for model_id in site.model_ids}
    if model is not None and box_model is None and base_ids == {model.identity.model_id}:
        raise InputError(
            f"site {site.name}: `predict` has told the box model something already, and it takes all facts at once; start "
            "from a run without --hfov, --cameras, --species and --exif, or give `predict` all of them (its detections are "
            "kept)"
        )
    informed, left = apply_known_facts(site.observations, site.distances, facts, box_model, trained_hfov_deg)
    try:
        corrected = correct_site(site.observations, informed, left)
    except InputError as error:
        raise InputError(f"site {site.name}: {error}") from error
    return SiteResult(site, facts, left, tuple(informed), corrected.distances, corrected.camera)


def _correction(result: SiteResult) -> SiteCorrection:
    site, facts = result.site, result.facts
    errors = label_errors_m(site.observations, site.distances, result.informed, result.left, result.camera)
    fitted = None if result.camera is None else result.camera.camera
    pairs = zip(result.informed, site.distances, strict=True)
    return SiteCorrection(
        site.name,
        len(site.positions),
        len(facts.labels),
        len(facts.uprights),
        median(new.distance_m / max(old.distance_m, 0.1) for new, old in pairs),
        median(distance.distance_m for distance in site.distances),
        median(distance.distance_m for distance in result.distances),
        *(errors or (None, None)),
        *(
            ()
            if fitted is None
            else (
                *(fitted.hfov_deg, fitted.height_m, fitted.pitch_deg, fitted.roll_deg),
                *(fitted.slope_along_deg, fitted.slope_across_deg),
            )
        ),
    )


def _check_views(
    settings: CalibrateSettings,
    source: Path,
    inputs: CalibrationInputs,
    estimates: Sequence[Estimate],
    progress: Progress,
) -> CheckedViews:
    """Whether the media still show what the reference photographs show."""
    if settings.points is None:
        return CheckedViews()
    measured = [estimate.observation for estimate in estimates if estimate.distance is not None]
    positions = {row.media_id: i for row in measured if (i := inputs.deployment_of(row)) is not None}
    root = settings.media or read_run_facts(source).root
    folders = _photo_folders(settings) if settings.photos else [*_photo_folders(settings), *([root] if root else [])]
    media = media_by_deployment(measured, positions)
    return check_views(inputs.deployments, media, inputs.starts, root, folders, progress)


def _photo_folders(settings: CalibrateSettings) -> list[Path]:
    """Where the reference photographs are looked for before the folder of the media."""
    return [settings.photos] if settings.photos else [settings.points.parent] if settings.points else []


def _fitted_cameras(inputs: CalibrationInputs, corrected: Sequence[SiteResult]) -> list[FittedCamera]:
    """The camera of each deployment with reference marks, also of those without a measured animal."""
    fits = {id(result.site.deployment): result.camera for result in corrected if result.camera is not None}
    cameras = []
    for deployment in inputs.deployments:
        setup = camera_of(deployment, inputs.cameras.get(deployment.site_id))
        fit = fits.get(id(deployment)) or fit_site_camera(SiteFacts(uprights=deployment.uprights, camera=setup))
        if fit is not None:
            cameras.append(fitted_camera(deployment, fit))
    return cameras


def _write_views(settings: CalibrateSettings, inputs: CalibrationInputs, views: CheckedViews) -> None:
    """The picture of cameras that moved, if any did; that of an earlier run goes."""
    path = settings.out / MOVED_CHART
    changed = [view for view in views.views if view.placement.reason]
    if not changed:
        path.unlink(missing_ok=True)
        return
    uprights: dict[tuple[str, str], list[Upright]] = defaultdict(list)
    for deployment in inputs.deployments:
        for upright in deployment.uprights:
            uprights[deployment.site_id, upright.photo].append(upright)
    # Those that could not be placed first.
    draw_views(sorted(changed, key=lambda view: view.placement.is_usable), uprights, path)


def _notes_on_moved(views: CheckedViews) -> list[str]:
    moved = [media_id for media_id in views.placements if views.moved_reason(media_id)]
    shifted = [media_id for media_id, placed in views.placements.items() if placed.is_usable and placed.reason]
    notes = []
    if moved:
        notes.append(
            f"{len(moved):,} media don't show the view of their reference photograph, so their ground is not used; their "
            f"rows say why, and {MOVED_CHART} shows them"
        )
    if shifted:
        notes.append(
            f"in {len(shifted):,} media the view has shifted a little; their boxes were carried to the photograph"
        )
    return notes


def _write_points(settings: CalibrateSettings, checked: PointCheck) -> None:
    path = settings.out / POINTS
    if settings.points is not None:
        write_point_misfits(path, checked.misfits)
    else:
        # One of an earlier run would be about other results.
        path.unlink(missing_ok=True)


def _panel(result: SiteResult, checked: PointCheck) -> SitePanel:
    return SitePanel(
        result.site.name,
        tuple(distance.distance_m for distance in result.site.distances),
        tuple(distance.distance_m for distance in result.distances),
        result.facts.labels,
        result.camera,
        tuple(misfit for misfit in checked.misfits if misfit.site_id == result.site.site_id),
    )


def make_output_folder(out: Path, source: Path) -> None:
    """Creates the output folder; refuses one that holds the results to calibrate or those of another run."""
    if (out / DISTANCES_CSV).exists() and not (out / CORRECTIONS).exists():
        content = "the results to calibrate" if (out / DISTANCES_CSV).resolve() == source.resolve() else "other results"
        raise RunError(f"{out} holds {content}; choose another --out")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{out}: can't be written: {error.strerror or error}; choose another --out") from error


def _write_run_json(
    settings: CalibrateSettings, source: Path, calibration: Calibration, model: BoxModel | None
) -> None:
    """model: the box model that estimated again, told what is known."""

    def checksum(path: Path) -> str:
        return checksum_of_observations(path) if is_package(path) else sha256_of(path)

    files = {"results": source, "labels": settings.labels, "points": settings.points, "cameras": settings.cameras}
    if settings.species is not None and Path(settings.species).is_file():
        files["species"] = Path(settings.species)
    facts: dict[str, Any] = {
        "trapmeter": __version__,
        "inputs": {name: {"file": str(path), "sha256": checksum(path)} for name, path in files.items() if path},
        # Where `review` finds the photographs that cameras.json names.
        "photo_folders": [str(folder.resolve()) for folder in _photo_folders(settings)],
        "trained_hfov_deg": settings.trained_hfov_deg,
        "box_model": None if model is None else asdict(model.identity),
        "species": settings.species,
        "shoulder_m": settings.shoulder_m,
        "min_species_score": settings.min_species_score,
        "counts": {
            "rows": len(calibration.estimates),
            "moved": calibration.n_moved,
            "sites": len(calibration.corrections),
            "labels": calibration.n_labels,
            "labels_unused": calibration.n_labels_unused,
        },
    }
    # Reports and exports of the corrected results describe the original run.
    facts[RUN_KEY] = read_run_facts(source)
    with atomic_file(settings.out / RUN) as file:
        json.dump(facts, file, indent=2)
        file.write("\n")
