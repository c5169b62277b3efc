"""Simulated sites are geometry that comes out the same everywhere."""

from __future__ import annotations

import math
from itertools import islice

import numpy as np
import pytest

from trapmeter.boxmodel.simulated import MAX_M, simulate_sites
from trapmeter.boxmodel.simulated_animals import (
    SimulatedAnimal,
    boxes_of_walk,
    draw_animal,
    draw_camera,
    share_in_picture,
)
from trapmeter.camera.model import PinholeCamera
from trapmeter.tables.species import usual_shoulder_heights

LEVEL = PinholeCamera(hfov_deg=45, height_m=1.0, pitch_deg=0.0)
BLOCK = SimulatedAnimal(shoulder_m=0.7, stated_m=0.7, height=1.2, length=1.3, width=0.4)


def boxes_at(camera, animal, y_m, seed=0):
    place = np.zeros(1), np.array([y_m]), np.zeros(1)
    return boxes_of_walk(camera, animal, place, np.random.default_rng(seed))


@pytest.fixture(scope="module")
def rows():
    return list(simulate_sites(120, seed=5))


def test_sites_depend_on_seed_and_number_alone():
    first = list(simulate_sites(4, seed=3))
    assert list(simulate_sites(2, seed=3)) == list(islice(first, len(list(simulate_sites(2, seed=3)))))
    assert list(simulate_sites(1, seed=3, first=3)) == [
        row for row in first if row.observation.site_id == "simulated-3-3"
    ]
    assert list(simulate_sites(1, seed=4)) != list(simulate_sites(1, seed=3))


def test_rows_are_what_a_detector_and_a_field_team_would_state(rows):
    assert all(0 < row.distance_m < MAX_M for row in rows)
    boxed = [row for row in rows if row.observation.box is not None]
    assert 0.6 < len(boxed) / len(rows) < 0.97
    assert all(row.facts.shoulder_m and row.facts.hfov_deg and row.facts.camera_height_m for row in rows)


def test_lenses_and_sizes_are_wide(rows):
    hfov = {row.observation.site_id: row.facts.hfov_deg for row in rows}.values()
    shoulders = [row.facts.shoulder_m for row in rows]
    assert min(hfov) < 25 < 60 < max(hfov)
    assert min(shoulders) < 0.3 < 1.5 < max(shoulders)


def test_size_and_lens_tell_the_distance_of_most_boxes(rows):
    errors = []
    for row in rows:
        box, facts = row.observation.box, row.facts
        if box is not None and box.y1 > 0.01 and box.y2 < 0.99:
            down = math.tan(math.radians(facts.hfov_deg) / 2) / facts.aspect_ratio
            errors.append(math.log(1.17 * facts.shoulder_m / (2 * down * (box.y2 - box.y1)) / row.distance_m))
    assert abs(np.median(errors)) < 0.25
    assert np.mean(np.abs(errors) < 0.5) > 0.6


def test_an_animal_twice_as_far_away_looks_half_as_high():
    (near,), _ = boxes_at(LEVEL, BLOCK, 5.0)
    (far,), distance_m = boxes_at(LEVEL, BLOCK, 10.0)
    assert distance_m == pytest.approx([10.0])
    assert (near[3] - near[1]) / (far[3] - far[1]) == pytest.approx(2, rel=0.08)
    # A level camera sees its own height at the horizon: lower animals stay below the middle.
    assert far[1] > 0.5
    assert far[3] < near[3]


def test_a_longer_lens_enlarges():
    (wide,), _ = boxes_at(LEVEL, BLOCK, 8.0)
    (long,), _ = boxes_at(PinholeCamera(hfov_deg=20, height_m=1.0, pitch_deg=0.0), BLOCK, 8.0)
    ratio = math.tan(math.radians(22.5)) / math.tan(math.radians(10))
    assert (long[3] - long[1]) / (wide[3] - wide[1]) == pytest.approx(ratio, rel=0.01)


def test_nothing_is_seen_behind_the_camera():
    boxes, _ = boxes_at(LEVEL, BLOCK, -3.0)
    assert np.isnan(boxes).all()
    assert share_in_picture(boxes).tolist() == [0.0]


def test_every_camera_sees_ground():
    rng = np.random.default_rng(1)
    for _ in range(200):
        camera = draw_camera(rng)
        assert math.isfinite(camera.distance_m(0.5, 1.0))


def test_animals_of_any_size_stand_beside_listed_species():
    rng = np.random.default_rng(2)
    animals = [draw_animal(rng) for _ in range(400)]
    listed = {height.height_m for height in usual_shoulder_heights()}
    assert 0.4 < np.mean([animal.stated_m in listed for animal in animals]) < 0.6
    # Individuals differ from what is stated.
    ratios = np.log([animal.shoulder_m / animal.stated_m for animal in animals])
    assert 0.03 < ratios.std() < 0.2
