"""A model that is told about cameras and animals is better, and as good as before when it is not."""

from __future__ import annotations

import csv
from dataclasses import fields, replace

import numpy as np
import pytest

from boxmodel.pinhole_world import QUICK, make_samples
from trapmeter.boxmodel.cross_validation import with_simulated_sites
from trapmeter.boxmodel.knowledge import FACTS_OF, Knowledge, show
from trapmeter.boxmodel.model import BoxModel
from trapmeter.boxmodel.simulated import SIMULATED, simulate_sites
from trapmeter.boxmodel.training_data import Case, View, read_labelled_observations, read_tables
from trapmeter.errors import InputError
from trapmeter.facts import NO_FACTS, Facts
from trapmeter.metrics import coverage, mae


@pytest.fixture(scope="module")
def told_model(tmp_path_factory):
    pytest.importorskip("lightgbm", reason="training needs the extra 'boxmodel'")
    pytest.importorskip("onnx", reason="training needs the extra 'boxmodel'")
    from trapmeter.boxmodel.training import train_box_model

    folder = tmp_path_factory.mktemp("told") / "bundle"
    settings = replace(QUICK, simulated_sites=150, simulated_weight=1.0, network_epochs=12)
    train_box_model(make_samples(sites=8), folder, settings, lambda _: None)
    return BoxModel.load(folder)


@pytest.fixture(scope="module")
def new_sites():
    return list(simulate_sites(60, seed=77))


def distances(model, samples, knowledge):
    facts = [show(sample.facts, FACTS_OF[knowledge]) for sample in samples]
    return model.estimate([sample.observation for sample in samples], facts)


@pytest.mark.slow
class TestToldModel:
    def test_what_it_is_told_reduces_its_error(self, told_model, new_sites):
        truth = [sample.distance_m for sample in new_sites]
        errors = {
            known: mae([d.distance_m for d in distances(told_model, new_sites, known)], truth) for known in Knowledge
        }
        assert errors[Knowledge.LENS_AND_SIZE] < 0.85 * errors[Knowledge.NOTHING]
        assert max(errors.values()) < 1.15 * errors[Knowledge.NOTHING]

    @pytest.mark.parametrize("known", [Knowledge.NOTHING, Knowledge.LENS_AND_SIZE])
    def test_intervals_hold_whatever_it_is_told(self, told_model, new_sites, known):
        found = distances(told_model, new_sites, known)
        truth = [sample.distance_m for sample in new_sites]
        assert 0.75 <= coverage([d.low_m for d in found], [d.high_m for d in found], truth) <= 0.995

    def test_facts_that_say_nothing_change_nothing(self, told_model, new_sites):
        observations = [sample.observation for sample in new_sites[:80]]
        assert told_model.estimate(observations, [Facts()] * 80) == told_model.estimate(observations)

    def test_the_card_states_figures_by_park_and_by_what_was_told(self, told_model):
        by_park = told_model.card.held_out["by_park"]
        assert set(by_park) == {"", SIMULATED}
        assert "told lens and size" not in by_park[""]
        assert by_park[SIMULATED]["told lens and size"]["mae_m"] < by_park[SIMULATED]["full"]["mae_m"]
        assert told_model.card.trained_on["simulated_rows"] > 0


def test_a_model_that_learned_no_facts_refuses_them(bundle):
    model = BoxModel.load(bundle)
    row = make_samples(sites=1)[0].observation
    assert model.estimate([row], [Facts()]) == model.estimate([row])
    with pytest.raises(InputError, match="was trained without lenses and sizes of animals"):
        model.estimate([row], [Facts(hfov_deg=40)])


def test_enough_simulated_sites_are_asked_for_and_no_site_is_split():
    samples = make_samples(sites=4)
    everything, asked = with_simulated_sites(samples, replace(QUICK, simulated_sites=40))
    assert everything[: len(samples)] == samples
    assert asked[: len(samples)].all()
    simulated = [sample.observation.site_id for sample in everything[len(samples) :]]
    chosen = {site for site, is_asked in zip(simulated, asked[len(samples) :].tolist(), strict=True) if is_asked}
    left = {site for site, is_asked in zip(simulated, asked[len(samples) :].tolist(), strict=True) if not is_asked}
    assert chosen
    assert left
    assert not chosen & left
    assert asked.sum() >= 2 * len(samples)


def test_a_case_applies_where_its_facts_are_known(new_sites):
    samples = [replace(new_sites[0], facts=NO_FACTS), replace(new_sites[0], facts=Facts(shoulder_m=0.5))]
    assert Case(View.FULL, Knowledge.SIZE).applies_to(samples).tolist() == [False, True]
    assert Case(View.FULL).applies_to(samples).tolist() == [True, True]


def write_tables(folder, metadata_columns=(), cells=(), video="a.mp4"):
    folder.mkdir()
    box = ["video_id", "time", "x1", "y1", "x2", "y2", "probability", "park", "site_id"]
    for name, rows in (
        ("train_labels.csv", [["video_id", "time", "distance"], [video, 0, 4]]),
        ("train_metadata.csv", [[*box, *metadata_columns], [video, 0, 0.1, 0.2, 0.3, 0.4, 0.9, "p", "s", *cells]]),
    ):
        with (folder / name).open("w", newline="") as file:
            csv.writer(file).writerows(rows)
    return folder


def test_facts_are_read_from_the_metadata(tmp_path):
    folder = write_tables(tmp_path / "t", ["hfov_deg", "shoulder_m", "pitch_deg"], [41.5, "", -3])
    (sample,) = read_labelled_observations(folder)
    assert sample.facts == Facts(hfov_deg=41.5, pitch_deg=-3)


def test_a_table_without_facts_has_none(tmp_path):
    (sample,) = read_labelled_observations(write_tables(tmp_path / "t"))
    assert sample.facts is NO_FACTS


def test_an_impossible_fact_is_named_with_its_row(tmp_path):
    folder = write_tables(tmp_path / "t", ["shoulder_m"], [-1])
    with pytest.raises(InputError, match=r"train_metadata\.csv.*2.*shoulder_m must be a number above 0"):
        read_labelled_observations(folder)


def test_several_tables_are_read_together_but_none_twice(tmp_path):
    first, second = write_tables(tmp_path / "a"), write_tables(tmp_path / "b", video="b.mp4")
    assert [sample.observation.media_id for sample in read_tables([first, second])] == ["a.mp4", "b.mp4"]
    with pytest.raises(InputError, match=r"both have the medium a\.mp4"):
        read_tables([first, first])


def test_a_lens_sees_less_than_half_of_everything():
    with pytest.raises(InputError, match="hfov_deg must be below 180"):
        Facts(hfov_deg=180)


@pytest.mark.parametrize("name", [field.name for field in fields(Facts) if field.name != "pitch_deg"])
def test_facts_are_positive_numbers(name):
    for value in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match=f"{name} must be a number above 0"):
            Facts(**{name: value})


def test_a_pitch_may_be_level_but_not_beyond_the_vertical():
    assert Facts(pitch_deg=0.0).pitch_deg == 0
    with pytest.raises(InputError, match="pitch_deg must be -90 to 90"):
        Facts(pitch_deg=np.float64(91))
