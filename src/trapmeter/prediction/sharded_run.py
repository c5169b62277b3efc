"""Runs shards on machines that share only the media, and merges their results."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from trapmeter._version import __version__
from trapmeter.errors import InputError, RunError, error_text
from trapmeter.files import atomic_file, lock_folder
from trapmeter.journal import JournalPosition, find_entries, join_journals
from trapmeter.parallel.sharding import Shard, items_of_shard, split_evenly
from trapmeter.prediction.medium_pipeline import MediumTask
from trapmeter.prediction.medium_result import MediumResult
from trapmeter.prediction.plan import RunModels, RunPlan, journal_settings, load_models, plan_run
from trapmeter.prediction.provenance import RECOMPUTED, RunClock
from trapmeter.prediction.run import (
    PredictRun,
    claim_output_folder,
    finish_run,
    is_unchanged,
    open_journal,
    process_tasks,
)
from trapmeter.prediction.settings import RESULTS_LAYOUT, PredictSettings
from trapmeter.progress import Progress, no_progress
from trapmeter.settings import from_values, to_values
from trapmeter.storage.address import AnyPath, parse_path
from trapmeter.storage.publish import publish_folder
from trapmeter.storage.remote import file_state_or_zeros
from trapmeter.tables.distances import JOURNAL

SHARD_FILE = "shard.json"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class ShardRun:
    """A finished shard: its folder, the number of its media, and of those that failed or met an internal error."""

    shard: Shard
    folder: Path
    n_media: int
    n_failed: int
    n_internal_errors: int

    @property
    def has_internal_errors(self) -> bool:
        """Some media met an error in trapmeter."""
        return self.n_internal_errors > 0

    @property
    def has_failed_media(self) -> bool:
        """Some media could not be read."""
        return self.n_failed > 0


def predict_shard(
    settings: PredictSettings, shard: Shard, out: str | AnyPath | None = None, *, progress: Progress = no_progress
) -> ShardRun:
    """Processes a shard's media, and keeps their results in the shard's own folder below the run's.

    out: the run's folder, or an address such as s3://BUCKET/FOLDER, in place of settings.out.

    Raises:
        InputError, RunError, ModelError: as `predict`.
    """
    target = parse_path(str(settings.out if out is None else out)) / shard.name
    with publish_folder(target, RESULTS_LAYOUT, overwrite=settings.overwrite) as folder:
        settings = replace(settings, out=folder.parent)
        plan = plan_run(settings)
        tasks = items_of_shard(plan.task_plan.tasks, shard, lambda task: task.medium.path)
        models = load_models(plan, len(tasks))
        with claim_output_folder(folder, overwrite=settings.overwrite), open_journal(folder, plan, models) as journal:
            _write_shard(folder / SHARD_FILE, shard, settings)
            media = process_tasks(tasks, journal, models, progress)
    n_failed, n_internal_errors = sum(medium.has_failed for medium in media), sum(bool(m.trace) for m in media)
    return ShardRun(shard, folder, len(media), n_failed, n_internal_errors)


def _write_shard(path: Path, shard: Shard, settings: PredictSettings) -> None:
    data = {
        "trapmeter_shard": FORMAT,
        "trapmeter": __version__,
        "shard": shard.number,
        "n_shards": shard.of,
        "arguments": to_values(settings.with_absolute_paths()),
    }
    with atomic_file(path) as file:
        json.dump(data, file, indent=2)
        file.write("\n")


@dataclass(frozen=True, slots=True)
class _FinishedShard:
    """A shard's folder, read back."""

    folder: Path
    shard: Shard
    settings: PredictSettings


def read_run_settings(folders: Sequence[Path], out: Path) -> PredictSettings:
    """The settings of the run to which the shards' folders belong, with its results in out.

    Raises:
        InputError: they are not all shards of one run, each once.
    """
    return _run_settings(list(map(_read_shard, folders)), out)


def merge_shards(folders: Sequence[Path], out: Path, progress: Progress = no_progress) -> PredictRun:
    """Merges all shards of a run: distances.csv gets the same bytes as without shards.

    No medium is opened, but all must lie where the shards found them.

    Raises:
        InputError: the folders are not all shards of one run, each once; or the media have changed since.
        RunError: a shard isn't finished or is still running, its journal is damaged, or out can't be used.
        ModelError: a model file is damaged.
    """
    clock = RunClock()
    shards = list(map(_read_shard, folders))
    if any(out.resolve() == shard.folder.resolve() for shard in shards):
        raise InputError(f"{out} is the folder of a shard; choose another --out")
    settings = _run_settings(shards, out)
    with clock.stage("find"):
        plan = plan_run(settings)
    with clock.stage("load models"):
        models = load_models(plan, 1)
    with ExitStack() as locks:
        for shard in shards:
            locks.enter_context(lock_folder(shard.folder))
        locks.enter_context(claim_output_folder(out, overwrite=False))
        with clock.stage("join"):
            if (out / JOURNAL).exists():
                with open_journal(out, plan, models, "choose another --out"):
                    """Only checks that the folder is not another run's."""
            media = _join_shards(shards, plan, models)
        return finish_run(plan, models, media, clock, progress, shards=[str(shard.folder) for shard in shards])


