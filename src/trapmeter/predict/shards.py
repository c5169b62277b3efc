"""A run in shards: each machine looks at its share of the media, and `merge` makes one result of what all have seen.

Shards know nothing of each other and need no engine: n runs of one command, as a Slurm array starts them. A shard only looks;
measuring needs all media of a site at once and is left to the merge, so that its rows are those of a run in one piece.
"""

from __future__ import annotations

import heapq
import json
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from trapmeter import __version__
from trapmeter.errors import InputError, RunError, told
from trapmeter.files import alone_in, whole_file
from trapmeter.journal import Place, find_pieces, join_journals
from trapmeter.predict.observe import Task
from trapmeter.predict.plan import Models, Work, load_models, plan_work, what_sight_depends_on
from trapmeter.predict.run import Progress, Run, finish, is_as_seen, look, open_journal, output_folder
from trapmeter.predict.run_json import REMADE, Clock
from trapmeter.predict.seen import MediumSeen
from trapmeter.predict.settings import JOURNAL, PredictSettings

SHARD = "shard.json"
FORMAT = 1

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Shard:
    """The number-th of `of` shares of a run, counted from 1."""

    number: int
    of: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of:
            raise InputError(f"--shard counts from 1/{self.of} to {self.of}/{self.of}, got {self.number}/{self.of}")

    @property
    def name(self) -> str:
        """Of its folder below --out."""
        return f"shard-{self.number}-of-{self.of}"

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


def parse_shard(text: str) -> Shard:
    """The shard that a user wrote.

    Raises:
        InputError: it is not two numbers such as 2/8.

    Example:
        >>> parse_shard("2/8")
        Shard(number=2, of=8)
    """
    if re.fullmatch(r"[0-9]{1,6}/[0-9]{1,6}", text) is None:
        raise InputError(f"--shard is i/n, such as 2/8 for the second of eight; got {text!r}")
    number, of = map(int, text.split("/"))
    return Shard(number, of)


def deal(items: Sequence[tuple[int, Item]], n: int) -> list[list[Item]]:
    """Every item in exactly one of n shares, whose sums are nearly even.

    The largest come first, each into the share that has least (Graham's rule, 1969: no share is larger than 4/3 of what the
    best deal would give). items: size >= 0, and the item, in an order that is the same for all who deal.
    """
    shares: list[list[Item]] = [[] for _ in range(n)]
    loads = [(0, 0, number) for number in range(n)]
    for size, item in sorted(items, key=lambda pair: -pair[0]):
        # Where sizes tell nothing, such as for files that are gone, numbers are kept even.
        load, count, number = heapq.heappop(loads)
        shares[number].append(item)
        heapq.heappush(loads, (load + size, count + 1, number))
    return shares


@dataclass(frozen=True, slots=True)
class ShardRun:
    """What a shard has done: media of its share, those with failures among them, and its folder."""

    shard: Shard
    folder: Path
    n_media: int
    n_failed: int
    n_errors_of_ours: int


def predict_shard(settings: PredictSettings, shard: Shard, progress: Progress = lambda *_: None) -> ShardRun:
    """Looks at a shard's media, and keeps what was seen in a folder of its own below settings.out.

    Raises:
        InputError, RunError, ModelError: as `predict`.
    """
    work = plan_work(settings)
    tasks = share_of(work.asked.tasks, shard)
    models = load_models(work, len(tasks))
    folder = settings.out / shard.name
    with output_folder(folder, overwrite=settings.overwrite), open_journal(folder, work, models) as journal:
        _write_shard(folder / SHARD, shard, settings)
        seen = look(tasks, journal, models, progress)
    return ShardRun(
        shard, folder, len(seen), sum(medium.has_failed for medium in seen), sum(bool(medium.trace) for medium in seen)
    )


def share_of(tasks: Sequence[Task], shard: Shard) -> list[Task]:
    """A shard's tasks, in the order of all."""
    numbers = deal([(_size(task), number) for number, task in enumerate(tasks)], shard.of)[shard.number - 1]
    return [tasks[number] for number in sorted(numbers)]


