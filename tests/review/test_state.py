"""The state of rows after decisions, and the order in which the page lists them."""

from dataclasses import replace
from pathlib import Path

import pytest

from review_rows import MP4, ROWS, results_of, row
from trapmeter.errors import InputError
from trapmeter.records import Status
from trapmeter.report.examples import choose_examples
from trapmeter.review.decisions import DecisionKind, open_log
from trapmeter.review.export import reviewed_estimates
from trapmeter.review.listing import RowFilter, filter_rows, order_by_doubt, review_progress
from trapmeter.review.plausible import DoubtfulDistanceError
from trapmeter.review.results import Results
from trapmeter.review.session import ReviewSession
from trapmeter.review.state import ReviewState, StaleDecisionError, Verdict

BOX = (0.1, 0.1, 0.3, 0.4)


@pytest.fixture
def session(results: Results) -> ReviewSession:
    with open_log(results.source) as log:
        yield ReviewSession(results, log)


def numbers(state: ReviewState, row_filter: RowFilter) -> list[int]:
    return [row.number for row in filter_rows(state, order_by_doubt(state.results.rows), row_filter)]


def test_without_decisions_all_rows_are_open(session: ReviewSession) -> None:
    assert [session.state.row(number).measured for number in range(len(ROWS))] == list(session.state.results.rows)
    assert {session.state.row(number).verdict for number in range(len(ROWS))} == {Verdict.OPEN}


def test_each_decision_changes_its_row(session: ReviewSession) -> None:
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
    assert state.row(4).has_animal, "accepting restores it"
    _, state = session.decide(DecisionKind.NOT_ANIMAL, 5)
    assert state.row(5).verdict is Verdict.NOT_ANIMAL


def test_one_decision_is_about_all_static_boxes_that_are_open(tmp_path: Path) -> None:
    rows = [
        *(replace(row("a.mp4", second), reason="static: the box stays in place") for second in range(4)),
        row("a.mp4", 4),
    ]
    results = results_of(tmp_path, rows)
    with open_log(results.source) as log:
        session = ReviewSession(results, log)
        _, state = session.decide(DecisionKind.ACCEPT, 1)
        _, state = session.decide(DecisionKind.STATIC_NOT_ANIMAL, 0)
        verdicts = [state.row(number).verdict for number in range(5)]
        assert verdicts == [Verdict.NOT_ANIMAL, Verdict.ACCEPTED, *[Verdict.NOT_ANIMAL] * 2, Verdict.OPEN]
        with pytest.raises(InputError, match="all of them are decided"):
            session.decide(DecisionKind.STATIC_ACCEPT, 0)
        _, state = session.decide(DecisionKind.UNDO, 0, target=state.active[-1].number)
        assert state.row(0).verdict is Verdict.OPEN
        _, state = session.decide(DecisionKind.STATIC_ACCEPT, 4)
        assert [state.row(number).verdict for number in range(5)] == [*[Verdict.ACCEPTED] * 4, Verdict.OPEN]
        exported = list(reviewed_estimates(state, [state.row(number) for number in range(5)]))
    assert [estimate.is_static for estimate in exported] == [False] * 5


def test_a_reaction_marks_all_rows_of_the_animal(session: ReviewSession) -> None:
    _, state = session.decide(DecisionKind.REACTS, 3)
    assert [state.row(number).reacts for number in range(6)] == [False, False, False, True, False, True]
    with pytest.raises(StaleDecisionError):
        session.decide(DecisionKind.CALM, 5, 0)
    _, state = session.decide(DecisionKind.CALM, 5, state.row(5).revision)
    assert not state.row(3).reacts


def test_an_added_animal_gets_an_unused_number(session: ReviewSession) -> None:
    _, state = session.decide(DecisionKind.ADD, 3, xyxy=BOX, distance_m=7.0)
    added = state.row(len(ROWS))
    assert added.measured.observation.animal_id == 3
    assert (added.measured.observation.media_id, added.measured.observation.time_s) == ("S02/b.mp4", 0)
    session.decide(DecisionKind.UNDO, 0, target=1)
    _, state = session.decide(DecisionKind.ADD, 5, xyxy=BOX, distance_m=8.0)
    assert not state.has(len(ROWS))
    second = state.row(len(ROWS) + 1)
    assert second.measured.observation.animal_id == 4
    assert numbers(state, RowFilter())[:2] == [5, len(ROWS) + 1], "it follows the row at which it was added"
    _, state = session.decide(DecisionKind.DISTANCE, second.number, second.revision, distance_m=9.0)
    assert state.row(second.number).verdict is Verdict.ADDED


def test_a_decision_from_an_outdated_page_changes_nothing(session: ReviewSession) -> None:
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
    ("kind", "number", "fields"),
    [
        (DecisionKind.DISTANCE, 2, {"distance_m": 4.0}),
        (DecisionKind.BOX, 2, {"xyxy": BOX}),
        (DecisionKind.NOT_ANIMAL, 7, {}),
        (DecisionKind.REACTS, 6, {}),
        (DecisionKind.ADD, 6, {"xyxy": BOX, "distance_m": 4.0}),
        (DecisionKind.ADD, 7, {"xyxy": BOX, "distance_m": 4.0}),
    ],
)
def test_decisions_that_do_not_fit_the_row_are_refused(
    session: ReviewSession, kind: DecisionKind, number: int, fields: dict
) -> None:
    with pytest.raises(InputError):
        session.decide(kind, number, **fields)
    assert session.state.revisions == {}


