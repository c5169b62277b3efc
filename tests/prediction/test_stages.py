"""What is made ahead comes in order, is never much, and its errors arrive."""

import threading
from collections.abc import Iterator

import pytest

from trapmeter.prediction.stages import N_PREFETCHED, Prefetcher


def test_all_items_come_in_their_order() -> None:
    assert list(Prefetcher().prefetch(iter(()))) == []
    assert list(Prefetcher().prefetch(iter((0, None, "", False)))) == [0, None, "", False]
    assert list(Prefetcher().prefetch(iter(range(100)))) == list(range(100))


def test_no_more_than_a_few_are_made_ahead() -> None:
    made = 0

    def make() -> Iterator[int]:
        nonlocal made
        for number in range(50):
            made += 1
            yield number

    for taken, number in enumerate(Prefetcher().prefetch(make()), start=1):
        assert number == taken - 1
        assert made <= taken + N_PREFETCHED


def test_they_are_made_while_the_one_before_is_worked_on() -> None:
    second_made = threading.Event()

    def make() -> Iterator[int]:
        yield 0
        second_made.set()
        yield 1

    items = Prefetcher().prefetch(make())
    assert next(items) == 0
    # Nobody has asked for the second one yet.
    assert second_made.wait(timeout=300)
    assert list(items) == [1]


def test_an_error_comes_after_the_items_before_it() -> None:
    def make() -> Iterator[int]:
        yield 0
        yield 1
        raise OSError("the disk is gone")

    items = Prefetcher().prefetch(make())
    assert [next(items), next(items)] == [0, 1]
    with pytest.raises(OSError, match="the disk is gone"):
        next(items)
    assert list(items) == []


def test_the_thread_ends_with_who_takes_from_it() -> None:
    before = threading.active_count()
    items = Prefetcher().prefetch(iter(range(1000)))
    assert next(items) == 0
    assert threading.active_count() == before + 1
    items.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_the_time_of_the_work_is_told() -> None:
    ahead = Prefetcher()
    assert ahead.spent_s == 0
    list(ahead.prefetch(iter(range(3))))
    assert ahead.spent_s > 0
