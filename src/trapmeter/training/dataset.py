"""Windows from a frame store as training items, and the batches of each epoch and process."""

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
from trapmeter.facts import Facts
from trapmeter.frames.store import FrameStore
from trapmeter.models.input_spec import FrameEncoding, InputSpec
from trapmeter.models.network_input import as_photo, fact_input, network_input
from trapmeter.records import CONFIDENT_SCORE, Box
from trapmeter.training.augment.apply import apply_plan, sample_rng
from trapmeter.training.augment.plan import AugmentPlan
from trapmeter.training.augment.random_plan import draw_plan
from trapmeter.training.augment.warps import flip_box
from trapmeter.training.fact_settings import scaled_hfov_deg, told_facts
from trapmeter.training.recipes import Recipe
from trapmeter.training.samples import DRAWN_SCORE, OTHER_ANIMAL, Sample

MIN_VISIBLE_SHARE = 0.5
NO_BOX = (0.0, 0.0, 0.0, 0.0)
HELD_OUT_EPOCH = 2**31 - 1
"""Stands for the epoch where held-out windows need random numbers: the same after every epoch of training."""
JITTERED_SCORES = (0.3, 1.0)
"""Scores of jittered boxes that were drawn, as a detector's could be."""


@dataclass(frozen=True, slots=True)
class DatasetItem:
    """A request to the loader: the number of a sample, and the epoch that seeds its augmentation (None: no augmentation)."""

    index: int
    epoch: int | None


class GroundTruth(NamedTuple):
    """The true distance and location for a window; in a batch all have a first axis n.

    distance_m, weight: of the sample. box (4,): x1, y1, x2, y2 of the animal in 0..1. box_weight: how reliable the box is,
    0 if the animal's location is unknown. sample: the sample's number.
    """

    distance_m: Tensor
    weight: Tensor
    box: Tensor
    box_weight: Tensor
    sample: Tensor


class WindowDataset(Dataset[tuple[Tensor, Tensor, GroundTruth]]):
    """Windows of samples from a frame store: input bytes, facts (float32, NaN where unknown or hidden) and ground truth.

    The recipe states the input and the random changes. It reads frames on request and keeps none, so that many loader
    processes can share the store.
    """

    def __init__(self, store: FrameStore, samples: Sequence[Sample], recipe: Recipe) -> None:
        self._store, self._samples, self._recipe = store, tuple(samples), recipe

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, item: DatasetItem) -> tuple[Tensor, Tensor, GroundTruth]:
        """The window of one sample; its random changes depend on sample and epoch, not on the process that loads it.

        Held-out windows are not augmented, but their facts are hidden like those of training.
        """
        sample, recipe, spec = self._samples[item.index], self._recipe, self._recipe.input
        frames = self._store.window(sample.video_id, sample.time_s, spec.offsets_s, spec.edge)
        box, animal, distance_m, facts = sample.box, animal_box(sample), sample.distance_m, sample.facts
        if item.epoch is None:
            facts = held_out_facts(sample, recipe, item.index)
        else:
            rng = sample_rng(recipe.seed, item.epoch, item.index)
            plan = keep_animal_visible(draw_plan(recipe.augment, spec.size_hw, rng), animal)
            # Another animal of a second always keeps its box: it alone shows which animal is meant.
            is_shown = sample.source == OTHER_ANIMAL or rng.random() >= recipe.box_dropout
            if recipe.single_share and rng.random() < recipe.single_share:
                frames = as_photo(frames, spec)
            is_outside = ~frames.any(axis=(1, 2, 3))
            frames, (box, animal) = apply_plan(plan, frames, (box, animal))
            if spec.frames is FrameEncoding.MOTION:
                # Haze on a frame outside the video would look like motion everywhere.
                frames[is_outside] = 0
            if plan.zoom is not None and plan.zoom.is_lens:
                facts = replace(facts, hfov_deg=scaled_hfov_deg(facts.hfov_deg, 1 / plan.zoom.scale))
            elif plan.zoom is not None:
                distance_m /= plan.zoom.scale
            if box is not None and recipe.box_jitter:
                box = jittered_box(box, recipe.box_jitter, rng)
            if not is_shown:
                box = None
            if spec.facts:
                facts = told_facts(facts, recipe.facts, rng)
        window, told = network_input(frames, box, spec), fact_input(facts, box, spec)
        xyxy, box_weight = (NO_BOX, 0.0) if animal is None else (animal.xyxy, animal.score)
        truth = (distance_m, sample.weight, xyxy, box_weight, item.index)
        return torch.from_numpy(window), torch.from_numpy(told), GroundTruth(*map(torch.tensor, truth))


