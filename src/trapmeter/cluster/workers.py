"""Runs one function over many tasks in the actors of a Ray cluster: `trapmeter.workers.run_all` on many machines.

Actors of Ray Core, each of which makes itself ready once and then has at most two tasks in hand. The longest tasks go out
first, so that none is left to a single worker at the end. An actor that is lost, with its machine or alone, is replaced and
its tasks are given to others; a task that has ended its worker MOST_TRIES times is given up.
"""

from __future__ import annotations

import heapq
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Generic, TypeVar

from trapmeter.errors import RunError
from trapmeter.workers import Lost, call

Task = TypeVar("Task")
Result = TypeVar("Result")

MOST_TRIES = 3
LOST = f"its worker ended {MOST_TRIES} times: the decoder crashes, or there is too little memory"

IN_HAND = 2
"""Tasks of a worker: one at work, and one so that it needn't wait for the next."""

_LOOK_AGAIN_S = 0.5


def run_all_on_ray(
    tasks: Iterable[Task],
    work: Callable[[Task], Result],
    *,
    jobs: int,
    limit_s: Callable[[Task], float],
    start: Callable[[], None] | None = None,
) -> Iterator[tuple[Task, Result | Lost]]:
    """As `trapmeter.workers.run_all`, on the cluster that this process has joined; a `RunAll`.

    limit_s also tells which tasks go out first: those that may take longest.

    Raises:
        RunError: work raised it, workers can't make themselves ready, or the cluster is gone. All workers are stopped.
    """
    crew = _Crew(work, start, jobs)
    waiting = [_Given(-limit_s(task), number, task) for number, task in enumerate(tasks)]
    heapq.heapify(waiting)
    try:
        while waiting or crew.is_busy:
            crew.hand_out(waiting)
            for given, outcome in crew.collect():
                if outcome is _Again.AGAIN:
                    heapq.heappush(waiting, given)
                else:
                    yield given.task, outcome
    finally:
        crew.stop()


class _Again(Enum):
    """What comes of a task that is to be tried again; None may be somebody's result."""

    AGAIN = auto()


@dataclass(order=True, slots=True)
class _Given(Generic[Task]):
    """A task, ordered by how long it may take; tries: how many workers have ended with it."""

    minus_limit_s: float
    number: int
    task: Task = field(compare=False)
    tries: int = field(default=0, compare=False)


@dataclass(eq=False, slots=True)
class _Hand(Generic[Task]):
    """A worker of the cluster with the tasks that it has in hand, in the order in which it does them.

    ready: that it has made itself ready, until that is known; since_s: when it came to its first task.
    """

    actor: Any
    ready: Any
    in_hand: deque[tuple[Any, _Given[Task]]] = field(default_factory=deque)
    since_s: float = 0.0


