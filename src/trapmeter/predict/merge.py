"""Joins what the shards of a run have seen, makes sure that it is all of one run, and measures."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from trapmeter import __version__
from trapmeter.errors import InputError, RunError, told
from trapmeter.files import alone_in
from trapmeter.journal import Place, find_pieces, join_journals
from trapmeter.predict.observe import Task
from trapmeter.predict.plan import Models, Work, load_models, plan_work, what_sight_depends_on
from trapmeter.predict.run import Progress, Run, finish, is_as_seen, open_journal, output_folder
from trapmeter.predict.run_json import REMADE, Clock
from trapmeter.predict.seen import MediumSeen
from trapmeter.predict.settings import JOURNAL, PredictSettings
from trapmeter.predict.shards import FORMAT, SHARD
from trapmeter.shares import Shard, deal, size_of


@dataclass(frozen=True, slots=True)
class _Finished:
    """A shard's folder, read back."""

    folder: Path
    shard: Shard
    settings: PredictSettings


def settings_of(folders: Sequence[Path], out: Path) -> PredictSettings:
    """The settings of the run that the folders are shards of, with its results in out.

    Raises:
        InputError: they are not all shards of one run, each once.
    """
    return _settings(list(map(_read_shard, folders)), out)


def merge(folders: Sequence[Path], out: Path, progress: Progress = lambda *_: None) -> Run:
    """Makes the results of a run from all its shards: the same distances.csv as without shards.

    No medium is opened, but all must lie where the shards found them.

    Raises:
        InputError: the folders are not all shards of one run, each once; or the media have changed since.
        RunError: a shard isn't finished or still at work, its journal is damaged, or out can't be used.
        ModelError: a model file is damaged.
    """
    clock = Clock()
    shards = list(map(_read_shard, folders))
    if any(out.resolve() == shard.folder.resolve() for shard in shards):
        raise InputError(f"{out} is the folder of a shard; choose another --out")
    settings = _settings(shards, out)
    with clock.stage("find"):
        work = plan_work(settings)
    with clock.stage("load models"):
        models = load_models(work, 1)
    with ExitStack() as locks:
        for shard in shards:
            locks.enter_context(alone_in(shard.folder))
        locks.enter_context(output_folder(out, overwrite=False))
        with clock.stage("join"):
            if (out / JOURNAL).exists():
                with open_journal(out, work, models, "choose another --out"):
                    """Another run's folder is refused."""
            seen = _join(shards, work, models)
        return finish(work, models, seen, clock, progress, shards=[str(shard.folder) for shard in shards])


def _settings(shards: Sequence[_Finished], out: Path) -> PredictSettings:
    return replace(_one_run(shards).settings, out=out, jobs=1, overwrite=False)


def _read_shard(folder: Path) -> _Finished:
    path = folder / SHARD
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["trapmeter_shard"] != FORMAT or data["trapmeter"] != __version__:
            raise InputError(
                f"{folder}: made by trapmeter {data['trapmeter']}, this is {__version__}; merge with that version, or give "
                "the commands of all shards again with --overwrite"
            )
        settings = PredictSettings.from_json(data["arguments"])
        return _Finished(folder, Shard(data["shard"], data["n_shards"]), settings)
    except OSError as error:
        raise InputError(
            f"{folder}: no shard of a run ({SHARD}: {error.strerror or error}); expected a folder that "
            "`trapmeter predict --shard` has made"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: not a file that trapmeter wrote ({told(error)}); delete it and give that shard's command again"
        ) from error


def _one_run(shards: Sequence[_Finished]) -> _Finished:
    """Makes sure that the folders are all shards of one run; returns the first."""
    if not shards:
        raise InputError("no shard given; name the folders that `trapmeter predict --shard` has made")
    first = shards[0]
    for other in shards[1:]:
        if other.shard.of != first.shard.of:
            raise InputError(
                f"{first.folder} is shard {first.shard} and {other.folder} is shard {other.shard}: of different runs"
            )
        if differences := _differences(first.settings, other.settings):
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


OF_A_MACHINE = {"out", "jobs", "overwrite"}
"""Arguments that may differ from shard to shard."""


def _differences(a: PredictSettings, b: PredictSettings) -> list[str]:
    before, now = a.to_json(), b.to_json()
    names = [name for name in before if name not in OF_A_MACHINE and before[name] != now[name]]
    return [f"{REMADE.get(name, name)} is {before[name]!r} and {now[name]!r}" for name in names]


def _join(shards: Sequence[_Finished], work: Work, models: Models) -> list[MediumSeen]:
    """Writes the journal of the whole run into the output folder; returns its pieces, one for each task, in their order."""
    header = what_sight_depends_on(work, models)
    tasks = {task.medium.media_id: task for task in work.asked.tasks}
    found: dict[str, tuple[MediumSeen, Place]] = {}
    for shard in shards:
        path = shard.folder / JOURNAL
        if not path.exists():
            raise RunError(f"{path}: no such file; give the command of shard {shard.shard} again")
        for seen, place in find_pieces(path, header, MediumSeen.from_json):
            key = seen.media_id
            # A medium is in two shards where files came between their starts: what could be read counts.
            if seen.failure:
                counts = key not in found or bool(found[key][0].failure)
            else:
                counts = key in tasks and is_as_seen(tasks[key], seen)
            if counts:
                found[key] = seen, place
    if left := [task for key, task in tasks.items() if key not in found]:
        raise RunError(_unfinished(list(tasks.values()), left, shards[0].shard.of))
    join_journals([found[key][1] for key in tasks], header, work.settings.out / JOURNAL)
    return [found[key][0] for key in tasks]


def _unfinished(tasks: Sequence[Task], left: Sequence[Task], n: int) -> str:
    """Which shards have not seen what."""
    shares = deal([(size_of(task.medium.path), task.medium.media_id) for task in tasks], n)
    shard_of = {media_id: number for number, share in enumerate(shares, 1) for media_id in share}
    counts = Counter(shard_of[task.medium.media_id] for task in left)
    names = ", ".join(f"{number}/{n} ({count} media)" for number, count in sorted(counts.items())[:10])
    return (
        f"not finished: {names}, the first of them {left[0].medium.media_id}; give the commands of these shards again, or of "
        "all if files came or went since: what is done is kept"
    )
