"""Runs a prediction from media to result files: plans, processes media, estimates distances, writes. Resumable."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trapmeter.errors import RunError
from trapmeter.files import atomic_file, lock_folder, sha256_of
from trapmeter.frames.store import FrameStore
from trapmeter.journal import START_OVER, Journal, has_entries
from trapmeter.parallel.workers import THIS_MACHINE, Engine
from trapmeter.prediction.advice import advise
from trapmeter.prediction.camera_correction import find_camera_facts
from trapmeter.prediction.clock_checks import check_clocks
from trapmeter.prediction.estimates import RunSummary, count_results, estimate_distances, summarise_run
from trapmeter.prediction.event_animals import assign_events, find_bursts
from trapmeter.prediction.medium_pipeline import MediumTask
from trapmeter.prediction.medium_result import MediumResult
from trapmeter.prediction.plan import RunModels, RunPlan, journal_settings, load_models, plan_run
from trapmeter.prediction.provenance import RunClock, describe_run, find_changed_arguments
from trapmeter.prediction.recording_times import find_times
from trapmeter.prediction.settings import PredictSettings
from trapmeter.prediction.worker_models import process_media
from trapmeter.progress import Progress, no_progress
from trapmeter.records import Estimate
from trapmeter.storage.address import AnyPath
from trapmeter.storage.remote import file_state_or_zeros
from trapmeter.tables.distances import DISTANCES_CSV, JOURNAL, REVIEW_LOG, write_distances
from trapmeter.tables.medium_times import MEDIA_CSV, MediumTime, write_media

RUN_FILE = "run.json"
ERROR_LOG = "errors.log"


@dataclass(frozen=True, slots=True)
class PredictRun:
    """A finished run: its rows, its counts, and how they came about (the content of run.json).

    root: the folder that media_ids start from. store: where the pictures come from instead, if the run used a frame store.
    """

    root: AnyPath
    estimates: tuple[Estimate, ...]
    summary: RunSummary
    facts: dict[str, Any]
    store: FrameStore | None = None

    @property
    def has_internal_errors(self) -> bool:
        """Some media met an error in trapmeter; errors.log has the traces."""
        return bool(self.facts["errors_of_ours"])

    @property
    def has_failed_media(self) -> bool:
        """Some media, or some folders, could not be read."""
        return bool(self.summary.n_failed_media or self.facts["unreadable_folders"])


def run_prediction(
    settings: PredictSettings, progress: Progress = no_progress, engine: Engine = THIS_MACHINE
) -> PredictRun:
    """Predicts the distances of all animals in the media, and writes distances.csv and run.json into settings.out.

    progress: called with the stages "look" and "measure". engine: what the workers run on; by default processes of this
    machine.

    Raises:
        InputError: a path, table or argument is wrong; nothing was done.
        RunError: the output folder is in use, holds a run with other settings, or can't be written.
        ModelError: a model file is damaged.
    """
    clock = RunClock()
    with clock.stage("find"):
        plan = plan_run(settings)
    with clock.stage("load models"):
        models = load_models(plan, len(plan.task_plan.tasks), engine.n_machines)
    with claim_output_folder(settings.out, overwrite=settings.overwrite):
        with clock.stage("look"), open_journal(settings.out, plan, models) as journal:
            media = process_tasks(plan.task_plan.tasks, journal, models, progress, engine)
        return finish_run(plan, models, media, clock, progress)


def process_tasks(
    tasks: Sequence[MediumTask],
    journal: Journal[MediumResult],
    models: RunModels,
    progress: Progress = no_progress,
    engine: Engine = THIS_MACHINE,
) -> list[MediumResult]:
    """Processes the media that the journal lacks in their present state, and those that failed before.

    Networks that take facts also run again on the media about which others are stated now.
    """
    kept = {
        task.medium.media_id
        for task in tasks
        if (result := journal.done.get(task.medium.media_id))
        and not result.failure
        and is_unchanged(task, result)
        and (not models.take_facts or result.told == task.told)
    }
    left = [task for task in tasks if task.medium.media_id not in kept]
    n_done, n_failed = len(kept), 0
    progress("look", n_done, len(tasks), n_failed)
    jobs = min(models.jobs, max(1, len(left)))
    for result in process_media(left, models.open_models, jobs, models.time_limits, engine.run_tasks) if left else ():
        journal.add(result)
        n_done += 1
        n_failed += result.has_failed
        progress("look", n_done, len(tasks), n_failed)
    return [journal.done[task.medium.media_id] for task in tasks]


def finish_run(
    plan: RunPlan,
    models: RunModels,
    processed: Sequence[MediumResult],
    clock: RunClock,
    progress: Progress = no_progress,
    **more: Any,
) -> PredictRun:
    """Estimates the distances of all processed media, and writes the run's files; more: further facts for run.json."""
    settings = plan.settings
    media = [*processed, *plan.task_plan.missing]
    times = find_times(media, plan.camera_inputs.site_ids, plan.time_inputs)
    cameras = {medium.media_id: medium.camera for medium in media}
    times, time_notes = check_clocks(times, cameras, plan.time_inputs, clock.started_at)
    with clock.stage("measure"):
        camera_facts = find_camera_facts(media, plan.camera_inputs, settings)
        n_done = 0

        def count(n_media: int) -> None:
            nonlocal n_done
            n_done += n_media
            progress("measure", n_done, len(media), 0)

        estimates = estimate_distances(
            media,
            plan.camera_inputs.site_ids,
            models.estimator,
            camera_facts,
            count,
            models.told,
            find_bursts(times, media, plan.time_inputs, settings.burst_gap_s),
        )
    dated = assign_events(estimates, times, media, plan.time_inputs, settings)
    estimates, times = dated.estimates, dated.media
    doubts = sorted((medium.media_id, medium.doubts) for medium in media)
    summary = summarise_run(
        estimates,
        count_results(media, plan.task_plan.n_unasked),
        ((media_id, doubt) for media_id, texts in doubts for doubt in texts),
    )
    with clock.stage("write"):
        _write_tables(settings.out, estimates, times)
    facts = {**describe_run(plan, models, media, camera_facts, times, summary, clock), **more}
    facts["notes"] += [*time_notes, *dated.notes]
    facts["events"] = {"n_events": dated.n_events, "n_sequences": dated.n_sequences}
    animals = [row.observation for row in estimates if row.distance is not None]
    facts["notes"] += advise(models.estimator, camera_facts, animals)
    facts["changed"] = find_changed_arguments(settings.out / RUN_FILE, facts)
    _write_traces(settings.out / ERROR_LOG, media)
    with atomic_file(settings.out / RUN_FILE) as file:
        json.dump(facts, file, indent=2)
        file.write("\n")
    return PredictRun(plan.found.root, tuple(estimates), summary, facts, plan.store)


