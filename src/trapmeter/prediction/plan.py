"""Plans a run before any work: its media, tasks, models and sites, with every check of the arguments.

A plan is the same on every machine that has the same files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from trapmeter._version import __version__
from trapmeter.boxmodel.model import BoxModel
from trapmeter.detect.evidence import WEIGHTS
from trapmeter.detect.megadetector_lite import DEFAULT_MIN_SCORE
from trapmeter.detect.onnx_detector import OnnxDetector
from trapmeter.errors import InputError
from trapmeter.facts import Facts
from trapmeter.files import sha256_of
from trapmeter.frames.pictures import require_codec
from trapmeter.frames.store import FrameStore
from trapmeter.media.discovery import FoundMedia
from trapmeter.models.bundle import Bundle, read_bundle
from trapmeter.models.runtimes.choice import RuntimeChoice
from trapmeter.models.runtimes.network import open_or_fall_back
from trapmeter.models.runtimes.onnx_runtime import release_memory
from trapmeter.parallel.workers import TimeLimits
from trapmeter.prediction.blend import BlendEstimator
from trapmeter.prediction.camera_correction import (
    TOLD_ALL,
    CameraInputs,
    ToldFacts,
    read_camera_inputs,
    told_by_networks,
)
from trapmeter.prediction.estimators import BoxEstimator, DistanceEstimator, NetworkEstimator, identify_ensemble
from trapmeter.prediction.medium_pipeline import MediumTask
from trapmeter.prediction.network_facts import stated_facts
from trapmeter.prediction.recording_times import TimeInputs, read_time_inputs
from trapmeter.prediction.settings import PredictSettings
from trapmeter.prediction.sources import Sources, find_sources
from trapmeter.prediction.tasks import TaskPlan, plan_tasks
from trapmeter.prediction.worker_models import ModelsOpener, open_worker_models, plan_workers
from trapmeter.records import Detector, Medium, ModelIdentity
from trapmeter.settings import worker_count
from trapmeter.storage.address import AnyPath
from trapmeter.tables.boxes import MEGADETECTOR, BoxTable, read_boxes
from trapmeter.tables.site_locations import read_site_locations
from trapmeter.tables.site_rules import FolderSite, NoSite, RegexSite, SiteRule, assign_sites, format_site_rule
from trapmeter.tables.truth import read_truth, truth_name_by_medium

MEGADETECTOR_MIN_SCORE = 0.2
"""The threshold that MegaDetector's authors recommend for version 5."""
USUAL_PICTURE_S = 0.25
"""Seconds per picture that the usual time limits allow for twice; the embedded detector takes less."""


@dataclass(frozen=True, slots=True)
class RunPlan:
    """The media of a run, the work on them, and the user's facts of cameras, animals and times."""

    settings: PredictSettings
    store: FrameStore | None
    sources: Sources
    has_boxes: bool
    min_score: float
    task_plan: TaskPlan
    camera_inputs: CameraInputs
    time_inputs: TimeInputs

    @property
    def found(self) -> FoundMedia:
        """The media, and how many other files lay beside them."""
        return self.sources.found


@dataclass(frozen=True, slots=True)
class RunModels:
    """The models of a run.

    jobs: how many workers there is room for; open_models opens the models in each. notes: what the user should know of them.
    time_limits: after which a worker counts as hanging.
    """

    bundles: tuple[Bundle, ...]
    runtime_choice: RuntimeChoice | None
    jobs: int
    open_models: ModelsOpener
    estimator: DistanceEstimator
    told: ToldFacts
    identities: dict[str, ModelIdentity]
    notes: tuple[str, ...]
    time_limits: TimeLimits

    @property
    def take_facts(self) -> bool:
        """Whether networks take what is known about cameras and animals."""
        return any(bundle.spec.facts for bundle in self.bundles)


