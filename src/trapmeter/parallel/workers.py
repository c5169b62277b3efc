"""Runs a function over many tasks in worker processes; one that crashes or hangs loses only its task."""

from __future__ import annotations

import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait as wait_for_end
from typing import Generic, Protocol, Self, TypeVar

from pebble import ProcessExpired, ProcessPool

from trapmeter.errors import RunError

INTERNAL_ERROR = "an error in trapmeter, please report it"
POLL_S = 0.5
"""How often a run checks whether a worker hangs."""

Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """How long a medium may take: base_s, plus per_megabyte_s for each megabyte of the file.

    A minute of video has 5 to 100 MB and takes seconds, so a worker that exceeds this hangs. Half a megabyte can hold half an
    hour at one frame per second, for which base_s is enough.
    """

    base_s: float = 900.0
    per_megabyte_s: float = 60.0

    def limit_s(self, size_bytes: int) -> float:
        """Seconds after which a file of this size counts as hanging."""
        return self.base_s + self.per_megabyte_s * size_bytes / 1e6


@dataclass(frozen=True, slots=True)
class TaskFailure:
    """Why a task has no result: its worker crashed or hung, or met an internal error, whose traceback is in trace."""

    reason: str
    trace: str = ""


@dataclass(frozen=True, slots=True)
class Work(Generic[Task, Result]):
    """What workers do: `do` turns a task into its result, within `limit_s` seconds of the task.

    do, and start, which each worker calls once before its first task, must be module-level functions or partials of such,
    since they are sent to other processes, as are tasks and results.
    """

    do: Callable[[Task], Result]
    limit_s: Callable[[Task], float]
    start: Callable[[], None] | None = None


class TaskRunner(Protocol):
    """A function like `run_tasks`, for workers of this or of other machines."""

    def __call__(
        self, tasks: Iterable[Task], work: Work[Task, Result], *, jobs: int
    ) -> Iterator[tuple[Task, Result | TaskFailure]]:
        """See `run_tasks`."""
        ...


def run_tasks(
    tasks: Iterable[Task], work: Work[Task, Result], *, jobs: int
) -> Iterator[tuple[Task, Result | TaskFailure]]:
    """Yields each task with its result, in the order in which they finish.

    Raises:
        RunError: work raised it, for example because the disk is full, which concerns all other tasks too. All workers are
            stopped.
    """
    waiting = iter(tasks)
    running: dict[Future[Result | TaskFailure], _Running[Task]] = {}
    future: Future[Result | TaskFailure]
    with ProcessPool(
        max_workers=jobs, context=get_context("spawn"), initializer=_start_worker, initargs=(work.start,)
    ) as pool:
        try:
            while True:
                # Two tasks for each worker keep all of them busy, and a hundred thousand tasks need no memory.
                while len(running) < 2 * jobs:
                    try:
                        task = next(waiting)
                    except StopIteration:
                        break
                    future = pool.schedule(run_task, args=(work.do, task))
                    running[future] = _Running(task, work.limit_s(task))
                if not running:
                    return
                done = wait(running, timeout=POLL_S, return_when=FIRST_COMPLETED).done
                # done is a set; in the order of the tasks, a single worker writes the same journal every time.
                for future in [future for future in running if future in done]:
                    yield running.pop(future).task, _outcome(future)
                # The pool's own time limits use the time of day, which may be changed during a run.
                now = time.monotonic()
                late = [future for future, task in running.items() if task.is_late(now, is_started=future.running())]
                for future in late:
                    entry = running.pop(future)
                    # Cancelling ends the worker, and a new one takes its place.
                    yield entry.task, hanging_task(entry.limit_s) if future.cancel() else _outcome(future)
        except BaseException:
            pool.stop()  # type: ignore[no-untyped-call]
            raise


class WorkerPool:
    """Worker processes that wait for single calls, for example from a web page. One that crashes or hangs is replaced.

    Close the pool, or use it with `with`. Several threads may call it.
    """

    def __init__(self, jobs: int) -> None:
        """jobs: the most calls that run at the same time; a worker starts with the first call that needs it."""
        self._pool = ProcessPool(
            max_workers=jobs, context=get_context("spawn"), initializer=_start_worker, initargs=(None,)
        )

    def run_task(self, work: Callable[[Task], Result], task: Task, limit_s: float) -> Result | TaskFailure:
        """Waits at most limit_s seconds for the result of a task. work: as `Work.do`.

        Raises:
            RunError: work raised it, or no worker can be started.
        """
        future: Future[Result | TaskFailure] = self._pool.schedule(run_task, args=(work, task))
        if wait([future], timeout=limit_s).done or not future.cancel():
            return _outcome(future)
        return hanging_task(limit_s)

    def close(self) -> None:
        """Ends all workers, whatever they are doing."""
        self._pool.stop()  # type: ignore[no-untyped-call]
        self._pool.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class Engine:
    """The function that runs tasks, and the number of machines that it uses."""

    run_tasks: TaskRunner = run_tasks
    n_machines: int = 1


THIS_MACHINE = Engine()


@dataclass(slots=True)
class _Running(Generic[Task]):
    """A scheduled task. since_s: when a worker was first found to work on it, by the monotonic clock; None before."""

    task: Task
    limit_s: float
    since_s: float | None = None

    def is_late(self, now: float, *, is_started: bool) -> bool:
        """Whether a worker has worked on it for longer than its limit."""
        if self.since_s is None and is_started:
            self.since_s = now
        return self.since_s is not None and now - self.since_s > self.limit_s


def hanging_task(limit_s: float) -> TaskFailure:
    """The failure of a task that exceeded its limit."""
    return TaskFailure(f"given up after {limit_s:.0f} s: decoding hangs")


def _outcome(future: Future[Result | TaskFailure]) -> Result | TaskFailure:
    try:
        return future.result()
    except ProcessExpired as error:
        return TaskFailure(f"the decoder crashed ({_exit_text(error.exitcode)})")
    except BrokenProcessPool as error:
        raise RunError(
            "all workers ended before they got a task; there may be too little memory: give the same command again with a "
            'smaller --jobs. In your own Python script, put the call below `if __name__ == "__main__":`'
        ) from error


def _exit_text(exitcode: int | None) -> str:
    if exitcode is None or exitcode >= 0:
        return f"exit status {exitcode}"
    try:
        return signal.Signals(-exitcode).name
    except ValueError:
        return f"signal {-exitcode}"


def _start_worker(start: Callable[[], None] | None) -> None:
    # Only the parent handles Ctrl-C; it then stops its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if start is not None:
        start()


def _end_with_parent() -> None:
    """Ends this worker as soon as its parent has ended, even if it was killed: nothing would collect the results."""
    parent = parent_process()
    assert parent is not None, "only workers call this"
    wait_for_end([parent.sentinel])
    os._exit(1)


def run_task(work: Callable[[Task], Result], task: Task) -> Result | TaskFailure:
    """The result of a task in a worker. An unforeseen error loses only this task.

    Raises:
        RunError: work raised it.
    """
    try:
        return work(task)
    except RunError:
        raise
    except Exception as error:  # one odd medium must not end a run over thousands
        return TaskFailure(f"{INTERNAL_ERROR} ({type(error).__name__}: {error})", traceback.format_exc())
