"""What a step makes small: the error of the distance, and of where the network looks, over the batch of all processes."""

from __future__ import annotations

import torch
from torch import Tensor

from trapmeter.training.dataset import GroundTruth
from trapmeter.training.distributed import Ranks, sum_tensor
from trapmeter.training.locating_head import AnimalLocation, cell_overlaps
from trapmeter.training.network import DistanceNetwork, NetworkOutput
from trapmeter.training.recipes import Recipe

MIN_BOX_SIDE = 0.004
"""Of a box, as a share of the picture: half a pixel of the smallest networks' pictures. Its logarithm must stay finite."""
BOTTOM_WEIGHT = 3.0
"""Of the bottom edge beside the other three numbers of a box: where the feet stand tells the distance."""


def at_least_fp32(values: Tensor) -> Tensor:
    """Values of half precision in single; of single and double as they are."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def weighted_l1(raw: Tensor, wanted: Tensor, weight: Tensor) -> Tensor:
    """Mean absolute error of the raw output, each sample counting by its weight."""
    return ((at_least_fp32(raw) - wanted).abs() * weight).mean()


def location_loss(place: AnimalLocation, boxes: Tensor, weights: Tensor, of_all: Tensor) -> Tensor:
    """How far a network looks from where the animals are: one number, the weighted mean over windows.

    Of each window the divergence of the cells' weights from an even spread over the box, and the error of the box's numbers.
    boxes: (n, 4), x1, y1, x2, y2. weights: (n,), how far each box is to be believed, 0 for none at all. of_all: the sum of
    weights over all windows of the batch, also those of other processes.
    """
    wanted = cell_overlaps(boxes, place.cells.shape[1:]).flatten(1)
    wanted = wanted / wanted.sum(dim=1, keepdim=True).clamp(min=1e-9)
    looked = at_least_fp32(place.cells).flatten(1).log_softmax(dim=1)
    divergence = (wanted * ((wanted + 1e-9).log() - looked)).sum(dim=1)
    x1, y1, x2, y2 = boxes.unbind(dim=1)
    sides = [(y2 - y1).clamp(min=MIN_BOX_SIDE).log(), (x2 - x1).clamp(min=MIN_BOX_SIDE).log()]
    error = (at_least_fp32(place.box) - torch.stack([y2, (x1 + x2) / 2, *sides], dim=1)).abs()
    off = divergence + BOTTOM_WEIGHT * error[:, 0] + error[:, 1:].sum(dim=1)
    return (off * weights).sum() / of_all.clamp(min=1.0)


def batch_loss(
    recipe: Recipe, network: DistanceNetwork, output: NetworkOutput, truth: GroundTruth, ranks: Ranks
) -> Tensor:
    """This process's part of the loss of a batch that all share: the mean of the parts is the mean over the whole batch.

    So gradients that are averaged over the processes are those of one process with the whole batch, also where it couldn't
    be dealt out evenly, and where boxes of unlike weight fall to unlike processes. ranks: of those who share the batch.
    """
    raw = at_least_fp32(output.raw)
    share = len(raw) * ranks.world_size / recipe.batch_size
    wanted = network.encode(truth.distance_m.to(raw.dtype))
    loss = weighted_l1(raw, wanted, truth.weight.to(raw.dtype)) * share
    if output.place is not None:
        weights = truth.box_weight.to(raw.dtype)
        of_all = sum_tensor(weights.sum(), ranks)
        off = location_loss(output.place, truth.box, weights, of_all) * ranks.world_size
        loss = loss + recipe.place_weight * off
    return loss
