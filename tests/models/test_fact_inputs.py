"""Facts as numbers: their order, what is unknown, and what a spec may ask for."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trapmeter.errors import InputError
from trapmeter.facts import NO_FACTS, Facts
from trapmeter.models.fact_inputs import FACT_INPUTS, fact_values
from trapmeter.models.input_spec import InputSpec
from trapmeter.models.network_input import as_photo, fact_input, fact_inputs
from trapmeter.records import Box
from trapmeter.windows import Edge

BOX = Box(0.2, 0.3, 0.4, 0.8, 0.9)
ALL = tuple(FACT_INPUTS)
SPEC = InputSpec(size_hw=(32, 48), box_channel=True, facts=ALL)


def test_numbers_come_in_the_order_of_their_names() -> None:
    facts = Facts(90.0, 2.0, 0.5, 1.5, -45.0)
    values = dict(zip(ALL, fact_values(facts, BOX, ALL), strict=True))
    assert values == {
        "log_tan_half_vfov": pytest.approx(math.log(0.5)),
        "log_tan_half_hfov": pytest.approx(0.0),
        "log_shoulder_m": pytest.approx(math.log(0.5)),
        "log_camera_height_m": pytest.approx(math.log(1.5)),
        "tan_pitch": pytest.approx(-1.0),
        "log_box_height": pytest.approx(math.log(0.5)),
        "box_bottom": 0.8,
    }
    assert fact_values(facts, BOX, ALL[::-1]) == tuple(values.values())[::-1]


def test_what_nobody_knows_is_nan() -> None:
    assert np.isnan(fact_input(NO_FACTS, None, SPEC)).all()
    # Without the aspect ratio the vertical field of view is unknown.
    lens = fact_input(Facts(40.0), None, SPEC)
    assert np.flatnonzero(~np.isnan(lens)).tolist() == [ALL.index("log_tan_half_hfov")]
    assert fact_inputs([BOX], replace(SPEC, facts=())) is None
    told = fact_inputs([BOX, None], SPEC)
    assert told is not None
    assert (~np.isnan(told)).sum(axis=1).tolist() == [2, 0]


@given(st.floats(-90, 90))
def test_every_pitch_is_a_finite_number(pitch_deg: float) -> None:
    (tangent,) = fact_values(Facts(pitch_deg=pitch_deg), None, ("tan_pitch",))
    assert abs(tangent) < 12
    assert math.copysign(1, tangent) == math.copysign(1, pitch_deg)


@pytest.mark.parametrize("facts", [("hfov",), ("box_bottom", "box_bottom")])
def test_unknown_names_are_refused(facts: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match=r"facts: expected any of log_tan_half_vfov, .*, each once"):
        replace(SPEC, facts=facts)
    with pytest.raises(InputError, match="facts: expected any of"):
        InputSpec.from_json({**SPEC.to_json(), "facts": list(facts)})


def test_facts_need_a_box_channel() -> None:
    with pytest.raises(InputError, match="so the input needs a box channel"):
        replace(SPEC, box_channel=False)


def test_cards_without_facts_stay_as_they_were() -> None:
    before = replace(SPEC, facts=()).to_json()
    assert "facts" not in before
    assert InputSpec.from_json(before).facts == ()
    assert InputSpec.from_json(SPEC.to_json()) == SPEC


@pytest.mark.parametrize("edge", list(Edge))
def test_a_window_as_a_photo_shows_its_own_second_only(edge: Edge) -> None:
    spec = InputSpec(size_hw=(32, 48), offsets_s=(-1.0, 0.0, 1.0), edge=edge)
    frames = np.stack([np.full((32, 48, 3), value, np.uint8) for value in (10, 20, 30)])
    assert as_photo(frames, spec)[:, 0, 0, 0].tolist() == ([0, 20, 0] if edge is Edge.BLACK else [20, 20, 20])
    assert frames[0, 0, 0, 0] == 10
