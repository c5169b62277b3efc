"""Runs bundles in torch, on a GPU if there is one.

A bundle contains no torch network, so that nothing in it can run code: this module runs its ONNX graph node by node. When it
opens a bundle, it compares its predictions for windows of noise with onnxruntime's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trapmeter.errors import ModelError
from trapmeter.models.bundle import Bundle
from trapmeter.models.runtimes.network import RuntimeNetwork
from trapmeter.models.runtimes.onnx_runtime import OnnxNetwork

if TYPE_CHECKING:
    import torch

TOLERANCE_M = 0.05
"""Permitted difference from onnxruntime: a GPU multiplies with 10 bits of the fraction (TF32)."""
RELATIVE_ABOVE_M = 25.0
"""Above this prediction the permitted difference grows in proportion, as untrained networks may predict any number."""


class TorchNetwork(RuntimeNetwork):
    """A bundle opened in torch."""

    def __init__(self, bundle: Bundle, threads: int = 1, device: str | None = None) -> None:
        """Opens the network. device: torch's name; None uses a GPU if there is one.

        Raises:
            ModelError: the network doesn't match its card, torch lacks an operator, or the predictions differ.
        """
        import torch

        super().__init__(bundle)
        reference = OnnxNetwork(bundle, threads)
        self._threads = threads
        self._device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._graph = OnnxGraph(bundle, self._device)
        shape = (2, bundle.spec.n_channels, *bundle.spec.size_hw)
        noise = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        expected, found = reference.metres(noise), self.metres(noise)
        difference_m = float(np.abs(found - expected).max())
        if not difference_m <= TOLERANCE_M * max(1.0, float(expected.max()) / RELATIVE_ABOVE_M):
            raise ModelError(
                f"{bundle.network}: torch and onnxruntime differ by {difference_m:.2g} m; use --runtime onnxruntime"
            )

    def _run(self, windows: NDArray[np.uint8]) -> object:
        import torch

        # torch has one thread count for the entire process, which a training may have set.
        before = torch.get_num_threads()
        torch.set_num_threads(self._threads)
        try:
            with torch.inference_mode():
                output = self._graph.run(torch.from_numpy(np.ascontiguousarray(windows)).to(self._device))
        except (RuntimeError, NotImplementedError, TypeError, IndexError) as error:
            raise ModelError(
                f"{self._bundle.network}: torch can't run it ({error}); use --runtime onnxruntime"
            ) from error
        finally:
            torch.set_num_threads(before)
        return output.float().cpu().numpy()


class OnnxGraph:
    """The nodes of an ONNX graph in their order, with its weights on a device."""

    def __init__(self, bundle: Bundle, device: torch.device) -> None:
        """Reads the file.

        Raises:
            ModelError: torch lacks an operator.
        """
        import onnx
        import torch
        from onnx import numpy_helper

        from trapmeter.models.runtimes.torch_operators import OPERATORS

        # read_bundle has checked that the file is complete and refers to no other file.
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
                attributes = {
                    attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute
                }
                self._nodes.append((OPERATORS[node.op_type], tuple(node.input), node.output[0], attributes))
        self._result = graph.output[0].name
        self._last_use = {name: number for number, node in enumerate(self._nodes) for name in node[1]}

    def run(self, windows: torch.Tensor) -> torch.Tensor:
        """The output for windows (n, channels, height, width) of bytes on the device."""
        values: dict[str, torch.Tensor] = {"windows": windows}
        for number, (operator, inputs, output, attributes) in enumerate(self._nodes):
            values[output] = operator(*(self._value(values, name) for name in inputs), **attributes)
            for name in inputs:
                # Otherwise the feature maps of large networks would fill the memory.
                if name in values and self._last_use[name] == number and name != self._result:
                    del values[name]
        return values[self._result]

    def _value(self, values: Mapping[str, torch.Tensor], name: str) -> Any:
        return None if not name else values[name] if name in values else self._weights[name]


def _to_device(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Moves weights to the device; integers are shapes and axes, which are computed on the CPU."""
    import torch

    if not tensor.is_floating_point():
        return tensor
    tensor = tensor.to(device)
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor
