"""Recipes: every setting of a training, its learning-rate schedule, and the named recipes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from trapmeter.errors import InputError
from trapmeter.models.input_spec import SECOND_PLACE_INPUT, FrameEncoding, InputSpec, Target
from trapmeter.training.augment import AugmentSettings, distance_preserving, second_place_augmentation
from trapmeter.training.network import Head
from trapmeter.training.pretrained import HUB, LITE0, PACKAGE
from trapmeter.windows import WIDE_OFFSETS_S


@dataclass(frozen=True, slots=True)
class CosineSchedule:
    """Cosine annealing, stepped once per epoch, that rises again past its valley, as PyTorch's CosineAnnealingLR does.

    With t_max 25 over 80 epochs the rate falls until epoch 25, rises until 50, falls until 75 and rises a little to the end.
    """

    lr: float = 1e-3
    eta_min: float = 1e-5
    t_max: float = 25.0

    def __post_init__(self) -> None:
        if not (0 <= self.eta_min <= self.lr and self.lr > 0 and self.t_max >= 1):
            raise InputError(f"a cosine schedule needs 0 <= eta_min <= lr, lr > 0 and t_max >= 1, got {self}")

    def rate(self, epoch: int) -> float:
        """The learning rate of an epoch, counted from 0."""
        return self.eta_min + (self.lr - self.eta_min) * (1 + math.cos(math.pi * epoch / self.t_max)) / 2

    def is_valley(self, epoch: int) -> bool:
        """Whether no other epoch is nearer to a bottom of the curve: the odd multiples of t_max."""
        bottom = self.t_max * (2 * math.floor(epoch / (2 * self.t_max)) + 1)
        return -0.5 <= epoch - bottom < 0.5


class Precision(StrEnum):
    """What the network computes in; weights stay in float32, but for fp64."""

    FP32 = "fp32"
    FP16 = "fp16"
    BF16 = "bf16"
    FP64 = "fp64"
    """Weights and all else in double: slow, to see whether two ways of training do the same."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """A training, without its data."""

    name: str
    backbone: str
    weights: str
    """Where the backbone's weights come from: hub, package, none or a file."""
    input: InputSpec
    augment: AugmentSettings
    schedule: CosineSchedule = field(default_factory=CosineSchedule)
    epochs: int = 80
    batch_size: int = 32
    """Windows that go through a network at once, and share its batch norms' statistics."""
    accumulate: int = 1
    """Batches whose gradients make one step. Devices take whole ones where these go round, else parts of each: how many there
    are changes nothing but the time."""
    weight_decay: float = 5e-6
    """AdamW's, on weights of two or more dimensions alone."""
    warm_up: bool = False
    """The rate rises evenly over the first epoch, so that an untrained head doesn't scramble a trained backbone."""
    clip_norm: float = 5.0
    """Largest norm of the gradient."""
    precision: Precision = Precision.FP16
    """Half precision counts on GPUs; a CPU trains in fp32, bf16 or fp64."""
    ema_decay: float | None = None
    """With it, what is validated and kept is a running mean of the weights."""
    compile: bool = False
    """torch.compile: pays on GPUs after some minutes."""
    box_dropout: float = 0.0
    """Share of windows that are shown without their box, so that the network answers for seconds without one too."""
    head: Head = Head.POOLED
    """What is made of the backbone's map."""
    place_weight: float = 0.0
    """Weight of the error of where the locating head looks, beside that of the distance."""
    start_at_median: bool = False
    """The untrained network answers the median of the training labels."""
    workers: int = 4
    """Loader processes on each device."""
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "accumulate"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not (self.weight_decay >= 0 and self.clip_norm > 0 and self.workers >= 0):
            raise InputError("weight_decay and workers must not be negative, and clip_norm must be above 0")
        if not 0 <= self.box_dropout <= 1:
            raise InputError(f"box_dropout lies between 0 and 1, got {self.box_dropout}")
        if self.box_dropout and not self.input.box_channel:
            raise InputError("box_dropout needs an input with a box channel")
        if self.place_weight < 0 or (self.place_weight and self.head is not Head.LOCATING):
            raise InputError("place_weight is 0 or more, and above 0 only with the locating head")
        if self.ema_decay is not None and not 0 < self.ema_decay < 1:
            raise InputError(f"ema_decay lies between 0 and 1, got {self.ema_decay}")

    def to_json(self) -> dict[str, Any]:
        """As plain values: what makes two trainings the same."""
        return asdict(self)


