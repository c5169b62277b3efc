"""The state of a training (network, optimiser, running mean) and its checkpoints on disk."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from trapmeter.errors import RunError
from trapmeter.files import atomic_file, atomic_path
from trapmeter.models.input_spec import InputSpec
from trapmeter.training.augment.settings import AugmentSettings
from trapmeter.training.dataset import deals_whole_batches
from trapmeter.training.distributed import ALONE, Ranks, broadcast_bytes
from trapmeter.training.network import DistanceNetwork
from trapmeter.training.rank_checks import differences, failing_together
from trapmeter.training.recipes import Precision, Recipe


@dataclass
class TrainingState:
    """Everything that changes while a network trains; all of it is in the stored state."""

    network: DistanceNetwork
    optimiser: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    ema: nn.Module | None
    epoch: int = 0
    best_mae_m: float = math.inf
    n_processes: int = 1
    """Processes that train together. A resumed training may have another number than before."""

    def state(self) -> dict[str, Any]:
        """As plain values and tensors, for `save_state`."""
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
        """The inverse of `state`, except for the number of processes; returns a line that says where training resumes."""
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.scaler.load_state_dict(state["scaler"])
        if self.ema is not None:
            self.ema.load_state_dict(state["ema"])
        self.epoch, self.best_mae_m = int(state["epoch"]), float(state["best_mae_m"])
        before = int(state.get("n_processes", self.n_processes))
        changed = "" if before == self.n_processes else f", with {self.n_processes} instead of {before} processes"
        return f"resumes after epoch {self.epoch}{changed}"

    @property
    def evaluated_network(self) -> DistanceNetwork:
        """The network that is validated and saved: the running mean of the weights if the recipe has one."""
        if self.ema is None:
            return self.network
        module = self.ema.module
        assert isinstance(module, DistanceNetwork)
        return module


def start_training(recipe: Recipe, make: Callable[[], DistanceNetwork], ranks: Ranks) -> TrainingState:
    """The state before the first step, on this process's device."""
    device = ranks.device
    dtype = torch.float64 if recipe.precision is Precision.FP64 else torch.float32
    # Channels last is faster on a CPU too: 1.39 s instead of 2.11 s for a step of lite0 on two cores.
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
    """AdamW's parameter groups: weights of two or more dimensions decay; biases, norms and other vectors don't."""
    trained = [p for p in network.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]


def with_synced_norms(network: DistanceNetwork) -> DistanceNetwork:
    """The network with batch norms that compute their statistics over the windows of all processes; names stay the same.

    When processes share a batch, each has only a few windows, whose statistics alone would be noise. torch has such norms
    for GPUs only.
    """
    from timm.layers import norm_act

    shared = norm_act.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    assert isinstance(shared, DistanceNetwork)
    return shared


STATE = "state.pt"
SETTINGS = "training.json"
FINISHED = "finished.json"


def save_state(folder: Path, state: dict[str, Any]) -> None:
    """Writes everything that resuming needs, atomically.

    Raises:
        RunError: the disk is full or the file can't be written.
    """
    _write_atomically(folder / STATE, lambda path: torch.save(state, path))


def load_state(folder: Path, ranks: Ranks = ALONE) -> dict[str, Any] | None:
    """The last saved state, or None. All processes call this; only the first one reads the file and sends it to the others.

    On a shared file system, some hosts see a replaced file before others, so that each reading it could give unequal states.

    Raises:
        RunError: the state is damaged or can't be read.
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
        raise RunError(f"{path}: damaged ({error}); delete the folder to start this fold again") from error
    return state


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RunError(f"{path} can't be read: {error.strerror or error}") from error


def save_weights(path: Path, weights: Mapping[str, Tensor]) -> None:
    """Writes a network's weights as a safetensors file, atomically."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
    _write_atomically(path, lambda partial: save_file(tensors, partial))


def load_weights(path: Path) -> dict[str, Tensor]:
    """Reads a network's weights from a safetensors file.

    Raises:
        RunError: the file is missing, damaged or not a safetensors file.
    """
    try:
        return load_file(path)
    except Exception as error:  # safetensors' errors and OSError share no base class
        raise RunError(f"{path}: the weights can't be read ({error})") from error


def check_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Writes what a training depends on into its folder, or compares it with what an earlier call wrote there.

    Recipe fields that an older version didn't know count as their defaults. The number of loader processes doesn't count, nor
    does the strength of a change that never happens (probability 0).

    Raises:
        RunError: the folder holds a training with other settings or data.
    """
    path = folder / SETTINGS
    now = json.loads(json.dumps(settings))
    if path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))
        if "recipe" in before:
            before["recipe"] = _with_defaults(before["recipe"], _default_recipe())
        found = differences(_without_unused(before), _without_unused(now))
        changed = [f"{name} was {old!r}, is {new!r}" for name, old, new in found]
        if changed:
            raise RunError(
                f"{folder}: contains a training with other settings ({'; '.join(changed[:3])}); choose another --out or "
                "delete the folder"
            )
        return
    with atomic_file(path) as file:
        json.dump(now, file, indent=1)


def _without_unused(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of a training without the settings of its recipe that change no result."""
    if "recipe" not in facts:
        return dict(facts)
    recipe = {name: value for name, value in facts["recipe"].items() if name != "workers"}
    augment = recipe.get("augment", {})
    never = [name for name, value in augment.items() if name.startswith("p_") and not value]
    unused = tuple(f"{name.removeprefix('p_')}_" for name in never)
    used = {name: value for name, value in augment.items() if not name.startswith(unused)}
    return {**facts, "recipe": {**recipe, "augment": used}}


def _default_recipe() -> dict[str, Any]:
    """The default of every recipe field, as training.json would hold it; required fields are empty."""
    recipe = Recipe(name="", backbone="", weights="", input=InputSpec(), augment=AugmentSettings())
    values: dict[str, Any] = json.loads(json.dumps(asdict(recipe)))
    return values


def _with_defaults(values: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """The values, nested or not, with the defaults of the names that they lack."""
    nested = {
        name: _with_defaults(values[name], default)
        for name, default in defaults.items()
        if isinstance(default, dict) and isinstance(values.get(name), dict)
    }
    return {**defaults, **values, **nested}


def _write_atomically(path: Path, write: Any) -> None:
    with atomic_path(path) as partial:
        try:
            write(partial)
        except (RuntimeError, SafetensorError) as error:
            # This is how torch and safetensors report a full disk.
            raise RunError(
                f"{path} can't be written ({error}); free some space and run the same command again"
            ) from error
