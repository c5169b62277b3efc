"""A run from paths to results: find, look, measure, write. Broken off, it goes on where it stopped."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trapmeter.errors import RunError
from trapmeter.files import alone_in, sha256_of, whole_file
from trapmeter.frames.store import FrameStore
from trapmeter.journal import START_ANEW, Journal
from trapmeter.predict.facts import facts_of
from trapmeter.predict.given import Given
from trapmeter.predict.measure import measure
from trapmeter.predict.observe import Task
from trapmeter.predict.plan import Models, Work, load_models, plan_work, what_sight_depends_on
from trapmeter.predict.run_json import Clock, changed_arguments, facts_of_run
from trapmeter.predict.seen import MediumSeen
from trapmeter.predict.settings import JOURNAL, PredictSettings
from trapmeter.predict.summary import Summary, summarise
from trapmeter.predict.workers import observe_all
from trapmeter.records import Estimate
from trapmeter.storage.address import Location
from trapmeter.tables.distances import DECISIONS, write_distances
from trapmeter.tables.distances import NAME as DISTANCES
from trapmeter.tables.sightings import write_media_starts
from trapmeter.workers import THIS_MACHINE, Engine, Patience

RUN = "run.json"
ERRORS = "errors.log"
MEDIA_STARTS = "media-times.csv"
"""When each medium starts, where a package tells it: for `trapmeter density --media-times`."""

Progress = Callable[[str, int, int, int], None]
"""Called with the stage ("look" or "measure"), media done, media in all, and media that failed."""


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run: its rows, its counts, and all that tells how they came about (the content of run.json)."""

    root: Location
    estimates: tuple[Estimate, ...]
    summary: Summary
    facts: dict[str, Any]
    store: FrameStore | None = None
    """Where the pictures are in place of root."""


def predict(settings: PredictSettings, progress: Progress = lambda *_: None, engine: Engine = THIS_MACHINE) -> Run:
    """Measures all animals in the given media and writes distances.csv and run.json into settings.out.

    engine: what the workers run on; by default processes of this machine.

    Raises:
        InputError: a path, table or argument is wrong; nothing was done.
        RunError: the output folder is in use, holds a run with other settings, or can't be written.
        ModelError: a model file is damaged.
    """
    clock = Clock()
    with clock.stage("find"):
        work = plan_work(settings)
    with clock.stage("load models"):
        models = load_models(work, len(work.asked.tasks), engine.n_machines)
    with output_folder(settings.out, overwrite=settings.overwrite):
        with clock.stage("look"), open_journal(settings.out, work, models) as journal:
            seen = look(work.asked.tasks, journal, models, progress, engine)
        return finish(work, models, seen, clock, progress)


def look(
    tasks: Sequence[Task],
    journal: Journal[MediumSeen],
    models: Models,
    progress: Progress = lambda *_: None,
    engine: Engine = THIS_MACHINE,
) -> list[MediumSeen]:
    """Looks at the media that the journal doesn't hold as they are now; failures are tried again."""
    kept = {
        task.medium.media_id: before
        for task in tasks
        if (before := journal.done.get(task.medium.media_id)) and not before.failure and is_as_seen(task, before)
    }
    left = [task for task in tasks if task.medium.media_id not in kept]
    done, n_failed = len(kept), 0
    progress("look", done, len(tasks), n_failed)
    jobs = min(models.jobs, max(1, len(left)))
    for seen in observe_all(left, models.make_eyes, jobs, Patience(), engine.run_all) if left else ():
        journal.add(seen)
        done += 1
        n_failed += seen.has_failed
        progress("look", done, len(tasks), n_failed)
    return [journal.done[task.medium.media_id] for task in tasks]


