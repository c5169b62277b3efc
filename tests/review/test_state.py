"""What decisions make of rows, and in which order rows are shown."""

import pytest

from review_rows import ROWS, row
from trapmeter.errors import InputError
from trapmeter.records import Status
from trapmeter.review.decisions import DecisionKind, open_log
from trapmeter.review.listing import RowFilter, doubt_score, filter_rows, order_by_doubt, review_progress
from trapmeter.review.results import Results
from trapmeter.review.session import ReviewSession
from trapmeter.review.state import ReviewState, StaleDecisionError, Verdict

BOX = (0.1, 0.1, 0.3, 0.4)


@pytest.fixture
def session(results: Results) -> ReviewSession:
    with open_log(results.source) as log:
        yield ReviewSession(results, log)


def numbers(state: ReviewState, wanted: RowFilter) -> list[int]:
    return [one.number for one in filter_rows(state, order_by_doubt(state.results.rows), wanted)]


def test_nothing_decided_leaves_all_open(session: ReviewSession) -> None:
    assert [session.state.row(number).measured for number in range(len(ROWS))] == list(session.state.results.rows)
    assert {session.state.row(number).verdict for number in range(len(ROWS))} == {Verdict.OPEN}


def test_each_decision_does_what_it_says(session: ReviewSession) -> None:
    _, state = session.decide(DecisionKind.ACCEPT, 0)
    assert state.row(0).verdict is Verdict.ACCEPTED
    _, state = session.decide(DecisionKind.DISTANCE, 1, distance_m=4.2)
    assert (state.row(1).verdict, state.row(1).current_distance.distance_m) == (Verdict.CORRECTED, 4.2)
    _, state = session.decide(DecisionKind.BOX, 3, xyxy=BOX)
    assert state.row(3).current_box.xyxy == BOX
    assert state.row(3).current_box.score == ROWS[3].observation.box.score
    _, state = session.decide(DecisionKind.DELETE, 4)
    assert not state.row(4).has_animal
    _, state = session.decide(DecisionKind.ACCEPT, 4, state.row(4).revision)
    assert state.row(4).has_animal, "accepting brings it back"
    _, state = session.decide(DecisionKind.NOT_ANIMAL, 5)
    assert state.row(5).verdict is Verdict.NOT_ANIMAL


def test_a_reaction_is_the_animals_and_not_one_seconds(session: ReviewSession) -> None:
    _, state = session.decide(DecisionKind.REACTS, 3)
    assert [state.row(number).reacts for number in range(6)] == [False, False, False, True, False, True]
    with pytest.raises(StaleDecisionError):
        session.decide(DecisionKind.CALM, 5, 0)
    _, state = session.decide(DecisionKind.CALM, 5, state.row(5).revision)
    assert not state.row(3).reacts


def test_an_added_animal_gets_a_number_that_nobody_had(session: ReviewSession) -> None:
    _, state = session.decide(DecisionKind.ADD, 3, xyxy=BOX, distance_m=7.0)
    added = state.row(len(ROWS))
    assert added.measured.observation.animal_id == 3
    assert (added.measured.observation.media_id, added.measured.observation.time_s) == ("S02/b.mp4", 0)
    session.decide(DecisionKind.UNDO, 0, target=1)
    _, state = session.decide(DecisionKind.ADD, 5, xyxy=BOX, distance_m=8.0)
    assert not state.has(len(ROWS))
    again = state.row(len(ROWS) + 1)
    assert again.measured.observation.animal_id == 4
    assert numbers(state, RowFilter())[:2] == [5, len(ROWS) + 1], "it stands behind the row that it was added at"
    _, state = session.decide(DecisionKind.DISTANCE, again.number, again.revision, distance_m=9.0)
    assert state.row(again.number).verdict is Verdict.ADDED


