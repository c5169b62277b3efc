"""Pools of workers for single calls: one that crashes or hangs is replaced."""

import os
import signal
import time
from collections.abc import Iterator

import pytest

from trapmeter.errors import RunError
from trapmeter.parallel.workers import INTERNAL_ERROR, TaskFailure, WorkerPool


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