def plan_run(settings: PredictSettings) -> RunPlan:
    """Finds the media and reads the tables.

    Raises:
        InputError: a path, table or argument is wrong.
        MissingExtraError: the store has JPEG, and the package that reads it is not installed.
    """
    store = None if settings.store is None else FrameStore.open(settings.store)
    if store is not None:
        require_codec(store.spec.codec)
    sources = find_sources(settings, store)
    media = assign_sites(sources.found.media, settings.site)
    _check_sites(settings, media, sources.found)
    _check_tables(settings, media)
    boxes = None if settings.boxes is None else read_boxes(settings.boxes)
    min_score = _min_score(settings, boxes)
    task_plan = plan_tasks(settings, media, boxes, min_score, sources.boxes)
    if not task_plan.tasks and not task_plan.missing:
        raise InputError("there is nothing to do: no medium is requested")
    camera_inputs = read_camera_inputs(settings, media, sources.cameras, sources.species)
    time_inputs = read_time_inputs(settings, media, sources)
    tasks = (
        replace(task, facts=_facts_of(task, camera_inputs, settings), exif=settings.exif) for task in task_plan.tasks
    )
    task_plan = replace(task_plan, tasks=tuple(tasks), notes=(*task_plan.notes, *camera_inputs.animals.notes))
    return RunPlan(settings, store, sources, boxes is not None, min_score, task_plan, camera_inputs, time_inputs)


def load_models(plan: RunPlan, n_tasks: int, n_machines: int = 1) -> RunModels:
    """Reads the model files, so that a damaged one is a single clear error rather than one in each worker.

    n_tasks: the number of media to process; n_machines: on how many machines.

    Raises:
        ModelError: a file is missing, damaged or of another kind.
        InputError: the frame store doesn't serve the networks.
    """
    settings = plan.settings
    bundles = tuple(read_bundle(folder) for folder in settings.models)
    detector = settings.detector if _needs_detector(plan) else None
    networks = [bundle.network for bundle in bundles]
    if isinstance(detector, Path):
        networks.append(detector)
    workers = plan_workers(worker_count(settings.jobs), n_tasks, networks, n_machines)
    open_in = partial(
        open_worker_models,
        detector=detector,
        min_score=plan.min_score,
        bundles=bundles,
        flip=settings.flip,
        store=plan.store,
        threads=workers.threads,
    )
    runtime_choice = None
    if bundles:
        opened, runtime_choice = open_or_fall_back(settings.runtime, lambda runtime: open_in(runtime=runtime))
        open_models = partial(open_in, runtime=runtime_choice.runtime)
    else:
        open_models, opened = open_in, open_in()
    if plan.store is not None and opened.networks is not None:
        plan.store.spec.check_serves(opened.networks.spec)
    estimator = _make_estimator(settings, bundles)
    identities = _model_identities(estimator, opened.detector)
    notes, time_limits = _detector_notes(opened.detector), time_limits_with(opened.detector)
    del opened
    release_memory()
    told = told_by_networks(bundles[0].spec.facts, is_blended=settings.blend is not None) if bundles else TOLD_ALL
    return RunModels(
        bundles, runtime_choice, workers.jobs, open_models, estimator, told, identities, notes, time_limits
    )


def journal_settings(plan: RunPlan, models: RunModels) -> dict[str, Any]:
    """What all media's results depend on: a run can't be resumed with any of them changed.

    What networks are told differs from medium to medium, and is in each result (`MediumResult.told`).
    """
    settings = plan.settings
    return {
        "trapmeter": __version__,
        "root": str(plan.found.root),
        "every_s": settings.every_s if settings.times is None else None,
        "times_sha256": None if settings.times is None else sha256_of(settings.times),
        "boxes_sha256": plan.sources.sha256 if settings.boxes is None else sha256_of(settings.boxes),
        "min_score": plan.min_score,
        "detector_sha256": models.identities["detector"].sha256 if "detector" in models.identities else None,
        "evidence_sha256": sha256_of(WEIGHTS) if "detector" in models.identities else None,
        "networks_sha256": identify_ensemble(models.bundles, flip=settings.flip).sha256 if models.bundles else None,
        "flip": settings.flip,
        # Runtimes round differently, so a run must not mix their predictions.
        "runtime": None if models.runtime_choice is None else models.runtime_choice.runtime,
    }


