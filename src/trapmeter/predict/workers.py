"""Looks at many media at once, each in a worker process that may hang or crash without taking the run along."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from multiprocessing import get_context

from pebble import ProcessExpired, ProcessPool

from trapmeter.predict.observe import Task, observe
from trapmeter.predict.seen import MediumSeen, failed_medium
from trapmeter.records import Detector

OUR_ERROR = "an error in trapmeter, please report it"

DetectorMaker = Callable[[], Detector | None]
"""Makes the detector inside a worker; a module-level function or a partial of one, since it is sent to other processes."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a medium may take: base_s, and per_megabyte_s more for each megabyte of the file.

    A minute of video has 5 to 100 MB and takes seconds; what takes longer than this hangs.
    """

    base_s: float = 120.0
    per_megabyte_s: float = 20.0

    def limit_s(self, size_bytes: int) -> float:
        """Seconds after which a file of this size counts as hanging."""
        return self.base_s + self.per_megabyte_s * size_bytes / 1e6


def observe_all(
    tasks: Sequence[Task], make_detector: DetectorMaker, jobs: int, patience: Patience
) -> Iterator[MediumSeen]:
    """What is seen in each medium, in the order in which they are done.

    A medium that crashes its worker, takes too long or meets an error of ours comes back as failed.
    """
    waiting = iter(tasks)
    running: dict[Future[MediumSeen], Task] = {}
    future: Future[MediumSeen]
    with ProcessPool(
        max_workers=jobs, context=get_context("spawn"), initializer=_start, initargs=(make_detector,)
    ) as pool:
        try:
            while True:
                # A short queue: enough to keep every worker busy, and a hundred thousand media need no memory.
                while len(running) < 2 * jobs and (task := next(waiting, None)) is not None:
                    size_bytes = _size_bytes(task)
                    future = pool.schedule(_work, args=(task,), timeout=patience.limit_s(size_bytes))
                    running[future] = task
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    yield _outcome(future, running.pop(future), patience)
        except BaseException:
            pool.stop()  # type: ignore[no-untyped-call]
            raise


def _outcome(future: Future[MediumSeen], task: Task, patience: Patience) -> MediumSeen:
    try:
        return future.result()
    except FutureTimeoutError:
        reason = f"given up after {patience.limit_s(_size_bytes(task)):.0f} s: decoding hangs"
    except ProcessExpired as error:
        reason = f"the decoder crashed ({_exit_words(error.exitcode)})"
    return failed_medium(task.medium.media_id, _size_bytes(task), _modified_ns(task), task.times_s or (), reason)


def _exit_words(exitcode: int | None) -> str:
    if exitcode is None or exitcode >= 0:
        return f"exit status {exitcode}"
    try:
        return signal.Signals(-exitcode).name
    except ValueError:
        return f"signal {-exitcode}"


def _size_bytes(task: Task) -> int:
    try:
        return task.medium.path.stat().st_size
    except OSError:
        return 0


def _modified_ns(task: Task) -> int:
    try:
        return task.medium.path.stat().st_mtime_ns
    except OSError:
        return 0


# The worker's side. A process has one detector for its whole life: loading it takes longer than a short video.
_detector: Detector | None = None


def _start(make_detector: DetectorMaker) -> None:
    global _detector  # noqa: PLW0603
    # Ctrl-C goes to the parent alone, which then stops its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _detector = make_detector()


def _work(task: Task) -> MediumSeen:
    try:
        return observe(task, _detector)
    except Exception as error:  # one medium that we did not foresee must not end a survey of thousands
        reason = f"{OUR_ERROR} ({type(error).__name__}: {error})"
        return failed_medium(task.medium.media_id, _size_bytes(task), _modified_ns(task), task.times_s or (), reason)
