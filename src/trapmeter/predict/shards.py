"""A run in shards: each machine looks at its share of the media, and `merge` makes one result of what all have seen.

Shards know nothing of each other and need no engine: n runs of one command, as a Slurm array starts them. A shard only looks;
measuring needs all media of a site at once and is left to `merge.py`, so that the rows are those of a run in one piece.
"""

from __future__ import annotations

import heapq
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from trapmeter import __version__
from trapmeter.errors import InputError
from trapmeter.files import whole_file
from trapmeter.predict.observe import Task
from trapmeter.predict.plan import load_models, plan_work
from trapmeter.predict.run import Progress, look, open_journal, output_folder
from trapmeter.predict.settings import PredictSettings

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
    numbers = deal([(size_of(task), number) for number, task in enumerate(tasks)], shard.of)[shard.number - 1]
    return [tasks[number] for number in sorted(numbers)]


def size_of(task: Task) -> int:
    """Bytes of the medium's file; 0 for one that is gone."""
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
