"""The facts of animal and camera inside a network: standardised, marked as known or unknown, and combined to distances.

Two distances follow from facts alone, and a network learns when to trust them: that from the animal's size, and that from the
place of its feet on level ground.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from trapmeter.models.fact_inputs import (
    BOX_BOTTOM,
    FACT_INPUTS,
    LOG_BOX_HEIGHT,
    LOG_CAMERA_HEIGHT_M,
    LOG_SHOULDER_M,
    LOG_TAN_HALF_VFOV,
    TAN_PITCH,
)

MAX_VALUE = 5.0
"""Standardised numbers stop here, so that an odd one can't carry a network far beyond what it was trained on."""
MIN_DEPRESSION = 0.02
"""Least tangent below the horizon: the ground seen there is 50 camera heights away."""
LOG_DISTANCE_MEAN, LOG_DISTANCE_SD = 1.8, 0.7
SIZE_FACTS = (LOG_SHOULDER_M, LOG_TAN_HALF_VFOV, LOG_BOX_HEIGHT)
GROUND_FACTS = (LOG_CAMERA_HEIGHT_M, TAN_PITCH, LOG_TAN_HALF_VFOV, BOX_BOTTOM)


class FactFeatures(nn.Module):
    """From facts (n, numbers), NaN where unknown, to an embedding (n, N_EMBEDDED) and distances by geometry (n, n_distances).

    `distances` holds, for each way to reckon the distance, its standardised logarithm and 1, or twice 0 if a fact that it
    needs is unknown.
    """

    N_EMBEDDED = 32

    means: Tensor
    sds: Tensor

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self._position = {name: number for number, name in enumerate(names)}
        inputs = [FACT_INPUTS[name] for name in names]
        self.register_buffer("means", torch.tensor([number.mean for number in inputs]))
        self.register_buffer("sds", torch.tensor([number.sd for number in inputs]))
        self.n_distances = 2 * (self._has(SIZE_FACTS) + self._has(GROUND_FACTS))
        self.embed = nn.Sequential(
            nn.Linear(2 * len(names) + self.n_distances, 2 * self.N_EMBEDDED),
            nn.SiLU(),
            nn.Linear(2 * self.N_EMBEDDED, self.N_EMBEDDED),
            nn.SiLU(),
        )

    def forward(self, facts: Tensor) -> tuple[Tensor, Tensor]:
        """The embedding and the distances."""
        dtype = self.means.dtype
        is_unknown = torch.isnan(facts)
        standardised = ((facts.to(dtype) - self.means) / self.sds).clamp(-MAX_VALUE, MAX_VALUE)
        values = torch.where(is_unknown, torch.zeros_like(standardised), standardised)
        known = 1.0 - is_unknown.to(dtype)
        plain = values * self.sds + self.means
        found = []
        if self._has(SIZE_FACTS):
            shoulder, lens, height = self._columns(plain, SIZE_FACTS)
            found.append((shoulder - math.log(2.0) - lens - height, self._all_known(known, SIZE_FACTS)))
        if self._has(GROUND_FACTS):
            camera_height, pitch, lens, bottom = self._columns(plain, GROUND_FACTS)
            found.append((
                camera_height - depression(bottom, lens.exp(), pitch).clamp(min=MIN_DEPRESSION).log(),
                self._all_known(known, GROUND_FACTS),
            ))  # fmt: skip
        reckoned = [
            part
            for log_distance, mark in found
            for part in (
                mark * ((log_distance - LOG_DISTANCE_MEAN) / LOG_DISTANCE_SD).clamp(-MAX_VALUE, MAX_VALUE),
                mark,
            )
        ]
        distances = torch.stack(reckoned, dim=1) if reckoned else values[:, :0]
        return self.embed(torch.cat([values, known, distances], dim=1)), distances

    def unknown(self, n: int) -> Tensor:
        """Facts of n animals about which nothing is known."""
        return torch.full((n, len(self.means)), math.nan, device=self.means.device)

    def _has(self, names: Sequence[str]) -> bool:
        return set(names) <= self._position.keys()

    def _columns(self, rows: Tensor, names: Sequence[str]) -> list[Tensor]:
        return [rows[:, self._position[name]] for name in names]

    def _all_known(self, known: Tensor, names: Sequence[str]) -> Tensor:
        return torch.stack(self._columns(known, names)).amin(dim=0)


def depression(bottom: Tensor, tan_half_vfov: Tensor, tan_pitch: Tensor) -> Tensor:
    """The tangent of the angle below the horizon of a place at this height of the picture (0 top, 1 bottom).

    By the tangent of a difference of angles: that below the camera's axis, and the pitch.
    """
    below_axis = (2.0 * bottom - 1.0) * tan_half_vfov
    return (below_axis - tan_pitch) / (1.0 + below_axis * tan_pitch).clamp(min=0.1)
