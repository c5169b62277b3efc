"""The moving parts of a training: network, optimiser, running mean, and where it stands. What a checkpoint holds."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from trapmeter.training.dataset import goes_whole
from trapmeter.training.distributed import Ranks
from trapmeter.training.network import DistanceNetwork
from trapmeter.training.recipes import Precision, Recipe


@dataclass
class Training:
    """The moving parts of a fold's training. Everything in it is in the state that is stored."""

    network: DistanceNetwork
    optimiser: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    ema: nn.Module | None
    epoch: int = 0
    best_mae_m: float = math.inf
    n_processes: int = 1
    """That train together; after a break it may be another number than before."""

    def state(self) -> dict[str, Any]:
        """For `checkpoints.save_state`."""
        return {
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "ema": None if self.ema is None else self.ema.state_dict(),
            "epoch": self.epoch,
            "best_mae_m": self.best_mae_m,
            "n_processes": self.n_processes,
        }

    def restore(self, state: dict[str, Any]) -> str:
        """The inverse of `state`, but for the number of processes; says where it goes on."""
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.scaler.load_state_dict(state["scaler"])
        if self.ema is not None:
            self.ema.load_state_dict(state["ema"])
        self.epoch, self.best_mae_m = int(state["epoch"]), float(state["best_mae_m"])
        before = int(state.get("n_processes", self.n_processes))
        others = "" if before == self.n_processes else f", with {self.n_processes} in place of {before} processes"
        return f"goes on after epoch {self.epoch}{others}"

    @property
    def judged(self) -> DistanceNetwork:
        """The network that is validated and kept: the running mean of the weights where there is one."""
        if self.ema is None:
            return self.network
        module = self.ema.module
        assert isinstance(module, DistanceNetwork)
        return module


def start(recipe: Recipe, make: Callable[[], DistanceNetwork], ranks: Ranks) -> Training:
    """A training before its first step, on this process's device."""
    device = ranks.device
    dtype = torch.float64 if recipe.precision is Precision.FP64 else torch.float32
    # Channels last pays on a CPU too: 1.39 against 2.11 s a step of lite0 on two cores.
    network = make().to(device, dtype).to(memory_format=torch.channels_last)
    if device.type == "cuda" and not goes_whole(recipe.accumulate, ranks.world_size):
        network = with_shared_norms(network)
    groups = parameter_groups(network, recipe.weight_decay)
    optimiser = torch.optim.AdamW(groups, lr=recipe.schedule.lr, fused=device.type == "cuda")
    scaler = torch.amp.GradScaler(device.type, enabled=recipe.precision is Precision.FP16 and device.type == "cuda")
    ema = None
    if recipe.ema_decay is not None:
        from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

        average = get_ema_multi_avg_fn(recipe.ema_decay)  # type: ignore[no-untyped-call]
        ema = AveragedModel(network, multi_avg_fn=average, use_buffers=True)
    return Training(network, optimiser, scaler, ema, n_processes=ranks.world_size)


def parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Weights of two or more dimensions decay; biases, norms and other vectors don't."""
    named = [p for p in network.parameters() if p.requires_grad]
    return [
        {"params": [p for p in named if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in named if p.ndim < 2], "weight_decay": 0.0},
    ]


def with_shared_norms(network: DistanceNetwork) -> DistanceNetwork:
    """The network with batch norms whose statistics are those of all processes' windows, under the same names.

    A batch that is dealt out to many leaves each a handful of windows, whose own statistics are noise. torch has such norms
    for GPUs alone.
    """
    from timm.layers import norm_act

    shared = norm_act.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    assert isinstance(shared, DistanceNetwork)
    return shared
