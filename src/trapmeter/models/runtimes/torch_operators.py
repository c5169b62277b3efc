"""The ONNX operators that the torch runtime supports.

Each takes its inputs (None for an omitted one), and its attributes by name. They are what trapmeter's own export needs, and
what PyTorch's older exporter writes for nearly all families of timm's networks: LSTM (sequencer) and OneHot (gcvit) are
missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from trapmeter.models.runtimes import torch_layers as layers
from trapmeter.models.runtimes import torch_shapes as shapes

Attributes = Mapping[str, Any]
Operator = Callable[..., Tensor | tuple[Tensor, ...]]

_DTYPES = {
    1: torch.float32,
    2: torch.uint8,
    3: torch.int8,
    6: torch.int32,
    7: torch.int64,
    9: torch.bool,
    10: torch.float16,
    11: torch.float64,
}
"""torch's types by TensorProto.DataType."""


def gemm(a: Tensor, b: Tensor, c: Tensor | None = None, **attributes: Any) -> Tensor:
    """Alpha A B + beta C, with A and B transposed if the attributes say so."""
    left, right = (a.T if attributes.get("transA") else a), (b.T if attributes.get("transB") else b)
    product = torch.mul(left @ right, attributes.get("alpha", 1.0))
    return product if c is None else product + torch.mul(c, attributes.get("beta", 1.0))


def _axes(x: Tensor, axes: Tensor | None, attributes: Attributes) -> list[int]:
    """The axes from an input or, in older opsets, from an attribute; all axes if there are none."""
    found = attributes.get("axes") if axes is None else axes.tolist()
    return list(range(x.ndim)) if not found else list(found)


def _reduction(reduce: Callable[..., Tensor]) -> Operator:
    def operator(x: Tensor, axes: Tensor | None = None, **attributes: Any) -> Tensor:
        return reduce(x, dim=_axes(x, axes, attributes), keepdim=bool(attributes.get("keepdims", 1)))

    return operator


