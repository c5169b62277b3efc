"""What a run will do, settled before any work: the media, what is asked of each, the models, the sites.

Everything wrong with the arguments comes out here. A plan is the same on every machine that sees the same files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from trapmeter._version import __version__
from trapmeter.boxmodel.model import BoxModel
from trapmeter.detect.megadetector_lite import DEFAULT_MIN_SCORE
from trapmeter.errors import InputError
from trapmeter.files import sha256_of
from trapmeter.frames.store import FrameStore
from trapmeter.media.discovery import FoundMedia
from trapmeter.models.bundle import Bundle, read_bundle
from trapmeter.models.runtimes.choice import Runtime, RuntimeChoice, choose_runtime
from trapmeter.models.runtimes.onnx_runtime import release_memory
from trapmeter.prediction.blend import BlendEstimator
from trapmeter.prediction.camera_correction import CameraInputs, read_camera_inputs
from trapmeter.prediction.estimators import BoxEstimator, DistanceEstimator, NetworkEstimator, identify_ensemble
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
"""What MegaDetector's authors recommend for version 5 as the typical threshold."""


@dataclass(frozen=True, slots=True)
class RunPlan:
    """The media of a run, what is asked of them, and what the user tells of cameras and animals."""

    settings: PredictSettings
    store: FrameStore | None
    sources: Sources
    has_boxes: bool
    min_score: float
    task_plan: TaskPlan
    camera_inputs: CameraInputs

    @property
    def found(self) -> FoundMedia:
        """The media, and what else lay beside them."""
        return self.sources.found


@dataclass(frozen=True, slots=True)
class RunModels:
    """What looks and measures. jobs: how many workers there is room for; make_eyes opens the models in each."""

    bundles: tuple[Bundle, ...]
    runtime_choice: RuntimeChoice | None
    jobs: int
    open_models: ModelsOpener
    estimator: DistanceEstimator
    identities: dict[str, ModelIdentity]


def plan_run(settings: PredictSettings) -> RunPlan:
    """Finds the media and reads the tables.

    Raises:
        InputError: a path, table or argument is wrong.
    """
    store = None if settings.store is None else FrameStore.open(settings.store)
    given = find_sources(settings, store)
    media = assign_sites(given.found.media, settings.site)
    _check_sites(settings, media, given.found)
    _check_tables(settings, media)
    boxes = None if settings.boxes is None else read_boxes(settings.boxes)
    min_score = _min_score(settings, boxes)
    asked = plan_tasks(settings, media, boxes, min_score, given.boxes)
    if not asked.tasks and not asked.missing:
        raise InputError("none of the media is asked for")
    told = read_camera_inputs(settings, media, given.cameras, given.species)
    return RunPlan(settings, store, given, boxes is not None, min_score, asked, told)


def load_models(work: RunPlan, n_tasks: int, n_machines: int = 1) -> RunModels:
    """Reads the models' files, so that a damaged one is a single clear error rather than one in each worker.

    n_tasks: how many media there are to look at; n_machines: on how many machines.

    Raises:
        ModelError: a file is missing, damaged or of another kind.
        InputError: the frame store doesn't serve the networks.
    """
    settings = work.settings
    bundles = tuple(read_bundle(folder) for folder in settings.models)
    chosen = choose_runtime(settings.runtime) if bundles else None
    workers = plan_workers(worker_count(settings.jobs), n_tasks, bundles, n_machines)
    open_models = partial(
        open_worker_models,
        detector=settings.detector if _needs_detector(work) else None,
        min_score=work.min_score,
        bundles=bundles,
        flip=settings.flip,
        store=work.store,
        threads=workers.threads,
        runtime=Runtime.ONNXRUNTIME if chosen is None else chosen.runtime,
    )
    eyes = open_models()
    if work.store is not None and eyes.networks is not None:
        work.store.spec.check_serves(eyes.networks.spec)
    distances = _make_estimator(settings, bundles)
    identities = _model_identities(distances, eyes.detector)
    del eyes
    release_memory()
    return RunModels(bundles, chosen, workers.jobs, open_models, distances, identities)


def journal_settings(work: RunPlan, models: RunModels) -> dict[str, Any]:
    """What is seen in a medium depends on these: with any of them changed, a run can't be gone on with."""
    settings = work.settings
    return {
        "trapmeter": __version__,
        "root": str(work.found.root),
        "every_s": settings.every_s if settings.times is None else None,
        "times_sha256": None if settings.times is None else sha256_of(settings.times),
        "boxes_sha256": work.sources.sha256 if settings.boxes is None else sha256_of(settings.boxes),
        "min_score": work.min_score,
        "detector_sha256": models.identities["detector"].sha256 if "detector" in models.identities else None,
        "networks_sha256": identify_ensemble(models.bundles, flip=settings.flip).sha256 if models.bundles else None,
        "flip": settings.flip,
        # Runtimes round differently, so that one may not go on with another's answers.
        "runtime": None if models.runtime_choice is None else models.runtime_choice.runtime,
    }


def _needs_detector(work: RunPlan) -> bool:
    return not work.has_boxes and work.sources.needs_detector and work.settings.detect and work.store is None


def _check_tables(settings: PredictSettings, media: Sequence[Medium]) -> None:
    """Reads what the report will want: a wrong table should not be found out after an hour's work."""
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
    """What to do where a rule told no site at all."""
    if isinstance(rule, FolderSite):
        return (
            f"It looks for folders below that one. If {root.name or root} is one site, give the folder above it "
            f"({root.parent}) in its place; if file names tell the site, write --site 'regex:(S[0-9]+)' with the part in "
            "parentheses; else give a CSV file of media_id and site_id, or leave --site out"
        )
    if isinstance(rule, RegexSite):
        return "The pattern is looked for in that name, folders and all; correct it, or leave --site out"
    return "Correct the names in the table, which are looked for as that name's whole or end, or leave --site out"


def _min_score(settings: PredictSettings, boxes: BoxTable | None) -> float:
    if settings.min_score is not None:
        return settings.min_score
    if boxes is None:
        return DEFAULT_MIN_SCORE
    # MegaDetector writes down every guess; the other tables hold what somebody chose.
    return MEGADETECTOR_MIN_SCORE if boxes.kind == MEGADETECTOR else 0.0


def _make_estimator(settings: PredictSettings, bundles: Sequence[Bundle]) -> DistanceEstimator:
    if settings.blend is not None:
        boxes = BoxModel.load(settings.box_model)
        return BlendEstimator(bundles, flip=settings.flip, boxes=boxes, path=settings.blend)
    if bundles:
        return NetworkEstimator(bundles, flip=settings.flip)
    return BoxEstimator(BoxModel.load(settings.box_model))


def _model_identities(distances: DistanceEstimator, detector: Detector | None) -> dict[str, ModelIdentity]:
    models = {"distance": distances.identity}
    return models if detector is None else {"detector": detector.identity, **models}
