"""Runs a function over many tasks in the actors of a Ray cluster, with retries and time limits.

Each actor of Ray Core loads what it needs once and then has at most two tasks at a time. The longest tasks start first, which
leaves no worker with a long one at the end. An actor that is lost, with or without its machine, is replaced and its tasks go
to others; a task that has ended its worker MAX_TRIES times fails.
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
from trapmeter.parallel.workers import POLL_S, TaskFailure, Work, hanging_task, run_task

Task = TypeVar("Task")
Result = TypeVar("Result")

MAX_TRIES = 3
CRASHED_REASON = f"its worker ended {MAX_TRIES} times: the decoder crashes, or there is too little memory"

TASKS_PER_ACTOR = 2
"""One in progress, and one so that the worker need not wait for the next."""


def run_tasks_on_ray(
    tasks: Iterable[Task], work: Work[Task, Result], *, jobs: int
) -> Iterator[tuple[Task, Result | TaskFailure]]:
    """As `trapmeter.parallel.workers.run_tasks`, on the cluster that this process has joined.

    Tasks with the largest limit_s start first.

    Raises:
        RunError: work raised it, workers can't start, or the cluster is gone. All workers are stopped.
    """
    pool = _ActorPool(work, jobs)
    waiting = [_QueuedTask(-work.limit_s(task), number, task) for number, task in enumerate(tasks)]
    heapq.heapify(waiting)
    try:
        while waiting or pool.is_busy:
            pool.assign(waiting)
            for queued, outcome in pool.collect():
                if outcome is _Retry.AGAIN:
                    heapq.heappush(waiting, queued)
                else:
                    yield queued.task, outcome
    finally:
        pool.stop()


class _Retry(Enum):
    """Marks a task to try again; None could be a task's result."""

    AGAIN = auto()


@dataclass(order=True, slots=True)
class _QueuedTask(Generic[Task]):
    """A task, sorted by how long it may take; tries: how many workers have ended with it."""

    minus_limit_s: float
    number: int
    task: Task = field(compare=False)
    tries: int = field(default=0, compare=False)


@dataclass(eq=False, slots=True)
class _Actor(Generic[Task]):
    """A worker of the cluster and its tasks with their pending results, in the order in which it does them.

    ready: the pending result of its start, None once it has started; since_s: when it got to its first task.
    """

    actor: Any
    ready: Any
    queue: deque[tuple[Any, _QueuedTask[Task]]] = field(default_factory=deque)
    since_s: float = 0.0


