from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from boxmodel.pinhole_world import QUICK
from trapmeter.boxmodel.network import CLIP, BoxNetwork, fit_feature_scaler, fit_networks
from trapmeter.boxmodel.training_data import TrainingTable, View

NAN = np.nan


def make_table(n: int = 2000, seed: int = 3) -> TrainingTable:
    """The target is V-shaped in feature 0 and shifted where feature 1 is NaN; feature 2 is NaN in the single view."""
    rng = np.random.default_rng(seed)
    full = rng.normal(5.0, 2.0, (n, 3)).astype(np.float32)
    full[rng.random(n) < 0.4, 1] = NAN
    target = np.abs(full[:, 0] - 5.0) + np.isnan(full[:, 1])
    single = full.copy()
    single[:, 2] = NAN
    return TrainingTable(
        {View.FULL: full, View.OTHER_DETECTOR: full, View.SITE_UNKNOWN: full, View.SINGLE: single},
        target.astype(np.float64),
        np.ones(n),
        np.ones(n, bool),
        np.arange(n) % 10,
    )


class TestFeatureScaler:
    def test_features_are_scaled_clipped_and_marked(self):
        rows = np.array([[0.0, NAN], [10.0, 1.0], [20.0, 2.0], [30.0, 3.0], [40.0, NAN]], np.float32)
        scaler = fit_feature_scaler(rows, rows)
        np.testing.assert_array_equal(scaler.marked, [1])
        np.testing.assert_allclose(scaler(np.array([[20.0, NAN]], np.float32)), [[0.0, 0.0, 1.0]])
        np.testing.assert_allclose(scaler(np.array([[1e9, -1e9]], np.float32)), [[CLIP, -CLIP, 0.0]])

    def test_features_that_are_always_unknown_together_share_a_mark(self):
        rows = np.array([[1.0, NAN, NAN, 1.0], [1.0, 2.0, 2.0, NAN], [1.0, 3.0, 3.0, 1.0]], np.float32)
        np.testing.assert_array_equal(fit_feature_scaler(rows, rows).marked, [1, 3])

    def test_features_unknown_in_the_full_view_stay_0(self):
        full = np.array([[1.0, NAN], [2.0, NAN]], np.float32)
        scaler = fit_feature_scaler(full, full)
        np.testing.assert_array_equal(scaler(full)[:, 1:], 0.0)
        assert not np.isnan(scaler(np.array([[1.5, 7.0]], np.float32))).any()

    def test_a_constant_feature_gives_finite_inputs(self):
        rows = np.ones((5, 1), np.float32)
        np.testing.assert_array_equal(fit_feature_scaler(rows, rows)(rows), 0.0)


SETTINGS = replace(QUICK, networks=2, network_epochs=30, network_dropout=0.0)


@pytest.fixture(scope="module")
def networks() -> tuple[BoxNetwork, ...]:
    table = make_table()
    return fit_networks(table, np.ones(len(table.target), bool), SETTINGS)


class TestTraining:
    @pytest.mark.parametrize("view", [View.FULL, View.SINGLE])
    def test_nonlinear_and_missing_features_are_learned(self, networks, view):
        new = make_table(seed=4)
        median_error = np.abs(new.target - np.median(new.target)).mean()
        for network in networks:
            assert np.abs(network.predict(new.features[view]) - new.target).mean() < 0.35 * median_error

    def test_networks_differ_from_each_other_but_not_between_runs(self, networks):
        table = make_table()
        again = fit_networks(table, np.ones(len(table.target), bool), SETTINGS)
        rows = table.features[View.FULL]
        assert np.abs(networks[0].predict(rows) - networks[1].predict(rows)).max() > 0.01
        for first, second in zip(networks, again, strict=True):
            np.testing.assert_array_equal(first.predict(rows), second.predict(rows))

    def test_rows_that_are_left_out_change_nothing(self):
        table = make_table(600)
        rows = np.arange(600) < 400
        spoilt = replace(table, target=np.where(rows, table.target, 99.0))
        quick = replace(SETTINGS, networks=1, network_epochs=2)
        predictions = [fit_networks(t, rows, quick)[0].predict(table.features[View.FULL]) for t in (table, spoilt)]
        np.testing.assert_array_equal(*predictions)

    def test_a_network_is_trained_on_its_share_of_the_sites(self):
        table = make_table(600)
        half = replace(SETTINGS, networks=1, network_epochs=2, network_site_share=0.5)
        predictions = []
        for site in range(10):
            spoilt = replace(table, target=np.where(table.site_index == site, 99.0, table.target))
            predictions.append(fit_networks(spoilt, np.ones(600, bool), half)[0].predict(table.features[View.FULL]))
        # The five sites that were left out change nothing; each of the others does.
        assert len(np.unique(np.round(predictions, 4), axis=0)) == 6

    def test_fewer_rows_than_a_batch_can_be_fitted(self):
        table = make_table(40)
        (network,) = fit_networks(table, np.ones(40, bool), replace(SETTINGS, networks=1, network_epochs=3))
        assert np.isfinite(network.predict(table.features[View.FULL])).all()