def second_place() -> Recipe:
    """The 2nd-place system of Deep Chimpact, every number of it."""
    return Recipe(
        name="second_place",
        backbone="tf_efficientnetv2_l.in21k",
        weights=HUB,
        input=SECOND_PLACE_INPUT,
        augment=second_place_augmentation(),
        schedule=CosineSchedule(lr=1e-3, eta_min=1e-5, t_max=25),
        epochs=80,
        batch_size=32,
        # One on each of five GPUs.
        accumulate=5,
        weight_decay=5e-6,
        clip_norm=5.0,
        precision=Precision.FP16,
    )


def second_place_cpu() -> Recipe:
    """The same at a scale that a CPU can train: a small network, half the size, 12 epochs with the cycle scaled."""
    return replace(
        second_place(),
        name="second_place_cpu",
        backbone=LITE0,
        weights=PACKAGE,
        input=replace(SECOND_PLACE_INPUT, size_hw=(135, 240)),
        # The first valley is at 25 of 80 epochs there.
        schedule=CosineSchedule(lr=1e-3, eta_min=1e-5, t_max=12 * 25 / 80),
        epochs=12,
        # As many steps in an epoch as the small data sets that a CPU can learn from allow.
        accumulate=1,
        precision=Precision.FP32,
        workers=1,
    )


def default() -> Recipe:
    """What held-out sites prefer: motion, the animal's box, a head that looks where it is, and changes true to distance."""
    return Recipe(
        name="default",
        backbone="tf_efficientnetv2_l.in21k",
        weights=HUB,
        input=InputSpec(
            size_hw=(270, 480),
            offsets_s=WIDE_OFFSETS_S,
            frames=FrameEncoding.MOTION,
            box_channel=True,
            target=Target.LOG1P,
        ),
        augment=distance_preserving(),
        schedule=CosineSchedule(lr=1e-3, eta_min=1e-5, t_max=25),
        epochs=26,
        warm_up=True,
        precision=Precision.BF16,
        box_dropout=0.15,
        head=Head.LOCATING,
        place_weight=0.3,
        start_at_median=True,
    )


def default_cpu() -> Recipe:
    """The same at the scale of `second_place_cpu`: small network, half the size, 12 epochs."""
    return replace(
        default(),
        name="default_cpu",
        backbone=LITE0,
        weights=PACKAGE,
        input=replace(default().input, size_hw=(135, 240)),
        schedule=CosineSchedule(lr=1e-3, eta_min=1e-5, t_max=11),
        epochs=12,
        precision=Precision.FP32,
        workers=1,
    )


def student_cpu() -> Recipe:
    """For `distil --start`: `default_cpu` at nine tenths of its pixels, and half its rate, since it begins as a teacher.

    Sides that 32 divides leave no half-empty cells at the border of the coarsest map.
    """
    return replace(
        default_cpu(),
        name="student_cpu",
        input=replace(default().input, size_hw=(128, 224)),
        schedule=CosineSchedule(lr=5e-4, eta_min=1e-5, t_max=11),
    )


def small() -> Recipe:
    """Minutes on a CPU: `default_cpu` at a sixth of `default`'s pixels, for few videos."""
    return replace(
        default_cpu(),
        name="small",
        input=replace(default().input, size_hw=(96, 160)),
        schedule=CosineSchedule(lr=5e-4, eta_min=1e-5, t_max=19),
        epochs=20,
        batch_size=8,
        workers=0,
    )


RECIPES: dict[str, Callable[[], Recipe]] = {
    "second_place": second_place,
    "second_place_cpu": second_place_cpu,
    "default": default,
    "default_cpu": default_cpu,
    "student_cpu": student_cpu,
    "small": small,
}


def find_recipe(name: str) -> Recipe:
    """A recipe by its name.

    Raises:
        InputError: there is none of that name.
    """
    if name not in RECIPES:
        raise InputError(f"no recipe {name!r}; there are {', '.join(RECIPES)}")
    return RECIPES[name]()
