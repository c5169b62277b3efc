"""Workers that wait for single calls."""

import os
import signal
import time
from collections.abc import Iterator

import pytest

from trapmeter.errors import RunError
from trapmeter.parallel.workers import INTERNAL_ERROR, TaskFailure, WorkerPool


def answer(task: str) -> str:
    """What a task says is what becomes of its worker."""
    if task == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if task == "hang":
        time.sleep(3600)
    if task == "err":
        raise ValueError("odd")
    if task == "full":
        raise RunError("no space left")
    return task.upper()


@pytest.fixture(scope="module")
def workers() -> Iterator[WorkerPool]:
    with WorkerPool(1) as on_call:
        yield on_call


def test_a_call_is_answered_also_after_one_that_crashed_or_hung(workers: WorkerPool) -> None:
    assert workers.call(answer, "one", 600) == "ONE"
    assert workers.call(answer, "crash", 600) == TaskFailure("the decoder crashed (SIGSEGV)")
    assert workers.call(answer, "two", 600) == "TWO"
    assert workers.call(answer, "hang", 0.5) == TaskFailure("given up after 0 s: decoding hangs")
    assert workers.call(answer, "three", 600) == "THREE"


def test_an_error_of_ours_says_so_and_one_of_the_user_is_raised(workers: WorkerPool) -> None:
    lost = workers.call(answer, "err", 600)
    assert isinstance(lost, TaskFailure)
    assert lost.reason.startswith(f"{INTERNAL_ERROR} (ValueError: odd")
    with pytest.raises(RunError, match="no space left"):
        workers.call(answer, "full", 600)
