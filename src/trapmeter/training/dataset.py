"""Windows for the training loop, and in which order each epoch sees them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from trapmeter.errors import InputError
from trapmeter.frames.store import FrameStore
from trapmeter.models.input_spec import FrameEncoding, InputSpec
from trapmeter.models.network_input import network_input
from trapmeter.records import CONFIDENT_SCORE, Box
from trapmeter.training.augment.apply import apply_plan, sample_rng
from trapmeter.training.augment.plan import AugmentPlan
from trapmeter.training.augment.random_plan import draw_plan
from trapmeter.training.augment.settings import AugmentSettings
from trapmeter.training.augment.warps import flip_box
from trapmeter.training.samples import OTHER_ANIMAL, Sample
from trapmeter.windows import window_times

MIN_VISIBLE_SHARE = 0.5
NO_BOX = (0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class DatasetItem:
    """What the loader is asked for: a sample, and the epoch whose draw augments it (None: as it is)."""

    index: int
    epoch: int | None


class GroundTruth(NamedTuple):
    """What a network is to say of a window, and how much that counts; of a batch, all with a first axis n.

    distance_m and weight: of the sample. box (4): x1, y1, x2, y2 of the animal; box_weight: how far it is to be believed, 0
    where it isn't known. sample: its number.
    """

    distance_m: Tensor
    weight: Tensor
    box: Tensor
    box_weight: Tensor
    sample: Tensor


class WindowDataset(Dataset[tuple[torch.Tensor, GroundTruth]]):
    """Windows of samples out of a frame store: input bytes and targets.

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

    def __getitem__(self, item: DatasetItem) -> tuple[torch.Tensor, GroundTruth]:
        """The window of one sample, augmented by the draw that belongs to sample and epoch whoever loads it."""
        sample, spec = self._samples[item.index], self._spec
        frames = self._store.window(sample.video_id, sample.time_s, spec.offsets_s, spec.edge)
        box, animal, distance_m, is_shown = sample.box, animal_box(sample), sample.distance_m, True
        if item.epoch is not None:
            rng = sample_rng(self._seed, item.epoch, item.index)
            plan = keep_animal_visible(draw_plan(self._settings, spec.size_hw, rng), animal)
            is_outside = ~frames.any(axis=(1, 2, 3))
            frames, (box, animal) = apply_plan(plan, frames, (box, animal))
            if spec.frames is FrameEncoding.MOTION:
                # Haze on a frame that stands for none would be taken for motion everywhere.
                frames[is_outside] = 0
            distance_m /= plan.zoom.scale if plan.zoom else 1.0
            # Without its box, nothing says which of several animals is meant.
            is_shown = sample.source == OTHER_ANIMAL or rng.random() >= self._box_dropout
        window = torch.from_numpy(network_input(frames, box if is_shown else None, spec))
        xyxy, sure = (NO_BOX, 0.0) if animal is None else (animal.xyxy, animal.score)
        facts = (distance_m, sample.weight, xyxy, sure, item.index)
        return window, GroundTruth(*map(torch.tensor, facts))


def animal_box(sample: Sample) -> Box | None:
    """Where the animal is, with how far that is to be believed as its score: as drawn, or a detector's box that is sure."""
    if sample.drawn is not None:
        return sample.drawn
    return sample.box if sample.box is not None and sample.box.score >= CONFIDENT_SCORE else None


def keep_animal_visible(plan: AugmentPlan, box: Box | None) -> AugmentPlan:
    """The plan, without a zoom that could push the animal out of the picture.

    Half of its box's area must stay. Where its place isn't known there is no zoom at all: to shrink alone would tell that
    such animals stand far away.
    """
    if plan.zoom is None:
        return plan
    if box is not None:
        # The flip comes before the zoom.
        seen = flip_box(box) if plan.flip else box
        sides = [
            _share_inside(low, high, at, plan.zoom.scale)
            for low, high, at in ((seen.x1, seen.x2, plan.zoom.x), (seen.y1, seen.y2, plan.zoom.y))
        ]
        if sides[0] * sides[1] >= MIN_VISIBLE_SHARE:
            return plan
    return replace(plan, zoom=None)


