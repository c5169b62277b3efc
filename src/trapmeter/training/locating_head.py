"""A network head that locates the animal in the feature maps and estimates the distance there.

A mean over the feature map loses an animal's position, and a small animal hardly counts in it. This head weights the map's
cells, and estimates the distance from the weighted features, from position and spread of the weights, from the given box, and
from facts about animal and camera, if the network takes any.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from trapmeter.training.fact_features import FactFeatures

MIN_VARIANCE = 1e-5


class AnimalLocation(NamedTuple):
    """A network's estimate of where the animal is.

    cells: (n, rows, columns), logits of the map's cells. box: (n, 4), bottom edge, middle column, log height, log width.
    """

    cells: Tensor
    box: Tensor


class LocatingHead(nn.Module):
    """From a backbone's feature maps at strides 8, 16 and 32 to one raw distance and the animal's location."""

    N_MAP = 96
    N_SCENE = 48
    N_HIDDEN = 128

    def __init__(self, channels: Sequence[int], facts: Sequence[str] = ()) -> None:
        super().__init__()
        self.facts = FactFeatures(facts) if facts else None
        n_embedded, n_distances = (FactFeatures.N_EMBEDDED, self.facts.n_distances) if self.facts else (0, 0)
        self.levels = nn.ModuleList(nn.Conv2d(n, self.N_MAP, 1) for n in channels)
        # Three more channels: the row and column of each cell, and its overlap with the box.
        self.mix = nn.Sequential(
            nn.Conv2d(self.N_MAP + 3, self.N_MAP, 3, padding=1, bias=False), nn.BatchNorm2d(self.N_MAP), nn.SiLU()
        )
        self.looks = nn.Conv2d(self.N_MAP, 1, 1)
        self.scene = nn.Linear(channels[-1], self.N_SCENE)
        n_located = self.N_MAP + N_SPREAD_FEATURES
        self.box = nn.Sequential(nn.Linear(n_located, 64), nn.SiLU(), nn.Linear(64, 4))
        self.hidden = nn.Linear(n_located + 4 + self.N_SCENE + N_BOX_FEATURES + n_embedded, self.N_HIDDEN)
        # With distances by geometry in the last layer, the answer can be a correction to them.
        self.answer = nn.Linear(self.N_HIDDEN + n_distances, 1)

    def forward(
        self, maps: Sequence[Tensor], mask: Tensor, facts: Tensor | None = None
    ) -> tuple[Tensor, AnimalLocation]:
        """The raw distance (n,) and the location, from maps (finest first) and the box's channel (n, height, width), 0..1.

        facts: (n, numbers) of a head that takes any, NaN where unknown; None if nothing is known.
        """
        size = maps[0].shape[-2:]
        summed = torch.stack([
            functional.interpolate(level(features), size=size, mode="bilinear", align_corners=False)
            for level, features in zip(self.levels, maps, strict=True)
        ]).sum(dim=0)  # fmt: skip
        given_box = box_features(mask)
        rows, columns = cell_coordinates(size, summed)
        inside = cell_overlaps(given_box[:, 1:5], size) * given_box[:, :1, None]
        coordinates = torch.stack([rows.expand_as(inside), columns.expand_as(inside), inside], dim=1)
        mixed = self.mix(torch.cat([summed, coordinates], dim=1))
        cells = self.looks(mixed).squeeze(1)
        weights = cells.flatten(1).softmax(dim=1).unflatten(1, size)
        weighted = (mixed * weights[:, None]).sum(dim=(2, 3))
        located = torch.cat([weighted, spread_features(weights, rows, columns)], dim=1)
        box = self.box(located)
        parts = [located, box, self.scene(maps[-1].mean(dim=(2, 3))), given_box]
        if self.facts is None:
            hidden = functional.silu(self.hidden(torch.cat(parts, dim=1)))
        else:
            embedded, distances = self.facts(self.facts.unknown(len(mask)) if facts is None else facts)
            hidden = functional.silu(self.hidden(torch.cat([*parts, embedded], dim=1)))
            hidden = torch.cat([hidden, distances], dim=1)
        return self.answer(hidden).squeeze(-1), AnimalLocation(cells, box)


N_SPREAD_FEATURES = 6


def spread_features(weights: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Position and spread (n, 6) of weights (n, rows, columns) with sum 1.

    Mean row and column, their standard deviations, the largest weight, and the entropy as a share of log(400).
    """
    means, deviations = [], []
    for positions in (rows, columns):
        mean = (weights * positions).sum(dim=(1, 2))
        means.append(mean)
        deviations.append(((weights * (positions - mean[:, None, None]) ** 2).sum(dim=(1, 2)) + MIN_VARIANCE).sqrt())
    # Clamped well above the smallest number of half precision.
    entropy = -(weights * weights.clamp(min=1e-6).log()).sum(dim=(1, 2)) / 6.0
    return torch.stack([*means, *deviations, weights.amax(dim=(1, 2)), entropy], dim=1)


def cell_coordinates(size: Sequence[int], like: Tensor) -> tuple[Tensor, Tensor]:
    """The row (rows, 1) and the column (1, columns) of a map's cells, from 0 for the first to 1 for the last."""
    rows, columns = (torch.linspace(0.0, 1.0, n, dtype=like.dtype, device=like.device) for n in size)
    return rows[:, None], columns[None, :]


def cell_overlaps(boxes: Tensor, size: Sequence[int]) -> Tensor:
    """The share of each cell inside the box: (n, rows, columns), 0..1, for boxes (n, 4): x1, y1, x2, y2 in 0..1."""
    overlaps = []
    for low, high, n in ((boxes[:, 1], boxes[:, 3], size[0]), (boxes[:, 0], boxes[:, 2], size[1])):
        first = torch.arange(n, dtype=boxes.dtype, device=boxes.device) / n
        shared = torch.minimum(high[:, None], first + 1 / n) - torch.maximum(low[:, None], first)
        overlaps.append(shared.clamp(min=0.0) * n)
    return overlaps[0][:, :, None] * overlaps[1][:, None, :]


N_BOX_FEATURES = 10


def box_features(mask: Tensor) -> Tensor:
    """The box as numbers (n, 10): presence, edges, width and height (0..1), their logarithms, value; all 0 without a box.

    mask: (n, height, width), the input's last channel as `models.network_input.box_mask` writes it, divided by 255.
    """
    n_rows, n_columns = mask.shape[1:]
    in_row = (mask.amax(dim=2) > 0).to(mask.dtype)
    in_column = (mask.amax(dim=1) > 0).to(mask.dtype)
    row = torch.arange(n_rows, dtype=mask.dtype, device=mask.device) / n_rows
    column = torch.arange(n_columns, dtype=mask.dtype, device=mask.device) / n_columns
    height, width = in_row.mean(dim=1), in_column.mean(dim=1)
    has_box = in_row.amax(dim=1)
    y1, x1 = 1 - ((1 - row) * in_row).amax(dim=1), 1 - ((1 - column) * in_column).amax(dim=1)
    log_height, log_width = torch.log(height.clamp(min=1 / n_rows)), torch.log(width.clamp(min=1 / n_columns))
    value = mask.amax(dim=(1, 2))
    features = [has_box, x1, y1, x1 + width, y1 + height, width, height, log_width, log_height, value]
    return torch.stack(features, dim=1) * has_box[:, None]