def test_a_page_that_doesnt_know_the_last_decision_changes_nothing(session: ReviewSession) -> None:
    session.decide(DecisionKind.DISTANCE, 0, distance_m=4.0)
    before = session.state
    with pytest.raises(StaleDecisionError):
        session.decide(DecisionKind.DISTANCE, 0, 0, distance_m=9.0)
    with pytest.raises(StaleDecisionError):
        session.decide(DecisionKind.UNDO, 0, target=7)
    assert session.state is before
    _, state = session.decide(DecisionKind.UNDO, 0, target=1)
    with pytest.raises(StaleDecisionError):
        session.decide(DecisionKind.ACCEPT, 0, 1)
    assert state.row(0).measured == state.results.rows[0]


@pytest.mark.parametrize(
    ("kind", "number", "given"),
    [
        (DecisionKind.DISTANCE, 2, {"distance_m": 4.0}),
        (DecisionKind.BOX, 2, {"xyxy": BOX}),
        (DecisionKind.NOT_ANIMAL, 7, {}),
        (DecisionKind.REACTS, 6, {}),
        (DecisionKind.ADD, 6, {"xyxy": BOX, "distance_m": 4.0}),
        (DecisionKind.ADD, 7, {"xyxy": BOX, "distance_m": 4.0}),
    ],
)
def test_what_makes_no_sense_for_a_row_is_refused(
    session: ReviewSession, kind: DecisionKind, number: int, given: dict
) -> None:
    with pytest.raises(InputError):
        session.decide(kind, number, **given)
    assert session.state.revisions == {}


@pytest.mark.parametrize("number", [-1, 10, 10**9])
def test_a_row_that_isnt_there_is_refused(session: ReviewSession, number: int) -> None:
    for kind, given in ((DecisionKind.ACCEPT, {}), (DecisionKind.ADD, {"xyxy": BOX, "distance_m": 4.0})):
        with pytest.raises((StaleDecisionError, InputError)):
            session.decide(kind, number, **given)


def test_adding_at_an_added_row_adds_at_its_second(session: ReviewSession) -> None:
    _, state = session.decide(DecisionKind.ADD, 2, xyxy=BOX, distance_m=7.0)
    _, state = session.decide(DecisionKind.ADD, 10, xyxy=BOX, distance_m=8.0)
    assert state.row(11).measured.observation.time_s == 2
    assert [one.number for one in state.of_medium("S01/a.avi")] == [0, 1, 2, 10, 11]


def test_doubt_grows_with_each_of_its_parts() -> None:
    plain = row("a.mp4", 0, 5.0)
    assert doubt_score(plain) < doubt_score(row("a.mp4", 0, 5.0, width_m=4.0))
    assert doubt_score(plain) < doubt_score(row("a.mp4", 0, 5.0, reason="unlike"))
    assert doubt_score(plain) < doubt_score(row("a.mp4", 0, 2.0))
    assert doubt_score(row("a.mp4", 0, None)) == 0


def test_the_most_doubtful_come_first_and_seconds_without_an_animal_last() -> None:
    assert order_by_doubt(ROWS) == [5, 1, 4, 3, 0, 8, 9, 7, 2, 6]
    assert order_by_doubt([]) == []


def test_filters_take_what_they_say(session: ReviewSession) -> None:
    session.decide(DecisionKind.DISTANCE, 0, distance_m=20.0)
    state = session.state
    assert sorted(numbers(state, RowFilter())) == list(range(10))
    assert sorted(numbers(state, RowFilter(site="S02"))) == [3, 4, 5, 6]
    assert numbers(state, RowFilter(site="")) == [7]
    assert numbers(state, RowFilter(status=Status.NO_ANIMAL)) == [2]
    assert sorted(numbers(state, RowFilter(low_m=8.0))) == [0, 3, 5], "by the distance as it stands"
    assert sorted(numbers(state, RowFilter(low_m=5.0, high_m=7.5))) == [1, 8, 9]
    assert numbers(state, RowFilter(is_open=False)) == [0]
    assert 0 not in numbers(state, RowFilter(is_open=True))


def test_progress_counts_animals(session: ReviewSession) -> None:
    session.decide(DecisionKind.ACCEPT, 0)
    session.decide(DecisionKind.ACCEPT, 2)
    session.decide(DecisionKind.ADD, 2, xyxy=BOX, distance_m=7.0)
    done = review_progress(session.state)
    assert (done.n_decided, done.n_animals, done.n_added) == (1, 7, 1)
