"""Runs bundles in torch, on a GPU if there is one.

A bundle contains no torch network, so that nothing in it can run code: this module runs its ONNX graph node by node. When it
opens a bundle, it compares its predictions for windows of noise with onnxruntime's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trapmeter.errors import ModelError
from trapmeter.models.bundle import Bundle
from trapmeter.models.runtimes.agreement import example_facts
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
        facts = example_facts(bundle.spec)[: len(noise)]
        expected, found = reference.metres(noise, facts), self.metres(noise, facts)
        difference_m = float(np.abs(found - expected).max())
        if not difference_m <= TOLERANCE_M * max(1.0, float(expected.max()) / RELATIVE_ABOVE_M):
            raise ModelError(
                f"{bundle.network}: torch and onnxruntime differ by {difference_m:.2g} m; use --runtime onnxruntime"
            )

    def _run(self, inputs: Mapping[str, NDArray[Any]]) -> object:
        import torch

        # torch has one thread count for the entire process, which a training may have set.
        before = torch.get_num_threads()
        torch.set_num_threads(self._threads)
        try:
            with torch.inference_mode():
                output = self._graph.run({
                    name: torch.from_numpy(np.ascontiguousarray(values)).to(self._device)
                    for name, values in inputs.items()
                })  # fmt: skip
        except (RuntimeError, NotImplementedError, TypeError, IndexError, KeyError, ValueError) as error:
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

        from trapmeter.models.runtimes.torch_operators import OPERATORS

        # read_bundle has checked that the file is complete and refers to no other file.
        graph = onnx.load(str(bundle.network)).graph
        self._device = device
        self._weights: dict[str, torch.Tensor] = {}
        # Single numbers also take part in computing shapes, which is done on the CPU.
        self._numbers: dict[str, torch.Tensor] = {}
        for tensor in graph.initializer:
            self._keep(tensor.name, _read_tensor(tensor))
        self._nodes = []
        for node in graph.node:
            attributes = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
            for name, value in attributes.items():
                if isinstance(value, onnx.TensorProto):
                    attributes[name] = _read_tensor(value)
            if node.op_type == "Constant":
                (value,) = attributes.values()
                self._keep(node.output[0], value if isinstance(value, torch.Tensor) else torch.tensor(value))
            elif node.op_type not in OPERATORS or node.domain not in ("", "ai.onnx"):
                raise ModelError(f"{bundle.network}: torch has no {node.op_type} here; use --runtime onnxruntime")
            else:
                if node.op_type == "Split":
                    attributes.setdefault("num_outputs", len(node.output))
                self._nodes.append(OnnxNode(node.op_type, tuple(node.input), tuple(node.output), attributes))
        self._result = graph.output[0].name
        self._last_use = {name: number for number, node in enumerate(self._nodes) for name in node.inputs}

    def run(self, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """The output for the graph's inputs by name, on the device."""
        import torch

        from trapmeter.models.runtimes.torch_operators import OPERATORS

        values = dict(inputs)
        for number, node in enumerate(self._nodes):
            made = OPERATORS[node.kind](*self._inputs(values, node), **node.attributes)
            # Of an operator with several results, torch may give only the first.
            values.update(zip(node.outputs, (made,) if isinstance(made, torch.Tensor) else made, strict=False))
            for name in node.inputs:
                # Otherwise the feature maps of large networks would fill the memory.
                if name in values and self._last_use[name] == number and name != self._result:
                    del values[name]
        return values[self._result] if self._result in values else self._weights[self._result]

    def _keep(self, name: str, tensor: torch.Tensor) -> None:
        self._weights[name] = _to_device(tensor, self._device)
        if tensor.numel() == 1:
            self._numbers[name] = tensor

    def _inputs(self, values: Mapping[str, torch.Tensor], node: OnnxNode) -> list[torch.Tensor | None]:
        """The inputs of a node, None for an omitted one, on one device unless some of them are shapes."""
        from trapmeter.models.runtimes.torch_operators import TAKES_SHAPES

        inputs = [None if not name else values[name] if name in values else self._weights[name] for name in node.inputs]
        devices = {tensor.device for tensor in inputs if tensor is not None}
        if len(devices) < 2 or node.kind in TAKES_SHAPES:
            return inputs
        if not any(name in values and values[name].device == self._device for name in node.inputs):
            # A shape is computed, with a number among the weights.
            inputs = [self._numbers.get(name, value) for name, value in zip(node.inputs, inputs, strict=True)]
            return [tensor if tensor is None else tensor.cpu() for tensor in inputs]
        return [tensor if tensor is None else tensor.to(self._device) for tensor in inputs]


@dataclass(frozen=True, slots=True)
class OnnxNode:
    """A node of a graph: its operator, the names of its inputs ("" for an omitted one) and outputs, and its attributes."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]


def _read_tensor(tensor: Any) -> torch.Tensor:
    import torch
    from onnx import numpy_helper

    return torch.from_numpy(numpy_helper.to_array(tensor).copy())


def _to_device(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Moves weights to the device; integers are shapes and axes, which are computed on the CPU."""
    import torch

    if not tensor.is_floating_point():
        return tensor
    tensor = tensor.to(device)
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor
