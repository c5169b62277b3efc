from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trapmeter.density.analysis import AnalysisSettings, analyse
from trapmeter.density.bootstrap import BootstrapSettings, bootstrap_density
from trapmeter.density.candidates import candidates
from trapmeter.density.shift import DEEP_CHIMPACT, fit_shift, read_training, shifted_weights
from trapmeter.density.survey import Camera, Survey
from trapmeter.errors import InputError

RIGHT_M = 15.0
MIDDLES = (np.arange(10) + 0.5) / 10


def world(rng, sigma_m, n=4000):
    """Answers with an error of 35 % to half-normal distances, and the draws that a model of sigma 5 m makes of them."""

    def truths(sigma, size):
        return sigma * np.sqrt(-2 * np.log(rng.random(size)))

    def answered(r):
        return r * np.exp(rng.normal(0, 0.35, len(r)))

    training = truths(5.0, 20000)
    learnt = answered(training)
    order = np.argsort(learnt)
    truth = truths(sigma_m, n)
    at = np.searchsorted(learnt[order], answered(truth))
    draws = [np.quantile(training[order[max(0, i - 150) : i + 150]], MIDDLES) for i in at]
    return truth, np.array(draws), training


@pytest.mark.parametrize("sigma_m", [3.5, 5.0, 6.5])
def test_draws_come_to_stand_where_the_animals_do(sigma_m):
    truth, draws, training = world(np.random.default_rng(0), sigma_m)
    weights = shifted_weights(draws, fit_shift(draws, training, RIGHT_M), RIGHT_M)
    plain, shifted = draws.mean() / truth.mean() - 1, (weights * draws).sum(axis=1).mean() / truth.mean() - 1
    assert abs(shifted) < 0.06
    assert abs(shifted) < max(abs(plain) / 2, 0.02)


def test_density_follows_and_replicates_shift_anew():
    rng = np.random.default_rng(1)
    truth, draws, training = world(rng, 3.5, 1500)
    cameras = tuple(Camera(f"c{number}", 10) for number in range(20))
    camera = rng.integers(20, size=1500)
    settings = AnalysisSettings(candidates(["half-normal"], ["none"]), (0.0, 2.0, 4.0, 6.0, 9.0, 15.0))
    exact, plain, shifted = (
        analyse(Survey(cameras, camera, metres, training_m=learnt), settings)
        for metres, learnt in ((truth[:, None], training), (draws, None), (draws, training))
    )
    density = exact.best.density.density_km2
    assert exact.survey.draw_weights is None
    assert plain.best.density.density_km2 < 0.85 * density
    assert shifted.best.density.density_km2 == pytest.approx(density, rel=0.1)
    found = bootstrap_density(shifted, BootstrapSettings(30))
    assert found.median_km2 == pytest.approx(density, rel=0.15)


@given(st.floats(-30, 30))
def test_rows_keep_their_weight(strength):
    weights = shifted_weights(np.sort(np.random.default_rng(0).uniform(0, 30, (5, 10))), strength, RIGHT_M)
    assert weights.sum(axis=1) == pytest.approx(1)
    assert (weights > 0).all()


def test_what_a_model_learned_from(tmp_path):
    assert len(read_training(DEEP_CHIMPACT)) == 100
    path = tmp_path / "labels.csv"
    path.write_text("video_id,time,distance\n" + "a,0,3\n" * 200)
    assert read_training(path).mean() == pytest.approx(3, abs=0.1)
    path.write_text("distance_m\n3.2\n")
    with pytest.raises(InputError, match="has 1 distances, expected 100 or more"):
        read_training(path)


def test_the_built_in_training_is_that_of_the_public_labels(shared):
    labels = shared / "deep-chimpact/train_labels.csv"
    if not labels.exists():
        pytest.skip("no public labels")
    found = np.quantile(read_training(labels), [0.1, 0.5, 0.9])
    assert np.quantile(read_training(DEEP_CHIMPACT), [0.1, 0.5, 0.9]) == pytest.approx(found, abs=0.3)
