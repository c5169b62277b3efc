"""What decisions make of rows, and in which order rows are shown."""

import pytest

from review_rows import ROWS, row
from trapmeter.errors import InputError
from trapmeter.records import Status
from trapmeter.review.decisions import Kind, open_log
from trapmeter.review.doubt import by_doubt, doubt
from trapmeter.review.listing import Filter, listed, progress
from trapmeter.review.results import Results
from trapmeter.review.session import Session
from trapmeter.review.state import StaleError, State, Verdict

BOX = (0.1, 0.1, 0.3, 0.4)


@pytest.fixture
def session(results: Results) -> Session:
    with open_log(results.source) as log:
        yield Session(results, log)


def numbers(state: State, wanted: Filter) -> list[int]:
    return [one.number for one in listed(state, by_doubt(state.results.rows), wanted)]


def test_nothing_decided_leaves_all_open(session: Session) -> None:
    assert [session.state.row(number).measured for number in range(len(ROWS))] == list(session.state.results.rows)
    assert {session.state.row(number).verdict for number in range(len(ROWS))} == {Verdict.OPEN}


def test_each_decision_does_what_it_says(session: Session) -> None:
    _, state = session.decide(Kind.ACCEPT, 0)
    assert state.row(0).verdict is Verdict.ACCEPTED
    _, state = session.decide(Kind.DISTANCE, 1, distance_m=4.2)
    assert (state.row(1).verdict, state.row(1).distance_now.distance_m) == (Verdict.CORRECTED, 4.2)
    _, state = session.decide(Kind.BOX, 3, xyxy=BOX)
    assert state.row(3).box_now.xyxy == BOX
    assert state.row(3).box_now.score == ROWS[3].observation.box.score
    _, state = session.decide(Kind.DELETE, 4)
    assert not state.row(4).has_animal
    _, state = session.decide(Kind.ACCEPT, 4, state.row(4).revision)
    assert state.row(4).has_animal, "accepting brings it back"
    _, state = session.decide(Kind.NOT_ANIMAL, 5)
    assert state.row(5).verdict is Verdict.NOT_ANIMAL


def test_a_reaction_is_the_animals_and_not_one_seconds(session: Session) -> None:
    _, state = session.decide(Kind.REACTS, 3)
    assert [state.row(number).reacts for number in range(6)] == [False, False, False, True, False, True]
    with pytest.raises(StaleError):
        session.decide(Kind.CALM, 5, 0)
    _, state = session.decide(Kind.CALM, 5, state.row(5).revision)
    assert not state.row(3).reacts


def test_an_added_animal_gets_a_number_that_nobody_had(session: Session) -> None:
    _, state = session.decide(Kind.ADD, 3, xyxy=BOX, distance_m=7.0)
    added = state.row(len(ROWS))
    assert added.measured.observation.animal_id == 3
    assert (added.measured.observation.media_id, added.measured.observation.time_s) == ("S02/b.mp4", 0)
    session.decide(Kind.UNDO, 0, target=1)
    _, state = session.decide(Kind.ADD, 5, xyxy=BOX, distance_m=8.0)
    assert not state.has(len(ROWS))
    again = state.row(len(ROWS) + 1)
    assert again.measured.observation.animal_id == 4
    assert numbers(state, Filter())[:2] == [5, len(ROWS) + 1], "it stands behind the row that it was added at"
    _, state = session.decide(Kind.DISTANCE, again.number, again.revision, distance_m=9.0)
    assert state.row(again.number).verdict is Verdict.ADDED


def test_a_page_that_doesnt_know_the_last_decision_changes_nothing(session: Session) -> None:
    session.decide(Kind.DISTANCE, 0, distance_m=4.0)
    before = session.state
    with pytest.raises(StaleError):
        session.decide(Kind.DISTANCE, 0, 0, distance_m=9.0)
    with pytest.raises(StaleError):
        session.decide(Kind.UNDO, 0, target=7)
    assert session.state is before
    _, state = session.decide(Kind.UNDO, 0, target=1)
    with pytest.raises(StaleError):
        session.decide(Kind.ACCEPT, 0, 1)
    assert state.row(0).measured == state.results.rows[0]


@pytest.mark.parametrize(
    ("kind", "number", "given"),
    [
        (Kind.DISTANCE, 2, {"distance_m": 4.0}),
        (Kind.BOX, 2, {"xyxy": BOX}),
        (Kind.NOT_ANIMAL, 7, {}),
        (Kind.REACTS, 6, {}),
        (Kind.ADD, 6, {"xyxy": BOX, "distance_m": 4.0}),
        (Kind.ADD, 7, {"xyxy": BOX, "distance_m": 4.0}),
    ],
)
def test_what_makes_no_sense_for_a_row_is_refused(session: Session, kind: Kind, number: int, given: dict) -> None:
    with pytest.raises(InputError):
        session.decide(kind, number, **given)
    assert session.state.revisions == {}


@pytest.mark.parametrize("number", [-1, 10, 10**9])
def test_a_row_that_isnt_there_is_refused(session: Session, number: int) -> None:
    for kind, given in ((Kind.ACCEPT, {}), (Kind.ADD, {"xyxy": BOX, "distance_m": 4.0})):
        with pytest.raises((StaleError, InputError)):
            session.decide(kind, number, **given)


def test_adding_at_an_added_row_adds_at_its_second(session: Session) -> None:
    _, state = session.decide(Kind.ADD, 2, xyxy=BOX, distance_m=7.0)
    _, state = session.decide(Kind.ADD, 10, xyxy=BOX, distance_m=8.0)
    assert state.row(11).measured.observation.time_s == 2
    assert [one.number for one in state.of_medium("S01/a.avi")] == [0, 1, 2, 10, 11]


def test_doubt_grows_with_each_of_its_parts() -> None:
    plain = row("a.mp4", 0, 5.0)
    assert doubt(plain) < doubt(row("a.mp4", 0, 5.0, width_m=4.0))
    assert doubt(plain) < doubt(row("a.mp4", 0, 5.0, reason="unlike"))
    assert doubt(plain) < doubt(row("a.mp4", 0, 2.0))
    assert doubt(row("a.mp4", 0, None)) == 0


def test_the_most_doubtful_come_first_and_seconds_without_an_animal_last() -> None:
    assert by_doubt(ROWS) == [5, 1, 4, 3, 0, 8, 9, 7, 2, 6]
    assert by_doubt([]) == []


def test_filters_take_what_they_say(session: Session) -> None:
    session.decide(Kind.DISTANCE, 0, distance_m=20.0)
    state = session.state
    assert sorted(numbers(state, Filter())) == list(range(10))
    assert sorted(numbers(state, Filter(site="S02"))) == [3, 4, 5, 6]
    assert numbers(state, Filter(site="")) == [7]
    assert numbers(state, Filter(status=Status.NO_ANIMAL)) == [2]
    assert sorted(numbers(state, Filter(low_m=8.0))) == [0, 3, 5], "by the distance as it stands"
    assert sorted(numbers(state, Filter(low_m=5.0, high_m=7.5))) == [1, 8, 9]
    assert numbers(state, Filter(is_open=False)) == [0]
    assert 0 not in numbers(state, Filter(is_open=True))


def test_progress_counts_animals(session: Session) -> None:
    session.decide(Kind.ACCEPT, 0)
    session.decide(Kind.ACCEPT, 2)
    session.decide(Kind.ADD, 2, xyxy=BOX, distance_m=7.0)
    done = progress(session.state)
    assert (done.n_decided, done.n_animals, done.n_added) == (1, 7, 1)
