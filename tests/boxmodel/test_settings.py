from __future__ import annotations

import pytest

from trapmeter.boxmodel.settings import BoxModelSettings, embedded_recipe
from trapmeter.errors import InputError


@pytest.mark.parametrize(
    ("change", "option"),
    [
        ({"bags": 0}, "--bags"),
        ({"leaves": 1}, "--leaves"),
        ({"calibration_folds": 1}, "--calibration-folds"),
        ({"learning_rate": 0}, "--learning-rate"),
        ({"single_weight": -1.0}, "--single-weight"),
        ({"networks": -1}, "--networks"),
        ({"network_share": 1.0}, "--network-share"),
    ],
)
def test_values_out_of_range_are_refused(change, option):
    with pytest.raises(InputError, match=f"{option}: expected .*, got {next(iter(change.values()))}"):
        BoxModelSettings(**change)


def test_the_recipe_names_the_source_of_its_training_data():
    assert "Deep Chimpact" in embedded_recipe().attribution
