"""ONNX operators on feature maps, for the torch runtime: convolution, pooling, norms and resizing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


def conv(x: Tensor, weight: Tensor, bias: Tensor | None = None, **attributes: Any) -> Tensor:
    """Two-dimensional convolution; padding may differ between the sides."""
    rank = weight.ndim - 2
    if rank != 2 or attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        raise NotImplementedError("Conv with a rank other than 2, or with auto_pad")
    top, left, bottom, right = attributes.get("pads", (0, 0, 0, 0))
    padding: tuple[int, int] = (top, left)
    if (top, left) != (bottom, right):
        x, padding = functional.pad(x, (left, right, top, bottom)), (0, 0)
    strides, dilations = attributes.get("strides", (1, 1)), attributes.get("dilations", (1, 1))
    return functional.conv2d(x, weight, bias, tuple(strides), padding, tuple(dilations), attributes.get("group", 1))


def max_pool(x: Tensor, **attributes: Any) -> Tensor:
    """The largest value under a moving window."""
    x, padding = _symmetric(x, attributes, -math.inf)
    size, strides, ceil = _window(attributes)
    dilations = tuple(attributes.get("dilations", (1, 1)))
    return functional.max_pool2d(x, size, strides, padding, dilations, ceil_mode=ceil)


def average_pool(x: Tensor, **attributes: Any) -> Tensor:
    """The mean under a moving window."""
    counts_padding = bool(attributes.get("count_include_pad"))
    pads = attributes.get("pads", (0, 0, 0, 0))
    if tuple(pads[:2]) != tuple(pads[2:]) and not counts_padding:
        raise NotImplementedError("AveragePool with other padding on each side")
    x, padding = _symmetric(x, attributes, 0.0)
    size, strides, ceil = _window(attributes)
    return functional.avg_pool2d(x, size, strides, padding, ceil_mode=ceil, count_include_pad=counts_padding)


def _window(attributes: Mapping[str, Any]) -> tuple[tuple[int, int], tuple[int, int], bool]:
    """A pooling's window, its strides, and whether a last incomplete window counts."""
    size = attributes["kernel_shape"]
    if len(size) != 2 or attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        raise NotImplementedError("pooling with a rank other than 2, or with auto_pad")
    strides = attributes.get("strides", (1, 1))
    return (size[0], size[1]), (strides[0], strides[1]), bool(attributes.get("ceil_mode"))


def _symmetric(x: Tensor, attributes: Mapping[str, Any], value: float) -> tuple[Tensor, tuple[int, int]]:
    """The map and the padding that is left to do: none if it differs between the sides, as it is then done here."""
    top, left, bottom, right = attributes.get("pads", (0, 0, 0, 0))
    if (top, left) == (bottom, right):
        return x, (top, left)
    return functional.pad(x, (left, right, top, bottom), value=value), (0, 0)


def batch_norm(x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, **attributes: Any) -> Tensor:
    """Normalises channels with stored statistics or, in training mode, with the input's own."""
    epsilon = attributes.get("epsilon", 1e-5)
    if attributes.get("training_mode"):
        return functional.batch_norm(x, None, None, scale, bias, training=True, eps=epsilon)
    return functional.batch_norm(x, mean, variance, scale, bias, eps=epsilon)


def layer_norm(x: Tensor, scale: Tensor, bias: Tensor | None = None, **attributes: Any) -> Tensor:
    """Normalises over the last axes."""
    axes = x.shape[attributes.get("axis", -1) :]
    return functional.layer_norm(x, list(axes), scale, bias, attributes.get("epsilon", 1e-5))


def instance_norm(x: Tensor, scale: Tensor, bias: Tensor, **attributes: Any) -> Tensor:
    """Normalises each channel of each window."""
    return functional.instance_norm(x, weight=scale, bias=bias, eps=attributes.get("epsilon", 1e-5))


def group_norm(x: Tensor, scale: Tensor, bias: Tensor, **attributes: Any) -> Tensor:
    """Normalises groups of channels; before opset 21 scale and bias are of the groups."""
    n_groups, n_channels = attributes["num_groups"], x.shape[1]
    if len(scale) != n_channels:
        scale, bias = (values.repeat_interleave(n_channels // n_groups) for values in (scale, bias))
    return functional.group_norm(x, n_groups, scale, bias, attributes.get("epsilon", 1e-5))


def resize(
    x: Tensor, _roi: Tensor | None, scales: Tensor | None, sizes: Tensor | None = None, **attributes: Any
) -> Tensor:
    """Bilinear interpolation, as torch's with align_corners=False; no other kind."""
    kind = attributes.get("mode", b"nearest"), attributes.get("coordinate_transformation_mode", b"half_pixel")
    if kind[0] != b"linear" or kind[1] not in (b"half_pixel", b"pytorch_half_pixel") or attributes.get("antialias"):
        raise NotImplementedError(f"Resize of the kind {kind}")
    if sizes is None:
        assert scales is not None
        sizes = torch.floor(torch.tensor(x.shape) * scales.cpu()).long()
    return functional.interpolate(x, size=sizes.tolist()[2:], mode="bilinear", align_corners=False)
