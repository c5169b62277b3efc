"""The network interface, what all runtimes share, and the mean of several networks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from trapmeter.errors import ModelError
from trapmeter.models.bundle import Bundle, read_bundle
from trapmeter.models.network_input import mirror_input
from trapmeter.models.runtimes.choice import Runtime, RuntimeChoice, choose_runtime

Opened = TypeVar("Opened")

WINDOWS, FACTS = "windows", "facts"
"""The names of a network's inputs."""


Windows = NDArray[np.uint8]
"""n x channels x height x width."""
FactRows = NDArray[np.float32]
"""n x numbers of the network's spec.facts, NaN where unknown."""


class Network(Protocol):
    """An opened bundle, as trapmeter uses it; tests can replace it."""

    @property
    def bundle(self) -> Bundle:
        """The bundle that it was opened from."""
        ...

    def metres(self, windows: Windows, facts: FactRows | None = None) -> NDArray[np.float64]:
        """Distances in metres, at least 0, of windows. facts: of a network that takes any; None if nothing is known."""
        ...


class RuntimeNetwork(ABC):
    """A bundle opened in a runtime: refuses output that is not one finite number for each window."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle

    @property
    def bundle(self) -> Bundle:
        """The bundle that it was opened from."""
        return self._bundle

    def metres(self, windows: Windows, facts: FactRows | None = None) -> NDArray[np.float64]:
        """Distances in metres, at least 0, of windows. facts: of a network that takes any; None if nothing is known.

        Raises:
            ModelError: the network fails, or doesn't predict one finite number for each window.
            ValueError: the facts are not those of the network's spec.
        """
        n, names = len(windows), self._bundle.spec.facts
        if facts is None:
            facts = np.full((n, len(names)), np.nan, np.float32)
        if facts.shape != (n, len(names)) or facts.dtype != np.float32:
            raise ValueError(f"expected facts float32 {(n, len(names))}, got {facts.dtype} {facts.shape}")
        inputs: dict[str, NDArray[Any]] = {WINDOWS: windows, FACTS: facts} if names else {WINDOWS: windows}
        metres = np.asarray(self._run(inputs), dtype=np.float64)
        if metres.size != n or not np.isfinite(metres).all():
            raise ModelError(
                f"{self._bundle.network}: expected a number for each of {n} windows, got {metres.size}, "
                f"{int(np.isfinite(metres).sum())} of them finite; the network is unusable"
            )
        return np.maximum(metres.reshape(n), 0.0)

    @abstractmethod
    def _run(self, inputs: Mapping[str, NDArray[Any]]) -> object:
        """The runtime's output for inputs by name, in the order of the network's.

        Raises:
            ModelError: the runtime can't run the network.
        """


def open_network(bundle: Bundle, runtime: Runtime, threads: int = 1) -> Network:
    """Opens a bundle in a runtime, as `choose_runtime` returns it.

    Raises:
        ModelError: the network doesn't match its card.
    """
    if runtime is Runtime.OPENVINO:
        from trapmeter.models.runtimes.openvino_runtime import OpenvinoNetwork

        return OpenvinoNetwork(bundle, threads)
    if runtime is Runtime.TORCH:
        from trapmeter.models.runtimes.torch_runtime import TorchNetwork

        return TorchNetwork(bundle, threads)
    from trapmeter.models.runtimes.onnx_runtime import OnnxNetwork

    return OnnxNetwork(bundle, threads)


def open_or_fall_back(requested: Runtime, open_in: Callable[[Runtime], Opened]) -> tuple[Opened, RuntimeChoice]:
    """What `open_in` opens, and the runtime that it is open in.

    If `requested` is auto and the best runtime can't run a network, it is onnxruntime, which runs every bundle.

    Raises:
        ModelError: the networks can't be opened.
        MissingExtraError: the requested runtime is not installed.
    """
    choice = choose_runtime(requested)
    try:
        return open_in(choice.runtime), choice
    except ModelError as error:
        if requested is not Runtime.AUTO or choice.runtime is Runtime.ONNXRUNTIME:
            raise
        opened = open_in(Runtime.ONNXRUNTIME)
        return opened, RuntimeChoice(
            Runtime.ONNXRUNTIME, f"{choice.reason}, but {choice.runtime} can't run a network ({error})"
        )


class Ensemble:
    """The plain mean of several networks, each on the window and, with flip, on its mirror image."""

    def __init__(self, networks: Sequence[Network], *, flip: bool) -> None:
        """Combines networks that take the same input.

        Raises:
            ModelError: their inputs differ, or there are none.
        """
        specs = {network.bundle.spec for network in networks}
        if len(specs) != 1:
            raise ModelError(f"all networks of an ensemble must take the same input, got {len(specs)} different ones")
        self.spec = specs.pop()
        self._networks = tuple(networks)
        self._flip = flip

    @classmethod
    def load(
        cls, folders: Sequence[str | Path], *, flip: bool, threads: int = 1, runtime: Runtime = Runtime.ONNXRUNTIME
    ) -> Ensemble:
        """Reads and opens the bundles in the given folders."""
        return cls([open_network(read_bundle(folder), runtime, threads) for folder in folders], flip=flip)

    @property
    def members(self) -> tuple[Bundle, ...]:
        """The bundles, in the order given."""
        return tuple(network.bundle for network in self._networks)

    def predict_members(self, windows: Windows, facts: FactRows | None = None) -> NDArray[np.float64]:
        """Every member's prediction in metres: (members, windows), with flip twice as many rows as members."""
        views = [windows, mirror_input(windows)] if self._flip else [windows]
        return np.stack([network.metres(view, facts) for network in self._networks for view in views])

    def metres(self, windows: Windows, facts: FactRows | None = None) -> NDArray[np.float64]:
        """The mean prediction in metres (n,)."""
        return np.asarray(self.predict_members(windows, facts).mean(axis=0))
