"""What a run will do, settled before any work: the media, what is asked of each, the models, the sites.

Everything wrong with the arguments comes out here. A plan is the same on every machine that sees the same files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from trapmeter import __version__
from trapmeter.boxmodel.model import BoxModel
from trapmeter.detect.megadetector_lite import DEFAULT_MIN_SCORE
from trapmeter.errors import InputError
from trapmeter.files import sha256_of
from trapmeter.frames.store import FrameStore
from trapmeter.media.find import Found
from trapmeter.models.bundle import Bundle, read_bundle
from trapmeter.predict.asked import Asked, what_is_asked
from trapmeter.predict.blend import FromBoth
from trapmeter.predict.distances import Distances, FromBoxes, FromNetworks, ensemble_identity
from trapmeter.predict.eyes import open_eyes, share_out
from trapmeter.predict.facts import Told, read_told
from trapmeter.predict.given import Given, what_is_given
from trapmeter.predict.settings import PredictSettings
from trapmeter.predict.workers import EyesMaker
from trapmeter.records import Detector, Medium, ModelIdentity
from trapmeter.runtimes.choice import Chosen, Runtime, choose
from trapmeter.runtimes.memory import give_back_memory
from trapmeter.storage.address import Location
from trapmeter.tables.boxes import MEGADETECTOR, BoxTable, read_boxes
from trapmeter.tables.geojson import read_places
from trapmeter.tables.sites import FolderSite, NoSite, RegexSite, SiteRule, assign_sites, site_rule_text
from trapmeter.tables.truth import read_truth, truth_names

MEGADETECTOR_MIN_SCORE = 0.2
"""What MegaDetector's authors recommend for version 5 as the typical threshold."""


@dataclass(frozen=True, slots=True)
class Work:
    """The media of a run, what is asked of them, and what the user tells of cameras and animals."""

    settings: PredictSettings
    store: FrameStore | None
    given: Given
    has_boxes: bool
    min_score: float
    asked: Asked
    told: Told

    @property
    def found(self) -> Found:
        """The media, and what else lay beside them."""
        return self.given.found


@dataclass(frozen=True, slots=True)
class Models:
    """What looks and measures. jobs: how many workers there is room for; make_eyes opens the models in each."""

    bundles: tuple[Bundle, ...]
    chosen: Chosen | None
    jobs: int
    make_eyes: EyesMaker
    distances: Distances
    identities: dict[str, ModelIdentity]


def plan_work(settings: PredictSettings) -> Work:
    """Finds the media and reads the tables.

    Raises:
        InputError: a path, table or argument is wrong.
    """
    store = None if settings.store is None else FrameStore.open(settings.store)
    given = what_is_given(settings, store)
    media = assign_sites(given.found.media, settings.site)
    _check_sites(settings, media, given.found)
    _check_tables(settings, media)
    boxes = None if settings.boxes is None else read_boxes(settings.boxes)
    min_score = _min_score(settings, boxes)
    asked = what_is_asked(settings, media, boxes, min_score, given.boxes)
    if not asked.tasks and not asked.missing:
        raise InputError("none of the media is asked for")
    told = read_told(settings, media, given.cameras, given.species)
    return Work(settings, store, given, boxes is not None, min_score, asked, told)


def load_models(work: Work, n_tasks: int, n_machines: int = 1) -> Models:
    """Reads the models' files, so that a damaged one is a single clear error rather than one in each worker.

    n_tasks: how many media there are to look at; n_machines: on how many machines.

    Raises:
        ModelError: a file is missing, damaged or of another kind.
        InputError: the frame store doesn't serve the networks.
    """
    settings = work.settings
    bundles = tuple(read_bundle(folder) for folder in settings.models)
    chosen = choose(settings.runtime) if bundles else None
    workers = share_out(settings.jobs, n_tasks, bundles, n_machines)
    make_eyes = partial(
        open_eyes,
        detector=settings.detector if _needs_detector(work) else None,
        min_score=work.min_score,
        bundles=bundles,
        flip=settings.flip,
        store=work.store,
        threads=workers.threads,
        runtime=Runtime.ONNXRUNTIME if chosen is None else chosen.runtime,
    )
    eyes = make_eyes()
    if work.store is not None and eyes.networks is not None:
        work.store.spec.check_serves(eyes.networks.spec)
    distances = _distances(settings, bundles)
    identities = _identities(distances, eyes.detector)
    del eyes
    give_back_memory()
    return Models(bundles, chosen, workers.jobs, make_eyes, distances, identities)


def what_sight_depends_on(work: Work, models: Models) -> dict[str, Any]:
    """What is seen in a medium depends on these: with any of them changed, a run can't be gone on with."""
    settings = work.settings
    return {
        "trapmeter": __version__,
        "root": str(work.found.root),
        "every_s": settings.every_s if settings.times is None else None,
        "times_sha256": None if settings.times is None else sha256_of(settings.times),
        "boxes_sha256": work.given.sha256 if settings.boxes is None else sha256_of(settings.boxes),
        "min_score": work.min_score,
        "detector_sha256": models.identities["detector"].sha256 if "detector" in models.identities else None,
        "networks_sha256": ensemble_identity(models.bundles, flip=settings.flip).sha256 if models.bundles else None,
        "flip": settings.flip,
        # Runtimes round differently, so that one may not go on with another's answers.
        "runtime": None if models.chosen is None else models.chosen.runtime,
    }


def _needs_detector(work: Work) -> bool:
    return not work.has_boxes and work.given.needs_eyes and work.settings.detect and work.store is None


def _check_tables(settings: PredictSettings, media: Sequence[Medium]) -> None:
    """Reads what the report will want: a wrong table should not be found out after an hour's work."""
    if settings.truth is not None:
        truth_names([medium.media_id for medium in media], read_truth(settings.truth))
    if settings.places is not None:
        read_places(settings.places)


def _check_sites(settings: PredictSettings, media: Sequence[Medium], found: Found) -> None:
    if not isinstance(settings.site, NoSite) and not any(medium.site_id for medium in media):
        raise InputError(
            f"--site {site_rule_text(settings.site)} gives none of the {len(media)} media a site; the first is "
            f"{media[0].media_id} below {found.root}. {_site_hint(settings.site, found.root)}"
        )


def _site_hint(rule: SiteRule, root: Location) -> str:
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


def _distances(settings: PredictSettings, bundles: Sequence[Bundle]) -> Distances:
    if settings.blend is not None:
        boxes = BoxModel.load(settings.box_model)
        return FromBoth(bundles, flip=settings.flip, boxes=boxes, path=settings.blend)
    if bundles:
        return FromNetworks(bundles, flip=settings.flip)
    return FromBoxes(BoxModel.load(settings.box_model))


def _identities(distances: Distances, detector: Detector | None) -> dict[str, ModelIdentity]:
    models = {"distance": distances.identity}
    return models if detector is None else {"detector": detector.identity, **models}
