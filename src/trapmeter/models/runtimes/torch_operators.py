"""The ONNX operators that the torch runtime supports.

Each takes its inputs (None for an omitted one), and its attributes by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

Attributes = Mapping[str, Any]
Operator = Callable[..., Tensor]

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


def gemm(a: Tensor, b: Tensor, c: Tensor | None = None, **attributes: Any) -> Tensor:
    """Alpha A B + beta C, with A and B transposed if the attributes say so."""
    left, right = (a.T if attributes.get("transA") else a), (b.T if attributes.get("transB") else b)
    product = torch.mul(left @ right, attributes.get("alpha", 1.0))
    return product if c is None else product + torch.mul(c, attributes.get("beta", 1.0))


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


def _axes(x: Tensor, axes: Tensor | None, attributes: Attributes) -> list[int]:
    """The axes from an input or, in older opsets, from an attribute; all axes if there are none."""
    found = attributes.get("axes") if axes is None else axes.tolist()
    return list(range(x.ndim)) if not found else list(found)


def _reduction(reduce: Callable[..., Tensor]) -> Operator:
    def operator(x: Tensor, axes: Tensor | None = None, **attributes: Any) -> Tensor:
        return reduce(x, dim=_axes(x, axes, attributes), keepdim=bool(attributes.get("keepdims", 1)))

    return operator


def squeeze(x: Tensor, axes: Tensor | None = None, **attributes: Any) -> Tensor:
    """Removes axes of length 1."""
    found = attributes.get("axes") if axes is None else axes.tolist()
    return x.squeeze() if found is None else x.squeeze(tuple(found))


def unsqueeze(x: Tensor, axes: Tensor | None = None, **attributes: Any) -> Tensor:
    """Inserts axes of length 1; axes are positions in the result."""
    found = attributes["axes"] if axes is None else axes.tolist()
    rank = x.ndim + len(found)
    for axis in sorted(axis % rank for axis in found):
        x = x.unsqueeze(axis)
    return x


def slice_(x: Tensor, starts: Tensor, ends: Tensor, axes: Tensor | None = None, steps: Tensor | None = None) -> Tensor:
    """A range of each axis, with positive steps only."""
    n = len(starts)
    chosen = list(range(n)) if axes is None else axes.tolist()
    strides = [1] * n if steps is None else steps.tolist()
    if any(step < 1 for step in strides):
        raise NotImplementedError("Slice backwards")
    index = [slice(None)] * x.ndim
    for axis, start, end, step in zip(chosen, starts.tolist(), ends.tolist(), strides, strict=True):
        index[axis] = slice(start, end, step)
    return x[tuple(index)]


def gather(x: Tensor, indices: Tensor, **attributes: Any) -> Tensor:
    """Entries along an axis, which the axes of indices replace."""
    axis = attributes.get("axis", 0) % x.ndim
    flat = indices.to(x.device).reshape(-1).long() % x.shape[axis]
    return x.index_select(axis, flat).reshape(*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])


def reshape(x: Tensor, shape: Tensor, **attributes: Any) -> Tensor:
    """Another shape; a 0 in it keeps the axis, unless allowzero is set."""
    keeps = not attributes.get("allowzero")
    return x.reshape([x.shape[i] if keeps and size == 0 else size for i, size in enumerate(shape.tolist())])


def expand(x: Tensor, shape: Tensor) -> Tensor:
    """Broadcasts to a shape."""
    return x * x.new_ones(shape.tolist())


def clip(x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    """Clips to two limits, either of which may be omitted."""
    return x if low is None and high is None else x.clamp(low, high)


def shape_of(x: Tensor, **attributes: Any) -> Tensor:
    """The shape, or a range of it, on the CPU, where shapes are computed."""
    return torch.tensor(list(x.shape)[attributes.get("start", 0) : attributes.get("end")], dtype=torch.int64)


def flatten(x: Tensor, **attributes: Any) -> Tensor:
    """Flattens to a matrix."""
    axis = attributes.get("axis", 1)
    return x.reshape(int(torch.tensor(x.shape[:axis]).prod()), -1)


def variadic(combine: Callable[[Tensor, Tensor], Tensor]) -> Operator:
    """An operator with any number of inputs."""

    def operator(first: Tensor, *others: Tensor) -> Tensor:
        for other in others:
            first = combine(first, other)
        return first

    return operator


OPERATORS: Mapping[str, Operator] = {
    "Abs": torch.abs,
    "Add": torch.add,
    "Cast": lambda x, **attributes: x.to(_DTYPES[attributes["to"]]),
    "Clip": clip,
    "Concat": lambda *parts, **attributes: torch.cat(parts, dim=attributes["axis"]),
    "Conv": conv,
    "Div": lambda a, b: a / b if a.is_floating_point() else torch.div(a, b, rounding_mode="trunc"),
    "Exp": torch.exp,
    "Expand": expand,
    "Flatten": flatten,
    "Gather": gather,
    "Gemm": gemm,
    "GlobalAveragePool": lambda x: x.mean(dim=(2, 3), keepdim=True),
    "Greater": torch.gt,
    "Identity": lambda x: x,
    "Log": torch.log,
    "MatMul": torch.matmul,
    "Max": variadic(torch.maximum),
    "Min": variadic(torch.minimum),
    "Mul": torch.mul,
    "Neg": torch.neg,
    "Pow": torch.pow,
    "ReduceMax": _reduction(torch.amax),
    "ReduceMean": _reduction(torch.mean),
    "ReduceSum": _reduction(torch.sum),
    "Relu": torch.relu,
    "Reshape": reshape,
    "Resize": resize,
    "Shape": shape_of,
    "Sigmoid": torch.sigmoid,
    "Slice": slice_,
    "Softmax": lambda x, **attributes: x.softmax(dim=attributes.get("axis", -1)),
    "Sqrt": torch.sqrt,
    "Squeeze": squeeze,
    "Sub": torch.sub,
    "Transpose": lambda x, **attributes: x.permute(attributes["perm"]),
    "Unsqueeze": unsqueeze,
}
