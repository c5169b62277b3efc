"""Looks at many media at once, each in a worker process that may hang or crash without taking the run along."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from trapmeter.predict.observe import Eyes, Task, observe
from trapmeter.predict.seen import MediumSeen, failed_medium
from trapmeter.workers import Lost, Patience, RunAll, run_all

EyesMaker = Callable[[], Eyes]
"""Makes the eyes inside a worker; a module-level function or a partial of one, since it is sent to other processes."""


def observe_all(
    tasks: Sequence[Task], make_eyes: EyesMaker, jobs: int, patience: Patience, engine: RunAll = run_all
) -> Iterator[MediumSeen]:
    """What is seen in each medium, in the order in which they are done.

    A medium that crashes its worker, takes too long or meets an error of ours comes back as failed.
    """

    def limit_s(task: Task) -> float:
        return patience.limit_s(_file_facts(task)[0])

    for task, outcome in engine(tasks, _work, jobs=jobs, limit_s=limit_s, start=partial(_start, make_eyes)):
        if isinstance(outcome, Lost):
            facts = _file_facts(task)
            yield failed_medium(task.medium.media_id, *facts, task.times_s or (), outcome.reason, outcome.trace)
        else:
            yield outcome


def _file_facts(task: Task) -> tuple[int, int]:
    """Size in bytes and time of change in nanoseconds; zeros for a file that is gone."""
    try:
        status = task.medium.path.stat()
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


# The worker's side. A process has its models for its whole life: loading them takes longer than a short video.
_eyes = Eyes()


def _start(make_eyes: EyesMaker) -> None:
    global _eyes  # noqa: PLW0603
    _eyes = make_eyes()


def _work(task: Task) -> MediumSeen:
    return observe(task, _eyes)
