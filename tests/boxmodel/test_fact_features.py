"""What is known about camera and animal becomes distances."""

from __future__ import annotations

import math

import numpy as np
import pytest

from trapmeter.boxmodel.features import FEATURES, features
from trapmeter.boxmodel.knowledge import FACTS_OF, Knowledge, drawn_facts, knowledge_of, show
from trapmeter.camera.model import PinholeCamera
from trapmeter.facts import NO_FACTS, Facts
from trapmeter.records import Box, Observation

CAMERA = PinholeCamera(hfov_deg=50, height_m=1.2, pitch_deg=-8)
ALL = Facts(50, 16 / 9, 0.8, 1.2, -8.0)


def box_of(height_m: float, distance_m: float) -> Box:
    """The box of an animal of this height that stands on the axis of CAMERA."""
    _, bottom = CAMERA.place(distance_m, 0.0)
    _, top = CAMERA.place(distance_m, 0.0, height_m)
    return Box(0.45, top, 0.55, bottom, 0.9)


def named(observations, facts=()):
    return dict(zip(FEATURES, features(observations, facts).T, strict=True))


def test_size_and_lens_give_the_distance():
    row = Observation("a", 0.0, box_of(0.8, 6.0), 1)
    values = named([row], [Facts(hfov_deg=50, aspect_ratio=16 / 9, shoulder_m=0.8)])
    assert math.exp(values["size_distance_own"][0]) == pytest.approx(6.0, rel=0.05)
    assert np.isnan(values["flat_distance_own"][0])


def test_height_and_pitch_give_the_distance_of_the_ground():
    row = Observation("a", 0.0, box_of(0.8, 6.0), 1)
    values = named([row], [Facts(hfov_deg=50, aspect_ratio=16 / 9, camera_height_m=1.2, pitch_deg=-8)])
    assert math.exp(values["flat_distance_own"][0]) == pytest.approx(6.0, rel=0.02)
    assert np.isnan(values["size_distance_own"][0])


def test_above_the_horizon_the_ground_is_far():
    row = Observation("a", 0.0, Box(0.4, 0.02, 0.5, 0.1, 0.9), 1)
    values = named([row], [Facts(hfov_deg=50, aspect_ratio=16 / 9, camera_height_m=1.2, pitch_deg=-8)])
    assert math.exp(values["flat_distance_own"][0]) == pytest.approx(80)


def test_height_and_pitch_say_nothing_without_a_lens() -> None:
    row = Observation("a", 0.0, box_of(0.8, 6.0), 1)
    values = named([row], [Facts(camera_height_m=1.2, pitch_deg=-8)])
    assert np.isnan(values["flat_distance_own"][0])
    assert np.isnan(values["fact_pitch"][0])


def test_without_a_lens_the_usual_one_gives_the_distance_by_size() -> None:
    usual = PinholeCamera(hfov_deg=45, height_m=1.2, pitch_deg=-8)
    _, bottom = usual.place(6.0, 0.0)
    _, top = usual.place(6.0, 0.0, 0.8)
    values = named([Observation("a", 0.0, Box(0.45, top, 0.55, bottom, 0.9), 1)], [Facts(shoulder_m=0.8)])
    assert math.exp(values["size_distance_own"][0]) == pytest.approx(6.0, rel=0.05)


def test_a_box_through_a_known_lens_is_the_box_of_the_usual_lens() -> None:
    """An animal on the axis looks the same through every lens, once its lens is known."""
    told = []
    for hfov_deg, aspect in ((45, 16 / 9), (20, 16 / 9), (60, 4 / 3)):
        camera = PinholeCamera(hfov_deg=hfov_deg, height_m=1.2, pitch_deg=-3, aspect_ratio=aspect)
        _, bottom = camera.place(9.0, 0.0)
        _, top = camera.place(9.0, 0.0, 0.8)
        row = Observation("a", 0.0, Box(0.4, top, 0.6, bottom, 0.9), 1)
        told.append(named([row], [Facts(hfov_deg=hfov_deg, aspect_ratio=aspect)]))
    for name in ("y1", "y2", "log_h", "track_q50_log_h", "site_q50_y2", "robust3_log_h"):
        assert [values[name][0] for values in told] == pytest.approx([told[0][name][0]] * 3, rel=1e-5), name


def test_what_the_border_cuts_is_of_the_picture_as_it_is() -> None:
    row = Observation("a", 0.0, Box(0.0, 0.3, 0.3, 1.0, 0.9), 1)
    values = named([row], [Facts(hfov_deg=20, aspect_ratio=16 / 9)])
    assert values["x1"][0] > 0.2
    assert (values["cut_sides"][0], values["cut_bottom"][0], values["cut_top"][0]) == (1, 1, 0)


def test_a_size_changes_nothing_that_follows_from_boxes() -> None:
    rows = [Observation("a", float(t), box_of(0.8, 5.0 + t), 1, "s") for t in range(4)]
    told, untold = named(rows, [Facts(shoulder_m=0.8)] * 4), named(rows)
    for name in FEATURES:
        if np.isnan(untold[name]).all():
            continue
        np.testing.assert_array_equal(told[name], untold[name], err_msg=name)


def test_rows_that_differ_in_facts_alone_are_told_apart():
    row = Observation("a", 0.0, box_of(0.8, 6.0), 1)
    values = named([row, row], [NO_FACTS, ALL])
    assert np.isnan(values["fact_tan_log"][0])
    assert not np.isnan(values["fact_tan_log"][1])


@pytest.mark.parametrize("knowledge", Knowledge)
def test_what_is_known_is_recognised_from_the_features(knowledge):
    row = Observation("a", 0.0, box_of(0.8, 6.0), 1)
    assert knowledge_of(features([row], [show(ALL, FACTS_OF[knowledge])])).tolist() == [knowledge]


def test_draws_hide_what_they_should():
    assert drawn_facts(ALL, 0.1) is NO_FACTS
    assert drawn_facts(ALL, 0.999) == ALL
    assert drawn_facts(NO_FACTS, 0.999) is NO_FACTS
    hidden = [drawn_facts(ALL, draw) for draw in np.linspace(0, 1, 400, endpoint=False)]
    assert 0.25 < np.mean([facts is NO_FACTS for facts in hidden]) < 0.45
    # Height and pitch are of no use without a lens.
    assert all(facts.hfov_deg for facts in hidden if facts.camera_height_m)