def held_out_facts(sample: Sample, recipe: Recipe, index: int) -> Facts:
    """What a network is told about a held-out sample, the same after every epoch. index: the sample's number in its set."""
    if not recipe.input.facts:
        return sample.facts
    return told_facts(sample.facts, recipe.facts, sample_rng(recipe.seed, HELD_OUT_EPOCH, index))


def is_size_told(facts: Facts, box: Box | None) -> bool:
    """Whether lens, shoulder height and box are known, from which the distance follows by size."""
    return None not in (facts.hfov_deg, facts.aspect_ratio, facts.shoulder_m, box)


def jittered_box(box: Box, sd: float, rng: np.random.Generator) -> Box:
    """The box with each edge shifted at random by sd of the box's side, inside the picture; it always draws five numbers.

    A score as sure as a person's becomes a random one.
    """
    shifts = sd * rng.standard_normal(4)
    score = float(rng.uniform(*JITTERED_SCORES))
    edges = []
    for low, high, shift_low, shift_high in ((box.x1, box.x2, *shifts[:2]), (box.y1, box.y2, *shifts[2:])):
        # Less than half of a side, so that the edges stay in order.
        limits = [max(-0.4, min(shift, 0.4)) * (high - low) for shift in (shift_low, shift_high)]
        edges.append((max(0.0, low + limits[0]), min(1.0, high + limits[1])))
    (x1, x2), (y1, y2) = edges
    return replace(box, x1=x1, y1=y1, x2=x2, y2=y2, score=score if box.score >= DRAWN_SCORE else box.score)


def animal_box(sample: Sample) -> Box | None:
    """The animal's drawn box, or a confident detector's box; None if neither is known. Its score says how reliable it is."""
    if sample.drawn is not None:
        return sample.drawn
    return sample.box if sample.box is not None and sample.box.score >= CONFIDENT_SCORE else None


def keep_animal_visible(plan: AugmentPlan, box: Box | None) -> AugmentPlan:
    """The plan, without a zoom that could push the animal out of the picture.

    Half of its box's area must stay visible. Animals without a known location are never zoomed: shrinking alone would teach
    that such animals are far away.
    """
    if plan.zoom is None:
        return plan
    if box is not None:
        # The flip comes before the zoom.
        flipped = flip_box(box) if plan.flip else box
        sides = [
            _share_inside(low, high, at, plan.zoom.scale)
            for low, high, at in ((flipped.x1, flipped.x2, plan.zoom.x), (flipped.y1, flipped.y2, plan.zoom.y))
        ]
        if sides[0] * sides[1] >= MIN_VISIBLE_SHARE:
            return plan
    return replace(plan, zoom=None)


def _share_inside(low: float, high: float, at: float, scale: float) -> float:
    """The share of low..high that stays within 0..1 when magnified about the point at."""
    low, high = at + (low - at) * scale, at + (high - at) * scale
    return max(0.0, min(high, 1.0) - max(low, 0.0)) / (high - low)


def deals_whole_batches(accumulate: int, world_size: int) -> bool:
    """Whether each batch of a step goes to a single process, because the number of processes divides that of the batches."""
    return accumulate % world_size == 0


def training_batches(
    n_samples: int, epoch: int, seed: int, batch_size: int, accumulate: int, rank: int, world_size: int
) -> list[list[DatasetItem]]:
    """One process's batches of an epoch, shuffled with the same seed in all processes.

    A step has accumulate batches of batch_size samples over all processes, and the same samples whatever their number; the
    last incomplete step is dropped. Processes take turns at complete batches, or share each batch; then the first processes
    may get one sample more.

    Raises:
        InputError: fewer samples than one step, or fewer in a batch than there are processes.
    """
    n_batches = n_batches_per_epoch(n_samples, batch_size, accumulate, world_size)
    order = np.random.default_rng([seed, epoch, 1]).permutation(n_samples)
    batches = order[: n_batches * batch_size].reshape(n_batches, batch_size)
    is_whole = deals_whole_batches(accumulate, world_size)
    own = batches[rank::world_size] if is_whole else [batch[rank::world_size] for batch in batches]
    return [[DatasetItem(int(index), epoch) for index in batch] for batch in own]


