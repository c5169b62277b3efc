"""A run from paths to results: find, look, measure, write. Broken off, it goes on where it stopped."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from trapmeter import __version__
from trapmeter.boxmodel.model import BoxModel
from trapmeter.calibration.facts import Facts
from trapmeter.detect.megadetector_lite import DEFAULT_MIN_SCORE
from trapmeter.errors import InputError, RunError
from trapmeter.files import alone_in, sha256_of, whole_file
from trapmeter.frames.store import FrameStore
from trapmeter.journal import Journal
from trapmeter.media.find import Found
from trapmeter.models.bundle import Bundle, read_bundle
from trapmeter.predict.asked import what_is_asked
from trapmeter.predict.blend import FromBoth
from trapmeter.predict.cards import model_cards
from trapmeter.predict.distances import Distances, FromBoxes, FromNetworks, ensemble_identity
from trapmeter.predict.eyes import give_back_memory, open_eyes, share_out
from trapmeter.predict.facts import cameras_told, facts_of, read_told
from trapmeter.predict.given import Given, what_is_given
from trapmeter.predict.measure import measure
from trapmeter.predict.observe import Task
from trapmeter.predict.seen import MediumSeen
from trapmeter.predict.settings import JOURNAL, PredictSettings
from trapmeter.predict.summary import Summary, summarise
from trapmeter.predict.workers import EyesMaker, observe_all
from trapmeter.records import Detector, Estimate, Medium, ModelIdentity
from trapmeter.runtimes.choice import Chosen, Runtime, choose
from trapmeter.tables.boxes import MEGADETECTOR, BoxTable, read_boxes
from trapmeter.tables.distances import NAME as DISTANCES
from trapmeter.tables.distances import write_distances
from trapmeter.tables.geojson import read_places
from trapmeter.tables.sightings import write_media_starts
from trapmeter.tables.sites import FolderSite, NoSite, RegexSite, SiteRule, assign_sites, site_rule_text
from trapmeter.tables.truth import read_truth, truth_names
from trapmeter.workers import Patience

RUN = "run.json"
ERRORS = "errors.log"
MEDIA_STARTS = "media-times.csv"
"""When each medium starts, where a package tells it: for `trapmeter density --media-times`."""

MEGADETECTOR_MIN_SCORE = 0.2
"""What MegaDetector's authors recommend for version 5 as the typical threshold."""

