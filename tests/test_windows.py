"""Windows of frames around a second."""

from __future__ import annotations

import pytest

from trapmeter.errors import InputError
from trapmeter.windows import SECOND_PLACE_OFFSETS_S, TIME_ORDER_OFFSETS_S, Edge, parse_offsets, window_times


@pytest.mark.parametrize(
    ("time_s", "length_s", "black", "repeat"),
    [
        # In the order -1, -2, 0, 1, 2 of the 2nd-place system.
        (5, 60.0, (4, 3, 5, 6, 7), (4, 3, 5, 6, 7)),
        (0, 60.0, (None, None, 0, 1, 2), (0, 0, 0, 1, 2)),
        (1, 60.0, (0, None, 1, 2, 3), (0, 0, 1, 2, 3)),
        (59, 60.0, (58, 57, 59, None, None), (58, 57, 59, 59, 59)),
        (58, 60.0, (57, 56, 58, 59, None), (57, 56, 58, 59, 59)),
        (58, 60.5, (57, 56, 58, 59, 60), (57, 56, 58, 59, 60)),
        (0, 0.4, (None, None, 0, None, None), (0, 0, 0, 0, 0)),
    ],
)
def test_window_times_match_those_worked_out_by_hand(
    time_s: float, length_s: float, black: tuple[float | None, ...], repeat: tuple[float, ...]
) -> None:
    assert window_times(time_s, SECOND_PLACE_OFFSETS_S, length_s, Edge.BLACK) == black
    assert window_times(time_s, SECOND_PLACE_OFFSETS_S, length_s, Edge.REPEAT) == repeat


def test_before_the_start_is_never_the_end_of_the_video() -> None:
    # As a Python index, -1 would be the last frame; a reimplementation of the 2nd-place system has this mistake.
    assert window_times(0, (-1.0, 0.0), 30.0) == (None, 0)


def test_a_second_outside_the_video_is_refused() -> None:
    with pytest.raises(InputError, match="60 s of 60 s"):
        window_times(60, TIME_ORDER_OFFSETS_S, 60.0)


def test_offsets_are_parsed_from_text() -> None:
    assert parse_offsets("-1,-2,0,1,2") == SECOND_PLACE_OFFSETS_S
    for text in ("", "1,2", "0,0", "a,0", "0,nan", "0,inf"):
        with pytest.raises(InputError):
            parse_offsets(text)
