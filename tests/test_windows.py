import pytest

from trapmeter.errors import InputError
from trapmeter.windows import SECOND_PLACE_OFFSETS_S, TIME_ORDER_OFFSETS_S, Edge, parse_offsets, window_times


@pytest.mark.parametrize(
    ("time_s", "length_s", "black", "repeat"),
    [
        # In the order -1, -2, 0, 1, 2 of the 2nd place.
        (5, 60.0, (4, 3, 5, 6, 7), (4, 3, 5, 6, 7)),
        (0, 60.0, (None, None, 0, 1, 2), (0, 0, 0, 1, 2)),
        (1, 60.0, (0, None, 1, 2, 3), (0, 0, 1, 2, 3)),
        (59, 60.0, (58, 57, 59, None, None), (58, 57, 59, 59, 59)),
        (58, 60.0, (57, 56, 58, 59, None), (57, 56, 58, 59, 59)),
        (58, 60.5, (57, 56, 58, 59, 60), (57, 56, 58, 59, 60)),
        (0, 0.4, (None, None, 0, None, None), (0, 0, 0, 0, 0)),
    ],
)
def test_hand_made_truth(
    time_s: float, length_s: float, black: tuple[float | None, ...], repeat: tuple[float, ...]
) -> None:
    assert window_times(time_s, SECOND_PLACE_OFFSETS_S, length_s, Edge.BLACK) == black
    assert window_times(time_s, SECOND_PLACE_OFFSETS_S, length_s, Edge.REPEAT) == repeat


def test_before_the_start_is_never_the_end_of_the_video() -> None:
    # Python's index -1 would have been the last frame: the trap that a follower of the 2nd place fell into.
    assert window_times(0, (-1.0, 0.0), 30.0) == (None, 0)


def test_a_second_outside_is_refused() -> None:
    with pytest.raises(InputError, match="60 s of 60 s"):
        window_times(60, TIME_ORDER_OFFSETS_S, 60.0)


def test_offsets_from_text() -> None:
    assert parse_offsets("-1,-2,0,1,2") == SECOND_PLACE_OFFSETS_S
    for text in ("", "1,2", "0,0", "a,0", "0,nan", "0,inf"):
        with pytest.raises(InputError):
            parse_offsets(text)
