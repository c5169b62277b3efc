"""A run from paths to results: find, look, measure, write. Broken off, it goes on where it stopped."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trapmeter.errors import RunError
from trapmeter.files import atomic_file, lock_folder, sha256_of
from trapmeter.frames.store import FrameStore
from trapmeter.journal import START_OVER, Journal
from trapmeter.parallel.workers import THIS_MACHINE, Engine, TimeLimits
from trapmeter.prediction.camera_correction import find_camera_facts
from trapmeter.prediction.estimates import RunSummary, estimate_distances, summarise_run
from trapmeter.prediction.medium_pipeline import MediumTask
from trapmeter.prediction.medium_result import MediumResult
from trapmeter.prediction.plan import RunModels, RunPlan, journal_settings, load_models, plan_run
from trapmeter.prediction.provenance import RunClock, describe_run, find_changed_arguments
from trapmeter.prediction.settings import JOURNAL, PredictSettings
from trapmeter.prediction.sources import Sources
from trapmeter.prediction.worker_models import process_media
from trapmeter.records import Estimate
from trapmeter.storage.address import AnyPath
from trapmeter.tables.density_inputs import write_media_starts
from trapmeter.tables.distances import DISTANCES_CSV as DISTANCES
from trapmeter.tables.distances import REVIEW_LOG, write_distances

RUN_FILE = "run.json"
ERROR_LOG = "errors.log"
MEDIA_STARTS = "media-times.csv"
"""When each medium starts, where a package tells it: for `trapmeter density --media-times`."""

Progress = Callable[[str, int, int, int], None]
"""Called with the stage ("look" or "measure"), media done, media in all, and media that failed."""


@dataclass(frozen=True, slots=True)
class PredictRun:
    """A finished run: its rows, its counts, and all that tells how they came about (the content of run.json)."""

    root: AnyPath
    estimates: tuple[Estimate, ...]
    summary: RunSummary
    facts: dict[str, Any]
    store: FrameStore | None = None
    """Where the pictures are in place of root."""

    @property
    def has_internal_errors(self) -> bool:
        """Some media met an error in trapmeter; errors.log has the traces."""
        return bool(self.facts["errors_of_ours"])

    @property
    def has_failed_media(self) -> bool:
        """Some media, or some folders, could not be read."""
        return bool(self.summary.n_failed_media or self.facts["unreadable_folders"])


def run_prediction(
    settings: PredictSettings, progress: Progress = lambda *_: None, engine: Engine = THIS_MACHINE
) -> PredictRun:
    """Measures all animals in the given media and writes distances.csv and run.json into settings.out.

    engine: what the workers run on; by default processes of this machine.

    Raises:
        InputError: a path, table or argument is wrong; nothing was done.
        RunError: the output folder is in use, holds a run with other settings, or can't be written.
        ModelError: a model file is damaged.
    """
    clock = RunClock()
    with clock.stage("find"):
        work = plan_run(settings)
    with clock.stage("load models"):
        models = load_models(work, len(work.task_plan.tasks), engine.n_machines)
    with claim_output_folder(settings.out, overwrite=settings.overwrite):
        with clock.stage("look"), open_journal(settings.out, work, models) as journal:
            seen = process_tasks(work.task_plan.tasks, journal, models, progress, engine)
        return finish_run(work, models, seen, clock, progress)


def process_tasks(
    tasks: Sequence[MediumTask],
    journal: Journal[MediumResult],
    models: RunModels,
    progress: Progress = lambda *_: None,
    engine: Engine = THIS_MACHINE,
) -> list[MediumResult]:
    """Looks at the media that the journal doesn't hold as they are now; failures are tried again."""
    kept = {
        task.medium.media_id: before
        for task in tasks
        if (before := journal.done.get(task.medium.media_id)) and not before.failure and is_unchanged(task, before)
    }
    left = [task for task in tasks if task.medium.media_id not in kept]
    done, n_failed = len(kept), 0
    progress("look", done, len(tasks), n_failed)
    jobs = min(models.jobs, max(1, len(left)))
    for seen in process_media(left, models.open_models, jobs, TimeLimits(), engine.run_tasks) if left else ():
        journal.add(seen)
        done += 1
        n_failed += seen.has_failed
        progress("look", done, len(tasks), n_failed)
    return [journal.done[task.medium.media_id] for task in tasks]


