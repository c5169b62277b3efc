"""Measured animals written into a package's table of observations."""

import csv
import io
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimates import make_estimate
from packages import NAMES, bbox, medium, observation, table_text
from trapmeter._version import __version__
from trapmeter.records import REVIEW_MODEL_ID, Box, Estimate, MediumKind
from trapmeter.tables.camtrapdp.observation_cells import AgreedValues, new_row_cells, timestamp_at
from trapmeter.tables.camtrapdp.observations import COLUMNS, WrittenObservations, write_observations
from trapmeter.tables.camtrapdp.package import MediumRow
from trapmeter.tables.csvfile import Row
from trapmeter.tables.times import TimeReader

PATH = Path("observations.csv")


def medium_row(name: str, path: str) -> MediumRow:
    row = medium(name, path)
    kind = MediumKind.VIDEO if path.endswith(".mp4") else MediumKind.PHOTO
    return MediumRow(name, "d1", datetime(2024, 5, 2, 6, tzinfo=UTC), path, kind, Row(Path("media.csv"), 2, row))


MEDIA = {"m1": medium_row("m1", "a.jpg"), "v1": medium_row("v1", "v.mp4")}
BOX = Box(0.1, 0.2, 0.4, 0.6, 0.87)
FAR = Box(0.7, 0.2, 0.9, 0.5, 0.5)


def measured(
    name: str = "m1", metres: float = 4.0, time_s: float = 0.0, box: Box | None = BOX, animal: int = 1, angle=-3.21
) -> Estimate:
    return make_estimate(
        metres,
        media_id=MEDIA[name].file_path,
        time_s=time_s,
        box=box,
        animal_id=animal if box else 0,
        angle_deg=angle,
        model_id="boxmodel|1",
    )


def written(content: str | bytes, *estimates: Estimate, at: str = "2026-01-02T03:04:05Z") -> WrittenObservations:
    by_medium: dict[str, list[Estimate]] = {}
    for estimate in estimates:
        (name,) = (media_id for media_id, m in MEDIA.items() if m.file_path == estimate.observation.media_id)
        by_medium.setdefault(name, []).append(estimate)
    raw = content.encode() if isinstance(content, str) else content
    return write_observations(PATH, raw, by_medium, MEDIA, ["d1"], at, TimeReader())


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


def test_the_columns_are_those_of_the_standard() -> None:
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


def test_an_animal_that_the_package_lacks_becomes_a_row() -> None:
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


def test_a_distance_from_a_review_is_marked_human_and_stays() -> None:
    by_hand, by_model = replace(measured("v1", 5.0), model_id=REVIEW_MODEL_ID), measured("v1", 6.0)
    first = written(table(), by_model)
    done = written(first.content, by_hand)
    (row,) = rows_of(done.content)
    assert (row["individualPositionRadius"], row["classificationMethod"]) == ("5.00", "human")
    assert row["classifiedBy"] == f"trapmeter {__version__} review"
    assert "trapmeter:method=human | trapmeter:model=review" in row["observationTags"]
    assert written(table(), by_hand).content == done.content
    # Other results leave it alone; a later review may change it, and its box.
    left = written(done.content, by_model)
    assert (left.content, left.n_already_measured) == (done.content, 1)
    (again,) = rows_of(written(done.content, replace(measured("v1", 7.5, box=FAR), model_id=REVIEW_MODEL_ID)).content)
    assert (again["individualPositionRadius"], again["bboxX"]) == ("7.50", "0.7000")


def test_each_second_of_a_video_becomes_a_row_at_its_time() -> None:
    estimates = [measured("v1", 5.0, 0.0), measured("v1", 6.0, 61.5)]
    done = written(table(), *estimates)
    assert [row["eventStart"] for row in rows_of(done.content)] == ["2024-05-02T06:00:00Z", "2024-05-02T06:01:01Z"]
    assert "trapmeter:second=61.5 |" in rows_of(done.content)[1]["observationTags"]
    assert written(done.content, *estimates).content == done.content


def test_an_observation_of_a_whole_video_gets_no_distance() -> None:
    whole = observation("o1", "v1")
    done = written(table(whole), measured("v1"))
    assert (done.n_added, done.n_filled) == (1, 0)
    assert rows_of(done.content)[0]["individualPositionRadius"] == ""


