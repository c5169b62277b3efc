"""Run one function over many tasks in worker processes that may crash or hang without stopping the run."""

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

Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """How long a medium may take: base_s, and per_megabyte_s more for each megabyte of the file.

    A minute of video has 5 to 100 MB and takes seconds; what takes longer than this hangs. The base is long enough for the
    half hour at a picture a second that fits into half a megabyte.
    """

    base_s: float = 900.0
    per_megabyte_s: float = 60.0

    def limit_s(self, size_bytes: int) -> float:
        """Seconds after which a file of this size counts as hanging."""
        return self.base_s + self.per_megabyte_s * size_bytes / 1e6


@dataclass(frozen=True, slots=True)
class TaskFailure:
    """A task that has no result, and why: its worker crashed or hung, or met an error of ours, whose trace is kept."""

    reason: str
    trace: str = ""


class TaskRunner(Protocol):
    """What `run_tasks` does, here or on other machines: an engine."""

    def __call__(
        self,
        tasks: Iterable[Task],
        work: Callable[[Task], Result],
        *,
        jobs: int,
        limit_s: Callable[[Task], float],
        start: Callable[[], None] | None = None,
    ) -> Iterator[tuple[Task, Result | TaskFailure]]:
        """As `run_tasks`."""
        ...


def run_tasks(
    tasks: Iterable[Task],
    work: Callable[[Task], Result],
    *,
    jobs: int,
    limit_s: Callable[[Task], float],
    start: Callable[[], None] | None = None,
) -> Iterator[tuple[Task, Result | TaskFailure]]:
    """Each task with its result, in the order in which they are done.

    work and start (called once in every worker before its first task) are module-level functions or partials of such, since
    they are sent to other processes; so are tasks and results. limit_s: how many seconds a task may take.

    Raises:
        RunError: work raised it, as when the disk is full: it would be so for every other task. All workers are stopped.
    """
    waiting = iter(tasks)
    running: dict[Future[Result | TaskFailure], _Running[Task]] = {}
    future: Future[Result | TaskFailure]
    with ProcessPool(
        max_workers=jobs, context=get_context("spawn"), initializer=_start_worker, initargs=(start,)
    ) as pool:
        try:
            while True:
                # A short queue: enough to keep every worker busy, and a hundred thousand tasks need no memory.
                while len(running) < 2 * jobs:
                    try:
                        task = next(waiting)
                    except StopIteration:
                        break
                    future = pool.schedule(run_task, args=(work, task))
                    running[future] = _Running(task, limit_s(task))
                if not running:
                    return
                done = wait(running, timeout=_POLL_S, return_when=FIRST_COMPLETED).done
                # Of a set, in the order in which they were given: with one worker a journal is the same every time.
                for future in [future for future in running if future in done]:
                    yield running.pop(future).task, _outcome(future)
                # The pool's own limits go by the time of day, which may be set in the midst of a run.
                now = time.monotonic()
                for future in [
                    future for future, one in running.items() if one.is_over(now, is_begun=future.running())
                ]:
                    one = running.pop(future)
                    if future.cancel():  # which ends its worker; a new one takes its place
                        yield one.task, TaskFailure(f"given up after {one.limit_s:.0f} s: decoding hangs")
                    else:
                        yield one.task, _outcome(future)
        except BaseException:
            pool.stop()  # type: ignore[no-untyped-call]
            raise


class WorkerPool:
    """Worker processes that wait for single calls, as a page makes them; one that crashes or hangs is replaced.

    Close it, or use it with `with`. Calls may come from several threads.
    """

    def __init__(self, jobs: int) -> None:
        """jobs: how many calls are worked on at once; a worker is started with the first call that needs it."""
        self._pool = ProcessPool(
            max_workers=jobs, context=get_context("spawn"), initializer=_start_worker, initargs=(None,)
        )

    def run_task(self, work: Callable[[Task], Result], task: Task, limit_s: float) -> Result | TaskFailure:
        """What work makes of a task; waits for it, at most limit_s seconds. work and task as for `run_tasks`.

        Raises:
            RunError: work raised it, or no worker can be started.
        """
        future: Future[Result | TaskFailure] = self._pool.schedule(run_task, args=(work, task))
        if wait([future], timeout=limit_s).done or not future.cancel():
            return _outcome(future)
        return TaskFailure(f"given up after {limit_s:.0f} s: decoding hangs")

    def close(self) -> None:
        """Ends all workers, whatever they are at."""
        self._pool.stop()  # type: ignore[no-untyped-call]
        self._pool.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class Engine:
    """What runs a function over many tasks, and on how many machines."""

    run_tasks: TaskRunner = run_tasks
    n_machines: int = 1


THIS_MACHINE = Engine()

_POLL_S = 0.5


@dataclass(slots=True)
class _Running(Generic[Task]):
    """A task on its way. since_s: when a worker was first seen at it, by the monotonic clock; None before."""

    task: Task
    limit_s: float
    since_s: float | None = None

    def is_over(self, now: float, *, is_begun: bool) -> bool:
        """Whether a worker has had it for longer than its limit."""
        if self.since_s is None and is_begun:
            self.since_s = now
        return self.since_s is not None and now - self.since_s > self.limit_s


def _outcome(future: Future[Result | TaskFailure]) -> Result | TaskFailure:
    try:
        return future.result()
    except ProcessExpired as error:
        return TaskFailure(f"the decoder crashed ({_exit_text(error.exitcode)})")
    except BrokenProcessPool as error:
        raise RunError(
            "all workers ended before they had a task; is there too little memory? give the same command again with a "
            'smaller --jobs. In a Python script of your own, put what it calls below `if __name__ == "__main__":`'
        ) from error


def _exit_text(exitcode: int | None) -> str:
    if exitcode is None or exitcode >= 0:
        return f"exit status {exitcode}"
    try:
        return signal.Signals(-exitcode).name
    except ValueError:
        return f"signal {-exitcode}"


def _start_worker(start: Callable[[], None] | None) -> None:
    # Ctrl-C goes to the parent alone, which then stops its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if start is not None:
        start()


def _end_with_parent() -> None:
    """Ends this worker as soon as its parent is gone, even killed: nobody is left to take what it would do."""
    parent = parent_process()
    assert parent is not None, "only workers call this"
    wait_for_end([parent.sentinel])
    os._exit(1)


def run_task(work: Callable[[Task], Result], task: Task) -> Result | TaskFailure:
    """The result of a task, as a worker gives it: an error of ours loses this task alone.

    Raises:
        RunError: work raised it.
    """
    try:
        return work(task)
    except RunError:
        raise
    except Exception as error:  # one medium that we did not foresee must not end a run over thousands
        return TaskFailure(f"{INTERNAL_ERROR} ({type(error).__name__}: {error})", traceback.format_exc())