def n_batches_per_epoch(n_samples: int, batch_size: int, accumulate: int, world_size: int) -> int:
    """The batches of an epoch over all processes, a multiple of those of a step.

    Raises:
        InputError: fewer samples than one step, or fewer in a batch than there are processes.
    """
    if not deals_whole_batches(accumulate, world_size) and batch_size < world_size:
        raise InputError(
            f"{world_size} processes can't share a batch of {batch_size} windows; start at most {batch_size} processes, "
            "or give a larger --batch-size"
        )
    n_batches = n_samples // (batch_size * accumulate) * accumulate
    if n_batches == 0:
        step = f"batch of {batch_size}" if accumulate == 1 else f"step of {accumulate} batches of {batch_size}"
        smaller = "--batch-size" if accumulate == 1 else "--batch-size or --accumulate"
        raise InputError(f"{n_samples} samples are too few for a {step}; give more samples or a smaller {smaller}")
    return n_batches


def describe_shares(batch_size: int, accumulate: int, world_size: int) -> str:
    """A process's share of a step as text."""
    step = f"{accumulate} x {batch_size}" if accumulate > 1 else f"{batch_size}"
    if deals_whole_batches(accumulate, world_size):
        return f"{accumulate // world_size} x {batch_size} of a step's {step} windows"
    least, rest = divmod(batch_size, world_size)
    parts = f"{least} {f'or {least + 1} ' if rest else ''}"
    return f"{f'{accumulate} x ({parts.strip()}) ' if accumulate > 1 else parts}of a step's {step} windows"


def validation_batches(
    n_samples: int, batch_size: int, rank: int, world_size: int, first: int = 0
) -> list[list[DatasetItem]]:
    """The validation batches of one process; over all processes, each sample occurs exactly once.

    first: the number of the first of these samples in the set.
    """
    own = list(range(first + rank, first + n_samples, world_size))
    return [[DatasetItem(index, None) for index in own[i : i + batch_size]] for i in range(0, len(own), batch_size)]


def store_digest(store: FrameStore, samples: Sequence[Sample]) -> str:
    """A checksum of the pictures of the samples' videos, made from the store's own checksums without reading a picture.

    It is equal for two stores with equal pictures, wherever they are and whenever they were filled.
    """
    digest = hashlib.sha256(json.dumps(store.spec.to_json(), sort_keys=True).encode())
    for video_id in sorted({sample.video_id for sample in samples}):
        index = store.index(video_id)
        pictures = [(time_s, entry.crc32) for time_s, entry in sorted(index.entries.items())]
        digest.update(repr((video_id, index.length_s, pictures)).encode())
    return digest.hexdigest()


def check_frames_stored(store: FrameStore, samples: Sequence[Sample], spec: InputSpec) -> None:
    """Checks that the store has every frame that the samples need, before hours of training.

    Raises:
        InputError: frames are missing, or differ from the network's input in size or scaling.
    """
    store.spec.check_serves(spec)
    known = set(store.video_ids())
    missing: list[str] = []
    for sample in samples:
        if sample.video_id not in known:
            missing.append(f"{sample.video_id} (no frames at all)")
            continue
        index = store.index(sample.video_id)
        if not sample.time_s < index.length_s:
            missing.append(f"{sample.video_id} at {sample.time_s:g} s (it ends at {index.length_s:g} s)")
            continue
        times_s = index.missing_times(sample.time_s, spec.offsets_s, spec.edge)
        missing += [f"{sample.video_id} at {time_s:g} s" for time_s in times_s]
    if missing:
        missing = list(dict.fromkeys(missing))
        raise InputError(
            f"the store lacks {len(missing)} frames, such as {', '.join(missing[:3])}; run trapmeter frames with these "
            "labels and offsets, and remove from the labels what its failed.csv lists"
        )
