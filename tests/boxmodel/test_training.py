from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from boxmodel.pinhole_world import QUICK, make_samples
from conftest import SHARED
from trapmeter.boxmodel.cross_validation import assign_site_folds
from trapmeter.boxmodel.ensemble import fit_ensemble
from trapmeter.boxmodel.features import features
from trapmeter.boxmodel.intervals import to_distances
from trapmeter.boxmodel.knowledge import Knowledge
from trapmeter.boxmodel.model import BoxModel
from trapmeter.boxmodel.settings import embedded_recipe
from trapmeter.boxmodel.training import train_box_model
from trapmeter.boxmodel.training_data import build_training_table, read_labelled_observations
from trapmeter.errors import MissingExtraError
from trapmeter.metrics import coverage, mae, median_baseline_mae

pytestmark = pytest.mark.slow

TABLES = SHARED / "deep-chimpact"
needs_lightgbm = pytest.mark.usefixtures("bundle")


class TestTrain:
    def test_a_model_beats_the_median_at_new_sites_and_covers(self, bundle):
        new = make_samples(sites=10, seed=99)
        distances = BoxModel.load(bundle).estimate([sample.observation for sample in new])
        truth = [sample.distance_m for sample in new]
        assert mae([d.distance_m for d in distances], truth) < 0.6 * median_baseline_mae(truth)
        assert 0.75 <= coverage([d.low_m for d in distances], [d.high_m for d in distances], truth) <= 0.99

    @needs_lightgbm
    def test_the_order_of_samples_and_the_threads_do_not_change_the_bytes(self, world, tmp_path):
        small = world[: 6 * 48]
        settings = replace(QUICK, point_rounds=5, interval_rounds=5)
        train_box_model(small, str(tmp_path / "a"), settings, lambda _: None)
        train_box_model(small[::-1], tmp_path / "b", replace(settings, threads=1), lambda _: None)
        for name in ("model.onnx", "bundle.json"):
            assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()

    @needs_lightgbm
    @pytest.mark.parametrize("networks", [0, 2])
    def test_the_onnx_file_predicts_what_the_ensemble_predicts(self, world, networks):
        import onnxruntime

        from trapmeter.boxmodel.onnx_export import to_onnx

        table = build_training_table(world)
        ensemble = fit_ensemble(table, np.ones(len(world), bool), replace(QUICK, networks=networks))
        session = onnxruntime.InferenceSession(to_onnx(ensemble, table.features["full"].shape[1]))
        # Includes rows that were not in the training data, with other values unknown.
        for rows in (*table.features.values(), features([s.observation for s in make_samples(4, seed=5)])):
            (found,) = session.run(None, {"features": rows})
            np.testing.assert_allclose(np.expm1(found), np.expm1(ensemble.predict(rows)), atol=1e-3)

    def test_the_card_counts_the_training_data(self, bundle, world):
        card = json.loads((bundle / "bundle.json").read_text())
        assert card["trained_on"] == {
            "rows": len(world),
            "media": 96,
            "sites": 16,
            "simulated_rows": 0,
            "rows_with_facts": 0,
        }
        assert 0.8 < card["held_out"]["coverage"] < 1.0

    @needs_lightgbm
    def test_progress_is_announced(self, world, tmp_path):
        lines = []
        train_box_model(world[:200], tmp_path, replace(QUICK, point_rounds=2, interval_rounds=2), lines.append)
        assert any("fold 1 of 3" in line for line in lines)
        assert lines[-1].startswith("wrote")

    def test_a_missing_package_is_reported_with_its_extra(self, monkeypatch, world, tmp_path):
        monkeypatch.setitem(sys.modules, "lightgbm", None)
        with pytest.raises(MissingExtraError, match=r"trapmeter\[boxmodel\]"):
            train_box_model(world, tmp_path, QUICK, lambda _: None)

    @pytest.mark.skipif(not TABLES.is_dir(), reason="the Deep Chimpact tables are not available")
    @needs_lightgbm
    def test_a_quick_model_beats_the_median_on_the_real_tables(self):
        samples = read_labelled_observations(TABLES)
        held_out = assign_site_folds(samples, 10) == 0
        table = build_training_table(samples)
        quick = replace(
            embedded_recipe(),
            bags=1,
            point_rounds=40,
            interval_rounds=1,
            learning_rate=0.15,
            site_unknown_weight=0.0,
            networks=1,
            network_epochs=4,
        )
        raw = fit_ensemble(table, ~held_out, quick).predict(table.features["full"][held_out])
        distances = to_distances(raw, BoxModel.load().card.uncertainties[Knowledge.NOTHING])
        truth = np.array([sample.distance_m for sample in samples])
        median = np.full(held_out.sum(), np.median(truth[~held_out]))
        assert mae([d.distance_m for d in distances], truth[held_out]) < 0.75 * mae(median, truth[held_out])