def _size(task: Task) -> int:
    try:
        return task.medium.path.stat().st_size
    except OSError:
        return 0


def _write_shard(path: Path, shard: Shard, settings: PredictSettings) -> None:
    data = {
        "trapmeter_shard": FORMAT,
        "trapmeter": __version__,
        "shard": shard.number,
        "n_shards": shard.of,
        "arguments": settings.from_anywhere().to_json(),
    }
    with whole_file(path) as file:
        json.dump(data, file, indent=2)
        file.write("\n")


@dataclass(frozen=True, slots=True)
class _Finished:
    """A shard's folder, read back."""

    folder: Path
    shard: Shard
    version: str
    settings: PredictSettings


def settings_of(folders: Sequence[Path], out: Path) -> PredictSettings:
    """The settings of the run that the folders are shards of, with its results in out.

    Raises:
        InputError: they are not all shards of one run, each once.
    """
    return replace(_one_run(list(map(_read_shard, folders))).settings, out=out, jobs=1, overwrite=False)


def merge(folders: Sequence[Path], out: Path, progress: Progress = lambda *_: None) -> Run:
    """Makes the results of a run from all its shards: the same distances.csv as without shards.

    No medium is opened, but all must lie where the shards found them.

    Raises:
        InputError: the folders are not all shards of one run, each once; or the media have changed since.
        RunError: a shard isn't finished or still at work, its journal is damaged, or out can't be used.
        ModelError: a model file is damaged.
    """
    clock = Clock()
    settings = settings_of(folders, out)
    shards = [_read_shard(folder) for folder in folders]
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
                with open_journal(out, work, models):
                    """Another run's folder is refused."""
            _join(shards, work, models)
        with open_journal(out, work, models) as journal:
            seen = [journal.done[task.medium.media_id] for task in work.asked.tasks]
        return finish(work, models, seen, clock, progress, shards=[str(shard.folder) for shard in shards])


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
        return _Finished(folder, Shard(data["shard"], data["n_shards"]), data["trapmeter"], settings)
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


def _join(shards: Sequence[_Finished], work: Work, models: Models) -> None:
    """Writes the journal of the whole run into the output folder, with a piece for each medium in the order of the tasks."""
    header = what_sight_depends_on(work, models)
    tasks = {task.medium.media_id: task for task in work.asked.tasks}
    found: dict[str, Place] = {}
    failed: set[str] = set()
    for shard in shards:
        path = shard.folder / JOURNAL
        if not path.exists():
            raise RunError(f"{path}: no such file; give the command of shard {shard.shard} again")
        for seen, place in find_pieces(path, header, MediumSeen.from_json):
            key = seen.media_id
            # A medium is in two shards where files came between their starts: what could be read counts.
            if seen.failure and (key not in found or key in failed):
                found[key] = place
                failed.add(key)
            elif not seen.failure and key in tasks and is_as_seen(tasks[key], seen):
                found[key] = place
                failed.discard(key)
    if left := [task for key, task in tasks.items() if key not in found]:
        raise RunError(_unfinished(list(tasks.values()), left, shards[0].shard.of))
    join_journals([found[key] for key in tasks], header, work.settings.out / JOURNAL)


def _unfinished(tasks: Sequence[Task], left: Sequence[Task], n: int) -> str:
    """Which shards have not seen what."""
    shares = deal([(_size(task), task.medium.media_id) for task in tasks], n)
    shard_of = {media_id: number for number, share in enumerate(shares, 1) for media_id in share}
    counts = Counter(shard_of[task.medium.media_id] for task in left)
    names = ", ".join(f"{number}/{n} ({count} media)" for number, count in sorted(counts.items())[:10])
    return (
        f"not finished: {names}, the first of them {left[0].medium.media_id}; give the commands of these shards again, or of "
        "all if files came or went since: what is done is kept"
    )
