"""Shards are parsed, and work is split evenly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trapmeter.errors import InputError
from trapmeter.parallel.sharding import Shard, parse_shard, split_evenly


@given(st.lists(st.integers(0, 10**9)), st.integers(1, 20))
def test_each_item_is_in_one_part_and_parts_are_even(sizes: list[int], n: int) -> None:
    parts = split_evenly([(size, number) for number, size in enumerate(sizes)], n)
    assert len(parts) == n
    assert sorted(number for part in parts for number in part) == list(range(len(sizes)))
    loads = [sum(sizes[number] for number in part) for part in parts]
    # Each part was the smallest before it got its last item.
    for part, load in zip(parts, loads, strict=True):
        if part:
            assert load - sizes[part[-1]] <= min(loads)


def test_items_of_size_0_are_split_by_number() -> None:
    assert [len(part) for part in split_evenly([(0, number) for number in range(10)], 3)] == [4, 3, 3]


def test_a_shard_is_written_as_two_numbers() -> None:
    assert parse_shard("2/8") == Shard(2, 8)
    for text in ("0/8", "9/8", "0/0"):
        with pytest.raises(InputError, match="--shard counts from 1/"):
            parse_shard(text)
    for text in ("2", "a/b", "-1/8", "1/2/3", ""):
        with pytest.raises(InputError, match="--shard is i/n"):
            parse_shard(text)
