"""Fits gradient-boosted trees and small networks, and averages their predictions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from trapmeter.boxmodel.box_groups import Flags, Floats, Floats32, Ints
from trapmeter.boxmodel.features import FEATURES
from trapmeter.boxmodel.intervals import TAIL
from trapmeter.boxmodel.network import BoxNetwork, fit_networks
from trapmeter.boxmodel.settings import BoxModelSettings
from trapmeter.boxmodel.training_data import TrainingTable, View, view_weights
from trapmeter.errors import MissingExtraError


@dataclass(frozen=True, slots=True)
class Forest:
    """LightGBM boosters: the mean of `point` is the prediction; low and high end the interval before widening."""

    point: tuple[Any, ...]
    low: Any
    high: Any

    def predict(self, rows: Floats32) -> Floats:
        """Point, low and high in log(1 + metres), n x 3. rows: n x len(FEATURES)."""
        columns = [
            np.mean([booster.predict(rows, num_threads=1) for booster in boosters], axis=0)
            for boosters in (self.point, (self.low,), (self.high,))
        ]
        return np.stack(columns, axis=1)


def fit_forest(table: TrainingTable, rows: Flags, settings: BoxModelSettings) -> Forest:
    """Fits all trees to the rows of the table that are marked True (n)."""
    lightgbm = load_lightgbm()
    params = _params(settings)
    views = _views_of_rows(table, rows, settings)
    data = lightgbm.Dataset(
        np.concatenate([table.features[view][chosen] for view, (chosen, _) in views.items()]),
        np.concatenate([table.target[chosen] for chosen, _ in views.values()]),
        weight=np.concatenate([weight for _, weight in views.values()]),
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


def _views_of_rows(table: TrainingTable, rows: Flags, settings: BoxModelSettings) -> dict[View, tuple[Ints, Floats]]:
    """The rows that are used in each view, and their weights.

    Each row is used in all views, but a simulated one in a single view: there are enough of them.
    """
    shares = view_weights(settings)
    total = sum(shares.values())
    index = np.flatnonzero(rows)
    whole, light = index[~table.is_simulated[index]], index[table.is_simulated[index]]
    drawn = np.random.default_rng(settings.seed).choice(
        len(shares), len(light), p=np.array(list(shares.values())) / total
    )
    views = {}
    for number, (view, share) in enumerate(shares.items()):
        few = light[drawn == number]
        weight = np.concatenate([share * table.weight[whole], total * table.weight[few]])
        views[view] = np.concatenate([whole, few]), weight
    return views


def load_lightgbm() -> Any:
    """The package.

    Raises:
        MissingExtraError: it is not installed.
    """
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
        # Folds run in parallel instead: LightGBM's own threads spin while they wait, which made training ten times slower
        # on a busy machine, and one thread gives the same trees on any number of cores.
        "num_threads": 1,
        "deterministic": True,
        "force_col_wise": True,
        "verbose": -1,
    }


@dataclass(frozen=True, slots=True)
class BoxEnsemble:
    """network_share: weight of the networks' mean in the point (0..1); without networks, only the trees count."""

    forest: Forest
    networks: tuple[BoxNetwork, ...]
    network_share: float

    def predict(self, rows: Floats32) -> Floats:
        """Point, low and high in log(1 + metres), n x 3. rows: n x len(FEATURES)."""
        raw = self.forest.predict(rows)
        if self.networks:
            networks_mean = np.mean([network.predict(rows) for network in self.networks], axis=0)
            raw[:, 0] = (1 - self.network_share) * raw[:, 0] + self.network_share * networks_mean
        return raw


def fit_ensemble(table: TrainingTable, rows: Flags, settings: BoxModelSettings) -> BoxEnsemble:
    """Fits trees and networks to the rows of the table that are marked True (n). Needs the extra 'boxmodel'."""
    networks = fit_networks(table, rows, settings)
    return BoxEnsemble(fit_forest(table, rows, settings), networks, settings.network_share)
