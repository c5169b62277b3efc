"""Which runtime runs the networks: the one asked for, or the best of those installed, and why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path

from trapmeter.errors import MissingExtraError

FAST_BF16 = frozenset({"amx_bf16", "avx512_bf16"})


class Runtime(StrEnum):
    """What runs networks."""

    AUTO = "auto"
    """The best of those installed, for this processor."""
    ONNXRUNTIME = "onnxruntime"
    """Comes with trapmeter; 32-bit floats everywhere."""
    OPENVINO = "openvino"
    """The extra of that name; 16-bit floats (bf16) where the processor has them."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A runtime, never `auto`, and why it was taken."""

    runtime: Runtime
    why: str


def choose(asked: Runtime, cpu_flags: frozenset[str] | None = None) -> Chosen:
    """The runtime for this machine. cpu_flags: of the processor, as Linux names them; None looks them up.

    Auto takes OpenVINO only where it multiplies matrices of bf16 in hardware: elsewhere its gain is small, and onnxruntime
    answers the same on every machine.

    Raises:
        MissingExtraError: OpenVINO was asked for and is not installed.
    """
    has_openvino = find_spec("openvino") is not None
    if asked is Runtime.OPENVINO and not has_openvino:
        raise MissingExtraError("openvino", "openvino")
    if asked is not Runtime.AUTO:
        return Chosen(asked, "asked for")
    if not has_openvino:
        return Chosen(Runtime.ONNXRUNTIME, "OpenVINO is not installed (extra `openvino`)")
    if not (read_cpu_flags() if cpu_flags is None else cpu_flags) & FAST_BF16:
        return Chosen(Runtime.ONNXRUNTIME, "this processor has no bf16 that OpenVINO could use")
    return Chosen(Runtime.OPENVINO, "OpenVINO is installed and this processor has bf16")


def read_cpu_flags() -> frozenset[str]:
    """What the processor can do, as Linux names it; nothing on other systems."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    return frozenset(next((line.split(":", 1)[1] for line in lines if line.startswith("flags")), "").split())
