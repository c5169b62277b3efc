"""Changes of a running page, and the file behind it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from trapmeter.errors import InputError, RunError
from trapmeter.marking.photographs import Photograph
from trapmeter.marking.session import MarkingSession, StaleChangeError, open_session
from trapmeter.tables.reference_marks import Mark, Upright, UprightKind

MAY, JUNE = datetime(2024, 5, 1), datetime(2024, 6, 1)


def point(y: float, metres: float) -> Upright:
    return Upright((Mark(0.5, y),), metres)


def pole() -> Upright:
    return Upright((Mark(0.5, 0.8), Mark(0.5, 0.4, 1.5)), None, UprightKind.POLE)


def distances(session: MarkingSession, number: int) -> list[float | None]:
    return [one.distance_m for one in session.objects(number).values()]


def test_changes_are_in_the_file_at_once_and_undone_one_by_one(photographs: list[Photograph], table: Path) -> None:
    with open_session(table, photographs) as session:
        state = session.put(0, 1, point(0.75, 3.0))
        first = table.read_bytes()
        state = session.put(1, state.version, pole())
        state = session.put(1, state.version, pole())
        assert [one.name for one in session.objects(1).values()] == ["pole 1", "pole 2"]
        line = next(iter(session.objects(1).values())).line
        state = session.remove(1, state.version, line)
        assert [one.name for one in session.objects(1).values()] == ["pole 2"]
        assert len(session.deployment(0).uprights) == 2
        assert state.last == "pole 1 removed"
        for _ in range(3):
            state, number = session.undo(state.version)
            assert number == 1
        assert table.read_bytes() == first
        state, number = session.undo(state.version)
        assert (number, state.last, distances(session, 0)) == (0, "", [])
        with pytest.raises(InputError, match="nothing to undo"):
            session.undo(state.version)


def test_an_outdated_page_changes_nothing(photographs: list[Photograph], table: Path) -> None:
    with open_session(table, photographs) as session:
        session.put(0, 1, point(0.75, 3.0))
        with pytest.raises(StaleChangeError, match="another tab"):
            session.put(0, 1, point(0.5, 9.0))
        with pytest.raises(StaleChangeError, match="this mark is gone"):
            session.remove(0, 2, 99)
        assert distances(session, 0) == [3.0]


def test_a_table_that_another_program_changed_is_read_again(photographs: list[Photograph], table: Path) -> None:
    with open_session(table, photographs) as session:
        session.put(0, 1, point(0.75, 3.0))
        table.write_bytes(table.read_bytes().replace(b",3\n", b",4\n"))
        with pytest.raises(StaleChangeError, match="another program has changed"):
            session.put(0, 2, point(0.5, 9.0))
        assert distances(session, 0) == [4.0]
        session.put(0, session.state.version, point(0.5, 9.0))
        assert distances(session, 0) == [4.0, 9.0]
        table.write_text("broken")
        with pytest.raises(InputError, match="columns"):
            session.put(0, session.state.version, point(0.6, 7.0))
        assert table.read_text() == "broken"


def test_marks_of_earlier_sessions_are_found_under_shorter_and_longer_names(
    photographs: list[Photograph], table: Path
) -> None:
    table.write_text(
        "site_id,photo,x,y,distance_m\nS01,a.png,0.5,0.9,2\nS01,card/S01/b.png,0.5,0.8,3\nS01,,0.5,0.7,4\n"
        "S02,a.png,0.5,0.6,5\n"
    )
    with open_session(table, photographs) as session:
        assert [distances(session, number) for number in range(4)] == [[2.0], [3.0], [], []]
        assert len(session.deployment(0).uprights) == 3
        line = session.objects(1)[1].line
        session.put(1, 1, point(0.8, 3.5), line)
        assert table.read_text().splitlines()[2].startswith("S01,card/S01/b.png,")


def test_deployments_of_a_site_stay_apart(photographs: list[Photograph], table: Path) -> None:
    dated = [replace(one, dates=(MAY, JUNE)) for one in photographs]
    with open_session(table, dated) as session:
        session.put(0, 1, point(0.75, 3.0))
    later = [replace(one, dates=(JUNE, None)) for one in photographs]
    with open_session(table, later) as session:
        assert distances(session, 0) == []
        session.put(0, 1, point(0.7, 3.5))
    assert [line.split(",")[:4] for line in table.read_text().splitlines()[1:]] == [
        ["S01", "2024-05-01", "2024-06-01", "S01/a.png"],
        ["S01", "2024-06-01", "", "S01/a.png"],
    ]
    overlapping = [replace(one, dates=(MAY, None)) for one in photographs]
    before = table.read_bytes()
    with pytest.raises(InputError, match="overlap"), open_session(table, overlapping):
        pass
    zoned = [replace(one, dates=(MAY.astimezone(), None)) for one in photographs]
    with pytest.raises(InputError, match="time zone"), open_session(table, zoned):
        pass
    assert table.read_bytes() == before


def test_two_pages_on_one_table_are_refused(photographs: list[Photograph], table: Path) -> None:
    with (
        open_session(table, photographs),
        pytest.raises(RunError, match="another run is writing there"),
        open_session(table, photographs),
    ):
        pass


def test_a_failed_write_changes_nothing(photographs: list[Photograph], table: Path) -> None:
    with open_session(table, photographs) as session:
        session.put(0, 1, point(0.75, 3.0))
        table.unlink()
        table.mkdir()
        (table / "full").touch()
        with pytest.raises(RunError, match="NOT SAVED"):
            session.put(0, session.state.version, point(0.5, 9.0))
        assert distances(session, 0) == [3.0]


def test_odd_places_for_the_table_are_refused(photographs: list[Photograph], tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere/points.csv"):
        with (
            pytest.raises(InputError, match="expected a CSV file in a folder that exists"),
            open_session(path, photographs),
        ):
            pass
