"""The learning rate over the epochs."""

from __future__ import annotations

import math
from dataclasses import dataclass

from trapmeter.errors import InputError


@dataclass(frozen=True, slots=True)
class Cosine:
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
