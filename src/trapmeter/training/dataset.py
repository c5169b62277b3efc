"""Windows for the training loop, and in which order each epoch sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import Dataset

from trapmeter.errors import InputError
from trapmeter.frames.store import FrameStore
from trapmeter.models.inputs import network_input
from trapmeter.models.spec import InputSpec
from trapmeter.training.augment import AugmentSettings, apply_plan, draw_plan, sample_rng
from trapmeter.training.samples import Sample
from trapmeter.windows import window_times


@dataclass(frozen=True, slots=True)
class Item:
    """What the loader is asked for: a sample, and the epoch whose draw augments it (None: as it is)."""

    index: int
    epoch: int | None


class WindowDataset(Dataset[tuple[torch.Tensor, float, float, int]]):
    """Windows of samples out of a frame store: input bytes, metres, weight, index.

    Holds no frames; each item is read when asked for, so that many loader processes can share the store.
    """

    def __init__(
        self,
        store: FrameStore,
        samples: Sequence[Sample],
        spec: InputSpec,
        settings: AugmentSettings,
        seed: int,
        box_dropout: float = 0.0,
    ) -> None:
        self._store, self._samples, self._spec = store, tuple(samples), spec
        self._settings, self._seed, self._box_dropout = settings, seed, box_dropout

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, item: Item) -> tuple[torch.Tensor, float, float, int]:
        """The window of one sample, augmented by the draw that belongs to sample and epoch whoever loads it."""
        sample, spec = self._samples[item.index], self._spec
        frames = self._store.window(sample.video_id, sample.time_s, spec.offsets_s, spec.edge)
        box, distance_m = sample.box, sample.distance_m
        if item.epoch is not None:
            rng = sample_rng(self._seed, item.epoch, item.index)
            plan = draw_plan(self._settings, spec.size_hw, rng)
            frames, box = apply_plan(plan, frames, box)
            distance_m /= plan.zoom
            if rng.random() < self._box_dropout:
                box = None
        window = torch.from_numpy(network_input(frames, box, spec))
        return window, distance_m, sample.weight, item.index


def training_batches(
    n_samples: int, epoch: int, seed: int, batch_size: int, rank: int, world_size: int
) -> list[list[Item]]:
    """The batches of one process in an epoch: shuffled alike everywhere, dealt out in turn, the last incomplete one dropped.

    Raises:
        InputError: fewer samples than one batch on every device.
    """
    order = np.random.default_rng([seed, epoch, 1]).permutation(n_samples)
    n_batches = n_samples // (batch_size * world_size)
    if n_batches == 0:
        raise InputError(
            f"{n_samples} samples make no batch of {batch_size} on each of {world_size} devices; "
            "give more samples or a smaller batch size"
        )
    mine = order[: n_batches * batch_size * world_size].reshape(n_batches, batch_size, world_size)[:, :, rank]
    return [[Item(int(index), epoch) for index in batch] for batch in mine]


def validation_batches(n_samples: int, batch_size: int, rank: int, world_size: int) -> list[list[Item]]:
    """The batches of one process in validation: every sample exactly once over all processes, none twice."""
    mine = list(range(rank, n_samples, world_size))
    return [[Item(index, None) for index in mine[i : i + batch_size]] for i in range(0, len(mine), batch_size)]


def check_store(store: FrameStore, samples: Sequence[Sample], spec: InputSpec) -> None:
    """Makes sure that the store has every frame that the samples need, before hours of training.

    Raises:
        InputError: frames are missing, or are of another size or made another way than the network expects.
    """
    store.spec.check_serves(spec)
    known = set(store.video_ids())
    missing: list[str] = []
    for sample in samples:
        if sample.video_id not in known:
            missing.append(f"{sample.video_id} (no frames at all)")
            continue
        length_s = store.length_s(sample.video_id)
        if not sample.time_s < length_s:
            missing.append(f"{sample.video_id} at {sample.time_s:g} s (it ends at {length_s:g} s)")
            continue
        stored = set(store.times(sample.video_id))
        times = window_times(sample.time_s, spec.offsets_s, length_s, spec.edge)
        missing += [f"{sample.video_id} at {t:g} s" for t in times if t is not None and t not in stored]
    if missing:
        missing = list(dict.fromkeys(missing))
        raise InputError(
            f"the store lacks {len(missing)} frames, such as {', '.join(missing[:3])}; run trapmeter frames with these "
            "labels and offsets, and leave out of the labels what its failed.csv names"
        )
