"""Opens the models that a worker looks with, and shares the machine out between workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trapmeter.detect.megadetector_lite import EMBEDDED, MegadetectorLite
from trapmeter.detect.precision import Precision
from trapmeter.frames.store import FrameStore
from trapmeter.models.bundle import Bundle
from trapmeter.predict.observe import Eyes
from trapmeter.runtimes.choice import Runtime
from trapmeter.runtimes.ensemble import Ensemble
from trapmeter.runtimes.network import open_network

NETWORK_BYTES = 4_000_000_000
"""What the networks of all workers of a machine may take together before there are fewer workers."""


@dataclass(frozen=True, slots=True)
class Workers:
    """How many processes there are, and the threads that each one's detector and networks use."""

    jobs: int
    threads: int


def share_out(jobs: int, n_tasks: int, bundles: Sequence[Bundle], n_machines: int = 1) -> Workers:
    """As many workers as asked for, but no more than there are tasks, or than room for their own copies of the networks.

    n_machines: over which they are spread. Cores that get no worker become threads of those there are.
    """
    n_bytes = sum(bundle.network.stat().st_size for bundle in bundles)
    room = n_machines * max(1, NETWORK_BYTES // n_bytes) if n_bytes else jobs
    workers = min(jobs, max(1, n_tasks), room)
    return Workers(workers, max(1, jobs // workers))


def open_eyes(
    *,
    detector: Precision | None,
    min_score: float,
    bundles: Sequence[Bundle],
    flip: bool,
    store: FrameStore | None,
    threads: int,
    runtime: Runtime = Runtime.ONNXRUNTIME,
) -> Eyes:
    """Loads the detector, if any, and the networks.

    Raises:
        ModelError: a file is missing, damaged or of another kind; or the networks take different inputs.
    """
    looking = (
        None if detector is None else MegadetectorLite.load(EMBEDDED[detector], min_score=min_score, threads=threads)
    )
    networks = None
    if bundles:
        import cv2

        # A worker has a core to itself; with more threads the workers would only be in each other's way.
        cv2.setNumThreads(1)
        networks = Ensemble([open_network(bundle, runtime, threads) for bundle in bundles], flip=flip)
    return Eyes(looking, networks, store)