class _ActorPool(Generic[Task, Result]):
    """The workers of a run."""

    def __init__(self, work: Work[Task, Result], jobs: int) -> None:
        import ray

        # Ray would restart a lost actor without calling `start`, so lost ones are replaced here. They are spread over the
        # machines, since each has memory for only so many copies of the networks.
        self._remote = ray.remote(RayWorker).options(
            num_cpus=1, max_restarts=0, max_task_retries=0, scheduling_strategy="SPREAD"
        )
        self._work, self._jobs = work, jobs
        self._actors: list[_Actor[Task]] = []
        self._n_failed_starts = 0

    @property
    def is_busy(self) -> bool:
        """Whether any worker has a task."""
        return any(actor.queue for actor in self._actors)

    def assign(self, waiting: list[_QueuedTask[Task]]) -> None:
        """Gives the first waiting tasks to the started workers that have the fewest."""
        n_wanted = min(self._jobs, len(waiting) + sum(bool(actor.queue) for actor in self._actors))
        while len(self._actors) < n_wanted:
            handle = self._remote.remote(self._work.do)
            self._actors.append(_Actor(handle, handle.start.remote(self._work.start)))
        # Only once they have started: of a worker that ends, it is unknown which task it was doing.
        started = [actor for actor in self._actors if actor.ready is None]
        while waiting and started:
            actor = min(started, key=lambda actor: len(actor.queue))
            # For the same reason, a task that may have ended a worker gets one to itself.
            needs_own_worker = any(queued.tries for queued in (waiting[0], *(queued for _, queued in actor.queue)))
            if len(actor.queue) >= (1 if needs_own_worker else TASKS_PER_ACTOR):
                return
            queued = heapq.heappop(waiting)
            if not actor.queue:
                actor.since_s = time.monotonic()
            actor.queue.append((actor.actor.do.remote(queued.task), queued))

    def collect(self) -> Iterator[tuple[_QueuedTask[Task], Result | TaskFailure | _Retry]]:
        """Waits up to POLL_S and yields the tasks that are finished or have to be tried again."""
        import ray

        pending = [actor.ready for actor in self._actors if actor.ready is not None]
        pending += [actor.queue[0][0] for actor in self._actors if actor.ready is None and actor.queue]
        ray.wait(pending, num_returns=1, timeout=POLL_S)
        for actor in list(self._actors):
            if actor.ready is not None:
                self._check_started(actor)
            while actor.ready is None and actor.queue and _is_done(actor.queue[0][0]):
                result, queued = actor.queue[0]
                try:
                    outcome = ray.get(result)
                except ray.exceptions.RayTaskError as error:
                    # The worker returns the errors that it foresees; this one means that its code can't run at all.
                    raise RunError(_last_line(error)) from error
                except ray.exceptions.RayError:
                    yield from self._replace(actor, TaskFailure(CRASHED_REASON))
                    break
                actor.queue.popleft()
                actor.since_s = time.monotonic()
                if isinstance(outcome, RunError):
                    raise outcome
                yield queued, outcome
            yield from self._stop_if_hanging(actor)

    def stop(self) -> None:
        """Ends all workers."""
        for actor in list(self._actors):
            self._end(actor)

    def _check_started(self, actor: _Actor[Task]) -> None:
        import ray

        if not _is_done(actor.ready):
            return
        try:
            ray.get(actor.ready)
        except ray.exceptions.RayTaskError as error:
            raise RunError(f"a worker of the cluster can't start: {_last_line(error)}") from error
        except ray.exceptions.RayError as error:
            self._n_failed_starts += 1
            if self._n_failed_starts >= MAX_TRIES:
                raise RunError(
                    f"{self._n_failed_starts} workers of the cluster ended while starting ({_last_line(error)}); there may "
                    "be too little memory: give the same command again with a smaller --jobs"
                ) from error
            self._end(actor)
            return
        self._n_failed_starts, actor.ready = 0, None

    def _replace(
        self, actor: _Actor[Task], failure: TaskFailure
    ) -> Iterator[tuple[_QueuedTask[Task], Result | TaskFailure | _Retry]]:
        """Ends a worker that is lost or hangs. The task that it was doing counts as tried; the other one waits again."""
        self._end(actor)
        (_, first), *others = actor.queue
        actor.queue.clear()
        for _, queued in others:
            yield queued, _Retry.AGAIN
        first.tries += 1
        yield first, _Retry.AGAIN if first.tries < MAX_TRIES else failure

    def _stop_if_hanging(
        self, actor: _Actor[Task]
    ) -> Iterator[tuple[_QueuedTask[Task], Result | TaskFailure | _Retry]]:
        if actor.ready is None and actor.queue:
            queued = actor.queue[0][1]
            limit_s = -queued.minus_limit_s
            if time.monotonic() - actor.since_s > limit_s:
                queued.tries = MAX_TRIES
                yield from self._replace(actor, hanging_task(limit_s))

    def _end(self, actor: _Actor[Task]) -> None:
        import ray

        ray.kill(actor.actor, no_restart=True)
        self._actors.remove(actor)


class RayWorker:
    """The class of the actors. It starts once for its whole life: loading models takes longer than a short video."""

    def __init__(self, work: Callable[[Any], Any]) -> None:
        self._work = work

    def start(self, start: Callable[[], None] | None) -> None:
        """Prepares the worker for its first task."""
        if start is not None:
            start()

    def do(self, task: Any) -> Any:
        """The result of a task. An error that ends the run is returned, since Ray wraps what is raised."""
        try:
            return run_task(self._work, task)
        except RunError as error:
            return error


def _is_done(result: Any) -> bool:
    import ray

    return bool(ray.wait([result], timeout=0)[0])


def _last_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[-1].strip()
