"""Asks networks for the distances of the animals that were found."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from trapmeter.media.reading import Absence
from trapmeter.models.inputs import network_input
from trapmeter.models.spec import InputSpec
from trapmeter.predict.seen import FoundSecond
from trapmeter.predict.windows import Window
from trapmeter.records import Box

BATCH = 8
"""Windows that are asked about together: larger batches gain nothing on a processor and cost memory."""

SHARED = "the network answers for the whole picture, not for each of its animals"


class WindowNetworks(Protocol):
    """Networks that answer for windows: `trapmeter.runtimes.ensemble.Ensemble` is the one, a test's fake is another."""

    @property
    def spec(self) -> InputSpec:
        """The input of all of them."""
        ...

    def answers(self, windows: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Every member's answer in metres: (members, windows)."""
        ...


class Asker:
    """Asks the networks for the distance of each animal, holding no more than one batch of windows."""

    def __init__(self, networks: WindowNetworks) -> None:
        self._networks = networks
        self.spec = networks.spec
        self.spent_s = 0.0

    def ask(self, seconds: Iterable[tuple[FoundSecond, Window | Absence | None]]) -> Iterator[FoundSecond]:
        """The seconds with the networks' answers for their animals. Windows of seconds without any are not looked at."""
        batch: list[FoundSecond] = []
        inputs: list[NDArray[np.uint8]] = []
        for second, window in seconds:
            if len(inputs) >= BATCH:
                yield from self._answer(batch, inputs)
                batch, inputs = [], []
            if not second.boxes:
                batch.append(second)
            elif isinstance(window, Absence):
                batch.append(FoundSecond(second.time_s, window.status, window.reason))
            else:
                assert window is not None, "a second with animals has a window"
                inputs += [network_input(window, box, self.spec) for box in self._asked_for(second)]
                batch.append(second)
        yield from self._answer(batch, inputs)

    def _asked_for(self, second: FoundSecond) -> tuple[Box | None, ...]:
        """A network that doesn't see the box is asked once, however many animals there are."""
        return second.boxes if self.spec.box_channel else second.boxes[:1]

    def _answer(self, batch: Sequence[FoundSecond], inputs: Sequence[NDArray[np.uint8]]) -> Iterator[FoundSecond]:
        started = time.perf_counter()
        # A second with a herd may bring more windows than one batch.
        parts = [self._networks.answers(np.stack(inputs[i : i + BATCH])) for i in range(0, len(inputs), BATCH)]
        self.spent_s += time.perf_counter() - started
        answers = iter([tuple(row) for part in parts for row in part.T.tolist()])
        for second in batch:
            mine = [next(answers) for _ in self._asked_for(second)]
            if len(mine) < len(second.boxes):
                reason = "; ".join(filter(None, (second.reason, SHARED)))
                yield replace(second, reason=reason, answers=tuple(mine * len(second.boxes)))
            else:
                yield replace(second, answers=tuple(mine))