def finish(
    work: Work,
    models: Models,
    looked_at: Sequence[MediumSeen],
    clock: Clock,
    progress: Progress = lambda *_: None,
    **more: Any,
) -> Run:
    """Measures what was seen in all media of a run, and writes its files; more: what else run.json should tell."""
    settings = work.settings
    seen = [*looked_at, *work.asked.missing]
    with clock.stage("measure"):
        known = facts_of(seen, work.told, settings)
        done = 0

        def measured(n_media: int) -> None:
            nonlocal done
            done += n_media
            progress("measure", done, len(seen), 0)

        estimates = measure(seen, work.told.site_ids, models.distances, known, measured)
    summary = summarise(seen, estimates, work.asked.n_unasked)
    with clock.stage("write"):
        _write_tables(settings.out, estimates, work.given)
    facts = {**facts_of_run(work, models, seen, known, summary, clock), **more}
    facts["changed"] = changed_arguments(settings.out / RUN, facts)
    _write_traces(settings.out / ERRORS, seen)
    with whole_file(settings.out / RUN) as file:
        json.dump(facts, file, indent=2)
        file.write("\n")
    return Run(work.found.root, tuple(estimates), summary, facts, work.store)


def open_journal(out: Path, work: Work, models: Models, way_out: str = START_ANEW) -> Journal[MediumSeen]:
    """The journal in a folder, to be opened with `with`; way_out: what to do where it doesn't fit.

    Raises:
        RunError: the folder holds a run with other settings.
    """
    return Journal(out / JOURNAL, what_sight_depends_on(work, models), MediumSeen.from_json, way_out)


def is_as_seen(task: Task, seen: MediumSeen) -> bool:
    """The medium's file is still as it was when it was looked at."""
    try:
        status = task.medium.path.stat()
    except OSError:
        return False
    return (seen.size_bytes, seen.modified_ns) == (status.st_size, status.st_mtime_ns)


@contextmanager
def output_folder(out: Path, *, overwrite: bool) -> Iterator[None]:
    """The output folder, made if need be and for this run alone; without what an earlier one left, if so asked."""
    with alone_in(out):
        if overwrite and _is_reviewed(out):
            raise RunError(f"{out} has been reviewed; choose another --out, or move {DECISIONS} away")
        if (out / DISTANCES).exists() and not (out / JOURNAL).exists() and not overwrite:
            raise RunError(f"{out} holds other results, such as corrected ones; choose another --out")
        for name in (JOURNAL, DISTANCES, MEDIA_STARTS, RUN, ERRORS) if overwrite else ():
            try:
                (out / name).unlink(missing_ok=True)
            except OSError as error:
                raise RunError(f"{out / name} can't be deleted: {error.strerror or error}; close it first") from error
        yield


def _write_tables(out: Path, estimates: Sequence[Estimate], given: Given) -> None:
    table = out / DISTANCES
    if table.exists() and _is_reviewed(out):
        _check_same(table, estimates)
    else:
        write_distances(table, estimates)
    if given.starts:
        write_media_starts(out / MEDIA_STARTS, given.starts)


def _is_reviewed(out: Path) -> bool:
    """Whether anybody has decided anything: the log of who has only looked holds its first line alone."""
    path = out / DECISIONS
    return path.exists() and path.read_bytes().count(b"\n") > 1


def _check_same(reviewed: Path, estimates: Sequence[Estimate]) -> None:
    """Decisions are about the rows of one table: with any other in its place they could be read no more."""
    fresh = reviewed.with_name(f"new-{DISTANCES}")
    try:
        write_distances(fresh, estimates)
        if sha256_of(fresh) != sha256_of(reviewed):
            raise RunError(
                f"{reviewed} has been reviewed, and would be another one now; it is left as it was. Choose another --out, or "
                f"`trapmeter review export` first, and then move {DECISIONS} away"
            )
    finally:
        fresh.unlink(missing_ok=True)


def _write_traces(path: Path, seen: Sequence[MediumSeen]) -> None:
    """Our own errors, for a report of them; no file without any."""
    traces = [f"{medium.media_id}\n{medium.trace}" for medium in seen if medium.trace]
    if traces:
        with whole_file(path) as file:
            file.write("\n".join(traces).encode("utf-8", "backslashreplace").decode())
