"""The losses: error of the distance, and of the animal's location, over all processes."""

from __future__ import annotations

import torch
from torch import Tensor

from trapmeter.training.dataset import GroundTruth
from trapmeter.training.distributed import Ranks, sum_tensor
from trapmeter.training.locating_head import AnimalLocation, cell_overlaps
from trapmeter.training.network import DistanceNetwork, NetworkOutput
from trapmeter.training.recipes import Recipe

MIN_BOX_SIDE = 0.004
"""Smallest box side, a share of the picture: half a pixel of the smallest input. It keeps the logarithm finite."""
BOTTOM_WEIGHT = 3.0
"""Weight of the bottom edge's error; the other three numbers of a box have 1. The feet show the distance best."""


def at_least_fp32(values: Tensor) -> Tensor:
    """Half-precision values in single precision; single and double precision unchanged."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def weighted_l1(raw: Tensor, expected: Tensor, weight: Tensor) -> Tensor:
    """Mean of the raw output's absolute errors, each multiplied by its sample's weight."""
    return ((at_least_fp32(raw) - expected).abs() * weight).mean()


def location_loss(location: AnimalLocation, boxes: Tensor, weights: Tensor, total_weight: Tensor) -> Tensor:
    """The error of the estimated locations: one number, the weighted mean over windows.

    For each window, the Kullback-Leibler divergence of the cells' weights from a uniform spread over the box, plus the errors
    of the box's four numbers. boxes: (n, 4), x1, y1, x2, y2. weights: (n,), how reliable each box is, 0 without one.
    total_weight: the sum of the weights over the entire batch, with the windows of other processes.
    """
    target = cell_overlaps(boxes, location.cells.shape[1:]).flatten(1)
    target = target / target.sum(dim=1, keepdim=True).clamp(min=1e-9)
    log_weights = at_least_fp32(location.cells).flatten(1).log_softmax(dim=1)
    divergence = (target * ((target + 1e-9).log() - log_weights)).sum(dim=1)
    x1, y1, x2, y2 = boxes.unbind(dim=1)
    sides = [(y2 - y1).clamp(min=MIN_BOX_SIDE).log(), (x2 - x1).clamp(min=MIN_BOX_SIDE).log()]
    error = (at_least_fp32(location.box) - torch.stack([y2, (x1 + x2) / 2, *sides], dim=1)).abs()
    per_window = divergence + BOTTOM_WEIGHT * error[:, 0] + error[:, 1:].sum(dim=1)
    return (per_window * weights).sum() / total_weight.clamp(min=1.0)


def batch_loss(
    recipe: Recipe, network: DistanceNetwork, output: NetworkOutput, truth: GroundTruth, ranks: Ranks
) -> Tensor:
    """This process's part of the loss of a shared batch: the mean of the parts is the loss of the entire batch.

    Gradients averaged over the processes therefore equal those of a single process with the entire batch, even if the
    processes have unequal numbers of windows or unequal weights of boxes. ranks: of the processes that share the batch.
    """
    raw = at_least_fp32(output.raw)
    share = len(raw) * ranks.world_size / recipe.batch_size
    expected = network.encode(truth.distance_m.to(raw.dtype))
    loss = weighted_l1(raw, expected, truth.weight.to(raw.dtype)) * share
    if output.location is not None:
        weights = truth.box_weight.to(raw.dtype)
        total_weight = sum_tensor(weights.sum(), ranks)
        error = location_loss(output.location, truth.box, weights, total_weight) * ranks.world_size
        loss = loss + recipe.place_weight * error
    return loss
