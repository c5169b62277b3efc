"""Distance estimators: detected animals in, distances with intervals out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Protocol

import numpy as np

from trapmeter.models.bundle import Bundle
from trapmeter.records import Distance, ModelIdentity, Observation
from trapmeter.uncertainty import mean_uncertainty, unmeasured_distance


@dataclass(frozen=True, slots=True)
class DetectedAnimal:
    """An animal at a second, and the metres that each of the networks answered for it, if any were asked."""

    observation: Observation
    network_distances_m: tuple[float, ...] = ()


class DistanceEstimator(Protocol):
    """Tells distances from sights. The seam between a run and its models."""

    @property
    def identity(self) -> ModelIdentity:
        """The name and checksum that every measured row carries."""
        ...

    def estimate(self, sights: Sequence[DetectedAnimal]) -> list[Distance]:
        """A distance for each sight; all of a site are given at once, since they are each other's context."""
        ...


class BoxDistanceModel(Protocol):
    """Tells distances from boxes alone, as `trapmeter.boxmodel.model.BoxModel` does."""

    @property
    def identity(self) -> ModelIdentity:
        """The model's name and checksum."""
        ...

    def estimate(self, observations: Sequence[Observation]) -> list[Distance]:
        """A distance for each observation."""
        ...


@dataclass(frozen=True, slots=True)
class BoxEstimator:
    """Distances from the boxes of a whole site; networks are not heard."""

    model: BoxDistanceModel

    @property
    def identity(self) -> ModelIdentity:
        """The box model's."""
        return self.model.identity

    def estimate(self, sights: Sequence[DetectedAnimal]) -> list[Distance]:
        """A distance for each sight."""
        return self.model.estimate([sight.observation for sight in sights])


class NetworkEstimator:
    """The plain mean of the networks' answers, with what their held-out errors tell of how sure it is."""

    def __init__(self, bundles: Sequence[Bundle], *, flip: bool) -> None:
        self.identity = identify_ensemble(bundles, flip=flip)
        known = [bundle.uncertainty for bundle in bundles if bundle.uncertainty is not None]
        self._uncertainty = mean_uncertainty(known) if len(known) == len(bundles) else None

    def estimate(self, sights: Sequence[DetectedAnimal]) -> list[Distance]:
        """A distance for each sight."""
        metres = [fmean(sight.network_distances_m) for sight in sights]
        if self._uncertainty is None:
            return [unmeasured_distance(answer) for answer in metres]
        return self._uncertainty.distances(np.log1p(metres))


def identify_ensemble(bundles: Sequence[Bundle], *, flip: bool) -> ModelIdentity:
    """A network's own name and checksum, or such of an ensemble; mirror images make another model of the same networks."""
    first = bundles[0].identity
    others = f" and {len(bundles) - 1} more" if len(bundles) > 1 else ""
    name = f"{first.model_id}{others}{' with flip' if flip else ''}"
    if len(bundles) == 1:
        return ModelIdentity(name, first.sha256)
    sums = "".join(bundle.identity.sha256 for bundle in bundles)
    return ModelIdentity(name, hashlib.sha256(sums.encode()).hexdigest())
