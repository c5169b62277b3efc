"""The state of a training (network, optimiser, running mean) and its checkpoints on disk."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from trapmeter.errors import RunError
from trapmeter.files import atomic_file, atomic_path
from trapmeter.training.dataset import deals_whole_batches
from trapmeter.training.distributed import ALONE, Ranks, broadcast_bytes
from trapmeter.training.network import DistanceNetwork
from trapmeter.training.rank_checks import differences, failing_together
from trapmeter.training.recipes import Precision, Recipe


@dataclass
class TrainingState:
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
    def evaluated_network(self) -> DistanceNetwork:
        """The network that is validated and kept: the running mean of the weights where there is one."""
        if self.ema is None:
            return self.network
        module = self.ema.module
        assert isinstance(module, DistanceNetwork)
        return module


def start_training(recipe: Recipe, make: Callable[[], DistanceNetwork], ranks: Ranks) -> TrainingState:
    """A training before its first step, on this process's device."""
    device = ranks.device
    dtype = torch.float64 if recipe.precision is Precision.FP64 else torch.float32
    # Channels last pays on a CPU too: 1.39 against 2.11 s a step of lite0 on two cores.
    network = make().to(device, dtype).to(memory_format=torch.channels_last)
    if device.type == "cuda" and not deals_whole_batches(recipe.accumulate, ranks.world_size):
        network = with_synced_norms(network)
    groups = parameter_groups(network, recipe.weight_decay)
    optimiser = torch.optim.AdamW(groups, lr=recipe.schedule.lr, fused=device.type == "cuda")
    scaler = torch.amp.GradScaler(device.type, enabled=recipe.precision is Precision.FP16 and device.type == "cuda")
    ema = None
    if recipe.ema_decay is not None:
        from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

        average = get_ema_multi_avg_fn(recipe.ema_decay)  # type: ignore[no-untyped-call]
        ema = AveragedModel(network, multi_avg_fn=average, use_buffers=True)
    return TrainingState(network, optimiser, scaler, ema, n_processes=ranks.world_size)


def parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Weights of two or more dimensions decay; biases, norms and other vectors don't."""
    named = [p for p in network.parameters() if p.requires_grad]
    return [
        {"params": [p for p in named if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in named if p.ndim < 2], "weight_decay": 0.0},
    ]


def with_synced_norms(network: DistanceNetwork) -> DistanceNetwork:
    """The network with batch norms whose statistics are those of all processes' windows, under the same names.

    A batch that is dealt out to many leaves each a handful of windows, whose own statistics are noise. torch has such norms
    for GPUs alone.
    """
    from timm.layers import norm_act

    shared = norm_act.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    assert isinstance(shared, DistanceNetwork)
    return shared


STATE = "state.pt"
SETTINGS = "training.json"
FINISHED = "finished.json"


def save_state(folder: Path, state: dict[str, Any]) -> None:
    """Writes all that resuming needs (networks, optimiser, epoch), whole or not at all.

    Raises:
        RunError: the disk is full or can't be written.
    """
    _write_atomically(folder / STATE, lambda path: torch.save(state, path))


def load_state(folder: Path, ranks: Ranks = ALONE) -> dict[str, Any] | None:
    """The last state, None when there is none yet; of several processes all call this, and the first one alone reads it.

    Shared file systems show a file that was replaced to some hosts before others: read by each, states could differ.

    Raises:
        RunError: it is damaged, or can't be read.
    """
    path = folder / STATE
    source: Path | io.BytesIO = path
    if ranks.world_size > 1:
        with failing_together(ranks):
            content = _read_bytes(path) if ranks.is_first and path.exists() else b""
        content = broadcast_bytes(content, ranks)
        if not content:
            return None
        source = io.BytesIO(content)
    elif not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(source, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file fails in many ways
        raise RunError(f"{path}: damaged ({error}); delete the folder to start this fold anew") from error
    return state


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RunError(f"{path} can't be read: {error.strerror or error}") from error


def save_weights(path: Path, weights: Mapping[str, Tensor]) -> None:
    """Writes a network's weights as safetensors, whole or not at all."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
    _write_atomically(path, lambda partial: save_file(tensors, partial))


def load_weights(path: Path) -> dict[str, Tensor]:
    """Reads a network's weights."""
    try:
        return load_file(path)
    except Exception as error:  # safetensors' errors share no base with OSError's
        raise RunError(f"{path}: no weights that can be read ({error})") from error


def check_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Writes down what a training depends on, or refuses to go on with another one's state.

    Raises:
        RunError: the folder holds a training with other settings or data.
    """
    path = folder / SETTINGS
    now = json.loads(json.dumps(settings))
    if path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))
        changed = [f"{name} was {then!r}, is {its!r}" for name, then, its in differences(before, now)]
        if changed:
            raise RunError(
                f"{folder}: holds a training with other settings ({'; '.join(changed[:3])}); choose another --out or "
                "delete the folder"
            )
        return
    with atomic_file(path) as file:
        json.dump(now, file, indent=1)


def _write_atomically(path: Path, write: Any) -> None:
    with atomic_path(path) as partial:
        try:
            write(partial)
        except (RuntimeError, SafetensorError) as error:
            # As torch and safetensors report a full disk.
            raise RunError(
                f"{path} can't be written ({error}); free some space and give the same command again"
            ) from error
