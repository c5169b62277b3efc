"""What a run says about what it knew, and what would help."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fakes import HeightModel
from trapmeter.boxmodel.expected_errors import error_ratio
from trapmeter.boxmodel.knowledge import Knowledge
from trapmeter.boxmodel.model import BoxModel
from trapmeter.calibration.animal_facts import AnimalFacts
from trapmeter.calibration.field_facts import FieldFacts
from trapmeter.prediction.advice import advise
from trapmeter.prediction.estimators import BoxEstimator
from trapmeter.records import Observation
from trapmeter.tables.cameras import CameraSetup
from trapmeter.tables.species import ShoulderHeight

BY_PARK = {
    "a": {
        "full": {"mae_m": 2.0},
        "told lens": {"mae_m": 1.98},
        "told size": {"mae_m": 1.6},
        "told lens and size": {"mae_m": 1.2},
    },
    "b": {"full": {"mae_m": 3.0}},
}
MEDIA = ["1.jpg", "2.jpg", "3.jpg"]
LENS = {name: CameraSetup(40.0) for name in MEDIA}
SIZE = AnimalFacts(shoulder=ShoulderHeight(0.4))
ANIMALS = [Observation(name, 0.0, animal_id=1) for name in MEDIA]


@pytest.fixture
def estimator() -> BoxEstimator:
    model = BoxModel.load()
    model.card = replace(model.card, held_out={"by_park": BY_PARK})
    return BoxEstimator(model)


def test_ratios_are_of_parks_with_both_figures() -> None:
    held_out = {"by_park": BY_PARK}
    assert error_ratio(held_out, Knowledge.NOTHING, Knowledge.SIZE) == pytest.approx(0.8)
    assert error_ratio(held_out, Knowledge.SIZE, Knowledge.LENS_AND_SIZE) == pytest.approx(0.75)
    assert error_ratio({}, Knowledge.NOTHING, Knowledge.SIZE) is None


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (
            FieldFacts(),
            "nothing was known about the cameras and animals of most media; errors at rendered and simulated sites are 20% "
            "smaller with the species (--species), 40% smaller with lens and species (--hfov, --species)",
        ),
        (
            FieldFacts(LENS),
            "the lens of most media was known, but not the size of their animals; errors at rendered and simulated sites are "
            "39% smaller with the species (--species)",
        ),
        (
            FieldFacts({}, SIZE),
            "the size of the animals of most media was known, but not the lens; errors at rendered and simulated sites are "
            "25% smaller with the lens (--hfov or --cameras; --exif for photos)",
        ),
        (
            FieldFacts(LENS, SIZE),
            "lens and size of the animals of most media were known; what helps now are reference points of each camera",
        ),
        # Most media count.
        (FieldFacts({"1.jpg": CameraSetup(40.0)}), "nothing was known about the cameras and animals of most media"),
    ],
)
def test_the_next_step_is_named_with_its_gain(estimator: BoxEstimator, facts: FieldFacts, expected: str) -> None:
    (line,) = advise(estimator, facts, ANIMALS)
    assert line.startswith(expected)


def test_without_animals_or_measured_errors_nothing_is_said(estimator: BoxEstimator) -> None:
    assert advise(estimator, FieldFacts(), []) == []
    assert advise(BoxEstimator(HeightModel()), FieldFacts(), ANIMALS) == []


def test_the_embedded_model_knows_what_helps() -> None:
    (line,) = advise(BoxEstimator(BoxModel.load()), FieldFacts(), ANIMALS)
    assert "lens and species" in line