class _Crew(Generic[Task, Result]):
    """The workers at hand."""

    def __init__(self, work: Callable[[Task], Result], start: Callable[[], None] | None, jobs: int) -> None:
        import ray

        # An actor that Ray restarts by itself would come back without being ready: lost ones are replaced here. Spread out,
        # since each machine has room for only so many copies of the networks.
        self._remote = ray.remote(Worker).options(
            num_cpus=1, max_restarts=0, max_task_retries=0, scheduling_strategy="SPREAD"
        )
        self._work, self._start, self._jobs = work, start, jobs
        self._hands: list[_Hand[Task]] = []
        self._n_unready = 0

    @property
    def is_busy(self) -> bool:
        """Some worker has a task in hand."""
        return any(hand.in_hand for hand in self._hands)

    def hand_out(self, waiting: list[_Given[Task]]) -> None:
        """Gives the first of the waiting tasks to those who are ready and have fewest."""
        n_wanted = min(self._jobs, len(waiting) + sum(bool(hand.in_hand) for hand in self._hands))
        while len(self._hands) < n_wanted:
            actor = self._remote.remote(self._work)
            self._hands.append(_Hand(actor, actor.get_ready.remote(self._start)))
        # Not before they are ready: a worker that ends tells nothing of what it had done before.
        ready = [hand for hand in self._hands if hand.ready is None]
        while waiting and ready:
            hand = min(ready, key=lambda hand: len(hand.in_hand))
            # For the same reason, one that may have ended a worker is to be alone with its next.
            is_alone = any(given.tries for given in (waiting[0], *(given for _, given in hand.in_hand)))
            if len(hand.in_hand) >= (1 if is_alone else IN_HAND):
                return
            given = heapq.heappop(waiting)
            if not hand.in_hand:
                hand.since_s = time.monotonic()
            hand.in_hand.append((hand.actor.do.remote(given.task), given))

    def collect(self) -> Iterator[tuple[_Given[Task], Result | Lost | _Again]]:
        """Waits a little; the tasks that are done, and those that are to be tried again."""
        import ray

        pending = [hand.ready for hand in self._hands if hand.ready is not None]
        pending += [hand.in_hand[0][0] for hand in self._hands if hand.ready is None and hand.in_hand]
        ray.wait(pending, num_returns=1, timeout=_LOOK_AGAIN_S)
        for hand in list(self._hands):
            if hand.ready is not None:
                self._meet(hand)
            while hand.ready is None and hand.in_hand and _is_there(hand.in_hand[0][0]):
                answer, given = hand.in_hand[0]
                try:
                    outcome = ray.get(answer)
                except ray.exceptions.RayTaskError as error:
                    # What the worker foresees it returns: its code couldn't be run at all.
                    raise RunError(_last_line(error)) from error
                except ray.exceptions.RayError:
                    yield from self._lose(hand, LOST)
                    break
                hand.in_hand.popleft()
                hand.since_s = time.monotonic()
                if isinstance(outcome, RunError):
                    raise outcome
                yield given, outcome
            yield from self._give_up_hanging(hand)

    def stop(self) -> None:
        """Ends all workers."""
        for hand in self._hands:
            self._end(hand)
        self._hands.clear()

    def _meet(self, hand: _Hand[Task]) -> None:
        """Looks whether a new worker is ready."""
        import ray

        if not _is_there(hand.ready):
            return
        try:
            ray.get(hand.ready)
        except ray.exceptions.RayTaskError as error:
            raise RunError(f"a worker of the cluster can't make itself ready: {_last_line(error)}") from error
        except ray.exceptions.RayError as error:
            self._n_unready += 1
            if self._n_unready >= MOST_TRIES:
                raise RunError(
                    f"{self._n_unready} workers of the cluster ended before they were ready ({_last_line(error)}); is there "
                    "too little memory? give the same command again with a smaller --jobs"
                ) from error
            self._end(hand)
            self._hands.remove(hand)
            return
        self._n_unready, hand.ready = 0, None

    def _lose(self, hand: _Hand[Task], reason: str) -> Iterator[tuple[_Given[Task], Result | Lost | _Again]]:
        """A worker is gone, or to go: the task that it was at has been tried, the other waits again."""
        self._end(hand)
        self._hands.remove(hand)
        (_, first), *others = hand.in_hand
        hand.in_hand.clear()
        for _, given in others:
            yield given, _Again.AGAIN
        first.tries += 1
        yield first, _Again.AGAIN if first.tries < MOST_TRIES else Lost(reason)

    def _give_up_hanging(self, hand: _Hand[Task]) -> Iterator[tuple[_Given[Task], Result | Lost | _Again]]:
        if hand.ready is None and hand.in_hand:
            given = hand.in_hand[0][1]
            if time.monotonic() - hand.since_s > -given.minus_limit_s:
                given.tries = MOST_TRIES
                yield from self._lose(hand, f"given up after {-given.minus_limit_s:.0f} s: decoding hangs")

    def _end(self, hand: _Hand[Task]) -> None:
        import ray

        ray.kill(hand.actor, no_restart=True)


class Worker:
    """A worker's side. It is ready once for its whole life: loading models takes longer than a short video."""

    def __init__(self, work: Callable[[Any], Any]) -> None:
        self._work = work

    def get_ready(self, start: Callable[[], None] | None) -> None:
        """Does what is to be done before the first task."""
        if start is not None:
            start()

    def do(self, task: Any) -> Any:
        """The result of a task; what ends the whole run is returned, since Ray wraps what is raised."""
        try:
            return call(self._work, task)
        except RunError as error:
            return error


def _is_there(answer: Any) -> bool:
    import ray

    return bool(ray.wait([answer], timeout=0)[0])


def _last_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[-1].strip()
