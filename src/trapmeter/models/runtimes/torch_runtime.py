"""Runs bundles in torch, on a GPU where there is one.

A bundle holds no torch network, so that nothing in it can run code: its ONNX graph is walked node by node. What the walk
answers for a window of noise is compared with onnxruntime when a bundle is opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trapmeter.errors import ModelError
from trapmeter.models.bundle import Bundle
from trapmeter.models.runtimes.onnx_runtime import OnnxNetwork, checked_metres

if TYPE_CHECKING:
    import torch

TOLERANCE_M = 0.05
"""A GPU multiplies with 10 bits of the fraction (TF32)."""
RELATIVE_ABOVE_M = 25.0
"""Untrained networks may answer with any number: beyond this, differences count as shares of it."""


class TorchNetwork:
    """A bundle, ready to run."""

    def __init__(self, bundle: Bundle, threads: int = 1, device: str | None = None) -> None:
        """Opens the network. device: as torch names it; None takes the GPU if there is one.

        Raises:
            ModelError: it isn't what its card says, torch has no operator for a part of it, or answers otherwise.
        """
        import torch

        reference = OnnxNetwork(bundle, threads)
        self._threads = threads
        self._device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._bundle = bundle
        self._graph = OnnxGraph(bundle, self._device)
        shape = (2, bundle.spec.n_channels, *bundle.spec.size_hw)
        noise = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        wanted, got = reference.metres(noise), self.metres(noise)
        difference_m = float(np.abs(got - wanted).max())
        if not difference_m <= TOLERANCE_M * max(1.0, float(wanted.max()) / RELATIVE_ABOVE_M):
            raise ModelError(
                f"{bundle.network}: torch answers {difference_m:.2g} m otherwise than onnxruntime; use --runtime onnxruntime"
            )

    @property
    def bundle(self) -> Bundle:
        """What it was opened from."""
        return self._bundle

    def metres(self, windows: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Distances in metres, at least 0, of windows (n, channels, height, width).

        Raises:
            ModelError: the network breaks off, or answers anything but a number for each window.
        """
        import torch

        # torch knows one number of threads for the whole process; a training there may be using another.
        before = torch.get_num_threads()
        torch.set_num_threads(self._threads)
        try:
            with torch.inference_mode():
                answer = self._graph.run(torch.from_numpy(np.ascontiguousarray(windows)).to(self._device))
        except (RuntimeError, NotImplementedError, TypeError, IndexError) as error:
            raise ModelError(f"{self._bundle.network}: torch can't run it ({error}); use onnxruntime") from error
        finally:
            torch.set_num_threads(before)
        return checked_metres(self._bundle, answer.float().cpu().numpy(), len(windows))


class OnnxGraph:
    """The nodes of an ONNX graph in their order, with its weights on a device."""

    def __init__(self, bundle: Bundle, device: torch.device) -> None:
        """Reads the file.

        Raises:
            ModelError: torch has no operator for a part of it.
        """
        import onnx
        import torch
        from onnx import numpy_helper

        from trapmeter.models.runtimes.torch_operators import OPERATORS

        # Known to be whole and to refer to no other file: read_bundle has looked it over.
        graph = onnx.load(str(bundle.network)).graph
        self._weights: dict[str, torch.Tensor] = {}
        for tensor in graph.initializer:
            self._weights[tensor.name] = _to_device(torch.from_numpy(numpy_helper.to_array(tensor).copy()), device)
        self._nodes = []
        for node in graph.node:
            if node.op_type == "Constant":
                value = numpy_helper.to_array(node.attribute[0].t).copy()
                self._weights[node.output[0]] = _to_device(torch.from_numpy(value), device)
            elif node.op_type not in OPERATORS or len(node.output) != 1:
                raise ModelError(f"{bundle.network}: torch has no {node.op_type} here; use --runtime onnxruntime")
            else:
                given = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
                self._nodes.append((OPERATORS[node.op_type], tuple(node.input), node.output[0], given))
        self._result = graph.output[0].name
        self._last_use = {name: number for number, node in enumerate(self._nodes) for name in node[1]}

    def run(self, windows: torch.Tensor) -> torch.Tensor:
        """The output for windows (n, channels, height, width) of bytes on the device."""
        values: dict[str, torch.Tensor] = {"windows": windows}
        for number, (operator, inputs, output, given) in enumerate(self._nodes):
            values[output] = operator(*(self._value(values, name) for name in inputs), **given)
            for name in inputs:
                # Maps of large networks would fill the memory.
                if name in values and self._last_use[name] == number and name != self._result:
                    del values[name]
        return values[self._result]

    def _value(self, values: Mapping[str, torch.Tensor], name: str) -> Any:
        return None if not name else values[name] if name in values else self._weights[name]


def _to_device(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Weights go to the device; whole numbers are shapes and axes, which are reckoned with on the processor."""
    import torch

    if not tensor.is_floating_point():
        return tensor
    tensor = tensor.to(device)
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor
