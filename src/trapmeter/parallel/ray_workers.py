"""Run one function over many tasks in the actors of a Ray cluster.

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
from trapmeter.parallel.workers import TaskFailure, run_task

Task = TypeVar("Task")
Result = TypeVar("Result")

MAX_TRIES = 3
CRASHED_REASON = f"its worker ended {MAX_TRIES} times: the decoder crashes, or there is too little memory"

TASKS_PER_ACTOR = 2
"""Tasks of a worker: one at work, and one so that it needn't wait for the next."""

_POLL_S = 0.5


def run_tasks_on_ray(
    tasks: Iterable[Task],
    work: Callable[[Task], Result],
    *,
    jobs: int,
    limit_s: Callable[[Task], float],
    start: Callable[[], None] | None = None,
) -> Iterator[tuple[Task, Result | TaskFailure]]:
    """As `trapmeter.parallel.workers.run_tasks`, on the cluster that this process has joined; a `RunAll`.

    limit_s also tells which tasks go out first: those that may take longest.

    Raises:
        RunError: work raised it, workers can't make themselves ready, or the cluster is gone. All workers are stopped.
    """
    crew = _ActorPool(work, start, jobs)
    waiting = [_QueuedTask(-limit_s(task), number, task) for number, task in enumerate(tasks)]
    heapq.heapify(waiting)
    try:
        while waiting or crew.is_busy:
            crew.assign(waiting)
            for given, outcome in crew.collect():
                if outcome is _Retry.AGAIN:
                    heapq.heappush(waiting, given)
                else:
                    yield given.task, outcome
    finally:
        crew.stop()


class _Retry(Enum):
    """What comes of a task that is to be tried again; None may be somebody's result."""

    AGAIN = auto()


@dataclass(order=True, slots=True)
class _QueuedTask(Generic[Task]):
    """A task, ordered by how long it may take; tries: how many workers have ended with it."""

    minus_limit_s: float
    number: int
    task: Task = field(compare=False)
    tries: int = field(default=0, compare=False)


@dataclass(eq=False, slots=True)
class _Actor(Generic[Task]):
    """A worker of the cluster with the tasks that it has in hand, in the order in which it does them.

    ready: that it has made itself ready, until that is known; since_s: when it came to its first task.
    """

    actor: Any
    ready: Any
    queue: deque[tuple[Any, _QueuedTask[Task]]] = field(default_factory=deque)
    since_s: float = 0.0


