"""Decoding while the detector or the networks work on what was decoded before."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

N_AHEAD = 4
"""How many pictures or windows are decoded ahead, and so held at most: enough for one that takes longer than the others."""

Item = TypeVar("Item")


class Ahead:
    """Runs iterators in a thread of their own. spent_s: seconds that the thread worked, whether somebody waited or not."""

    def __init__(self) -> None:
        self.spent_s = 0.0

    def over(self, items: Iterator[Item]) -> Iterator[Item]:
        """The same items in the same order; what items raises is raised here."""
        with ThreadPoolExecutor(max_workers=1) as thread:
            waiting = deque(thread.submit(self._next, items) for _ in range(N_AHEAD))
            while item := waiting.popleft().result():
                waiting.append(thread.submit(self._next, items))
                yield item[0]

    def _next(self, items: Iterator[Item]) -> tuple[Item] | None:
        started = time.perf_counter()
        try:
            return (next(items),)
        except StopIteration:
            return None
        finally:
            self.spent_s += time.perf_counter() - started
