"""Opens the models that a worker looks with, and shares the machine out between workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trapmeter.detect.megadetector_lite import MegadetectorLite
from trapmeter.frames.store import FrameStore
from trapmeter.models.bundle import NETWORK
from trapmeter.predict.observe import Eyes
from trapmeter.runtimes.onnx import Ensemble

NETWORK_BYTES = 4_000_000_000
"""What the networks of all workers may take together before there are fewer workers."""


@dataclass(frozen=True, slots=True)
class Workers:
    """How many processes there are, and the threads that each one's networks use."""

    jobs: int
    threads: int


def share_out(jobs: int, n_tasks: int, models: Sequence[Path]) -> Workers:
    """As many workers as asked for, but no more than there are tasks, or than room for their own copies of the networks.

    Cores that get no worker become threads of those there are.
    """
    n_bytes = sum((folder / NETWORK).stat().st_size for folder in models if (folder / NETWORK).exists())
    workers = min(jobs, max(1, n_tasks), max(1, NETWORK_BYTES // n_bytes if n_bytes else jobs))
    return Workers(workers, max(1, jobs // workers))


def open_eyes(
    *, min_score: float | None, models: Sequence[Path], flip: bool, store: FrameStore | None, threads: int
) -> Eyes:
    """Loads a detector where a min_score is given, and the networks.

    Raises:
        ModelError: a file is missing, damaged or of another kind; or the networks take different inputs.
    """
    detector = None if min_score is None else MegadetectorLite.load(min_score=min_score)
    networks = Ensemble.load(models, flip=flip, threads=threads) if models else None
    return Eyes(detector, networks, store)
