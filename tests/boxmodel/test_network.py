from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from boxmodel.pinhole_world import QUICK
from trapmeter.boxmodel.network import CLIP, BoxNetwork, fit_feature_scaler, fit_networks
from trapmeter.boxmodel.training_data import TrainingTable, View

NAN = np.nan


def make_table(n: int = 2000, seed: int = 3) -> TrainingTable:
    """A target that bends with one feature and hangs on whether another is known; single views know only the first."""
    rng = np.random.default_rng(seed)
    full = rng.normal(5.0, 2.0, (n, 3)).astype(np.float32)
    full[rng.random(n) < 0.4, 1] = NAN
    target = np.abs(full[:, 0] - 5.0) + np.isnan(full[:, 1])
    single = full.copy()
    single[:, 2] = NAN
    return TrainingTable(
        {View.FULL: full, View.OTHER_DETECTOR: full, View.SITE_UNKNOWN: full, View.SINGLE: single},
        target.astype(np.float64),
        np.ones(n, bool),
        np.arange(n) % 10,
    )


class TestInputs:
    def test_are_scaled_clipped_and_marked(self):
        rows = np.array([[0.0, NAN], [10.0, 1.0], [20.0, 2.0], [30.0, 3.0], [40.0, NAN]], np.float32)
        inputs = fit_feature_scaler(rows, rows)
        np.testing.assert_array_equal(inputs.marked, [1])
        np.testing.assert_allclose(inputs(np.array([[20.0, NAN]], np.float32)), [[0.0, 0.0, 1.0]])
        np.testing.assert_allclose(inputs(np.array([[1e9, -1e9]], np.float32)), [[CLIP, -CLIP, 0.0]])

    def test_features_that_are_unknown_together_share_a_mark(self):
        rows = np.array([[1.0, NAN, NAN, 1.0], [1.0, 2.0, 2.0, NAN], [1.0, 3.0, 3.0, 1.0]], np.float32)
        np.testing.assert_array_equal(fit_feature_scaler(rows, rows).marked, [1, 3])

    def test_what_the_full_view_never_knows_is_left_at_0(self):
        full = np.array([[1.0, NAN], [2.0, NAN]], np.float32)
        inputs = fit_feature_scaler(full, full)
        np.testing.assert_array_equal(inputs(full)[:, 1:], 0.0)
        assert not np.isnan(inputs(np.array([[1.5, 7.0]], np.float32))).any()

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
    def test_learns_a_bend_and_what_unknown_means(self, networks, view):
        new = make_table(seed=4)
        usual = np.abs(new.target - np.median(new.target)).mean()
        for network in networks:
            assert np.abs(network.predict(new.features[view]) - new.target).mean() < 0.35 * usual

    def test_networks_differ_and_the_same_seed_gives_the_same(self, networks):
        table = make_table()
        again = fit_networks(table, np.ones(len(table.target), bool), SETTINGS)
        rows = table.features[View.FULL]
        assert np.abs(networks[0].predict(rows) - networks[1].predict(rows)).max() > 0.01
        for first, second in zip(networks, again, strict=True):
            np.testing.assert_array_equal(first.predict(rows), second.predict(rows))

    def test_rows_left_out_teach_nothing(self):
        table = make_table(600)
        rows = np.arange(600) < 400
        spoilt = replace(table, target=np.where(rows, table.target, 99.0))
        quick = replace(SETTINGS, networks=1, network_epochs=2)
        answers = [fit_networks(t, rows, quick)[0].predict(table.features[View.FULL]) for t in (table, spoilt)]
        np.testing.assert_array_equal(*answers)

    def test_each_network_learns_from_its_own_share_of_the_sites(self):
        table = make_table(600)
        half = replace(SETTINGS, networks=1, network_epochs=2, network_site_share=0.5)
        answers = []
        for site in range(10):
            spoilt = replace(table, target=np.where(table.site_index == site, 99.0, table.target))
            answers.append(fit_networks(spoilt, np.ones(600, bool), half)[0].predict(table.features[View.FULL]))
        # The five sites that were not drawn change nothing; each of the others does.
        assert len(np.unique(np.round(answers, 4), axis=0)) == 6

    def test_fewer_rows_than_a_batch_are_enough(self):
        table = make_table(40)
        (network,) = fit_networks(table, np.ones(40, bool), replace(SETTINGS, networks=1, network_epochs=3))
        assert np.isfinite(network.predict(table.features[View.FULL])).all()
