"""Chooses the runtime for this machine and says why. Light to import."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path

from trapmeter.errors import MissingExtraError

FAST_BF16 = frozenset({"amx_bf16", "avx512_bf16"})


class Runtime(StrEnum):
    """A library that runs networks."""

    AUTO = "auto"
    """The best installed one for this machine."""
    ONNXRUNTIME = "onnxruntime"
    """Comes with trapmeter; 32-bit floats everywhere."""
    OPENVINO = "openvino"
    """From the extra `openvino`; 16-bit floats (bf16) if the processor supports them."""
    TORCH = "torch"
    """From the extra `train`; for machines with a GPU that torch can use."""


@dataclass(frozen=True, slots=True)
class RuntimeChoice:
    """A runtime, never `auto`, and why it was chosen."""

    runtime: Runtime
    reason: str


def choose_runtime(
    requested: Runtime, cpu_flags: frozenset[str] | None = None, *, has_gpu: bool | None = None
) -> RuntimeChoice:
    """The runtime for this machine. cpu_flags: of the processor, in Linux's names. Those that are None are detected.

    Auto chooses torch if it has a GPU, and OpenVINO only if the processor multiplies bf16 matrices in hardware: otherwise
    its gain is small, and onnxruntime gives the same predictions on every machine.

    Raises:
        MissingExtraError: OpenVINO or torch was requested and is not installed.
    """
    has_openvino = find_spec("openvino") is not None
    if requested is Runtime.OPENVINO and not has_openvino:
        raise MissingExtraError("openvino", "openvino")
    missing = [package for package in ("torch", "onnx") if find_spec(package) is None]
    if requested is Runtime.TORCH and missing:
        raise MissingExtraError(missing[0], "train")
    if requested is not Runtime.AUTO:
        return RuntimeChoice(requested, "requested")
    if not missing and (is_gpu_available() if has_gpu is None else has_gpu):
        return RuntimeChoice(Runtime.TORCH, "torch is installed and has a GPU")
    if not has_openvino:
        return RuntimeChoice(Runtime.ONNXRUNTIME, "OpenVINO is not installed (extra `openvino`)")
    if not (read_cpu_flags() if cpu_flags is None else cpu_flags) & FAST_BF16:
        return RuntimeChoice(Runtime.ONNXRUNTIME, "this processor has no fast bf16 for OpenVINO")
    return RuntimeChoice(Runtime.OPENVINO, "OpenVINO is installed and this processor has bf16")


def is_gpu_available() -> bool:
    """Whether torch can use a GPU. It is only loaded, which takes seconds, if the system has one."""
    if os.name == "posix" and not any(Path("/dev").glob("nvidia[0-9]*")) and not Path("/dev/kfd").exists():
        return False
    import torch

    return torch.cuda.is_available()


def read_cpu_flags() -> frozenset[str]:
    """The processor's flags in Linux's names; none on other systems."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    return frozenset(next((line.split(":", 1)[1] for line in lines if line.startswith("flags")), "").split())