def open_journal(out: Path, plan: RunPlan, models: RunModels, remedy: str = START_OVER) -> Journal[MediumResult]:
    """The journal in a folder, to be opened with `with`; remedy: what to do if it belongs to another run.

    Raises:
        RunError: the folder holds a run with other settings.
    """
    return Journal(out / JOURNAL, journal_settings(plan, models), MediumResult.from_json, remedy)


def is_unchanged(task: MediumTask, result: MediumResult) -> bool:
    """Whether the medium's file is still in the state in which it was processed."""
    return (result.size_bytes, result.modified_ns) == file_state_or_zeros(task.medium.path)


@contextmanager
def claim_output_folder(out: Path, *, overwrite: bool) -> Iterator[None]:
    """Makes the output folder, and locks it for this run; overwrite: deletes an earlier run's files."""
    with lock_folder(out):
        if overwrite and _is_reviewed(out):
            raise RunError(f"{out} has been reviewed; choose another --out, or move {REVIEW_LOG} away")
        if (out / DISTANCES_CSV).exists() and not (out / JOURNAL).exists() and not overwrite:
            raise RunError(f"{out} holds other results, such as corrected ones; choose another --out")
        for name in (JOURNAL, DISTANCES_CSV, MEDIA_CSV, RUN_FILE, ERROR_LOG) if overwrite else ():
            try:
                (out / name).unlink(missing_ok=True)
            except OSError as error:
                raise RunError(f"{out / name} can't be deleted: {error.strerror or error}; close it first") from error
        yield


def _write_tables(out: Path, estimates: Sequence[Estimate], times: Sequence[MediumTime]) -> None:
    table = out / DISTANCES_CSV
    if table.exists() and _is_reviewed(out):
        _check_unchanged_table(table, estimates)
    else:
        write_distances(table, estimates)
    write_media(out / MEDIA_CSV, times)


def _is_reviewed(out: Path) -> bool:
    """Whether a person has decided anything; a review that was only opened has a log without entries."""
    return has_entries(out / REVIEW_LOG)


def _check_unchanged_table(reviewed: Path, estimates: Sequence[Estimate]) -> None:
    """A review's decisions refer to the rows of one table, and would be lost with another in its place."""
    new = reviewed.with_name(f"new-{DISTANCES_CSV}")
    try:
        write_distances(new, estimates)
        if sha256_of(new) != sha256_of(reviewed):
            raise RunError(
                f"{reviewed} has been reviewed, and this run would change it; it is left unchanged. Choose another --out, or "
                f"run `trapmeter review export` first and then move {REVIEW_LOG} away"
            )
    finally:
        new.unlink(missing_ok=True)


def _write_traces(path: Path, media: Sequence[MediumResult]) -> None:
    """Writes the traces of internal errors, for bug reports; no file if there are none."""
    traces = [f"{medium.media_id}\n{medium.trace}" for medium in media if medium.trace]
    if traces:
        with atomic_file(path) as file:
            file.write("\n".join(traces).encode("utf-8", "backslashreplace").decode())