Progress = Callable[[str, int, int, int], None]
"""Called with the stage ("look" or "measure"), media done, media in all, and media that failed."""


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run: its rows, its counts, and all that tells how they came about (the content of run.json)."""

    root: Path
    estimates: tuple[Estimate, ...]
    summary: Summary
    facts: dict[str, Any]
    store: FrameStore | None = None
    """Where the pictures are in place of root."""


def predict(settings: PredictSettings, progress: Progress = lambda *_: None) -> Run:
    """Measures all animals in the given media and writes distances.csv and run.json into settings.out.

    Raises:
        InputError: a path, table or argument is wrong; nothing was done.
        RunError: the output folder is in use, holds a run with other settings, or can't be written.
        ModelError: a model file is damaged.
    """
    started_at, clock = datetime.now(UTC), _Clock()
    with clock.stage("find"):
        store = None if settings.store is None else FrameStore.open(settings.store)
        given = what_is_given(settings, store)
        found = given.found
        media = assign_sites(found.media, settings.site)
        _check_sites(settings, media, found)
        _check_tables(settings, media)
        boxes = None if settings.boxes is None else read_boxes(settings.boxes)
        min_score = _min_score(settings, boxes)
        asked = what_is_asked(settings, media, boxes, min_score, given.boxes)
        if not asked.tasks and not asked.missing:
            raise InputError("none of the media is asked for")
        told = read_told(settings, media, given.cameras)
    with clock.stage("load models"):
        bundles = [read_bundle(folder) for folder in settings.models]
        chosen = choose(settings.runtime) if bundles else None
        workers = share_out(settings.jobs, len(asked.tasks), bundles)
        make_eyes = partial(
            open_eyes,
            detector=settings.detector
            if boxes is None and given.needs_eyes and settings.detect and store is None
            else None,
            min_score=min_score,
            bundles=bundles,
            flip=settings.flip,
            store=store,
            threads=workers.threads,
            runtime=Runtime.ONNXRUNTIME if chosen is None else chosen.runtime,
        )
        # Loaded here as well, so that a damaged file is one clear error rather than one in each worker.
        eyes = make_eyes()
        if store is not None and eyes.networks is not None:
            store.spec.check_serves(eyes.networks.spec)
        distances = _distances(settings, bundles)
        models = _models(distances, eyes.detector)
        del eyes
        give_back_memory()
    with _locked(settings.out, overwrite=settings.overwrite):
        with clock.stage("look"), _journal(settings, given, min_score, models, bundles, chosen) as journal:
            seen = _look(asked.tasks, journal, make_eyes, workers.jobs, progress)
        seen += asked.missing
        with clock.stage("measure"):
            known = facts_of(seen, told, settings)
            done = 0

            def measured(n_media: int) -> None:
                nonlocal done
                done += n_media
                progress("measure", done, len(seen), 0)

            estimates = measure(seen, told.site_ids, distances, known, measured)
        summary = summarise(seen, estimates, asked.n_unasked)
        with clock.stage("write"):
            _write_tables(settings.out, estimates, given)
        facts = _facts(settings, found, models, chosen, summary, seen, known, started_at, clock)
        facts |= {
            "model_cards": model_cards(settings, bundles, has_detector="detector" in models),
            "changed": _changed(settings.out / RUN, facts),
        }
        _write_traces(settings.out / ERRORS, seen)
        with whole_file(settings.out / RUN) as file:
            json.dump(facts, file, indent=2)
            file.write("\n")
    return Run(found.root, tuple(estimates), summary, facts, store)


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


def _site_hint(rule: SiteRule, root: Path) -> str:
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


def _look(
    tasks: Sequence[Task],
    journal: Journal[MediumSeen],
    make_eyes: EyesMaker,
    jobs: int,
    progress: Progress,
) -> list[MediumSeen]:
    """Looks at the media that the journal doesn't hold as they are now; failures are tried again."""
    kept = [task for task in tasks if _is_done(task, journal)]
    kept_ids = {task.medium.media_id for task in kept}
    left = [task for task in tasks if task.medium.media_id not in kept_ids]
    done, n_failed = len(kept), 0
    progress("look", done, len(tasks), n_failed)
    for seen in observe_all(left, make_eyes, min(jobs, max(1, len(left))), Patience()) if left else ():
        journal.add(seen)
        done += 1
        n_failed += seen.has_failed
        progress("look", done, len(tasks), n_failed)
    return [journal.done[task.medium.media_id] for task in tasks]


def _is_done(task: Task, journal: Journal[MediumSeen]) -> bool:
    before = journal.done.get(task.medium.media_id)
    if before is None or before.failure:
        return False
    try:
        status = task.medium.path.stat()
    except OSError:
        return False
    return (before.size_bytes, before.modified_ns) == (status.st_size, status.st_mtime_ns)


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


def _models(distances: Distances, detector: Detector | None) -> dict[str, ModelIdentity]:
    models = {"distance": distances.identity}
    return models if detector is None else {"detector": detector.identity, **models}


def _journal(
    settings: PredictSettings,
    given: Given,
    min_score: float,
    models: dict[str, ModelIdentity],
    bundles: Sequence[Bundle],
    chosen: Chosen | None,
) -> Journal[MediumSeen]:
    """The journal with what the sight of a medium depends on: with any of it changed, a run can't be gone on with."""
    sight = {
        "trapmeter": __version__,
        "root": str(given.found.root),
        "every_s": settings.every_s if settings.times is None else None,
        "times_sha256": None if settings.times is None else sha256_of(settings.times),
        "boxes_sha256": given.sha256 if settings.boxes is None else sha256_of(settings.boxes),
        "min_score": min_score,
        "detector_sha256": models["detector"].sha256 if "detector" in models else None,
        "networks_sha256": ensemble_identity(bundles, flip=settings.flip).sha256 if bundles else None,
        "flip": settings.flip,
        # Runtimes round differently, so that one may not go on with another's answers.
        "runtime": None if chosen is None else chosen.runtime,
    }
    return Journal(settings.out / JOURNAL, sight, MediumSeen.from_json)


