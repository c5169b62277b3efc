from __future__ import annotations

import csv
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from boxmodel.pinhole_world import QUICK, make_samples
from trapmeter.boxmodel.cross_validation import assign_site_folds
from trapmeter.boxmodel.evaluation import evaluate_box_model, format_figures, write_evaluation
from trapmeter.boxmodel.features import features
from trapmeter.boxmodel.intervals import to_distances
from trapmeter.boxmodel.model import BoxModel
from trapmeter.boxmodel.settings import BoxModelSettings, deep_chimpact_recipe
from trapmeter.boxmodel.training import train_box_model
from trapmeter.boxmodel.training_data import read_labelled_observations
from trapmeter.errors import InputError, MissingExtraError
from trapmeter.metrics import coverage, mae, median_baseline_mae

pytestmark = pytest.mark.slow

TABLES = Path(__file__).parents[2].parent / "shared" / "deep-chimpact"
needs_lightgbm = pytest.mark.usefixtures("bundle")


@pytest.fixture(scope="module")
def evaluation(bundle, world):
    return evaluate_box_model(world, QUICK, folds=4)


class TestTrain:
    def test_beats_the_median_at_new_sites_and_covers(self, bundle):
        new = make_samples(sites=10, seed=99)
        answers = BoxModel.load(bundle).estimate([sample.observation for sample in new])
        truth = [sample.distance_m for sample in new]
        assert mae([a.distance_m for a in answers], truth) < 0.6 * median_baseline_mae(truth)
        assert 0.75 <= coverage([a.low_m for a in answers], [a.high_m for a in answers], truth) <= 0.99

    @needs_lightgbm
    def test_same_samples_in_any_order_and_with_any_threads_give_the_same_bytes(self, world, tmp_path):
        small = world[: 6 * 48]
        settings = replace(QUICK, point_rounds=5, interval_rounds=5)
        train_box_model(small, tmp_path / "a", settings, lambda _: None)
        train_box_model(small[::-1], tmp_path / "b", replace(settings, threads=1), lambda _: None)
        for name in ("model.onnx", "bundle.json"):
            assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()

    @needs_lightgbm
    @pytest.mark.parametrize("networks", [0, 2])
    def test_onnx_answers_as_the_ensemble_does(self, world, networks):
        import onnxruntime

        from trapmeter.boxmodel.ensemble import fit_ensemble
        from trapmeter.boxmodel.onnx_export import to_onnx
        from trapmeter.boxmodel.training_data import build_training_table

        table = build_training_table(world)
        ensemble = fit_ensemble(table, np.ones(len(world), bool), replace(QUICK, networks=networks))
        session = onnxruntime.InferenceSession(to_onnx(ensemble, table.features["full"].shape[1]))
        # Also rows that training never saw, with unknown values where it knew all.
        for rows in (*table.features.values(), features([s.observation for s in make_samples(4, seed=5)])):
            (found,) = session.run(None, {"features": rows})
            np.testing.assert_allclose(np.expm1(found), np.expm1(ensemble.predict(rows)), atol=1e-3)

    def test_card_tells_what_it_was_trained_on(self, bundle, world):
        card = json.loads((bundle / "bundle.json").read_text())
        assert card["trained_on"] == {"rows": len(world), "media": 96, "sites": 16}
        assert 0.8 < card["held_out"]["coverage"] < 1.0

    @needs_lightgbm
    def test_tells_its_progress(self, world, tmp_path):
        lines = []
        train_box_model(world[:200], tmp_path, replace(QUICK, point_rounds=2, interval_rounds=2), lines.append)
        assert any("fold 1 of 3" in line for line in lines)
        assert lines[-1].startswith("wrote")

    def test_missing_package_names_its_extra(self, monkeypatch, world, tmp_path):
        monkeypatch.setitem(sys.modules, "lightgbm", None)
        with pytest.raises(MissingExtraError, match=r"trapmeter\[boxmodel\]"):
            train_box_model(world, tmp_path, QUICK, lambda _: None)


class TestFolds:
    def test_hold_out_whole_sites_and_are_about_equal(self, world):
        fold = assign_site_folds(world, 4)
        sites = np.array([sample.observation.site_id for sample in world])
        assert all(len(set(fold[sites == site])) == 1 for site in set(sites))
        assert np.ptp(np.bincount(fold)) <= 48

    def test_without_sites_hold_out_whole_videos(self, world):
        unknown = [replace(s, observation=replace(s.observation, site_id="")) for s in world]
        fold = assign_site_folds(unknown, 4)
        media = np.array([sample.observation.media_id for sample in unknown])
        assert all(len(set(fold[media == medium])) == 1 for medium in set(media))

    def test_more_folds_than_sites_are_refused(self, world):
        with pytest.raises(InputError, match="17 folds by site need at least 2 folds and as many sites"):
            assign_site_folds(world, 17)


