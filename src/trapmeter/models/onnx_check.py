"""Checks the structure of an ONNX file before any runtime opens it.

An ONNX file is a Protocol Buffers message, and may refer to weights in other files anywhere on the machine (external data),
which trapmeter never opens. The check reads the structure without the weights, so that large networks take no longer. The
field numbers are those of onnx.proto of ONNX 1.x.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from math import prod
from pathlib import Path

from trapmeter.errors import ModelError

MAX_DEPTH = 8
"""Largest depth of nested graphs (branches and loops)."""
MAX_VALUES = 1_000_000_000
"""Largest number of values in a tensor: four gigabytes of float32, more than a file may have."""
DOMAINS = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft"}
"""Domains of the operators that runtimes have; others would need libraries of the network's maker."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_BYTES_OF = {1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8, 14: 8, 15: 16, 16: 2}
"""Bytes per value of each TensorProto.DataType in raw storage."""

# The kind of message in each field: message, field -> message.
_PARTS = {
    ("model", 7): "graph",
    ("model", 8): "opset",
    ("model", 25): "function",
    ("function", 7): "node",
    ("function", 9): "opset",
    ("function", 11): "attribute",
    ("graph", 1): "node",
    ("graph", 5): "tensor",
    ("graph", 15): "sparse",
    ("node", 5): "attribute",
    ("attribute", 5): "tensor",
    ("attribute", 6): "graph",
    ("attribute", 10): "tensor",
    ("attribute", 11): "graph",
    ("attribute", 22): "sparse",
    ("attribute", 23): "sparse",
    ("sparse", 1): "tensor",
    ("sparse", 2): "tensor",
}


class _RejectedError(Exception):
    """The file must not be opened."""


def check_onnx(path: Path) -> None:
    """Refuses an ONNX file that is not safe to open.

    Raises:
        ModelError: the file is cut off, refers to other files, has tensors of impossible size, or needs unknown operators.
    """
    reason: str | None = "it is empty"
    try:
        with path.open("rb") as file:
            if path.stat().st_size:
                with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content, memoryview(content) as view:
                    reason = _rejection_reason(view)
    except OSError as error:
        raise ModelError(f"{path}: can't be read ({error.strerror}); copy it again") from error
    if reason is not None:
        raise ModelError(f"{path}: not opened, since {reason}; copy or export it again")


def _rejection_reason(model: memoryview) -> str | None:
    # No exception leaves this function: its traceback would keep views of the file, which then couldn't be closed.
    try:
        return None if _check_message(model, "model", 0) else "it contains no graph"
    except _RejectedError as error:
        return str(error)


def _check_message(message: memoryview, kind: str, depth: int) -> bool:
    """Checks a message and all messages in it; returns whether it contains a graph."""
    if depth > 4 * MAX_DEPTH:
        raise _RejectedError("its graphs are nested too deep")
    if kind == "tensor":
        _check_tensor(message)
        return False
    has_graph = False
    for field, _, value in _fields(message):
        part = _PARTS.get((kind, field))
        if part is not None:
            has_graph |= part == "graph"
            _check_message(_as_bytes(value), part, depth + 1)
        elif (kind, field) in (("node", 7), ("opset", 1)):
            domain = bytes(_as_bytes(value)).decode("utf-8", "replace")
            # pkg.* are functions that the file itself defines, which the runtime resolves.
            if domain not in DOMAINS and not domain.startswith("pkg."):
                raise _RejectedError(f"it needs operators of {domain[:80]!r}, which no runtime has")
    return has_graph


def _check_tensor(message: memoryview) -> None:
    dims: list[int] = []
    raw_bytes: int | None = None
    data_type = 0
    for field, wire, value in _fields(message):
        if field == 1 and wire == _VARINT:
            dims.append(_as_number(value))
        elif field == 1:
            dims += _packed_numbers(_as_bytes(value))
        elif field == 2:
            data_type = _as_number(value)
        elif field == 9:
            raw_bytes = len(_as_bytes(value))
        elif field == 13 or (field == 14 and value):
            raise _RejectedError("it loads weights from another file (external data)")
    values = prod(dims)
    if any(not 0 <= size <= MAX_VALUES for size in dims) or values > MAX_VALUES:
        raise _RejectedError(f"it has a tensor of shape {dims[:8]}")
    size = _BYTES_OF.get(data_type)
    if raw_bytes is not None and size is not None and raw_bytes != values * size:
        raise _RejectedError(f"a tensor of shape {dims[:8]} needs {values * size:,} bytes and has {raw_bytes:,}")


def _fields(message: memoryview) -> Iterator[tuple[int, int, int | memoryview]]:
    """Field number, wire type and value of each field of a message."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        field, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, at = _varint(message, at)
            yield field, wire, value
            continue
        if wire == _BYTES:
            length, at = _varint(message, at)
        elif wire in (_FIXED64, _FIXED32):
            length = 8 if wire == _FIXED64 else 4
        else:
            raise _RejectedError("it is not an ONNX file")
        if not field or at + length > len(message):
            raise _RejectedError("it is cut off or damaged")
        yield field, wire, message[at : at + length]
        at += length


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """An integer of up to ten bytes, and the position after it."""
    number = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            raise _RejectedError("it is cut off or damaged")
        byte = message[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
    raise _RejectedError("it is not an ONNX file")


def _packed_numbers(message: memoryview) -> list[int]:
    numbers, at = [], 0
    while at < len(message):
        number, at = _varint(message, at)
        numbers.append(number)
    return numbers


def _as_bytes(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise _RejectedError("it is not an ONNX file")
    return value


def _as_number(value: int | memoryview) -> int:
    if not isinstance(value, int):
        raise _RejectedError("it is not an ONNX file")
    return value
