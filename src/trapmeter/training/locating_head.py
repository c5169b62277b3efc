"""A network head that locates the animal in the feature maps and estimates the distance there.

A mean over the whole map forgets where an animal stands and drowns a small one. This head weighs the map's cells, and answers
from what is seen there, from the place and the spread of the weights, and from the box that was given.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

MIN_VARIANCE = 1e-5


class AnimalLocation(NamedTuple):
    """What a network says of where the animal is.

    cells: (n, rows, columns), logits of the cells of a map. box: (n, 4), bottom edge, middle column, log height, log width.
    """

    cells: Tensor
    box: Tensor


class LocatingHead(nn.Module):
    """From a backbone's maps at strides 8, 16 and 32 to one raw distance and the animal's place."""

    N_MAP = 96
    N_SCENE = 48
    N_HIDDEN = 128

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.levels = nn.ModuleList(nn.Conv2d(n, self.N_MAP, 1) for n in channels)
        # Beside the backbone's maps: the row and column of each cell, and how much of it lies in the box.
        self.mix = nn.Sequential(
            nn.Conv2d(self.N_MAP + 3, self.N_MAP, 3, padding=1, bias=False), nn.BatchNorm2d(self.N_MAP), nn.SiLU()
        )
        self.looks = nn.Conv2d(self.N_MAP, 1, 1)
        self.scene = nn.Linear(channels[-1], self.N_SCENE)
        n_seen = self.N_MAP + N_SPREAD_FEATURES
        self.box = nn.Sequential(nn.Linear(n_seen, 64), nn.SiLU(), nn.Linear(64, 4))
        self.hidden = nn.Linear(n_seen + 4 + self.N_SCENE + N_BOX_FEATURES, self.N_HIDDEN)
        self.answer = nn.Linear(self.N_HIDDEN, 1)

    def forward(self, maps: Sequence[Tensor], mask: Tensor) -> tuple[Tensor, AnimalLocation]:
        """The raw distance (n,) and the place, from maps, finest first, and the box's channel (n, height, width), 0..1."""
        size = maps[0].shape[-2:]
        summed = torch.stack([
            functional.interpolate(level(features), size=size, mode="bilinear", align_corners=False)
            for level, features in zip(self.levels, maps, strict=True)
        ]).sum(dim=0)  # fmt: skip
        numbers = box_features(mask)
        rows, columns = cell_coordinates(size, summed)
        inside = cell_overlaps(numbers[:, 1:5], size) * numbers[:, :1, None]
        placed = torch.stack([rows.expand_as(inside), columns.expand_as(inside), inside], dim=1)
        seen = self.mix(torch.cat([summed, placed], dim=1))
        cells = self.looks(seen).squeeze(1)
        weights = cells.flatten(1).softmax(dim=1).unflatten(1, size)
        looked_at = (seen * weights[:, None]).sum(dim=(2, 3))
        seen_there = torch.cat([looked_at, spread_features(weights, rows, columns)], dim=1)
        box = self.box(seen_there)
        known = [seen_there, box, self.scene(maps[-1].mean(dim=(2, 3))), numbers]
        return self.answer(functional.silu(self.hidden(torch.cat(known, dim=1)))).squeeze(-1), AnimalLocation(
            cells, box
        )


N_SPREAD_FEATURES = 6


def spread_features(weights: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Where weights (n, rows, columns) of sum 1 lie, and how sure they are (n, 6).

    Mean row and column, their standard deviations, the largest weight, and the entropy as a share of log(400).
    """
    means, deviations = [], []
    for places in (rows, columns):
        mean = (weights * places).sum(dim=(1, 2))
        means.append(mean)
        deviations.append(((weights * (places - mean[:, None, None]) ** 2).sum(dim=(1, 2)) + MIN_VARIANCE).sqrt())
    # Clamped well above what half precision takes for 0.
    entropy = -(weights * weights.clamp(min=1e-6).log()).sum(dim=(1, 2)) / 6.0
    return torch.stack([*means, *deviations, weights.amax(dim=(1, 2)), entropy], dim=1)


def cell_coordinates(size: Sequence[int], like: Tensor) -> tuple[Tensor, Tensor]:
    """The row (rows, 1) and the column (1, columns) of a map's cells, 0..1 from the first to the last."""
    rows, columns = (torch.linspace(0.0, 1.0, n, dtype=like.dtype, device=like.device) for n in size)
    return rows[:, None], columns[None, :]


def cell_overlaps(boxes: Tensor, size: Sequence[int]) -> Tensor:
    """How much of each cell lies in the box: (n, rows, columns), 0..1, of boxes (n, 4): x1, y1, x2, y2 in 0..1."""
    overlaps = []
    for low, high, n in ((boxes[:, 1], boxes[:, 3], size[0]), (boxes[:, 0], boxes[:, 2], size[1])):
        first = torch.arange(n, dtype=boxes.dtype, device=boxes.device) / n
        shared = torch.minimum(high[:, None], first + 1 / n) - torch.maximum(low[:, None], first)
        overlaps.append(shared.clamp(min=0.0) * n)
    return overlaps[0][:, :, None] * overlaps[1][:, None, :]


N_BOX_FEATURES = 10


def box_features(mask: Tensor) -> Tensor:
    """Whether there is a box, its edges, width and height (0..1), the logarithms of these, and its value; all 0 without one.

    mask: (n, height, width), the box's score as `models.inputs.box_mask` writes it inside the box, else 0. Returns (n, 10).
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
    numbers = [has_box, x1, y1, x1 + width, y1 + height, width, height, log_width, log_height, value]
    return torch.stack(numbers, dim=1) * has_box[:, None]
