"""Gradient-boosted trees, averaged with small networks: fitting and prediction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trapmeter.boxmodel.features import FEATURES
from trapmeter.boxmodel.intervals import TAIL, Flags, Floats
from trapmeter.boxmodel.network import BoxNetwork, Floats32, fit_networks
from trapmeter.boxmodel.settings import BoxModelSettings
from trapmeter.boxmodel.training_data import TrainingTable, view_weights
from trapmeter.errors import MissingExtraError


@dataclass(frozen=True, slots=True)
class Forest:
    """LightGBM boosters: point is averaged; low and high are the ends of the interval before widening."""

    point: tuple[Any, ...]
    low: Any
    high: Any

    def predict(self, rows: NDArray[np.float32]) -> Floats:
        """Point, low and high in the trees' target, n x 3."""
        columns = [
            np.mean([booster.predict(rows, num_threads=1) for booster in boosters], axis=0)
            for boosters in (self.point, (self.low,), (self.high,))
        ]
        return np.stack(columns, axis=1)


def fit_forest(table: TrainingTable, rows: Flags, settings: BoxModelSettings) -> Forest:
    """Fits all trees to the marked rows (n) of the table."""
    lightgbm = load_lightgbm()
    weights = view_weights(settings)
    params = _params(settings)
    data = lightgbm.Dataset(
        np.concatenate([table.features[view][rows] for view in weights]),
        np.tile(table.target[rows], len(weights)),
        weight=np.repeat(list(weights.values()), int(rows.sum())),
        feature_name=list(FEATURES),
        params=params,
        free_raw_data=False,
    )

    def boost(objective: Mapping[str, object], rounds: int, seed: int) -> Any:
        return lightgbm.train({**params, **objective, "seed": seed}, data, rounds)

    point = {"objective": "l1"}
    low, high = ({"objective": "quantile", "alpha": level} for level in (TAIL, 1 - TAIL))
    return Forest(
        tuple(boost(point, settings.point_rounds, settings.seed + bag) for bag in range(settings.bags)),
        boost(low, settings.interval_rounds, settings.seed),
        boost(high, settings.interval_rounds, settings.seed),
    )


def load_lightgbm() -> Any:
    """The package, or the error that tells how to install it."""
    try:
        import lightgbm
    except ImportError as error:
        raise MissingExtraError("lightgbm", "boxmodel") from error
    return lightgbm


def _params(settings: BoxModelSettings) -> dict[str, object]:
    return {
        "num_leaves": settings.leaves,
        "learning_rate": settings.learning_rate,
        "feature_fraction": settings.feature_share,
        "bagging_fraction": settings.row_share,
        "bagging_freq": 1,
        "min_child_samples": settings.min_rows,
        "lambda_l2": 5.0,
        "max_bin": 127,
        # Folds run side by side instead: LightGBM's own threads spin while they wait, which on a busy machine made
        # training ten times slower, and one thread gives the same trees on any number of cores.
        "num_threads": 1,
        "deterministic": True,
        "force_col_wise": True,
        "verbose": -1,
    }


@dataclass(frozen=True, slots=True)
class BoxEnsemble:
    """network_share: what the networks' mean weighs in the point (0..1); without networks the trees answer alone."""

    forest: Forest
    networks: tuple[BoxNetwork, ...]
    network_share: float

    def predict(self, rows: Floats32) -> Floats:
        """Point, low and high in the target of n rows (n x len(FEATURES)), n x 3."""
        raw = self.forest.predict(rows)
        if self.networks:
            of_networks = np.mean([network.predict(rows) for network in self.networks], axis=0)
            raw[:, 0] = (1 - self.network_share) * raw[:, 0] + self.network_share * of_networks
        return raw


def fit_ensemble(table: TrainingTable, rows: Flags, settings: BoxModelSettings) -> BoxEnsemble:
    """Fits trees and networks to the marked rows (n) of the table. Needs the extra 'boxmodel'."""
    networks = fit_networks(table, rows, settings)
    return BoxEnsemble(fit_forest(table, rows, settings), networks, settings.network_share)