def _run_settings(shards: Sequence[_FinishedShard], out: Path) -> PredictSettings:
    return replace(_check_one_run(shards).settings, out=out, jobs=1, overwrite=False)


def _read_shard(folder: Path) -> _FinishedShard:
    path = folder / SHARD_FILE
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["trapmeter_shard"] != FORMAT or data["trapmeter"] != __version__:
            raise InputError(
                f"{folder}: made by trapmeter {data['trapmeter']}, this is {__version__}; merge with that version, or run "
                "all shards again with --overwrite"
            )
        settings = from_values(PredictSettings, data["arguments"])
        return _FinishedShard(folder, Shard(data["shard"], data["n_shards"]), settings)
    except OSError as error:
        raise InputError(
            f"{folder}: no shard of a run ({SHARD_FILE}: {error.strerror or error}); expected a folder that "
            "`trapmeter predict --shard` made"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: not a file that trapmeter wrote ({error_text(error)}); delete it and run that shard again"
        ) from error


def _check_one_run(shards: Sequence[_FinishedShard]) -> _FinishedShard:
    """Checks that the folders are all shards of one run; returns the first."""
    if not shards:
        raise InputError("no shard given; name the folders that `trapmeter predict --shard` made")
    first = shards[0]
    for other in shards[1:]:
        if other.shard.of != first.shard.of:
            raise InputError(
                f"{first.folder} is shard {first.shard} and {other.folder} is shard {other.shard}: of different runs"
            )
        if differences := _setting_differences(first.settings, other.settings):
            raise InputError(f"{first.folder} and {other.folder} are of different runs: {'; '.join(differences)}")
    folders: dict[int, Path] = {}
    for shard in shards:
        number = shard.shard.number
        if number in folders:
            raise InputError(f"shard {shard.shard} is given twice: {folders[number]} and {shard.folder}")
        folders[number] = shard.folder
    if missing := sorted({*range(1, first.shard.of + 1)} - folders.keys()):
        names = ", ".join(str(Shard(number, first.shard.of)) for number in missing[:10])
        more = f" and {len(missing) - 10} more" if len(missing) > 10 else ""
        raise InputError(f"not all shards are given: {names}{more} missing; name their folders too, or run them first")
    return first


MACHINE_ARGUMENTS = {"out", "jobs", "overwrite"}
"""Arguments that may differ from shard to shard."""


def _setting_differences(a: PredictSettings, b: PredictSettings) -> list[str]:
    before, now = to_values(a), to_values(b)
    names = [name for name in before if name not in MACHINE_ARGUMENTS and before[name] != now[name]]
    return [f"{RECOMPUTED.get(name, name)} is {before[name]!r} and {now[name]!r}" for name in names]


def _join_shards(shards: Sequence[_FinishedShard], plan: RunPlan, models: RunModels) -> list[MediumResult]:
    """Writes the journal of the whole run into the output folder; returns its results, one for each task, in order."""
    header = journal_settings(plan, models)
    tasks = {task.medium.media_id: task for task in plan.task_plan.tasks}
    results: dict[str, tuple[MediumResult, JournalPosition]] = {}
    for shard in shards:
        path = shard.folder / JOURNAL
        if not path.exists():
            raise RunError(f"{path}: no such file; run shard {shard.shard} again")
        for result, position in find_entries(path, header, MediumResult.from_json):
            key = result.media_id
            # If files were added between the shards' starts, a medium may be in two: prefer the one that could be read.
            if result.failure:
                is_better = key not in results or bool(results[key][0].failure)
            else:
                is_better = key in tasks and is_unchanged(tasks[key], result)
                is_better &= not models.take_facts or result.told == tasks[key].told
            if is_better:
                results[key] = result, position
    if left := [task for key, task in tasks.items() if key not in results]:
        raise RunError(_unfinished_text(list(tasks.values()), left, shards[0].shard.of))
    join_journals([results[key][1] for key in tasks], header, plan.settings.out / JOURNAL)
    return [results[key][0] for key in tasks]


def _unfinished_text(tasks: Sequence[MediumTask], left: Sequence[MediumTask], n: int) -> str:
    """Which shards have how many media left."""
    sizes = [(file_state_or_zeros(task.medium.path).size_bytes, task.medium.media_id) for task in tasks]
    shares = split_evenly(sizes, n)
    shard_of = {media_id: number for number, share in enumerate(shares, 1) for media_id in share}
    counts = Counter(shard_of[task.medium.media_id] for task in left)
    names = ", ".join(f"{number}/{n} ({count} media)" for number, count in sorted(counts.items())[:10])
    return (
        f"not finished: {names}, the first of them {left[0].medium.media_id}; run these shards again, or all shards if files "
        "were added or removed since: finished work is kept"
    )
