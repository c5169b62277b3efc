"""Distance estimators: detected animals in, distances with intervals out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Protocol

import numpy as np

from trapmeter.facts import NO_FACTS, Facts
from trapmeter.models.bundle import Bundle
from trapmeter.models.fact_inputs import takes_size
from trapmeter.records import Distance, ModelIdentity, Observation
from trapmeter.uncertainty import Uncertainty, mean_uncertainty, unmeasured_distance


@dataclass(frozen=True, slots=True)
class DetectedAnimal:
    """An animal at one second, with the distance in metres that each network predicted for it, if networks ran.

    facts: what is known about it and its camera, for models that take facts. in_burst: the observation with the burst as its
    medium, if its photo is part of one: the box model measures a burst as it does a video.
    """

    observation: Observation
    network_distances_m: tuple[float, ...] = ()
    facts: Facts = NO_FACTS
    in_burst: Observation | None = None

    @property
    def for_box_model(self) -> Observation:
        """The observation with the medium and the time by which the box model finds the animal's other boxes."""
        return self.in_burst or self.observation

    @property
    def is_size_known(self) -> bool:
        """Whether lens, shoulder height and box state a distance by size."""
        facts = self.facts
        return self.observation.box is not None and None not in {facts.hfov_deg, facts.shoulder_m}


class DistanceEstimator(Protocol):
    """Estimates the distances of detected animals: the interface between a run and its models."""

    @property
    def identity(self) -> ModelIdentity:
        """The name and checksum that every measured row carries."""
        ...

    def estimate(self, animals: Sequence[DetectedAnimal]) -> list[Distance]:
        """A distance for each animal. All animals of a site come in one call, since they are each other's context."""
        ...


class BoxDistanceModel(Protocol):
    """Predicts distances from boxes and facts, as `trapmeter.boxmodel.model.BoxModel` does."""

    @property
    def identity(self) -> ModelIdentity:
        """The model's name and checksum."""
        ...

    def estimate(self, observations: Sequence[Observation], facts: Sequence[Facts] = ()) -> list[Distance]:
        """A distance for each observation. facts: what is known about each; empty if nothing is."""
        ...


@dataclass(frozen=True, slots=True)
class BoxEstimator:
    """Distances by the box model, which uses all boxes of a site, what is known about it, and no network."""

    model: BoxDistanceModel

    @property
    def identity(self) -> ModelIdentity:
        """The box model's."""
        return self.model.identity

    def estimate(self, animals: Sequence[DetectedAnimal]) -> list[Distance]:
        """A distance for each animal."""
        return self.model.estimate([animal.for_box_model for animal in animals], [animal.facts for animal in animals])


class NetworkEstimator:
    """The mean of the networks' predictions, with intervals from their held-out errors."""

    def __init__(self, bundles: Sequence[Bundle], *, flip: bool) -> None:
        self.identity = identify_ensemble(bundles, flip=flip)
        self._untold = _mean_of_all([bundle.uncertainty for bundle in bundles])
        self._told = _mean_of_all([bundle.uncertainty_told or bundle.uncertainty for bundle in bundles])
        self._takes_size = all(takes_size(bundle.spec.facts) for bundle in bundles)

    def estimate(self, animals: Sequence[DetectedAnimal]) -> list[Distance]:
        """A distance for each animal."""
        means_m = [fmean(animal.network_distances_m) for animal in animals]
        if self._untold is None or self._told is None:
            return [unmeasured_distance(mean_m) for mean_m in means_m]
        untold, told = (uncertainty.distances(np.log1p(means_m)) for uncertainty in (self._untold, self._told))
        return [
            told[number] if self._takes_size and animal.is_size_known else untold[number]
            for number, animal in enumerate(animals)
        ]


def _mean_of_all(uncertainties: Sequence[Uncertainty | None]) -> Uncertainty | None:
    """None if that of a network is missing."""
    known = [uncertainty for uncertainty in uncertainties if uncertainty is not None]
    return mean_uncertainty(known) if len(known) == len(uncertainties) else None


def identify_ensemble(bundles: Sequence[Bundle], *, flip: bool) -> ModelIdentity:
    """The name and checksum of one network or an ensemble.

    Prediction with mirror images has another name but the same checksum, since the networks are the same.
    """
    first = bundles[0].identity
    others = f" and {len(bundles) - 1} more" if len(bundles) > 1 else ""
    name = f"{first.model_id}{others}{' with flip' if flip else ''}"
    if len(bundles) == 1:
        return ModelIdentity(name, first.sha256)
    checksums = "".join(bundle.identity.sha256 for bundle in bundles)
    return ModelIdentity(name, hashlib.sha256(checksums.encode()).hexdigest())
