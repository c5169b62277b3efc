"""Trees and networks together: the networks' mean moves the trees' point, the ends of the interval are the trees'."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trapmeter.boxmodel.intervals import Flags, Floats
from trapmeter.boxmodel.network import Network, Singles
from trapmeter.boxmodel.network_training import fit_networks
from trapmeter.boxmodel.settings import BoxModelSettings
from trapmeter.boxmodel.table import Table
from trapmeter.boxmodel.trees import Forest, fit_forest


@dataclass(frozen=True, slots=True)
class Ensemble:
    """network_share: what the networks' mean weighs in the point (0..1); without networks the trees answer alone."""

    forest: Forest
    networks: tuple[Network, ...]
    network_share: float

    def predict(self, rows: Singles) -> Floats:
        """Point, low and high in the target of n rows (n x len(FEATURES)), n x 3."""
        raw = self.forest.predict(rows)
        if self.networks:
            of_networks = np.mean([network.predict(rows) for network in self.networks], axis=0)
            raw[:, 0] = (1 - self.network_share) * raw[:, 0] + self.network_share * of_networks
        return raw


def fit_ensemble(table: Table, rows: Flags, settings: BoxModelSettings) -> Ensemble:
    """Fits trees and networks to the marked rows (n) of the table. Needs the extra 'boxmodel'."""
    networks = fit_networks(table, rows, settings)
    return Ensemble(fit_forest(table, rows, settings), networks, settings.network_share)
