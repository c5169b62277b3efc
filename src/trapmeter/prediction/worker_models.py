"""Workers for media: how many, the models that each loads, and media that crash or hang."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from trapmeter.detect.megadetector_lite import EMBEDDED, MegadetectorLite
from trapmeter.detect.motion import WIDTH
from trapmeter.detect.onnx_detector import OnnxDetector
from trapmeter.detect.precision import DetectorPrecision
from trapmeter.detect.second_look import LEAST_SCORE, SecondLook
from trapmeter.frames.store import FrameStore
from trapmeter.models.bundle import Bundle
from trapmeter.models.runtimes.choice import Runtime
from trapmeter.models.runtimes.network import Ensemble, open_network
from trapmeter.parallel.workers import TaskFailure, TaskRunner, TimeLimits, Work, run_tasks
from trapmeter.prediction.medium_pipeline import MediumTask, WorkerModels, process_medium
from trapmeter.prediction.medium_result import MediumResult, failed_result
from trapmeter.records import Detector
from trapmeter.storage.remote import file_state_or_zeros

MAX_NETWORK_BYTES = 4_000_000_000
"""What the networks of all workers of a machine may occupy together before there are fewer workers."""


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """The number of worker processes, and the threads that each one's detector and networks use."""

    jobs: int
    threads: int


def plan_workers(jobs: int, n_tasks: int, networks: Sequence[Path], n_machines: int = 1) -> WorkerPlan:
    """As many workers as requested, but no more than there are tasks, or than fit with their own copies of the networks.

    networks: the files of networks and detector. n_machines: over which the workers are spread. Cores that get no worker
    become threads of the others.
    """
    n_bytes = sum(network.stat().st_size for network in networks)
    room = n_machines * max(1, MAX_NETWORK_BYTES // n_bytes) if n_bytes else jobs
    workers = min(jobs, max(1, n_tasks), room)
    return WorkerPlan(workers, max(1, jobs // workers))


def open_worker_models(
    *,
    detector: DetectorPrecision | Path | None,
    min_score: float,
    bundles: Sequence[Bundle] = (),
    flip: bool = False,
    store: FrameStore | None = None,
    threads: int = 1,
    runtime: Runtime = Runtime.ONNXRUNTIME,
) -> WorkerModels:
    """Loads the detector, if any, and the networks.

    Raises:
        ModelError: a file is missing, damaged or of another kind; or the networks take different inputs.
    """
    loaded, second_look = (None, None) if detector is None else _load_detector(detector, min_score, threads)
    networks = None
    if bundles:
        import cv2

        # Each worker has a core to itself: more threads would only compete.
        cv2.setNumThreads(1)
        networks = Ensemble([open_network(bundle, runtime, threads) for bundle in bundles], flip=flip)
    return WorkerModels(loaded, networks, store, second_look)


def _load_detector(
    detector: DetectorPrecision | Path, min_score: float, threads: int
) -> tuple[Detector, SecondLook | None]:
    """The detector, and the second look for the built-in one: its rules were learned from that detector's scores."""
    if isinstance(detector, Path):
        return OnnxDetector.load(detector, min_score=min_score, threads=threads), None
    loaded = MegadetectorLite.load(EMBEDDED[detector], min_score=min(min_score, LEAST_SCORE), threads=threads)
    return loaded, SecondLook(loaded.for_size(WIDTH), min_score)


ModelsOpener = Callable[[], WorkerModels]
"""Opens the models inside a worker; a module-level function or a partial of one, since it is sent to other processes."""


def process_media(
    tasks: Sequence[MediumTask],
    open_models: ModelsOpener,
    jobs: int,
    time_limits: TimeLimits,
    engine: TaskRunner = run_tasks,
) -> Iterator[MediumResult]:
    """The result of each medium, in the order in which they are finished.

    A medium that crashes its worker, takes too long or meets an internal error comes back as failed.
    """

    def limit_s(task: MediumTask) -> float:
        return time_limits.limit_s(file_state_or_zeros(task.medium.path).size_bytes)

    work = Work(_process, limit_s, start=partial(_open_models, open_models))
    for task, outcome in engine(tasks, work, jobs=jobs):
        if isinstance(outcome, TaskFailure):
            state = file_state_or_zeros(task.medium.path)
            yield failed_result(task.medium.media_id, *state, task.times_s or (), outcome.reason, outcome.trace)
        else:
            yield outcome


# The worker's side. A process keeps its models for life: loading them takes longer than a short video.
_models = WorkerModels()


def _open_models(open_models: ModelsOpener) -> None:
    global _models  # noqa: PLW0603
    _models = open_models()


def _process(task: MediumTask) -> MediumResult:
    return process_medium(task, _models)
