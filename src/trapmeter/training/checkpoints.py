"""What a training leaves on the disk, and how it goes on from there. Nothing in it can run code when read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from trapmeter.errors import RunError
from trapmeter.files import whole_file, whole_path

STATE = "state.pt"
SETTINGS = "training.json"
FINISHED = "finished.json"


def save_state(folder: Path, state: dict[str, Any]) -> None:
    """Writes all that resuming needs (networks, optimiser, epoch), whole or not at all.

    Raises:
        RunError: the disk is full or can't be written.
    """
    _replace(folder / STATE, lambda path: torch.save(state, path))


def load_state(folder: Path) -> dict[str, Any] | None:
    """The last state, None when there is none yet.

    Raises:
        RunError: it is damaged.
    """
    path = folder / STATE
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file fails in many ways
        raise RunError(f"{path}: damaged ({error}); delete the folder to start this fold anew") from error
    return state


def save_weights(path: Path, weights: Mapping[str, Tensor]) -> None:
    """Writes a network's weights as safetensors, whole or not at all."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
    _replace(path, lambda partial: save_file(tensors, partial))


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
        differences = _differences("", before, now)
        if differences:
            raise RunError(
                f"{folder}: holds a training with other settings ({'; '.join(differences[:3])}); choose another --out or "
                "delete the folder"
            )
        return
    with whole_file(path) as file:
        json.dump(now, file, indent=1)


def _differences(name: str, before: Any, now: Any) -> list[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        keys = sorted({*before, *now})
        return [
            line for key in keys for line in _differences(f"{name}.{key}".lstrip("."), before.get(key), now.get(key))
        ]
    return [] if before == now else [f"{name} was {before!r}, is {now!r}"]


def _replace(path: Path, write: Any) -> None:
    with whole_path(path) as partial:
        try:
            write(partial)
        except (RuntimeError, SafetensorError) as error:
            # As torch and safetensors report a full disk.
            raise RunError(
                f"{path} can't be written ({error}); free some space and give the same command again"
            ) from error
