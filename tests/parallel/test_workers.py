"""A worker that crashes, hangs or fails loses only its task, in a run over many tasks and in a pool for single calls."""

import os
import signal
import time
from collections.abc import Iterator

import pytest

from trapmeter.errors import RunError
from trapmeter.parallel.workers import INTERNAL_ERROR, TaskFailure, Work, WorkerPool, run_tasks


def behave(task: str) -> str:
    """Does to its worker what the task says."""
    if task == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if task == "hang":
        time.sleep(3600)
    if task == "mistake":
        raise ValueError("odd")
    if task == "full":
        raise RunError("no space left")
    return task.upper()


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    with WorkerPool(1) as workers:
        yield workers


def test_calls_succeed_after_one_that_crashed_or_hung(pool: WorkerPool) -> None:
    assert pool.run_task(behave, "one", 600) == "ONE"
    assert pool.run_task(behave, "crash", 600) == TaskFailure("the decoder crashed (SIGSEGV)")
    assert pool.run_task(behave, "two", 600) == "TWO"
    assert pool.run_task(behave, "hang", 0.5) == TaskFailure("given up after 0 s: decoding hangs")
    assert pool.run_task(behave, "three", 600) == "THREE"


def test_an_internal_error_is_reported_as_such_and_an_error_of_the_run_is_raised(pool: WorkerPool) -> None:
    failure = pool.run_task(behave, "mistake", 600)
    assert isinstance(failure, TaskFailure)
    assert failure.reason.startswith(f"{INTERNAL_ERROR} (ValueError: odd")
    with pytest.raises(RunError, match="no space left"):
        pool.run_task(behave, "full", 600)


FULL = "(_ for _ in ()).throw(__import__('trapmeter.errors', fromlist=['x']).RunError('disk full'))"


def test_a_worker_that_crashes_hangs_or_fails_loses_only_its_task() -> None:
    tasks = ["6 * 7", "__import__('os').abort()", "__import__('time').sleep(3600)", "1 / 0", "'last'"]
    found = dict(run_tasks(tasks, Work(eval, lambda task: 1.0 if "sleep" in task else 600.0), jobs=2))
    assert found.pop("6 * 7") == 42
    assert found.pop("'last'") == "last"
    assert [lost.reason for lost in map(found.pop, tasks[1:4])] == [
        "the decoder crashed (SIGABRT)",
        "given up after 1 s: decoding hangs",
        "an error in trapmeter, please report it (ZeroDivisionError: division by zero)",
    ]
    assert not found


def test_a_run_error_in_a_worker_ends_the_run() -> None:
    with pytest.raises(RunError, match="disk full"):
        list(run_tasks([FULL], Work(eval, lambda _: 600.0), jobs=1))