@pytest.mark.parametrize(
    ("number", "metres", "text"),
    [
        (0, 42.0, r"42 m is far above the measured 4\.5 to 5\.5 m: press Enter again"),
        (0, 0.5, r"0\.5 m is far below the measured 4\.5 to 5\.5 m: press Enter again"),
        (1, 60.0, r"60 m is far above the measured 2\.0 to 10\.0 m \(was 6\.0 m meant\?\)"),
    ],
)
def test_a_distance_far_outside_the_interval_needs_a_confirmation(
    session: ReviewSession, number: int, metres: float, text: str
) -> None:
    with pytest.raises(DoubtfulDistanceError, match=text) as error:
        session.decide(DecisionKind.DISTANCE, number, distance_m=metres)
    assert error.value.can_confirm
    assert session.state.active == ()
    _, state = session.decide(DecisionKind.DISTANCE, number, distance_m=metres, confirmed=True)
    assert state.row(number).distance_m == metres


def test_an_added_animal_has_no_interval(session: ReviewSession) -> None:
    with pytest.raises(DoubtfulDistanceError, match=r"70 m is unusually far \(was 7\.0 m meant\?\)"):
        session.decide(DecisionKind.ADD, 2, xyxy=BOX, distance_m=70.0)
    _, state = session.decide(DecisionKind.ADD, 2, xyxy=BOX, distance_m=45.0)
    _, state = session.decide(DecisionKind.DISTANCE, 10, state.row(10).revision, distance_m=4.5)
    assert state.row(10).distance_m == 4.5, "its own distance is no interval"


@pytest.mark.parametrize("kind", [DecisionKind.DISTANCE, DecisionKind.ADD])
def test_a_distance_that_no_table_may_have_is_refused_even_if_confirmed(
    session: ReviewSession, kind: DecisionKind
) -> None:
    box = {"xyxy": BOX} if kind is DecisionKind.ADD else {}
    with pytest.raises(DoubtfulDistanceError, match=r"at most 200 m can be entered \(was 42\.0 m meant\?\)") as error:
        session.decide(kind, 0, distance_m=420.0, confirmed=True, **box)
    assert not error.value.can_confirm


@pytest.mark.parametrize("number", [-1, 10, 10**9])
def test_a_decision_about_a_missing_row_is_refused(session: ReviewSession, number: int) -> None:
    for kind, fields in ((DecisionKind.ACCEPT, {}), (DecisionKind.ADD, {"xyxy": BOX, "distance_m": 4.0})):
        with pytest.raises((StaleDecisionError, InputError)):
            session.decide(kind, number, **fields)


def test_adding_at_an_added_row_adds_at_its_second(session: ReviewSession) -> None:
    _, state = session.decide(DecisionKind.ADD, 2, xyxy=BOX, distance_m=7.0)
    _, state = session.decide(DecisionKind.ADD, 10, xyxy=BOX, distance_m=8.0)
    assert state.row(11).measured.observation.time_s == 2
    assert [row.number for row in state.of_medium("S01/a.avi")] == [0, 1, 2, 10, 11]


def test_the_most_doubtful_rows_come_first_and_seconds_without_an_animal_last() -> None:
    assert order_by_doubt(ROWS) == [5, 1, 4, 3, 0, 8, 9, 7, 2, 6]
    assert order_by_doubt([]) == []


def test_the_review_and_the_report_agree_on_the_most_doubtful_rows() -> None:
    doubtful, _ = choose_examples([row for row in ROWS if row.observation.media_id != MP4])
    listed = [ROWS[number] for number in order_by_doubt(ROWS) if ROWS[number].distance is not None]
    assert [second.animals[0] for second in doubtful] == [row for row in listed if row.observation.media_id != MP4]


def test_notes_of_reviewers_raise_no_doubt() -> None:
    rows = [row("a.mp4", 0, reason="review: accepted"), row("a.mp4", 1, width_m=4), row("a.mp4", 2, reason="unlike")]
    assert order_by_doubt(rows) == [2, 1, 0]


def test_filters_select_the_matching_rows(session: ReviewSession) -> None:
    session.decide(DecisionKind.DISTANCE, 0, distance_m=20.0, confirmed=True)
    state = session.state
    assert sorted(numbers(state, RowFilter())) == list(range(10))
    assert sorted(numbers(state, RowFilter(site="S02"))) == [3, 4, 5, 6]
    assert numbers(state, RowFilter(site="")) == [7]
    assert numbers(state, RowFilter(status=Status.NO_ANIMAL)) == [2]
    assert sorted(numbers(state, RowFilter(low_m=8.0))) == [0, 3, 5], "by the current distance"
    assert sorted(numbers(state, RowFilter(low_m=5.0, high_m=7.5))) == [1, 8, 9]
    assert numbers(state, RowFilter(is_open=False)) == [0]
    assert 0 not in numbers(state, RowFilter(is_open=True))


def test_progress_counts_measured_and_added_animals(session: ReviewSession) -> None:
    session.decide(DecisionKind.ACCEPT, 0)
    session.decide(DecisionKind.ACCEPT, 2)
    session.decide(DecisionKind.ADD, 2, xyxy=BOX, distance_m=7.0)
    done = review_progress(session.state)
    assert (done.n_decided, done.n_animals, done.n_added) == (1, 7, 1)
