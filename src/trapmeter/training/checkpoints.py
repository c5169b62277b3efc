"""What a training leaves on the disk, and how it goes on from there. Nothing in it can run code when read."""

from __future__ import annotations

import io
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
from trapmeter.training.distributed import ALONE, Ranks, from_first
from trapmeter.training.together import agreed, differences

STATE = "state.pt"
SETTINGS = "training.json"
FINISHED = "finished.json"


def save_state(folder: Path, state: dict[str, Any]) -> None:
    """Writes all that resuming needs (networks, optimiser, epoch), whole or not at all.

    Raises:
        RunError: the disk is full or can't be written.
    """
    _replace(folder / STATE, lambda path: torch.save(state, path))


def load_state(folder: Path, ranks: Ranks = ALONE) -> dict[str, Any] | None:
    """The last state, None when there is none yet; of several processes all call this, and the first one alone reads it.

    Shared file systems show a file that was replaced to some hosts before others: read by each, states could differ.

    Raises:
        RunError: it is damaged, or can't be read.
    """
    path = folder / STATE
    source: Path | io.BytesIO = path
    if ranks.world_size > 1:
        with agreed(ranks):
            content = _read(path) if ranks.is_first and path.exists() else b""
        content = from_first(content, ranks)
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


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RunError(f"{path} can't be read: {error.strerror or error}") from error


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
        changed = [f"{name} was {then!r}, is {its!r}" for name, then, its in differences(before, now)]
        if changed:
            raise RunError(
                f"{folder}: holds a training with other settings ({'; '.join(changed[:3])}); choose another --out or "
                "delete the folder"
            )
        return
    with whole_file(path) as file:
        json.dump(now, file, indent=1)


def _replace(path: Path, write: Any) -> None:
    with whole_path(path) as partial:
        try:
            write(partial)
        except (RuntimeError, SafetensorError) as error:
            # As torch and safetensors report a full disk.
            raise RunError(
                f"{path} can't be written ({error}); free some space and give the same command again"
            ) from error