class _ActorPool(Generic[Task, Result]):
    """The workers at hand."""

    def __init__(self, work: Callable[[Task], Result], start: Callable[[], None] | None, jobs: int) -> None:
        import ray

        # An actor that Ray restarts by itself would come back without being ready: lost ones are replaced here. Spread out,
        # since each machine has room for only so many copies of the networks.
        self._remote = ray.remote(RayWorker).options(
            num_cpus=1, max_restarts=0, max_task_retries=0, scheduling_strategy="SPREAD"
        )
        self._work, self._start, self._jobs = work, start, jobs
        self._actors: list[_Actor[Task]] = []
        self._n_unready = 0

    @property
    def is_busy(self) -> bool:
        """Some worker has a task in hand."""
        return any(hand.queue for hand in self._actors)

    def assign(self, waiting: list[_QueuedTask[Task]]) -> None:
        """Gives the first of the waiting tasks to those who are ready and have fewest."""
        n_wanted = min(self._jobs, len(waiting) + sum(bool(hand.queue) for hand in self._actors))
        while len(self._actors) < n_wanted:
            actor = self._remote.remote(self._work)
            self._actors.append(_Actor(actor, actor.start.remote(self._start)))
        # Not before they are ready: a worker that ends tells nothing of what it had done before.
        ready = [hand for hand in self._actors if hand.ready is None]
        while waiting and ready:
            hand = min(ready, key=lambda hand: len(hand.queue))
            # For the same reason, one that may have ended a worker is to be alone with its next.
            is_alone = any(given.tries for given in (waiting[0], *(given for _, given in hand.queue)))
            if len(hand.queue) >= (1 if is_alone else TASKS_PER_ACTOR):
                return
            given = heapq.heappop(waiting)
            if not hand.queue:
                hand.since_s = time.monotonic()
            hand.queue.append((hand.actor.do.remote(given.task), given))

    def collect(self) -> Iterator[tuple[_QueuedTask[Task], Result | TaskFailure | _Retry]]:
        """Waits a little; the tasks that are done, and those that are to be tried again."""
        import ray

        pending = [hand.ready for hand in self._actors if hand.ready is not None]
        pending += [hand.queue[0][0] for hand in self._actors if hand.ready is None and hand.queue]
        ray.wait(pending, num_returns=1, timeout=_POLL_S)
        for hand in list(self._actors):
            if hand.ready is not None:
                self._check_ready(hand)
            while hand.ready is None and hand.queue and _is_done(hand.queue[0][0]):
                answer, given = hand.queue[0]
                try:
                    outcome = ray.get(answer)
                except ray.exceptions.RayTaskError as error:
                    # What the worker foresees it returns: its code couldn't be run at all.
                    raise RunError(_last_line(error)) from error
                except ray.exceptions.RayError:
                    yield from self._replace(hand, CRASHED_REASON)
                    break
                hand.queue.popleft()
                hand.since_s = time.monotonic()
                if isinstance(outcome, RunError):
                    raise outcome
                yield given, outcome
            yield from self._stop_hanging(hand)

    def stop(self) -> None:
        """Ends all workers."""
        for hand in self._actors:
            self._end(hand)
        self._actors.clear()

    def _check_ready(self, hand: _Actor[Task]) -> None:
        """Looks whether a new worker is ready."""
        import ray

        if not _is_done(hand.ready):
            return
        try:
            ray.get(hand.ready)
        except ray.exceptions.RayTaskError as error:
            raise RunError(f"a worker of the cluster can't make itself ready: {_last_line(error)}") from error
        except ray.exceptions.RayError as error:
            self._n_unready += 1
            if self._n_unready >= MAX_TRIES:
                raise RunError(
                    f"{self._n_unready} workers of the cluster ended before they were ready ({_last_line(error)}); is there "
                    "too little memory? give the same command again with a smaller --jobs"
                ) from error
            self._end(hand)
            self._actors.remove(hand)
            return
        self._n_unready, hand.ready = 0, None

    def _replace(
        self, hand: _Actor[Task], reason: str
    ) -> Iterator[tuple[_QueuedTask[Task], Result | TaskFailure | _Retry]]:
        """A worker is gone, or to go: the task that it was at has been tried, the other waits again."""
        self._end(hand)
        self._actors.remove(hand)
        (_, first), *others = hand.queue
        hand.queue.clear()
        for _, given in others:
            yield given, _Retry.AGAIN
        first.tries += 1
        yield first, _Retry.AGAIN if first.tries < MAX_TRIES else TaskFailure(reason)

    def _stop_hanging(self, hand: _Actor[Task]) -> Iterator[tuple[_QueuedTask[Task], Result | TaskFailure | _Retry]]:
        if hand.ready is None and hand.queue:
            given = hand.queue[0][1]
            if time.monotonic() - hand.since_s > -given.minus_limit_s:
                given.tries = MAX_TRIES
                yield from self._replace(hand, f"given up after {-given.minus_limit_s:.0f} s: decoding hangs")

    def _end(self, hand: _Actor[Task]) -> None:
        import ray

        ray.kill(hand.actor, no_restart=True)


class RayWorker:
    """A worker's side. It is ready once for its whole life: loading models takes longer than a short video."""

    def __init__(self, work: Callable[[Any], Any]) -> None:
        self._work = work

    def start(self, start: Callable[[], None] | None) -> None:
        """Does what is to be done before the first task."""
        if start is not None:
            start()

    def do(self, task: Any) -> Any:
        """The result of a task; what ends the whole run is returned, since Ray wraps what is raised."""
        try:
            return run_task(self._work, task)
        except RunError as error:
            return error


def _is_done(answer: Any) -> bool:
    import ray

    return bool(ray.wait([answer], timeout=0)[0])


def _last_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[-1].strip()
