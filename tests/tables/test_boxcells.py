import pytest

from trapmeter.errors import InputError
from trapmeter.records import Box
from trapmeter.tables.boxcells import make_box


@pytest.mark.parametrize(
    ("xyxy", "score", "expected"),
    [
        ((0.1, 0.2, 0.3, 0.4), 0.5, Box(0.1, 0.2, 0.3, 0.4, 0.5)),
        ((-0.0009, 0.0, 1.0009, 1.0), 1.0005, Box(0.0, 0.0, 1.0, 1.0, 1.0)),
        ((0.5, 0.2, 0.5, 0.4), 0.5, Box(0.5, 0.2, 0.5001, 0.4, 0.5)),
        ((1.0, 1.0, 1.0, 1.0), 0.0, Box(0.9999, 0.9999, 1.0, 1.0, 0.0)),
    ],
)
def test_what_rounding_does_is_forgiven(xyxy, score, expected):
    assert make_box(xyxy, score, "t.csv, line 2") == expected


@pytest.mark.parametrize(
    ("xyxy", "score"),
    [
        ((-0.002, 0.0, 0.5, 0.5), 0.5),
        ((0.0, 0.0, 1.002, 0.5), 0.5),
        ((0.5, 0.0, 0.4, 0.5), 0.5),
        ((12.0, 30.0, 200.0, 180.0), 0.5),
        ((1.5, 0.0, 1.5, 0.5), 0.5),
        ((float("nan"), 0.0, 0.5, 0.5), 0.5),
        ((0.0, 0.0, 0.5, 0.5), 50.0),
        ((0.0, 0.0, 0.5, 0.5), float("nan")),
    ],
)
def test_more_than_rounding_is_refused(xyxy, score):
    with pytest.raises(InputError, match=r"^t.csv, line 2: a box.* correct these numbers"):
        make_box(xyxy, score, "t.csv, line 2")