class TestEvaluate:
    def test_beats_the_median_and_covers_in_full_view(self, evaluation):
        figures = evaluation.subset("all")
        assert figures.mae_m < 0.6 * figures.median_mae_m
        assert 0.8 <= figures.coverage <= 0.97

    def test_less_context_is_worse(self, evaluation):
        names = ("all", "site unknown", "single observation")
        errors = [evaluation.subset(name).mae_m for name in names]
        assert errors == sorted(errors)

    def test_subsets_add_up(self, evaluation, world):
        rows = {figures.subset: figures.rows for figures in evaluation.subsets}
        assert rows["all"] == len(world) == rows["with box"] + rows["without box"] == rows["single observation"]
        assert sum(n for name, n in rows.items() if name.endswith(" m")) == len(world)
        assert all(name in format_figures(evaluation) for name in rows)

    def test_is_written_as_json_and_a_row_per_sample(self, evaluation, world, tmp_path):
        write_evaluation(evaluation, tmp_path)
        content = json.loads((tmp_path / "evaluation.json").read_text())
        assert content["subsets"][0]["mae_m"] == evaluation.subset("all").mae_m
        with (tmp_path / "oof.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == len(world)
        error = np.mean([abs(float(row["full_distance_m"]) - float(row["truth_m"])) for row in rows])
        assert error == pytest.approx(evaluation.subset("all").mae_m, abs=1e-3)

    def test_a_sites_own_labels_do_not_move_its_distances(self, evaluation, world):
        shifted = [replace(s, distance_m=9.0) if s.observation.site_id == "s0" else s for s in world]
        again = evaluate_box_model(shifted, QUICK, folds=4)
        mine = [i for i, sample in enumerate(world) if sample.observation.site_id == "s0"]
        before, after = ([answers.rows[i].full for i in mine] for answers in (evaluation, again))
        assert [d.distance_m for d in after] == [d.distance_m for d in before]


class TestSettings:
    @pytest.mark.parametrize(
        "changes",
        [
            {"bags": 0},
            {"leaves": 1},
            {"calibration_folds": 1},
            {"learning_rate": 0},
            {"single_weight": -1.0},
            {"networks": -1},
            {"network_share": 1.0},
        ],
    )
    def test_impossible_ones_are_refused(self, changes):
        with pytest.raises(InputError, match=next(iter(changes))):
            BoxModelSettings(**changes)

    def test_the_embedded_model_was_good_enough_at_held_out_sites(self):
        # What its training measured; `trapmeter boxmodel evaluate` does so anew, in ten folds.
        held_out = BoxModel.load().card.held_out
        assert held_out["mae_m"] <= 2.20
        assert 0.88 <= held_out["coverage"] <= 0.92

    def test_recipe_says_whose_data_it_learned_from(self):
        assert "Deep Chimpact" in deep_chimpact_recipe().attribution


@pytest.mark.skipif(not TABLES.is_dir(), reason="the Deep Chimpact tables are not at hand")
class TestRealTables:
    def test_embedded_model_fits_the_labels_it_was_trained_on(self):
        samples = read_labelled_observations(TABLES)
        answers = BoxModel.load().estimate([sample.observation for sample in samples])
        truth = [sample.distance_m for sample in samples]
        assert len(samples) == 15229
        assert mae([a.distance_m for a in answers], truth) < 2.0
        assert coverage([a.low_m for a in answers], [a.high_m for a in answers], truth) > 0.88

    @needs_lightgbm
    def test_a_quick_model_is_good_at_sites_held_out(self):
        samples = read_labelled_observations(TABLES)
        fold = assign_site_folds(samples, 10)
        from trapmeter.boxmodel.ensemble import fit_ensemble
        from trapmeter.boxmodel.training_data import build_training_table

        table = build_training_table(samples)
        quick = replace(
            deep_chimpact_recipe(),
            bags=1,
            point_rounds=40,
            interval_rounds=1,
            learning_rate=0.15,
            site_unknown_weight=0.0,
            networks=1,
            network_epochs=4,
        )
        out = fold == 0
        raw = fit_ensemble(table, ~out, quick).predict(table.features["full"][out])
        answers = to_distances(raw, BoxModel.load().card.uncertainty)
        truth = np.array([sample.distance_m for sample in samples])
        error = mae([a.distance_m for a in answers], truth[out])
        assert error < 0.75 * mae(np.full(out.sum(), np.median(truth[~out])), truth[out])
