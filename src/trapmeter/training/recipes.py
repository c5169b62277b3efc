"""Recipes: everything that tells one training from another, as named functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from trapmeter.errors import InputError
from trapmeter.models.spec import SECOND_PLACE_INPUT, InputSpec, Target
from trapmeter.training.augment import AugmentSettings
from trapmeter.training.augment import second_place as second_place_augmentation
from trapmeter.training.network import HUB, LITE0, PACKAGE
from trapmeter.training.schedule import Cosine
from trapmeter.windows import IN_TIME_ORDER_S


class Precision(StrEnum):
    """What the network computes in; weights stay in float32."""

    FP32 = "fp32"
    FP16 = "fp16"
    BF16 = "bf16"


@dataclass(frozen=True, slots=True)
class Recipe:
    """A training, without its data."""

    name: str
    backbone: str
    weights: str
    """Where the backbone's weights come from: hub, package, none or a file."""
    input: InputSpec
    augment: AugmentSettings
    schedule: Cosine = field(default_factory=Cosine)
    epochs: int = 80
    batch_size: int = 32
    """Windows on each device."""
    accumulate: int = 1
    """Batches whose gradients are added up before a step."""
    weight_decay: float = 5e-6
    """AdamW's, on weights of two or more dimensions alone."""
    clip_norm: float = 5.0
    """Largest norm of the gradient."""
    precision: Precision = Precision.FP16
    """Half precision counts on GPUs; a CPU trains in fp32 or bf16."""
    ema_decay: float | None = None
    """With it, what is validated and kept is a running mean of the weights."""
    compile: bool = False
    """torch.compile: pays on GPUs after some minutes."""
    box_dropout: float = 0.0
    """Share of windows that are shown without their box, so that the network answers for seconds without one too."""
    box_head: bool = False
    """Give the box's place and size, read off its channel, to the last layers as numbers."""
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
        if (self.box_dropout or self.box_head) and not self.input.box_channel:
            raise InputError("box_dropout and box_head need an input with a box channel")
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
        schedule=Cosine(lr=1e-3, eta_min=1e-5, t_max=25),
        epochs=80,
        batch_size=32,
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
        schedule=Cosine(lr=1e-3, eta_min=1e-5, t_max=12 * 25 / 80),
        epochs=12,
        precision=Precision.FP32,
        workers=1,
    )


def small() -> Recipe:
    """Minutes on a CPU: three frames in time order, a quarter of the size."""
    return Recipe(
        name="small",
        backbone=LITE0,
        weights=PACKAGE,
        input=InputSpec(size_hw=(96, 160), offsets_s=(-1.0, 0.0, 1.0), target=Target.LOG1P),
        augment=AugmentSettings(),
        schedule=Cosine(lr=5e-4, eta_min=1e-5, t_max=20),
        epochs=20,
        batch_size=8,
        precision=Precision.FP32,
        start_at_median=True,
        workers=0,
    )


def default() -> Recipe:
    """What we would train with: time order, antialiased frames, log distance, one fall of the rate, a mean of weights."""
    return Recipe(
        name="default",
        backbone="tf_efficientnetv2_l.in21k",
        weights=HUB,
        input=InputSpec(size_hw=(270, 480), offsets_s=IN_TIME_ORDER_S, target=Target.LOG1P),
        augment=second_place_augmentation(),
        schedule=Cosine(lr=1e-3, eta_min=1e-5, t_max=25),
        epochs=25,
        precision=Precision.BF16,
        ema_decay=0.998,
        start_at_median=True,
    )


RECIPES: dict[str, Callable[[], Recipe]] = {
    "second_place": second_place,
    "second_place_cpu": second_place_cpu,
    "small": small,
    "default": default,
}


def recipe_named(name: str) -> Recipe:
    """A recipe by its name.

    Raises:
        InputError: there is none of that name.
    """
    if name not in RECIPES:
        raise InputError(f"no recipe {name!r}; there are {', '.join(RECIPES)}")
    return RECIPES[name]()
