"""Prefetched items keep their order, are few, and their errors arrive."""

import threading
from collections.abc import Iterator

import pytest

from trapmeter.prediction.stages import N_PREFETCHED, Prefetcher


def test_prefetched_items_keep_their_order() -> None:
    assert list(Prefetcher().prefetch(iter(()))) == []
    assert list(Prefetcher().prefetch(iter((0, None, "", False)))) == [0, None, "", False]
    assert list(Prefetcher().prefetch(iter(range(100)))) == list(range(100))


def test_only_a_few_items_are_made_in_advance() -> None:
    made = 0

    def make() -> Iterator[int]:
        nonlocal made
        for number in range(50):
            made += 1
            yield number

    for taken, number in enumerate(Prefetcher().prefetch(make()), start=1):
        assert number == taken - 1
        assert made <= taken + N_PREFETCHED


def test_the_next_item_is_made_while_the_last_one_is_used() -> None:
    second_made = threading.Event()

    def make() -> Iterator[int]:
        yield 0
        second_made.set()
        yield 1

    items = Prefetcher().prefetch(make())
    assert next(items) == 0
    # The second one has not been requested yet.
    assert second_made.wait(timeout=3000)
    assert list(items) == [1]


def test_an_error_is_raised_after_the_items_before_it() -> None:
    def make() -> Iterator[int]:
        yield 0
        yield 1
        raise OSError("the disk is gone")

    items = Prefetcher().prefetch(make())
    assert [next(items), next(items)] == [0, 1]
    with pytest.raises(OSError, match="the disk is gone"):
        next(items)
    assert list(items) == []


def test_the_thread_ends_when_the_consumer_stops() -> None:
    before = threading.active_count()
    items = Prefetcher().prefetch(iter(range(1000)))
    assert next(items) == 0
    assert threading.active_count() == before + 1
    items.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_the_working_time_is_counted() -> None:
    prefetcher = Prefetcher()
    assert prefetcher.spent_s == 0
    list(prefetcher.prefetch(iter(range(3))))
    assert prefetcher.spent_s > 0