def _facts_of(task: MediumTask, inputs: CameraInputs, settings: PredictSettings) -> Facts:
    return stated_facts(task.medium.media_id, inputs, settings, () if task.boxes is None else task.boxes.boxes)


def _needs_detector(plan: RunPlan) -> bool:
    return not plan.has_boxes and plan.sources.needs_detector and plan.settings.detect and plan.store is None


def _check_tables(settings: PredictSettings, media: Sequence[Medium]) -> None:
    """Reads the report's tables, so that an error in one doesn't come out after an hour's work."""
    if settings.truth is not None:
        truth_name_by_medium([medium.media_id for medium in media], read_truth(settings.truth))
    if settings.places is not None:
        read_site_locations(settings.places)


def _check_sites(settings: PredictSettings, media: Sequence[Medium], found: FoundMedia) -> None:
    if not isinstance(settings.site, NoSite) and not any(medium.site_id for medium in media):
        raise InputError(
            f"--site {format_site_rule(settings.site)} gives none of the {len(media)} media a site; the first is "
            f"{media[0].media_id} below {found.root}. {_site_hint(settings.site, found.root)}"
        )


def _site_hint(rule: SiteRule, root: AnyPath) -> str:
    """What to do if a rule gave no medium a site."""
    if isinstance(rule, FolderSite):
        return (
            f"The rule needs folders below that one. If {root.name or root} is one site, give the folder above it "
            f"({root.parent}) instead; if file names contain the site, give --site 'regex:(S[0-9]+)' with the site in "
            "parentheses; else give a CSV file of media_id and site_id, or leave --site out"
        )
    if isinstance(rule, RegexSite):
        return "The pattern is searched for in that name with its folders; correct it, or leave --site out"
    return "Correct the names in the table, which must equal that name or its end, or leave --site out"


def _min_score(settings: PredictSettings, boxes: BoxTable | None) -> float:
    if settings.min_score is not None:
        return settings.min_score
    if boxes is None:
        return DEFAULT_MIN_SCORE if settings.own_detector is None else MEGADETECTOR_MIN_SCORE
    # MegaDetector writes every guess; other tables contain boxes that somebody selected.
    return MEGADETECTOR_MIN_SCORE if boxes.kind == MEGADETECTOR else 0.0


def _make_estimator(settings: PredictSettings, bundles: Sequence[Bundle]) -> DistanceEstimator:
    if settings.blend is not None:
        boxes = BoxModel.load(settings.box_model)
        return BlendEstimator(bundles, flip=settings.flip, boxes=boxes, path=settings.blend)
    if bundles:
        return NetworkEstimator(bundles, flip=settings.flip)
    return BoxEstimator(BoxModel.load(settings.box_model))


def _model_identities(estimator: DistanceEstimator, detector: Detector | None) -> dict[str, ModelIdentity]:
    models = {"distance": estimator.identity}
    return models if detector is None else {"detector": detector.identity, **models}


def time_limits_with(detector: Detector | None) -> TimeLimits:
    """The usual time limits; longer in proportion if the user's detector is slow, as large ones are on a processor."""
    usual = TimeLimits()
    if not isinstance(detector, OnnxDetector):
        return usual
    slower = max(1.0, detector.picture_s / USUAL_PICTURE_S)
    return TimeLimits(usual.base_s * slower, usual.per_megabyte_s * slower)


def _detector_notes(detector: Detector | None) -> tuple[str, ...]:
    if not isinstance(detector, OnnxDetector):
        return ()
    others = ", ".join(detector.other_classes[:10])
    left_out = f"; its boxes of other classes ({others}) were left out" if others else ""
    return (f"{detector.identity.model_id}, read as {detector.head.name}, found the animals{left_out}",)
