"""Workers that wait for single calls."""

import os
import signal
import time
from collections.abc import Iterator

import pytest

from trapmeter.errors import RunError
from trapmeter.workers import OUR_ERROR, Lost, OnCall


def answer(task: str) -> str:
    """What a task says is what becomes of its worker."""
    if task == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if task == "hang":
        time.sleep(600)
    if task == "err":
        raise ValueError("odd")
    if task == "full":
        raise RunError("no space left")
    return task.upper()


@pytest.fixture(scope="module")
def workers() -> Iterator[OnCall]:
    with OnCall(1) as on_call:
        yield on_call


def test_a_call_is_answered_also_after_one_that_crashed_or_hung(workers: OnCall) -> None:
    assert workers.call(answer, "one", 60) == "ONE"
    assert workers.call(answer, "crash", 60) == Lost("the decoder crashed (SIGSEGV)")
    assert workers.call(answer, "two", 60) == "TWO"
    assert workers.call(answer, "hang", 0.5) == Lost("given up after 0 s: decoding hangs")
    assert workers.call(answer, "three", 60) == "THREE"


def test_an_error_of_ours_says_so_and_one_of_the_user_is_raised(workers: OnCall) -> None:
    lost = workers.call(answer, "err", 60)
    assert isinstance(lost, Lost)
    assert lost.reason.startswith(f"{OUR_ERROR} (ValueError: odd")
    with pytest.raises(RunError, match="no space left"):
        workers.call(answer, "full", 60)