def finish_run(
    work: RunPlan,
    models: RunModels,
    looked_at: Sequence[MediumResult],
    clock: RunClock,
    progress: Progress = lambda *_: None,
    **more: Any,
) -> PredictRun:
    """Measures what was seen in all media of a run, and writes its files; more: what else run.json should tell."""
    settings = work.settings
    seen = [*looked_at, *work.task_plan.missing]
    with clock.stage("measure"):
        known = find_camera_facts(seen, work.camera_inputs, settings)
        done = 0

        def measured(n_media: int) -> None:
            nonlocal done
            done += n_media
            progress("measure", done, len(seen), 0)

        estimates = estimate_distances(seen, work.camera_inputs.site_ids, models.estimator, known, measured)
    summary = summarise_run(seen, estimates, work.task_plan.n_unasked)
    with clock.stage("write"):
        _write_tables(settings.out, estimates, work.sources)
    facts = {**describe_run(work, models, seen, known, summary, clock), **more}
    facts["changed"] = find_changed_arguments(settings.out / RUN_FILE, facts)
    _write_traces(settings.out / ERROR_LOG, seen)
    with atomic_file(settings.out / RUN_FILE) as file:
        json.dump(facts, file, indent=2)
        file.write("\n")
    return PredictRun(work.found.root, tuple(estimates), summary, facts, work.store)


def open_journal(out: Path, work: RunPlan, models: RunModels, remedy: str = START_OVER) -> Journal[MediumResult]:
    """The journal in a folder, to be opened with `with`; way_out: what to do where it doesn't fit.

    Raises:
        RunError: the folder holds a run with other settings.
    """
    return Journal(out / JOURNAL, journal_settings(work, models), MediumResult.from_json, remedy)


def is_unchanged(task: MediumTask, seen: MediumResult) -> bool:
    """The medium's file is still as it was when it was looked at."""
    try:
        status = task.medium.path.stat()
    except OSError:
        return False
    return (seen.size_bytes, seen.modified_ns) == (status.st_size, status.st_mtime_ns)


@contextmanager
def claim_output_folder(out: Path, *, overwrite: bool) -> Iterator[None]:
    """The output folder, made if need be and for this run alone; without what an earlier one left, if so asked."""
    with lock_folder(out):
        if overwrite and _is_reviewed(out):
            raise RunError(f"{out} has been reviewed; choose another --out, or move {REVIEW_LOG} away")
        if (out / DISTANCES).exists() and not (out / JOURNAL).exists() and not overwrite:
            raise RunError(f"{out} holds other results, such as corrected ones; choose another --out")
        for name in (JOURNAL, DISTANCES, MEDIA_STARTS, RUN_FILE, ERROR_LOG) if overwrite else ():
            try:
                (out / name).unlink(missing_ok=True)
            except OSError as error:
                raise RunError(f"{out / name} can't be deleted: {error.strerror or error}; close it first") from error
        yield


def _write_tables(out: Path, estimates: Sequence[Estimate], given: Sources) -> None:
    table = out / DISTANCES
    if table.exists() and _is_reviewed(out):
        _check_unchanged_table(table, estimates)
    else:
        write_distances(table, estimates)
    if given.starts:
        write_media_starts(out / MEDIA_STARTS, given.starts)


def _is_reviewed(out: Path) -> bool:
    """Whether anybody has decided anything: the log of who has only looked holds its first line alone."""
    path = out / REVIEW_LOG
    return path.exists() and path.read_bytes().count(b"\n") > 1


def _check_unchanged_table(reviewed: Path, estimates: Sequence[Estimate]) -> None:
    """Decisions are about the rows of one table: with any other in its place they could be read no more."""
    fresh = reviewed.with_name(f"new-{DISTANCES}")
    try:
        write_distances(fresh, estimates)
        if sha256_of(fresh) != sha256_of(reviewed):
            raise RunError(
                f"{reviewed} has been reviewed, and would be another one now; it is left as it was. Choose another --out, or "
                f"`trapmeter review export` first, and then move {REVIEW_LOG} away"
            )
    finally:
        fresh.unlink(missing_ok=True)


def _write_traces(path: Path, seen: Sequence[MediumResult]) -> None:
    """Our own errors, for a report of them; no file without any."""
    traces = [f"{medium.media_id}\n{medium.trace}" for medium in seen if medium.trace]
    if traces:
        with atomic_file(path) as file:
            file.write("\n".join(traces).encode("utf-8", "backslashreplace").decode())
