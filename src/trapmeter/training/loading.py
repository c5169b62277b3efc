"""Loads the batches of a training in processes that stay from the first epoch to the last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch.utils.data import DataLoader

from trapmeter.errors import InputError, RunError
from trapmeter.training.dataset import DatasetItem, WindowDataset


class WindowLoader:
    """Loads batches of a set's windows, epoch after epoch; its processes end with it."""

    def __init__(self, windows: WindowDataset, n_workers: int, *, is_pinned: bool) -> None:
        """n_workers: loader processes; 0 loads in this process. is_pinned: whether batches go to a GPU."""
        self._batches = _Batches()
        self._loader: DataLoader[Any] = DataLoader(
            windows,
            batch_sampler=self._batches,
            num_workers=n_workers,
            pin_memory=is_pinned,
            persistent_workers=n_workers > 0,
            # OpenCV and FFmpeg may hang in a process that was forked after threads were started.
            multiprocessing_context="spawn" if n_workers else None,
            # Of its own, so that the seeds of dropout don't depend on when the processes started.
            generator=torch.Generator(),
        )

    def load(self, batches: Sequence[list[DatasetItem]]) -> Iterator[Any]:
        """The loaded batches in their order. Load one sequence to its end before the next one.

        Raises:
            InputError, RunError: as a loader process raised it, without that process's traceback.
        """
        self._batches.current = batches
        try:
            yield from self._loader
        except (InputError, RunError) as error:
            raise type(error)(str(error).rpartition(f".{type(error).__name__}: ")[2].strip()) from error


class _Batches:
    """The batches that the loader reads when it starts again."""

    def __init__(self) -> None:
        self.current: Sequence[list[DatasetItem]] = ()

    def __iter__(self) -> Iterator[list[DatasetItem]]:
        return iter(self.current)

    def __len__(self) -> int:
        return len(self.current)