@pytest.mark.parametrize(
    ("rows", "estimates", "filled", "added"),
    [
        # One animal, and one observation of one animal without a box: the same.
        ([observation("o1", "m1", count="1")], [measured()], ["o1"], 0),
        ([observation("o1", "m1")], [measured(box=None)], ["o1"], 0),
        # Among several, or in a group, the animal can't be identified.
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
def test_an_animal_fills_the_row_that_describes_it(
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


def test_distances_of_others_stay() -> None:
    by_hand = {**HUMAN, "individualPositionRadius": "7"}
    before = table(by_hand)
    done = written(before, measured())
    assert (done.content, done.n_already_measured, done.n_added) == (before.encode(), 1, 0)
    # A distance that somebody corrected after the export is theirs.
    first = written(table(HUMAN), measured()).content.replace(b",4.00,", b",4.50,")
    done = written(first, measured(metres=3))
    assert (done.content, done.n_already_measured) == (first, 1)


def test_other_results_update_the_rows_of_an_earlier_export() -> None:
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


def test_an_angle_of_others_stays() -> None:
    first = written(table({**HUMAN, "individualPositionAngle": "12"}), measured()).content
    second = written(first, measured(metres=5, angle=20.0)).content
    assert [rows_of(content)[0]["individualPositionAngle"] for content in (first, second)] == ["12", "12"]
    exported_twice = written(written(table(HUMAN), measured()).content, measured(angle=20.0)).content
    assert rows_of(exported_twice)[0]["individualPositionAngle"] == "20.0"


def test_missing_columns_are_added_where_the_standard_has_them() -> None:
    lacking = {"individualPositionRadius", "bboxX", "bboxY", "bboxWidth", "bboxHeight", "observationTags"}
    columns = [name for name in NAMES["observations"] if name not in lacking]
    before = table(HUMAN, observation("o2", "v1"), columns=columns) + "o3,d1,,,2024-05-02T06:00:00Z,,event,blank\n"
    done = written(before, measured(box=None))
    assert done.content.splitlines()[0].decode().split(",") == NAMES["observations"]
    assert set(done.gained) == lacking
    assert done.content.splitlines()[3] == b"o3,d1,,,2024-05-02T06:00:00Z,,event,blank"
    second = rows_of(done.content)[1]
    assert {name: second[name] for name in columns} == {**dict.fromkeys(columns, ""), **observation("o2", "v1")}
    # Without animals to write, no column is added.
    assert written(before).content == before.encode()


def test_no_cell_is_written_that_a_spreadsheet_would_run() -> None:
    row = Row(Path("media.csv"), 2, medium("=m", "=m.jpg"))
    odd = MediumRow("=m", "d1", datetime(2024, 5, 2, 6, tzinfo=UTC), "=m.jpg", MediumKind.PHOTO, row)
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


# None of these texts may look like a number, a time or an id.
TEXT = st.text(st.sampled_from("ab,\"\n|:= é'"), max_size=8)


@st.composite
def tables(draw: st.DrawFn) -> tuple[bytes, list[bytes], list[bool]]:
    """A table of observations as any program may write it, its rows as bytes, and which of them are of measured media."""
    columns = draw(st.permutations([*NAMES["observations"], "extra"]))
    quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    end = draw(st.sampled_from(["\n", "\r\n"]))
    comma = draw(st.sampled_from(",;"))

    def raw(cells: list[str]) -> bytes:
        file = io.StringIO()
        csv.writer(file, lineterminator=end, quoting=quoting, delimiter=comma).writerow(cells)  # type: ignore[arg-type]
        return file.getvalue().encode()

    rows, is_measured = [], []
    for number in range(draw(st.integers(0, 5))):
        name = draw(st.sampled_from(["m1", "v1", "m2", ""]))
        row = observation(f"o{number}", name, observationLevel="media" if name else "event")
        row |= {column: draw(TEXT) for column in ("behavior", "observationTags", "observationComments", "extra")}
        row |= draw(st.sampled_from([{}, bbox(0.1, 0.2, 0.3, 0.4), bbox(0.71, 0.2, 0.2, 0.3)]))
        row |= {"individualPositionAngle": draw(st.sampled_from(["", "12.5"]))}
        rows.append(raw([row.get(column, "") for column in columns]))
        is_measured.append(name in MEDIA)
        if draw(st.booleans()):
            rows.append(draw(st.sampled_from([end.encode(), raw([""] * len(columns))])))
            is_measured.append(False)
    mark = draw(st.sampled_from([b"", b"\xef\xbb\xbf"]))
    head = mark + raw(list(columns))
    content = head + b"".join(rows)
    if draw(st.booleans()) and rows and rows[-1].strip():
        content = content.removesuffix(end.encode())
        rows[-1] = rows[-1].removesuffix(end.encode())
    return content, [head, *rows], [False, *is_measured]


def test_rows_with_the_same_box_keep_their_animals() -> None:
    """Either of two equal rows may get the animal, but the next export must keep that choice."""
    rows = [observation(f"o{i}", "m1", observationLevel="media") | bbox(0.1, 0.2, 0.3, 0.4) for i in range(2)]
    content = table_text("observations", rows)
    once = written(content, measured(metres=8, box=FAR, animal=2), measured())
    assert written(once.content, measured(metres=8, box=FAR, animal=2), measured()).content == once.content


ESTIMATES = [measured(), measured(metres=8, box=FAR, animal=2), measured("v1"), measured("v1", 6.0, 1.5)]


@given(made=tables(), chosen=st.sets(st.integers(0, 3)))
def test_other_rows_keep_every_byte_and_a_second_export_changes_nothing(
    made: tuple[bytes, list[bytes], list[bool]], chosen: set[int]
) -> None:
    content, records, is_measured = made
    estimates = [ESTIMATES[i] for i in sorted(chosen)]
    done = written(content, *estimates)
    at = 0
    for record, may_change in zip(records, is_measured, strict=True):
        if not may_change:
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
    changeable = {"individualPositionRadius", "individualPositionAngle", "individualID", "observationTags"}
    changeable |= {"bboxX", "bboxY", "bboxWidth", "bboxHeight"}
    by_id = {row["observationID"]: row for row in after}
    for row in before:
        new = by_id[row["observationID"]]
        assert {name for name in row if row[name] != new[name]} <= changeable
        assert new["observationTags"].startswith(row["observationTags"].rstrip())
