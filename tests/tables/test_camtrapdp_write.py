"""Distances put into a package's table of observations."""

import csv
import io
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packages import NAMES, bbox, medium, observation, table_text
from trapmeter._version import __version__
from trapmeter.records import REVIEW_MODEL_ID, Box, Distance, Estimate, MediumKind, Observation, Status
from trapmeter.tables.camtrapdp.observation_cells import AgreedValues, new_row_cells, timestamp_at
from trapmeter.tables.camtrapdp.observations import COLUMNS, WrittenObservations, write_observations
from trapmeter.tables.camtrapdp.package import MediumRow
from trapmeter.tables.csvfile import Row

PATH = Path("observations.csv")


def a_medium(name: str, path: str) -> MediumRow:
    row = medium(name, path)
    kind = MediumKind.VIDEO if path.endswith(".mp4") else MediumKind.PHOTO
    return MediumRow(name, "d1", datetime(2024, 5, 2, 6), path, kind, Row(Path("media.csv"), 2, row))


MEDIA = {"m1": a_medium("m1", "a.jpg"), "v1": a_medium("v1", "v.mp4")}
BOX = Box(0.1, 0.2, 0.4, 0.6, 0.87)
FAR = Box(0.7, 0.2, 0.9, 0.5, 0.5)


def measured(
    name: str = "m1", metres: float = 4.0, time_s: float = 0.0, box: Box | None = BOX, animal: int = 1, angle=-3.21
) -> Estimate:
    seen = Observation(MEDIA[name].file_path, time_s, box, animal if box else 0)
    return Estimate(seen, Status.MEASURED, Distance(metres, metres - 1, metres + 2), angle, model_id="boxmodel|1")


def written(content: str | bytes, *estimates: Estimate, at: str = "2026-01-02T03:04:05Z") -> WrittenObservations:
    by_medium: dict[str, list[Estimate]] = {}
    for estimate in estimates:
        (name,) = (one for one, m in MEDIA.items() if m.file_path == estimate.observation.media_id)
        by_medium.setdefault(name, []).append(estimate)
    raw = content.encode() if isinstance(content, str) else content
    return write_observations(PATH, raw, by_medium, MEDIA, ["d1"], at)


