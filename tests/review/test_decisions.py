"""The log of decisions never loses or changes a line."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from review_rows import results_of
from trapmeter.errors import InputError, RunError
from trapmeter.review.decisions import Decision, DecisionKind, open_log, read_log
from trapmeter.review.plausible import DoubtfulDistanceError
from trapmeter.review.results import Results
from trapmeter.review.session import ReviewSession
from trapmeter.review.state import StaleDecisionError, replay_decisions
from trapmeter.tables.distances import REVIEW_LOG

distances = st.floats(0.01, 1000)
fractions = st.floats(0, 1).map(lambda value: round(value, 5))
boxes = st.tuples(fractions, fractions, fractions, fractions).filter(lambda b: b[0] < b[2] and b[1] < b[3])


@st.composite
def decision_fields(draw: st.DrawFn) -> dict:
    kind = draw(st.sampled_from(DecisionKind))
    fields: dict = {"kind": kind, "row": draw(st.integers(0, 9))}
    if kind in (DecisionKind.DISTANCE, DecisionKind.ADD):
        fields["distance_m"] = draw(distances)
    if kind in (DecisionKind.BOX, DecisionKind.ADD):
        fields["xyxy"] = draw(boxes)
    if kind is DecisionKind.SPECIES:
        fields["species"] = draw(st.sampled_from(["", "Meles meles", "Homo sapiens", "duiker of some kind"]))
    return fields


def decide_all(session: ReviewSession, decisions: list[dict]) -> int:
    """Makes the possible decisions, as an up-to-date page would, and returns their number."""
    made = 0
    for fields in decisions:
        active = session.state.active
        target = {"target": active[-1].number if active else 1} if fields["kind"] is DecisionKind.UNDO else {}
        try:
            base = session.state.row(fields["row"]).revision
            session.decide(**fields, base=base, **target, confirmed=True)
            made += 1
        except (StaleDecisionError, InputError, DoubtfulDistanceError):
            continue
    return made


@given(decision_fields(), st.integers(1, 10**6), st.integers(0, 10**6))
def test_a_decision_is_read_back_exactly(fields: dict, number: int, base: int) -> None:
    target = {"target": 1} if fields["kind"] is DecisionKind.UNDO else {}
    decision = Decision(
        number, "2026-01-01", media_id="\udcff.mp4", time_s=0.1, animal_id=2, base=base, **fields, **target
    )
    assert Decision.from_json(json.loads(json.dumps(decision.to_json()))) == decision


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": DecisionKind.ACCEPT, "distance_m": 1.0},
        {"kind": DecisionKind.DISTANCE},
        {"kind": DecisionKind.DISTANCE, "distance_m": 0.0},
        {"kind": DecisionKind.DISTANCE, "distance_m": math.inf},
        {"kind": DecisionKind.DISTANCE, "distance_m": math.nan},
        {"kind": DecisionKind.BOX, "xyxy": (0.5, 0.1, 0.4, 0.2)},
        {"kind": DecisionKind.BOX, "xyxy": (0.1, 0.1, 0.4, math.nan)},
        {"kind": DecisionKind.BOX, "xyxy": (0.1, 0.1, 0.4)},
        {"kind": DecisionKind.ADD, "xyxy": (0.1, 0.1, 0.4, 0.4)},
        {"kind": DecisionKind.UNDO},
    ],
)
def test_invalid_decisions_are_refused(fields: dict) -> None:
    with pytest.raises(InputError):
        Decision(1, "", row=0, media_id="a", time_s=0, animal_id=1, **fields)


@settings(max_examples=40)
@given(fields_list=st.lists(decision_fields(), max_size=8), data=st.data())
def test_a_log_cut_anywhere_gives_the_state_of_its_complete_lines_and_resumes(
    fields_list: list[dict], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    results = results_of(tmp_path_factory.mktemp("cut"))
    with open_log(results.source) as log:
        made = decide_all(ReviewSession(results, log), fields_list)
    path = results.source.with_name(REVIEW_LOG)
    content = path.read_bytes()
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    n_complete = max(0, path.read_bytes().count(b"\n") - 1)
    decisions = [Decision.from_json(json.loads(line)) for line in content.splitlines()[1:]]
    assert len(decisions) == made
    with open_log(results.source) as log:
        session = ReviewSession(results, log)
        assert session.state == replay_decisions(results, decisions[:n_complete])
        session.decide(DecisionKind.ACCEPT, 7, session.state.row(7).revision)
        after = session.state
    with open_log(results.source) as log:
        assert ReviewSession(results, log).state == after


@settings(max_examples=40)
@given(fields_list=st.lists(decision_fields(), max_size=12))
def test_undoing_everything_gives_the_rows_as_measured(
    fields_list: list[dict], tmp_path_factory: pytest.TempPathFactory
) -> None:
    results = results_of(tmp_path_factory.mktemp("undo"))
    with open_log(results.source) as log:
        session = ReviewSession(results, log)
        decide_all(session, fields_list)
        while session.state.active:
            session.decide(DecisionKind.UNDO, 0, target=session.state.active[-1].number)
        assert session.state.changed == {}
        assert session.state.added == {}
    assert len(read_log(results.source)) == len(log.done), "the log still contains all of it"


def test_the_log_of_another_table_is_refused_and_unchanged(results: Results) -> None:
    with open_log(results.source) as log:
        ReviewSession(results, log).decide(DecisionKind.ACCEPT, 0)
    before = results.source.with_name(REVIEW_LOG).read_bytes()
    other = results_of(results.source.parent, results.rows[:3])
    with pytest.raises(RunError, match=r"another distances\.csv"), open_log(other.source):
        pass
    with pytest.raises(RunError, match=r"another distances\.csv"):
        read_log(other.source)
    assert results.source.with_name(REVIEW_LOG).read_bytes() == before


def test_two_servers_cannot_share_a_log_but_it_can_be_read(results: Results) -> None:
    with open_log(results.source) as log:
        ReviewSession(results, log).decide(DecisionKind.ACCEPT, 0)
        with pytest.raises(RunError, match="another run"), open_log(results.source):
            pass
        assert [decision.kind for decision in read_log(results.source)] == [DecisionKind.ACCEPT]


def test_without_decisions_the_error_names_the_command(results: Results) -> None:
    with pytest.raises(InputError, match="trapmeter review"):
        read_log(results.source)


def test_a_full_disk_stops_the_review_before_more_is_lost(
    results: Results, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with open_log(results.source) as log:
        session = ReviewSession(results, log)

        def full(_: Decision) -> None:
            raise RunError("no space left")

        with monkeypatch.context() as patch:
            patch.setattr(log, "add", full)
            with pytest.raises(RunError, match="no space left"):
                session.decide(DecisionKind.ACCEPT, 0)
        with pytest.raises(RunError, match="restart `trapmeter review`"):
            session.decide(DecisionKind.ACCEPT, 1)
        assert session.state.changed == {}
    assert read_log(results.source) == ()
