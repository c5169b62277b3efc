"""Which seconds of which files a store needs."""

from pathlib import Path

import pytest

from trapmeter.errors import InputError
from trapmeter.frames.extraction import times_inside
from trapmeter.frames.requests import FrameFailure, needed_times, read_requests, requests_from_rows
from trapmeter.records import Medium, MediumKind, VideoSecond
from trapmeter.windows import TIME_ORDER_OFFSETS_S, Edge, window_times


def medium(name: str) -> Medium:
    return Medium(name, Path("/videos") / name, MediumKind.VIDEO)


@pytest.mark.parametrize(
    ("times_s", "offsets_s", "expected"),
    [
        ([], TIME_ORDER_OFFSETS_S, None),
        ([0], (0.0,), (0,)),
        ([0], TIME_ORDER_OFFSETS_S, (0, 1, 2)),
        ([1, 3], (-1.0, 0.0), (0, 1, 2, 3)),
        ([2.5], (-0.1, 0.0, 0.2), (2.4, 2.5, 2.7)),
        ([59], TIME_ORDER_OFFSETS_S, (57, 58, 59, 60, 61)),
    ],
)
def test_needed_times_are_those_of_all_windows(times_s, offsets_s, expected) -> None:
    seconds = [VideoSecond("a", time_s) for time_s in times_s]
    assert needed_times(seconds, offsets_s) == ({} if expected is None else {"a": expected})


@pytest.mark.parametrize("edge", Edge)
@pytest.mark.parametrize("length_s", [0.04, 1.0, 3.9, 4.0, 4.1, 10.0])
@pytest.mark.parametrize("time_s", [0, 0.03, 0.999999, 1.5, 3, 3.95])
@pytest.mark.parametrize("offsets_s", [TIME_ORDER_OFFSETS_S, (-0.3, 0.0, 0.7), (0.0, 30.0)])
def test_stored_seconds_suffice_for_every_window(edge, length_s, time_s, offsets_s) -> None:
    if time_s >= length_s:
        return
    stored = times_inside(needed_times([VideoSecond("a", time_s)], offsets_s)["a"], length_s)
    assert {time for time in window_times(time_s, offsets_s, length_s, edge) if time is not None} <= {*stored}
    assert all(0 <= time < length_s for time in stored)


def test_names_in_tables_are_matched_to_files() -> None:
    seconds = [VideoSecond(*row) for row in (("a.mp4", 1), ("site/b.mp4", 0), ("a.mp4", 7), ("gone.mp4", 0))]
    requests, missing = requests_from_rows(seconds, [medium("x/a.mp4"), medium("b.mp4"), medium("c.mp4")], (0.0, 1.0))
    assert [(r.medium.media_id, r.medium.path.as_posix(), r.times_s, r.labelled_s) for r in requests] == [
        ("a.mp4", "/videos/x/a.mp4", (1, 2, 7, 8), (1, 7)),
        ("site/b.mp4", "/videos/b.mp4", (0, 1), (0,)),
    ]
    assert missing == [FrameFailure("gone.mp4", None, "in the tables, but there is no such file")]


def test_ambiguous_names_are_refused() -> None:
    with pytest.raises(InputError, match=r"a\.mp4 could be any of x/a\.mp4, y/a\.mp4; put the folder"):
        requests_from_rows([VideoSecond("a.mp4", 0)], [medium("x/a.mp4"), medium("y/a.mp4")], (0.0,))
    with pytest.raises(InputError, match=r"x/a\.mp4 and a\.mp4 in the tables both mean a\.mp4"):
        requests_from_rows([VideoSecond("x/a.mp4", 0), VideoSecond("a.mp4", 1)], [medium("a.mp4")], (0.0,))
    with pytest.raises(InputError, match="no row below the header"):
        requests_from_rows([], [medium("a.mp4")], (0.0,))


def test_requests_are_read_from_tables_and_a_folder(tmp_path) -> None:
    (tmp_path / "videos" / "deep").mkdir(parents=True)
    (tmp_path / "videos" / "deep" / "a.mp4").touch()
    (tmp_path / "train.csv").write_text("video_id,time,distance\na.mp4,1,2.5\n")
    (tmp_path / "test.csv").write_text("video_id,time,distance\na.mp4,1,0\na.mp4,5,0\nb.mp4,5,0\n")
    tables = [tmp_path / "train.csv", tmp_path / "test.csv"]
    (request,), (missing,) = read_requests(tables, tmp_path / "videos", (-2.0, 0.0))
    assert (request.medium.media_id, request.times_s, request.labelled_s) == ("a.mp4", (0, 1, 3, 5), (1, 5))
    assert missing.video_id == "b.mp4"
