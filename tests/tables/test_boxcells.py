import pytest

from trapmeter.errors import InputError
from trapmeter.records import Box
from trapmeter.tables.boxcells import box_cells, make_box


@pytest.mark.parametrize(
    ("xyxy", "score", "expected"),
    [
        ((0.1, 0.2, 0.3, 0.4), 0.5, Box(0.1, 0.2, 0.3, 0.4, 0.5)),
        ((-0.0009, 0.0, 1.0009, 1.0), 1.0005, Box(0.0, 0.0, 1.0, 1.0, 1.0)),
        ((0.5, 0.2, 0.5, 0.4), 0.5, Box(0.5, 0.2, 0.5001, 0.4, 0.5)),
        ((1.0, 1.0, 1.0, 1.0), 0.0, Box(0.9999, 0.9999, 1.0, 1.0, 0.0)),
    ],
)
def test_numbers_that_rounding_moved_out_of_range_are_clipped(xyxy, score, expected):
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
def test_numbers_that_are_off_by_more_than_rounding_are_refused(xyxy, score):
    with pytest.raises(InputError, match=r"^t.csv, line 2: a box.* correct these numbers"):
        make_box(xyxy, score, "t.csv, line 2")


@pytest.mark.parametrize(
    ("box", "cells"),
    [
        (None, ("", "", "", "", "")),
        (Box(0.1, 0.2, 0.30004, 1.0, 0.87654), ("0.1000", "0.2000", "0.3000", "1.0000", "0.877")),
        (Box(0.5, 0.2, 0.50001, 0.4, 1.0), ("0.5000", "0.2000", "0.5001", "0.4000", "1.000")),
        (Box(0.99999, 0.2, 1.0, 0.4, 0.0), ("0.9999", "0.2000", "1.0000", "0.4000", "0.000")),
    ],
)
def test_cells_of_a_box_have_fixed_decimals_and_never_flatten_it(box, cells):
    assert box_cells(box) == cells
