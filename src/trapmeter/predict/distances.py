"""From sights of animals to distances: what `measure` asks, whichever models a run has."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Protocol

import numpy as np

from trapmeter.models.bundle import Bundle
from trapmeter.records import Distance, ModelIdentity, Observation
from trapmeter.uncertainty import mean_uncertainty, unknown


@dataclass(frozen=True, slots=True)
class Sight:
    """An animal at a second, and the metres that each of the networks answered for it, if any were asked."""

    observation: Observation
    answers: tuple[float, ...] = ()


class Distances(Protocol):
    """Tells distances from sights. The seam between a run and its models."""

    @property
    def identity(self) -> ModelIdentity:
        """The name and checksum that every measured row carries."""
        ...

    def measure(self, sights: Sequence[Sight]) -> list[Distance]:
        """A distance for each sight; all of a site are given at once, since they are each other's context."""
        ...


class BoxDistances(Protocol):
    """Tells distances from boxes alone, as `trapmeter.boxmodel.model.BoxModel` does."""

    @property
    def identity(self) -> ModelIdentity:
        """The model's name and checksum."""
        ...

    def measure(self, observations: Sequence[Observation]) -> list[Distance]:
        """A distance for each observation."""
        ...


@dataclass(frozen=True, slots=True)
class FromBoxes:
    """Distances from the boxes of a whole site; networks are not heard."""

    model: BoxDistances

    @property
    def identity(self) -> ModelIdentity:
        """The box model's."""
        return self.model.identity

    def measure(self, sights: Sequence[Sight]) -> list[Distance]:
        """A distance for each sight."""
        return self.model.measure([sight.observation for sight in sights])


class FromNetworks:
    """The plain mean of the networks' answers, with what their held-out errors tell of how sure it is."""

    def __init__(self, bundles: Sequence[Bundle], *, flip: bool) -> None:
        self.identity = ensemble_identity(bundles, flip=flip)
        known = [bundle.uncertainty for bundle in bundles if bundle.uncertainty is not None]
        self._uncertainty = mean_uncertainty(known) if len(known) == len(bundles) else None

    def measure(self, sights: Sequence[Sight]) -> list[Distance]:
        """A distance for each sight."""
        metres = [fmean(sight.answers) for sight in sights]
        if self._uncertainty is None:
            return [unknown(answer) for answer in metres]
        return self._uncertainty.distances(np.log1p(metres))


def ensemble_identity(bundles: Sequence[Bundle], *, flip: bool) -> ModelIdentity:
    """A network's own name and checksum, or such of an ensemble; mirror images make another model of the same networks."""
    first = bundles[0].identity
    others = f" and {len(bundles) - 1} more" if len(bundles) > 1 else ""
    name = f"{first.model_id}{others}{' with flip' if flip else ''}"
    if len(bundles) == 1:
        return ModelIdentity(name, first.sha256)
    sums = "".join(bundle.identity.sha256 for bundle in bundles)
    return ModelIdentity(name, hashlib.sha256(sums.encode()).hexdigest())