def rows_of(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def table(*rows: dict[str, str], **format_of: object) -> str:
    return table_text("observations", rows, **format_of)  # type: ignore[arg-type]


HUMAN = observation(
    "o1", "m1", scientificName="Vulpes vulpes", eventID="e1", observationTags="odd |x:y", **bbox(0.1, 0.2, 0.3, 0.4)
)
TAGS = (
    "trapmeter:distance=4.00 | trapmeter:low=3.00 | trapmeter:high=6.00 | trapmeter:second=0 | trapmeter:angle=-3.2 | "
    "trapmeter:method=machine | trapmeter:model=boxmodel/1"
)


def test_the_standards_columns_are_known() -> None:
    assert list(COLUMNS) == NAMES["observations"]


def test_a_persons_row_keeps_its_classification_and_gains_the_distance() -> None:
    done = written(table(HUMAN), measured())
    (row,) = rows_of(done.content)
    assert (done.n_added, done.n_filled) == (0, 1)
    changed = {name: text for name, text in row.items() if text != {**dict.fromkeys(row, ""), **HUMAN}[name]}
    assert changed == {
        "individualID": "m1:1",
        "individualPositionRadius": "4.00",
        "individualPositionAngle": "-3.2",
        "observationTags": f"odd |x:y | {TAGS}",
    }


def test_an_animal_that_nobody_had_seen_becomes_a_row() -> None:
    done = written(table(HUMAN), measured(), measured(metres=8, box=FAR, animal=2))
    _, row = rows_of(done.content)
    assert (done.n_added, done.n_filled) == (1, 1)
    assert len(row.pop("observationID")) == 36
    assert {name: text for name, text in row.items() if text} == {
        "deploymentID": "d1",
        "mediaID": "m1",
        "eventID": "e1",
        "scientificName": "Vulpes vulpes",
        "count": "1",
        "eventStart": "2024-05-02T06:00:00Z",
        "eventEnd": "2024-05-02T06:00:00Z",
        "observationLevel": "media",
        "observationType": "animal",
        "individualID": "m1:2",
        "individualPositionRadius": "8.00",
        "individualPositionAngle": "-3.2",
        "bboxX": "0.7000",
        "bboxY": "0.2000",
        "bboxWidth": "0.2000",
        "bboxHeight": "0.3000",
        "classificationMethod": "machine",
        "classifiedBy": f"trapmeter {__version__} boxmodel|1",
        "classificationTimestamp": "2026-01-02T03:04:05Z",
        "classificationProbability": "0.500",
        "observationTags": TAGS.replace("=4.00", "=8.00").replace("=3.00", "=7.00").replace("=6.00", "=10.00")
        + " | trapmeter:species=medium",
    }


def test_a_distance_given_by_hand_says_so_and_stays() -> None:
    by_hand, by_model = replace(measured("v1", 5.0), model_id=REVIEW_MODEL_ID), measured("v1", 6.0)
    first = written(table(), by_model)
    done = written(first.content, by_hand)
    (row,) = rows_of(done.content)
    assert (row["individualPositionRadius"], row["classificationMethod"]) == ("5.00", "human")
    assert row["classifiedBy"] == f"trapmeter {__version__} review"
    assert "trapmeter:method=human | trapmeter:model=review" in row["observationTags"]
    assert written(table(), by_hand).content == done.content
    # Other results leave it alone; a person may still think better of it, of the box too.
    left = written(done.content, by_model)
    assert (left.content, left.n_already_measured) == (done.content, 1)
    (again,) = rows_of(written(done.content, replace(measured("v1", 7.5, box=FAR), model_id=REVIEW_MODEL_ID)).content)
    assert (again["individualPositionRadius"], again["bboxX"]) == ("7.50", "0.7000")


def test_seconds_of_a_video_are_rows_at_their_times() -> None:
    estimates = [measured("v1", 5.0, 0.0), measured("v1", 6.0, 61.5)]
    done = written(table(), *estimates)
    assert [row["eventStart"] for row in rows_of(done.content)] == ["2024-05-02T06:00:00Z", "2024-05-02T06:01:01Z"]
    assert "trapmeter:second=61.5 |" in rows_of(done.content)[1]["observationTags"]
    assert written(done.content, *estimates).content == done.content


def test_a_video_as_a_whole_is_not_one_of_its_seconds() -> None:
    whole = observation("o1", "v1")
    done = written(table(whole), measured("v1"))
    assert (done.n_added, done.n_filled) == (1, 0)
    assert rows_of(done.content)[0]["individualPositionRadius"] == ""


@pytest.mark.parametrize(
    ("rows", "estimates", "filled", "added"),
    [
        # One animal, one observation of one animal without a box: the same.
        ([observation("o1", "m1", count="1")], [measured()], ["o1"], 1 - 1),
        ([observation("o1", "m1")], [measured(box=None)], ["o1"], 0),
        # Of several, or a group, nobody knows who is who.
        ([observation("o1", "m1", count="2")], [measured()], [], 1),
        ([observation("o1", "m1"), observation("o2", "m1")], [measured()], [], 1),
        ([observation("o1", "m1")], [measured(), measured(box=FAR, animal=2)], [], 2),
        # Boxes that overlap too little, other kinds, events, other media.
        ([observation("o1", "m1", **bbox(0.7, 0.7, 0.1, 0.1))], [measured()], [], 1),
        ([observation("o1", "m1", observationType="human", **bbox(0.1, 0.2, 0.3, 0.4))], [measured()], [], 1),
        ([observation("o1", "", observationLevel="event")], [measured()], [], 1),
        ([observation("o1", "v1", **bbox(0.1, 0.2, 0.3, 0.4))], [measured()], [], 1),
        # At the same second of the video, and at another one.
        (
            [observation("o1", "v1", eventStart="2024-05-02T06:00:02Z", **bbox(0.1, 0.2, 0.3, 0.4))],
            [measured("v1", time_s=2), measured("v1", time_s=3)],
            ["o1"],
            1,
        ),
    ],
)
def test_which_row_an_animal_is(
    rows: list[dict[str, str]], estimates: list[Estimate], filled: list[str], added: int
) -> None:
    done = written(table(*rows), *estimates)
    after = rows_of(done.content)
    names = {row["observationID"] for row in rows}
    assert [
        r["observationID"] for r in after if r["individualPositionRadius"] and r["observationID"] in names
    ] == filled
    assert (done.n_added, len(after)) == (added, len(rows) + added)
    assert written(done.content, *estimates).content == done.content


def test_distances_that_others_told_are_theirs() -> None:
    by_hand = {**HUMAN, "individualPositionRadius": "7"}
    before = table(by_hand)
    done = written(before, measured())
    assert (done.content, done.n_already_measured, done.n_added) == (before.encode(), 1, 0)
    # A row of ours that somebody has corrected is no longer ours.
    first = written(table(HUMAN), measured()).content.replace(b",4.00,", b",4.50,")
    done = written(first, measured(metres=3))
    assert (done.content, done.n_already_measured) == (first, 1)


def test_other_results_renew_what_is_ours() -> None:
    first = written(table(HUMAN), measured(), measured(metres=8, box=FAR, animal=2)).content
    done = written(first, measured(metres=5), measured(metres=9, box=FAR, animal=2), at="2027-01-01T00:00:00Z")
    one, two = rows_of(done.content)
    assert (done.n_filled, done.n_renewed, done.n_added) == (1, 1, 0)
    assert (one["individualPositionRadius"], two["individualPositionRadius"]) == ("5.00", "9.00")
    assert one["observationTags"].startswith("odd |x:y | trapmeter:distance=5.00")
    assert one["observationTags"].count("distance") == 1
    assert (one["classificationTimestamp"], two["classificationTimestamp"]) == ("", "2027-01-01T00:00:00Z")
    done = written(first, measured())
    assert (done.n_outdated, len(rows_of(done.content))) == (1, 2)


def test_an_angle_that_somebody_told_stays() -> None:
    first = written(table({**HUMAN, "individualPositionAngle": "12"}), measured()).content
    second = written(first, measured(metres=5, angle=20.0)).content
    assert [rows_of(one)[0]["individualPositionAngle"] for one in (first, second)] == ["12", "12"]
    ours = written(written(table(HUMAN), measured()).content, measured(angle=20.0)).content
    assert rows_of(ours)[0]["individualPositionAngle"] == "20.0"


def test_columns_that_lack_are_gained_in_the_standards_place() -> None:
    lacking = {"individualPositionRadius", "bboxX", "bboxY", "bboxWidth", "bboxHeight", "observationTags"}
    columns = [name for name in NAMES["observations"] if name not in lacking]
    before = table(HUMAN, observation("o2", "v1"), columns=columns) + "o3,d1,,,2024-05-02T06:00:00Z,,event,blank\n"
    done = written(before, measured(box=None))
    assert done.content.splitlines()[0].decode().split(",") == NAMES["observations"]
    assert set(done.gained) == lacking
    assert done.content.splitlines()[3] == b"o3,d1,,,2024-05-02T06:00:00Z,,event,blank"
    second = rows_of(done.content)[1]
    assert {name: second[name] for name in columns} == {**dict.fromkeys(columns, ""), **observation("o2", "v1")}
    # Nothing to write, nothing to gain.
    assert written(before).content == before.encode()


def test_what_a_spreadsheet_would_run_is_not_written() -> None:
    row = Row(Path("media.csv"), 2, medium("=m", "=m.jpg"))
    odd = MediumRow("=m", "d1", datetime(2024, 5, 2, 6), "=m.jpg", MediumKind.PHOTO, row)
    cells = new_row_cells(odd, measured(), AgreedValues(), "")
    assert (cells["mediaID"], cells["individualID"]) == ("=m", "'=m:1")
    before = table(observation("=o", "v1", observationComments="=1+1"), HUMAN)
    assert written(before, measured()).content.splitlines()[1] == before.encode().splitlines()[1]


@pytest.mark.parametrize(
    ("start", "second", "expected"),
    [
        ("2024-05-01T23:59:58Z", 3.4, "2024-05-02T00:00:01Z"),
        ("2024-05-01T23:59:58+02:00", 0.999, "2024-05-01T23:59:58+02:00"),
        ("2024-05-01T23:59:58+00:00", 1, "2024-05-01T23:59:59+00:00"),
        ("2024-05-01T23:59:58", 2, "2024-05-02T00:00:00"),
    ],
)
def test_times_keep_their_zone(start: str, second: float, expected: str) -> None:
    assert timestamp_at(start, second) == expected


# No text of a cell may be one that our reader takes for a number, a time or an id.
TEXT = st.text(st.sampled_from("ab,\"\n|:= é'"), max_size=8)


@st.composite
def tables(draw: st.DrawFn) -> tuple[bytes, list[bytes], list[bool]]:
    """A table of observations as anybody may have written it; its rows as bytes; which of them are of a medium measured."""
    columns = draw(st.permutations([*NAMES["observations"], "extra"]))
    quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    end = draw(st.sampled_from(["\n", "\r\n"]))
    comma = draw(st.sampled_from(",;"))

    def raw(cells: list[str]) -> bytes:
        file = io.StringIO()
        csv.writer(file, lineterminator=end, quoting=quoting, delimiter=comma).writerow(cells)  # type: ignore[arg-type]
        return file.getvalue().encode()

    rows, ours = [], []
    for number in range(draw(st.integers(0, 5))):
        name = draw(st.sampled_from(["m1", "v1", "m2", ""]))
        row = observation(f"o{number}", name, observationLevel="media" if name else "event")
        row |= {column: draw(TEXT) for column in ("behavior", "observationTags", "observationComments", "extra")}
        row |= draw(st.sampled_from([{}, bbox(0.1, 0.2, 0.3, 0.4), bbox(0.71, 0.2, 0.2, 0.3)]))
        row |= {"individualPositionAngle": draw(st.sampled_from(["", "12.5"]))}
        rows.append(raw([row.get(column, "") for column in columns]))
        ours.append(name in MEDIA)
        if draw(st.booleans()):
            rows.append(draw(st.sampled_from([end.encode(), raw([""] * len(columns))])))
            ours.append(False)
    mark = draw(st.sampled_from([b"", b"\xef\xbb\xbf"]))
    head = mark + raw(list(columns))
    content = head + b"".join(rows)
    if draw(st.booleans()) and rows and rows[-1].strip():
        content = content.removesuffix(end.encode())
        rows[-1] = rows[-1].removesuffix(end.encode())
    return content, [head, *rows], [False, *ours]


def test_rows_with_one_and_the_same_box_keep_their_animals() -> None:
    """Which of two equal rows an animal is put into is chance, but the next export must not choose anew."""
    rows = [observation(f"o{i}", "m1", observationLevel="media") | bbox(0.1, 0.2, 0.3, 0.4) for i in range(2)]
    content = table_text("observations", rows)
    once = written(content, measured(metres=8, box=FAR, animal=2), measured())
    assert written(once.content, measured(metres=8, box=FAR, animal=2), measured()).content == once.content


ESTIMATES = [measured(), measured(metres=8, box=FAR, animal=2), measured("v1"), measured("v1", 6.0, 1.5)]


@given(made=tables(), chosen=st.sets(st.integers(0, 3)))
def test_rows_of_others_keep_every_byte_and_twice_is_once(
    made: tuple[bytes, list[bytes], list[bool]], chosen: set[int]
) -> None:
    content, records, ours = made
    estimates = [ESTIMATES[i] for i in sorted(chosen)]
    done = written(content, *estimates)
    at = 0
    for record, is_ours in zip(records, ours, strict=True):
        if not is_ours:
            at = done.content.index(record, at) + len(record)
    assert written(done.content, *estimates).content == done.content
    if not estimates:
        assert done.content == content
    comma = ";" if b";" in records[0] else ","

    def cells(raw: bytes) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(raw.decode("utf-8-sig"), newline=""), delimiter=comma))

    before, after = cells(content), cells(done.content)
    assert (
        len([row for row in after if any(row.values())]) == len([r for r in before if any(r.values())]) + done.n_added
    )
    may_change = {"individualPositionRadius", "individualPositionAngle", "individualID", "observationTags"}
    may_change |= {"bboxX", "bboxY", "bboxWidth", "bboxHeight"}
    by_id = {row["observationID"]: row for row in after}
    for row in before:
        new = by_id[row["observationID"]]
        assert {name for name in row if row[name] != new[name]} <= may_change
        assert new["observationTags"].startswith(row["observationTags"].rstrip())
