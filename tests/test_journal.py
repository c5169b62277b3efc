"""Results survive a kill: the journal keeps complete entries and refuses those of other runs."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trapmeter.errors import RunError
from trapmeter.journal import Journal, has_entries
from trapmeter.prediction.medium_result import MediumResult, SecondResult, failed_result
from trapmeter.records import Box, Status

SETTINGS = {"every_s": 1.0, "min_score": 0.25}

names = st.text(st.characters(), min_size=1, max_size=20) | st.just("\udcff.mp4")
boxes = st.tuples(st.floats(0, 0.49), st.floats(0, 0.49), st.floats(0.5, 1), st.floats(0.5, 1), st.floats(0, 1)).map(
    lambda cells: Box(*cells)
)
seconds = st.tuples(st.floats(0, 1e5), st.lists(boxes, max_size=3)).map(
    lambda s: SecondResult(
        s[0], Status.MEASURED if s[1] else Status.NO_ANIMAL, "", tuple(s[1]), tuple(range(1, len(s[1]) + 1))
    )
)


def media(n: int) -> list[MediumResult]:
    return [failed_result(f"{i}.mp4", i, i, (0.0, 1.0), "why") for i in range(n)]


@given(names, st.lists(seconds, max_size=4))
def test_a_result_survives_json_exactly(name: str, of_medium: list[SecondResult]) -> None:
    result = MediumResult(name, 5, 6, tuple(of_medium), doubts=("one",), length_s=1.5, decode_s=0.1)
    assert MediumResult.from_json(json.loads(json.dumps(result.to_json()))) == result


def test_added_entries_are_read_back_when_the_journal_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "seen.jsonl"
    with Journal(path, SETTINGS, MediumResult.from_json) as journal:
        for medium in media(3):
            journal.add(medium)
    with Journal(path, SETTINGS, MediumResult.from_json) as journal:
        assert list(journal.done.values()) == media(3)


@given(data=st.data())
def test_a_journal_that_was_cut_anywhere_keeps_its_complete_lines_and_accepts_more(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("cut") / "seen.jsonl"
    with Journal(path, SETTINGS, MediumResult.from_json) as journal:
        for medium in media(3):
            journal.add(medium)
    content = path.read_bytes()
    cut = data.draw(st.integers(0, len(content)))
    path.write_bytes(content[:cut])
    with Journal(path, SETTINGS, MediumResult.from_json) as journal:
        assert list(journal.done.values()) == media(3)[: max(0, content[:cut].count(b"\n") - 1)]
        for medium in media(3):
            if medium.media_id not in journal.done:
                journal.add(medium)
    assert path.read_bytes() == content


def test_a_journal_with_other_settings_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "seen.jsonl"
    with Journal(path, SETTINGS, MediumResult.from_json):
        pass
    with pytest.raises(RunError, match=r"min_score was 0\.25, is 0\.5.*--overwrite"):
        Journal(path, {**SETTINGS, "min_score": 0.5}, MediumResult.from_json)


def test_a_foreign_file_is_refused_with_its_line_and_left_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "seen.jsonl"
    path.write_text("something else\n")
    with pytest.raises(RunError, match="line 1: not a line that trapmeter wrote"):
        Journal(path, SETTINGS, MediumResult.from_json)
    assert path.read_text() == "something else\n"


def test_a_journal_has_entries_once_one_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "seen.jsonl"
    assert not has_entries(path)
    with Journal(path, SETTINGS, MediumResult.from_json) as journal:
        assert not has_entries(path)
        journal.add(media(1)[0])
    assert has_entries(path)
    path.write_bytes(path.read_bytes()[:-1])
    assert not has_entries(path)
