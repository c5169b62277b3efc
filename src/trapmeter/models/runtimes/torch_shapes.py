"""ONNX operators that change shapes or pick entries, for the torch runtime; shapes themselves are computed on the CPU."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


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
    """A range of each axis; backwards if a step is negative."""
    n = len(starts)
    chosen = list(range(n)) if axes is None else axes.tolist()
    strides = [1] * n if steps is None else steps.tolist()
    for axis, start, end, step in zip(chosen, starts.tolist(), ends.tolist(), strides, strict=True):
        if step > 0:
            index = [slice(None)] * (axis % x.ndim) + [slice(start, end, step)]
            x = x[tuple(index)]
        else:
            chosen_entries = list(range(*slice(start, end, step).indices(x.shape[axis])))
            x = x.index_select(axis, torch.tensor(chosen_entries, dtype=torch.int64, device=x.device))
    return x


def gather(x: Tensor, indices: Tensor, **attributes: Any) -> Tensor:
    """Entries along an axis, which the axes of indices replace."""
    axis = attributes.get("axis", 0) % x.ndim
    flat = indices.to(x.device).reshape(-1).long() % x.shape[axis]
    return x.index_select(axis, flat).reshape((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]))


def reshape(x: Tensor, shape: Tensor, **attributes: Any) -> Tensor:
    """Another shape; a 0 in it keeps the axis, unless allowzero is set."""
    keeps = not attributes.get("allowzero")
    sizes = [x.shape[i] if keeps and size == 0 else size for i, size in enumerate(shape.tolist())]
    return x.reshape(sizes)


def expand(x: Tensor, shape: Tensor) -> Tensor:
    """Broadcasts to a shape."""
    return x * x.new_ones(shape.tolist())


def shape_of(x: Tensor, **attributes: Any) -> Tensor:
    """The shape, or a range of it, on the CPU, where shapes are computed."""
    return torch.tensor(list(x.shape)[attributes.get("start", 0) : attributes.get("end")], dtype=torch.int64)


def flatten(x: Tensor, **attributes: Any) -> Tensor:
    """Flattens to a matrix."""
    axis = attributes.get("axis", 1)
    return x.reshape(int(torch.tensor(x.shape[:axis]).prod()), -1)


def constant_of_shape(shape: Tensor, **attributes: Any) -> Tensor:
    """A tensor of one value, by default 0.0."""
    value = attributes.get("value", torch.zeros(1))
    return torch.full(shape.tolist(), value.item(), dtype=value.dtype)


_PAD_MODES = {b"constant": "constant", b"reflect": "reflect", b"edge": "replicate", b"wrap": "circular"}


def pad(x: Tensor, pads: Tensor, value: Tensor | None = None, axes: Tensor | None = None, **attributes: Any) -> Tensor:
    """Adds entries before and after those of each axis, or takes them away. pads: all counts before, then all after."""
    chosen = [axis % x.ndim for axis in (range(x.ndim) if axes is None else axes.tolist())]
    counts, n = pads.tolist(), len(chosen)
    around = {axis: (counts[number], counts[number + n]) for number, axis in enumerate(chosen)}
    mode = _PAD_MODES[attributes.get("mode", b"constant")]
    # torch counts the axes from the last one, and takes no more of them than it needs in the other modes.
    first = min((axis for axis, count in around.items() if any(count)), default=x.ndim)
    flat = [count for axis in range(x.ndim - 1, first - 1, -1) for count in around.get(axis, (0, 0))]
    if not flat:
        return x
    if mode == "constant":
        return functional.pad(x, flat, value=0 if value is None else value.item())
    return functional.pad(x, flat, mode=mode)


def split(x: Tensor, sizes: Tensor | None = None, **attributes: Any) -> tuple[Tensor, ...]:
    """Parts along an axis: of the given sizes, or equal ones, of which the last may be smaller."""
    axis = attributes.get("axis", 0)
    if sizes is not None:
        return torch.split_with_sizes(x, sizes.tolist(), dim=axis)
    n = -(-x.shape[axis] // attributes["num_outputs"])
    return tuple(x[(slice(None),) * (axis % x.ndim) + (slice(i, i + n),)] for i in range(0, x.shape[axis], n))


def range_(start: Tensor, limit: Tensor, step: Tensor) -> Tensor:
    """Numbers from start to before limit."""
    return torch.arange(start.item(), limit.item(), step.item(), dtype=start.dtype)


def cumulated_sum(x: Tensor, axis: Tensor, **attributes: Any) -> Tensor:
    """The running sum along an axis."""
    if attributes.get("exclusive") or attributes.get("reverse"):
        raise NotImplementedError("CumSum that is exclusive or reversed")
    return x.cumsum(int(axis))


def depth_to_space(x: Tensor, **attributes: Any) -> Tensor:
    """Channels moved into blocks of pixels."""
    side = attributes["blocksize"]
    if attributes.get("mode", b"DCR") == b"CRD":
        return functional.pixel_shuffle(x, side)
    n, channels, height, width = x.shape
    blocks = x.reshape(n, side, side, channels // side**2, height, width)
    return blocks.permute(0, 3, 4, 1, 5, 2).reshape(n, channels // side**2, height * side, width * side)