def _share_inside(low: float, high: float, at: float, scale: float) -> float:
    """The share of low..high that stays within 0..1 when magnified about a point."""
    low, high = at + (low - at) * scale, at + (high - at) * scale
    return max(0.0, min(high, 1.0) - max(low, 0.0)) / (high - low)


def deals_whole_batches(accumulate: int, world_size: int) -> bool:
    """Whether each batch of a step goes to one process: where a step's batches go round evenly."""
    return accumulate % world_size == 0


def training_batches(
    n_samples: int, epoch: int, seed: int, batch_size: int, accumulate: int, rank: int, world_size: int
) -> list[list[DatasetItem]]:
    """One process's part of an epoch: shuffled alike everywhere, dealt out in turn, whole batches or parts of each.

    A step has accumulate batches of batch_size samples over all processes, the same ones however many these are; the last
    incomplete step is dropped. Where batches are dealt out in parts that don't go round, the first processes get one more.

    Raises:
        InputError: fewer samples than one step, or fewer in a batch than there are processes.
    """
    is_whole = deals_whole_batches(accumulate, world_size)
    if not is_whole and batch_size < world_size:
        raise InputError(
            f"a batch of {batch_size} windows can't be dealt out to {world_size} processes; start at most {batch_size} of "
            "them, or give a larger --batch-size"
        )
    n_batches = n_samples // (batch_size * accumulate) * accumulate
    if n_batches == 0:
        step = f"batch of {batch_size}" if accumulate == 1 else f"step of {accumulate} batches of {batch_size}"
        raise InputError(f"{n_samples} samples make no {step}; give more samples or a smaller --batch-size")
    order = np.random.default_rng([seed, epoch, 1]).permutation(n_samples)
    batches = order[: n_batches * batch_size].reshape(n_batches, batch_size)
    mine = batches[rank::world_size] if is_whole else [batch[rank::world_size] for batch in batches]
    return [[DatasetItem(int(index), epoch) for index in batch] for batch in mine]


def describe_shares(batch_size: int, accumulate: int, world_size: int) -> str:
    """What of a step falls to a process, in words."""
    step = f"{accumulate} x {batch_size}" if accumulate > 1 else f"{batch_size}"
    if deals_whole_batches(accumulate, world_size):
        return f"{accumulate // world_size} x {batch_size} of a step's {step} windows"
    least, rest = divmod(batch_size, world_size)
    parts = f"{least} {f'or {least + 1} ' if rest else ''}"
    return f"{f'{accumulate} x ({parts.strip()}) ' if accumulate > 1 else parts}of a step's {step} windows"


def validation_batches(n_samples: int, batch_size: int, rank: int, world_size: int) -> list[list[DatasetItem]]:
    """The batches of one process in validation: every sample exactly once over all processes, none twice."""
    mine = list(range(rank, n_samples, world_size))
    return [[DatasetItem(index, None) for index in mine[i : i + batch_size]] for i in range(0, len(mine), batch_size)]


def store_digest(store: FrameStore, samples: Sequence[Sample]) -> str:
    """A checksum of the pictures of the samples' videos, by the checksums in the store: no picture is read.

    Two stores with the same one have the same pictures, wherever they lie and whenever they were filled.
    """
    digest = hashlib.sha256(json.dumps(store.spec.to_json(), sort_keys=True).encode())
    for video_id in sorted({sample.video_id for sample in samples}):
        index = store.index(video_id)
        pictures = [(time_s, entry.crc32) for time_s, entry in sorted(index.entries.items())]
        digest.update(repr((video_id, index.length_s, pictures)).encode())
    return digest.hexdigest()


def check_frames_stored(store: FrameStore, samples: Sequence[Sample], spec: InputSpec) -> None:
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