@contextmanager
def _locked(out: Path, *, overwrite: bool) -> Iterator[None]:
    """The output folder, made if need be and for this run alone; without what an earlier one left, if so asked."""
    with alone_in(out):
        for name in (JOURNAL, DISTANCES, MEDIA_STARTS, RUN, ERRORS) if overwrite else ():
            try:
                (out / name).unlink(missing_ok=True)
            except OSError as error:
                raise RunError(f"{out / name} can't be deleted: {error.strerror or error}; close it first") from error
        yield


def _write_tables(out: Path, estimates: Sequence[Estimate], given: Given) -> None:
    write_distances(out / DISTANCES, estimates)
    if given.starts:
        write_media_starts(out / MEDIA_STARTS, given.starts)


def _write_traces(path: Path, seen: Sequence[MediumSeen]) -> None:
    """Our own errors, for a report of them; no file without any."""
    traces = [f"{medium.media_id}\n{medium.trace}" for medium in seen if medium.trace]
    if traces:
        with whole_file(path) as file:
            file.write("\n".join(traces).encode("utf-8", "backslashreplace").decode())


class _Clock:
    """Wall seconds of each stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = round(time.perf_counter() - started, 3)


def _facts(
    settings: PredictSettings,
    found: Found,
    models: dict[str, ModelIdentity],
    chosen: Chosen | None,
    summary: Summary,
    seen: Sequence[MediumSeen],
    known: Facts,
    started_at: datetime,
    clock: _Clock,
) -> dict[str, Any]:
    return {
        "trapmeter": __version__,
        "started": started_at.isoformat(timespec="seconds"),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "root": str(found.root),
        "arguments": {
            **{field.name: _plain(getattr(settings, field.name)) for field in fields(settings)},
            "site": site_rule_text(settings.site),
        },
        "models": {role: asdict(identity) for role, identity in models.items()},
        "runtime": None if chosen is None else asdict(chosen),
        "cameras": cameras_told(seen, known),
        "recorded": _recorded(seen),
        "counts": {name: value for name, value in asdict(summary).items() if name not in ("failures", "doubts")},
        "other_files": found.n_other,
        "errors_of_ours": sum(bool(medium.trace) for medium in seen),
        "unreadable_folders": [{"folder": str(folder), "reason": reason} for folder, reason in found.unreadable],
        "failures": [{"media_id": media_id, "reason": reason} for media_id, reason in summary.failures],
        "doubts": [{"media_id": media_id, "reason": reason} for media_id, reason in summary.doubts],
        "seconds": {
            **clock.seconds,
            "decode_all_workers": round(sum(medium.decode_s for medium in seen), 3),
            "detect_all_workers": round(sum(medium.detect_s for medium in seen), 3),
            "networks_all_workers": round(sum(medium.network_s for medium in seen), 3),
        },
    }


def _recorded(seen: Sequence[MediumSeen]) -> dict[str, Any]:
    """Of how many media the date is known, and the first and the last."""
    dates = sorted(medium.recorded for medium in seen if medium.recorded)
    return {"n_media": len(dates), "first": dates[0] if dates else None, "last": dates[-1] if dates else None}


REMADE = {
    "site": "--site",
    "hfov_deg": "--hfov",
    "cameras": "--cameras",
    "exif": "--exif",
    "trained_hfov_deg": "--trained-hfov",
    "species": "--species",
    "shoulder_m": "--shoulder-height",
    "box_model": "--box-model",
    "blend": "--blend",
}
"""Arguments that say what is made of what was seen: a run may go on with others, and its rows are made anew."""


def _changed(path: Path, facts: dict[str, Any]) -> list[str]:
    """Which of REMADE the run that left its run.json at path had otherwise, as texts; none where there was no such run."""
    try:
        before = json.loads(path.read_text(encoding="utf-8"))["arguments"]
        pairs = [(option, before.get(name), facts["arguments"][name]) for name, option in REMADE.items()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
    return [f"{option} was {_given(old)}, is {_given(new)}" for option, old, new in pairs if old != new]


def _given(value: Any) -> str:
    return "not given" if value is None else str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