def clip(x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    """Clips to two limits, either of which may be omitted."""
    return x if low is None and high is None else x.clamp(low, high)


def divide(a: Tensor, b: Tensor) -> Tensor:
    """The quotient; of integers, towards zero."""
    return a / b if a.is_floating_point() else torch.div(a, b, rounding_mode="trunc")


def modulo(a: Tensor, b: Tensor, **attributes: Any) -> Tensor:
    """The rest, with the sign of the divisor or, with fmod, of the dividend."""
    return torch.fmod(a, b) if attributes.get("fmod") else torch.remainder(a, b)


def _l2(x: Tensor, dim: list[int], keepdim: bool) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(x, dim=dim, keepdim=keepdim)
    return norm


def _product(x: Tensor, dim: list[int], keepdim: bool) -> Tensor:
    """The product over several axes; torch takes one at a time."""
    for axis in sorted((axis % x.ndim for axis in dim), reverse=True):
        x = x.prod(dim=axis, keepdim=keepdim)
    return x


def hard_sigmoid(x: Tensor, **attributes: Any) -> Tensor:
    """A straight line from 0 to 1."""
    line = torch.mul(x, attributes.get("alpha", 0.2)) + torch.full((), attributes.get("beta", 0.5), device=x.device)
    return line.clamp(0.0, 1.0)


def gelu(x: Tensor, **attributes: Any) -> Tensor:
    """The input times the normal distribution's share below x."""
    return functional.gelu(x, approximate=attributes.get("approximate", b"none").decode())


def variadic(combine: Callable[[Tensor, Tensor], Tensor]) -> Operator:
    """An operator with any number of inputs."""

    def operator(first: Tensor, *others: Tensor) -> Tensor:
        for other in others:
            first = combine(first, other)
        return first

    return operator


TAKES_SHAPES = frozenset(
    {"ConstantOfShape", "CumSum", "Expand", "Gather", "Pad", "Range", "Reshape", "Resize", "Shape", "Slice", "Split"}
    | {"Squeeze", "Tile", "Unsqueeze"}
    | {f"Reduce{kind}" for kind in ("L2", "Max", "Mean", "Min", "Prod", "Sum")}
)
"""Operators whose inputs may be on several devices, since some are shapes, axes or positions; those of the others may not."""

OPERATORS: Mapping[str, Operator] = {
    "Abs": torch.abs,
    "Add": torch.add,
    "And": torch.logical_and,
    "AveragePool": layers.average_pool,
    "BatchNormalization": layers.batch_norm,
    "Cast": lambda x, **attributes: x.to(_DTYPES[attributes["to"]]),
    "Ceil": torch.ceil,
    "Clip": clip,
    "Concat": lambda *parts, **attributes: torch.cat(parts, dim=attributes["axis"]),
    "ConstantOfShape": shapes.constant_of_shape,
    "Conv": layers.conv,
    "Cos": torch.cos,
    "CumSum": shapes.cumulated_sum,
    "DepthToSpace": shapes.depth_to_space,
    "Div": divide,
    "Dropout": lambda x, *_, **__: x,
    "Einsum": lambda *parts, **attributes: torch.einsum(attributes["equation"].decode(), *parts),
    "Elu": lambda x, **attributes: functional.elu(x, attributes.get("alpha", 1.0)),
    "Equal": torch.eq,
    "Erf": torch.erf,
    "Exp": torch.exp,
    "Expand": shapes.expand,
    "Flatten": shapes.flatten,
    "Floor": torch.floor,
    "Gather": shapes.gather,
    "Gelu": gelu,
    "Gemm": gemm,
    "GlobalAveragePool": lambda x: x.mean(dim=(2, 3), keepdim=True),
    "GlobalMaxPool": lambda x: x.amax(dim=(2, 3), keepdim=True),
    "Greater": torch.gt,
    "GreaterOrEqual": torch.ge,
    "GroupNormalization": layers.group_norm,
    "HardSigmoid": hard_sigmoid,
    "HardSwish": functional.hardswish,
    "Identity": lambda x: x,
    "InstanceNormalization": layers.instance_norm,
    "LayerNormalization": layers.layer_norm,
    "LeakyRelu": lambda x, **attributes: functional.leaky_relu(x, attributes.get("alpha", 0.01)),
    "IsNaN": torch.isnan,
    "Less": torch.lt,
    "LessOrEqual": torch.le,
    "Log": torch.log,
    "MatMul": torch.matmul,
    "Max": variadic(torch.maximum),
    "MaxPool": layers.max_pool,
    "Min": variadic(torch.minimum),
    "Mish": functional.mish,
    "Mod": modulo,
    "Mul": torch.mul,
    "Neg": torch.neg,
    "Not": torch.logical_not,
    "Or": torch.logical_or,
    "PRelu": lambda x, slope: torch.where(x < 0, x * slope, x),
    "Pad": shapes.pad,
    "Pow": torch.pow,
    "Range": shapes.range_,
    "Reciprocal": torch.reciprocal,
    "ReduceL2": _reduction(_l2),
    "ReduceMax": _reduction(torch.amax),
    "ReduceMean": _reduction(torch.mean),
    "ReduceMin": _reduction(torch.amin),
    "ReduceProd": _reduction(_product),
    "ReduceSum": _reduction(torch.sum),
    "Relu": torch.relu,
    "Reshape": shapes.reshape,
    "Resize": layers.resize,
    "Round": torch.round,
    "Shape": shapes.shape_of,
    "Sigmoid": torch.sigmoid,
    "Sign": torch.sign,
    "Sin": torch.sin,
    "Slice": shapes.slice_,
    "Softmax": lambda x, **attributes: x.softmax(dim=attributes.get("axis", -1)),
    "Softplus": lambda x: functional.softplus(x, threshold=1e9),
    "Split": shapes.split,
    "Sqrt": torch.sqrt,
    "Squeeze": shapes.squeeze,
    "Sub": torch.sub,
    "Sum": variadic(torch.add),
    "Tanh": torch.tanh,
    "Tile": lambda x, repeats: x.repeat(repeats.tolist()),
    "Transpose": lambda x, **attributes: x.permute(attributes.get("perm", tuple(range(x.ndim))[::-1])),
    "Unsqueeze": shapes.unsqueeze,
    "Where": torch.where,
}
