from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from boxmodel.pinhole_world import QUICK
from trapmeter.boxmodel.evaluation import evaluate_box_model, format_figures, write_evaluation

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def evaluation(bundle, world):
    return evaluate_box_model(world, QUICK, folds=4)


def test_the_full_view_beats_the_median_and_covers(evaluation):
    figures = evaluation.subset("all")
    assert figures.mae_m < 0.6 * figures.median_mae_m
    assert 0.8 <= figures.coverage <= 0.97


def test_errors_grow_as_context_shrinks(evaluation):
    names = ("all", "site unknown", "single observation")
    errors = [evaluation.subset(name).mae_m for name in names]
    assert errors == sorted(errors)


def test_subsets_add_up(evaluation, world):
    rows = {figures.subset: figures.rows for figures in evaluation.subsets}
    assert rows["all"] == len(world) == rows["with box"] + rows["without box"] == rows["single observation"]
    assert sum(n for name, n in rows.items() if name.endswith(" m")) == len(world)
    assert all(name in format_figures(evaluation) for name in rows)


def test_the_files_have_the_figures_and_a_row_for_each_sample(evaluation, world, tmp_path):
    write_evaluation(evaluation, str(tmp_path))
    content = json.loads((tmp_path / "evaluation.json").read_text())
    assert content["subsets"][0]["mae_m"] == evaluation.subset("all").mae_m
    with (tmp_path / "oof.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(world)
    error = np.mean([abs(float(row["full_distance_m"]) - float(row["truth_m"])) for row in rows])
    assert error == pytest.approx(evaluation.subset("all").mae_m, abs=1e-3)


def test_a_sites_own_labels_do_not_change_its_distances(evaluation, world):
    changed = [replace(s, distance_m=9.0) if s.observation.site_id == "s0" else s for s in world]
    evaluations = (evaluation, evaluate_box_model(changed, QUICK, folds=4))
    of_site = [i for i, sample in enumerate(world) if sample.observation.site_id == "s0"]
    before, after = ([e.rows[i].full.distance_m for i in of_site] for e in evaluations)
    assert after == before
