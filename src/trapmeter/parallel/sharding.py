"""Splits a run into shards of even size for commands that don't communicate, such as those of a Slurm array."""

from __future__ import annotations

import heapq
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from trapmeter.errors import InputError
from trapmeter.storage.address import AnyPath
from trapmeter.storage.remote import file_state_or_zeros

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Shard:
    """One of several parts of a run: `number` of `of`, counted from 1."""

    number: int
    of: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of:
            raise InputError(f"--shard counts from 1/{self.of} to {self.of}/{self.of}, got {self.number}/{self.of}")

    @property
    def name(self) -> str:
        """The name of its folder, inside that of the run."""
        return f"shard-{self.number}-of-{self.of}"

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


def parse_shard(text: str) -> Shard:
    """The shard that a user means.

    Raises:
        InputError: the text is not two numbers such as 2/8.

    Example:
        >>> parse_shard("2/8")
        Shard(number=2, of=8)
    """
    if re.fullmatch(r"[0-9]{1,6}/[0-9]{1,6}", text) is None:
        raise InputError(f"--shard is i/n, such as 2/8 for the second of eight; got {text!r}")
    number, of = map(int, text.split("/"))
    return Shard(number, of)


def split_evenly(items: Sequence[tuple[int, Item]], n: int) -> list[list[Item]]:
    """Puts every item into one of n parts, so that their total sizes are nearly equal.

    Goes from the largest item to the smallest and adds each to the smallest part so far; no part exceeds 4/3 of the best
    possible split (Graham, 1969). items: pairs of a size >= 0 and the item, in the same order in every process.
    """
    parts: list[list[Item]] = [[] for _ in range(n)]
    loads = [(0, 0, number) for number in range(n)]
    for size, item in sorted(items, key=lambda pair: -pair[0]):
        # The count keeps parts even when sizes are equal or unknown, as those of missing files.
        load, count, number = heapq.heappop(loads)
        parts[number].append(item)
        heapq.heappush(loads, (load + size, count + 1, number))
    return parts


def items_of_shard(items: Sequence[Item], shard: Shard, path_of: Callable[[Item], AnyPath]) -> list[Item]:
    """The items of one shard in their original order; all shards have nearly the same total file size."""
    sizes = [(file_state_or_zeros(path_of(item)).size_bytes, number) for number, item in enumerate(items)]
    return [items[number] for number in sorted(split_evenly(sizes, shard.of)[shard.number - 1])]
