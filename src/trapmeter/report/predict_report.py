"""Predicts distances and writes the report in one call, for a run in one go or in shards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from trapmeter.parallel.engine import EngineName, EngineSettings, open_engine
from trapmeter.prediction.results import find_site_locations, read_run
from trapmeter.prediction.run import PredictRun, run_prediction
from trapmeter.prediction.settings import RESULTS_LAYOUT, PredictSettings, predict_settings
from trapmeter.prediction.sharded_run import SHARD_FILE, merge_shards, read_run_settings
from trapmeter.progress import Progress, no_progress
from trapmeter.report.comparison import Comparison, compare
from trapmeter.report.run_report import write_html
from trapmeter.storage.address import AnyPath, RemotePath, parse_path
from trapmeter.storage.publish import expand_pattern, fetch_folder, publish_folder
from trapmeter.tables.distances import JOURNAL
from trapmeter.tables.truth import read_truth


@dataclass(frozen=True, slots=True)
class ReportedRun:
    """A finished run whose report is written.

    out: the folder of results; report: the report in it. comparison: errors against the settings' known distances, if there
    are any. notes: what the user should know, a line each.
    """

    run: PredictRun
    out: AnyPath
    report: AnyPath
    comparison: Comparison | None
    notes: tuple[str, ...] = ()


def predict(
    paths: str | AnyPath | Sequence[str | AnyPath] = (),
    out: str | AnyPath = "results",
    *,
    workers: EngineSettings | None = None,
    progress: Progress = no_progress,
    **settings: Any,
) -> ReportedRun:
    """Predicts the distances of all animals in the media; writes distances.csv, run.json and report.html.

    The same call resumes a run that was interrupted.

    Args:
        paths: one or many videos, photos, folders or addresses.
        out: folder for the results, or an address such as s3://BUCKET/FOLDER.
        workers: what worker processes run on; by default this machine.
        progress: called as the run advances.
        settings: the other settings of `PredictSettings`, by name.

    Raises:
        InputError: a path, table or argument is wrong; nothing was done.
        MissingExtraError: a path or the engine needs a package that isn't installed.
        RunError: the output folder is in use, holds a run with other settings, or can't be written.
        ModelError: a model file is damaged.
    """
    return predict_and_report(predict_settings(paths, out, **settings), out, workers=workers, progress=progress)


def predict_and_report(
    settings: PredictSettings,
    out: str | AnyPath | None = None,
    *,
    workers: EngineSettings | None = None,
    progress: Progress = no_progress,
) -> ReportedRun:
    """As `predict`, with settings that are made already.

    out: a folder or an address such as s3://BUCKET/FOLDER, in place of settings.out.
    """
    workers = workers or EngineSettings()
    is_cluster = workers.engine is EngineName.RAY
    target = parse_path(str(settings.out if out is None else out))
    if is_cluster:
        # Ray's workers may have been started in another folder.
        settings = settings.with_absolute_paths()
    read_by_workers = (*settings.paths, *settings.models, settings.store, settings.own_detector)
    shared = [path for path in read_by_workers if path is not None]
    with (
        open_engine(workers, settings.jobs, shared) as opened,
        publish_folder(target, RESULTS_LAYOUT, overwrite=settings.overwrite) as folder,
    ):
        work_folder = folder.absolute() if is_cluster else folder
        settings = replace(settings, jobs=opened.jobs, out=work_folder)
        return _run_and_report(settings, target, lambda: run_prediction(settings, progress, opened.engine), progress)


def merge_and_report(
    shards: Sequence[str | AnyPath], out: str | AnyPath, *, progress: Progress = no_progress
) -> ReportedRun:
    """Merges the results of all shards of a run, and writes the files that the run would have written without shards.

    shards: their folders or addresses; the last name of an address may be a pattern, such as shard-*-of-8.

    Raises:
        InputError: they are not all shards of one run, each once; or the media have changed since.
        RunError: a shard isn't finished or is still running, its journal is damaged, or out can't be used.
        ModelError: a model file is damaged.
    """
    target = parse_path(str(out))
    sources = [folder for shard in shards for folder in expand_pattern(parse_path(str(shard)))]
    with ExitStack() as stack:
        folders = [stack.enter_context(fetch_folder(folder, (SHARD_FILE, JOURNAL))) for folder in sources]
        folder = stack.enter_context(publish_folder(target, RESULTS_LAYOUT))
        settings = read_run_settings(folders, folder)
        return _run_and_report(settings, target, lambda: merge_shards(folders, folder, progress), progress)


def _run_and_report(
    settings: PredictSettings, target: AnyPath, run_it: Callable[[], PredictRun], progress: Progress
) -> ReportedRun:
    # A wrong table should not come out after an hour's work.
    truth = None if settings.truth is None else read_truth(settings.truth)
    root = run_it().root
    # Read back from the folder, so that `trapmeter report` writes the same later: the table's rows are rounded.
    run = read_run(settings.out, root if isinstance(root, RemotePath) else None)
    places, notes = find_site_locations(run, settings.places)
    report = write_html(run, settings.out, truth=truth, places=places, progress=progress, jobs=settings.jobs)
    comparison = None if truth is None else compare(run.estimates, truth)
    return ReportedRun(run, target, target / report.name, comparison, notes)
