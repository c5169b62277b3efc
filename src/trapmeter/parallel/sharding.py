"""Split work evenly between commands that do not communicate, as a Slurm array starts them."""

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
    """The number-th of `of` shares of a run, counted from 1."""

    number: int
    of: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of:
            raise InputError(f"--shard counts from 1/{self.of} to {self.of}/{self.of}, got {self.number}/{self.of}")

    @property
    def name(self) -> str:
        """Of its folder below the run's."""
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


def split_evenly(items: Sequence[tuple[int, Item]], n: int) -> list[list[Item]]:
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


def items_of_shard(items: Sequence[Item], shard: Shard, path_of: Callable[[Item], AnyPath]) -> list[Item]:
    """A shard's items, in the order of all, dealt by the sizes of their files."""
    sizes = [(file_state_or_zeros(path_of(item)).size_bytes, number) for number, item in enumerate(items)]
    return [items[number] for number in sorted(split_evenly(sizes, shard.of)[shard.number - 1])]
