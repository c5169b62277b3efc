"""Events and animals in the rows of a run, from results to review, export and density."""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from packages import SITE, bbox, medium, observation, write_package
from photo_world import LEFT, RIGHT, Photo, photo_settings
from trapmeter.boxmodel.model import BoxModel
from trapmeter.calibration.run import calibrate
from trapmeter.export import ExportFormat, export_results
from trapmeter.prediction.event_animals import mark_first_positions
from trapmeter.prediction.results import read_run
from trapmeter.prediction.run import PredictRun, run_prediction
from trapmeter.prediction.settings import predict_settings
from trapmeter.records import Box, Observation
from trapmeter.report.run_report import render_report
from trapmeter.report.sequence_examples import choose_sequences
from trapmeter.review.decisions import Decision, DecisionKind
from trapmeter.review.export import reviewed_estimates
from trapmeter.review.results import read_results
from trapmeter.review.state import replay_decisions
from trapmeter.tables.distances import OPTIONAL_COLUMNS, read_distances

MAY = datetime(2024, 5, 1, 6)  # noqa: DTZ001 - a camera's clock
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
SHIFTED = (0.14, 0.5, 0.29, 0.8)
BURST = {
    "S1/a.jpg": Photo(MAY, [LEFT]),
    "S1/b.jpg": Photo(MAY + SECOND, [RIGHT, SHIFTED]),
    "S1/c.jpg": Photo(MAY + 2 * SECOND),
    "S1/d.jpg": Photo(MAY + 3 * SECOND, [RIGHT]),
    "S1/e.jpg": Photo(MAY + 20 * MINUTE, [LEFT]),
    "S1/f.jpg": Photo(MAY + 60 * MINUTE, [LEFT]),
    "S1/g.jpg": Photo(None, [LEFT]),
}
EVENT, LATER = "S1@20240501T060000", "S1@20240501T070000"


def animals(run: PredictRun) -> list[tuple[str, str, int, bool | None]]:
    rows = [estimate.observation for estimate in run.estimates if estimate.distance is not None]
    return [(row.media_id[3:4], row.event_id, row.animal_id, row.is_first) for row in rows]


def test_an_animal_keeps_its_number_through_a_burst(tmp_path: Path) -> None:
    run = run_prediction(photo_settings(tmp_path, BURST))
    assert animals(run) == [
        ("a", EVENT, 1, True),
        ("b", EVENT, 1, False),
        ("b", EVENT, 2, True),
        ("d", EVENT, 2, False),
        ("e", EVENT, 3, True),
        ("f", LATER, 1, True),
        ("g", "S1/g.jpg", 1, True),
    ]
    assert run.summary.n_animals == 5
    assert run.facts["events"] == {"n_events": 3, "n_sequences": 1}
    assert read_run(tmp_path / "out").estimates == tuple(read_distances(tmp_path / "out/distances.csv"))
    assert read_run(tmp_path / "out").summary.n_animals == 5
    blank = next(row.observation for row in run.estimates if row.distance is None)
    assert (blank.taken_at, blank.event_id, blank.animal_id, blank.is_first) == (MAY + 2 * SECOND, EVENT, 0, None)
    with (tmp_path / "out/media.csv").open() as file:
        events = {row["media_id"][3:4]: row["event_id"] for row in csv.DictReader(file)}
    assert events == {**dict.fromkeys("abcde", EVENT), "f": LATER, "g": "S1/g.jpg"}


def test_gaps_are_settings(tmp_path: Path) -> None:
    run_prediction(photo_settings(tmp_path, BURST))
    run = run_prediction(photo_settings(tmp_path, burst_gap_s=0.5, independence_min=0.0))
    assert len({event for _, event, _, _ in animals(run)}) == run.summary.n_animals - 1 == 6
    assert "--burst-gap was 60.0, is 0.5" in run.facts["changed"]


def test_without_times_the_table_keeps_its_columns(tmp_path: Path) -> None:
    run = run_prediction(photo_settings(tmp_path, {"S1/a.jpg": Photo(None, [LEFT]), "S1/b.jpg": Photo(None, [LEFT])}))
    assert run.summary.n_animals == 2
    header = (tmp_path / "out/distances.csv").read_text().splitlines()[0].split(",")
    assert not set(OPTIONAL_COLUMNS) & set(header)


def test_media_without_a_site_are_events_of_their_own(tmp_path: Path) -> None:
    run = run_prediction(photo_settings(tmp_path, BURST, site="none"))
    assert len({event for _, event, _, _ in animals(run)}) == 6
    assert any("6 media have a time but no site" in note for note in run.facts["notes"])


def test_a_burst_over_two_deployments_is_two_events_and_named(tmp_path: Path) -> None:
    (tmp_path / "deployments.csv").write_text(
        "site_id,start,end\nS1,2024-04-01,2024-05-01T06:00:01\nS1,2024-05-01T06:00:02,2024-06-01\n"
    )
    run = run_prediction(photo_settings(tmp_path, BURST, deployments=tmp_path / "deployments.csv"))
    assert {event for name, event, _, _ in animals(run) if name in "abd"} == {EVENT, "S1@20240501T060002"}
    assert any("different events: S1 (S1/b.jpg and S1/c.jpg)" in note for note in run.facts["notes"])


def test_cameras_that_share_a_folder_share_no_sequence(tmp_path: Path) -> None:
    photos = {f"S1/{n}.jpg": Photo(MAY + n * SECOND, [LEFT], serial=str(n % 2)) for n in range(4)}
    run = run_prediction(photo_settings(tmp_path, photos))
    assert [(event, number) for _, event, number, _ in animals(run)] == [
        *((EVENT, 1), ("S1@20240501T060001", 1), (EVENT, 1), ("S1@20240501T060001", 1)),
    ]
    assert any("2 cameras interleave at S1: 0, 1" in note for note in run.facts["notes"])


def test_corrected_results_keep_their_events(tmp_path: Path) -> None:
    run_prediction(photo_settings(tmp_path, BURST))
    calibrate(tmp_path / "out", tmp_path / "corrected", shoulder_m=0.6)
    before, after = (read_distances(tmp_path / name / "distances.csv") for name in ("out", "corrected"))
    assert [row.observation for row in after] == [row.observation for row in before]
    assert (tmp_path / "corrected/media.csv").read_bytes() == (tmp_path / "out/media.csv").read_bytes()


def test_the_order_of_photos_in_the_run_changes_nothing(tmp_path: Path) -> None:
    names = {name: chr(ord("z") - number) for number, name in enumerate(BURST)}
    forward = run_prediction(photo_settings(tmp_path / "a", BURST))
    turned = {f"S1/{names[name]}.jpg": photo for name, photo in BURST.items()}
    backward = run_prediction(photo_settings(tmp_path / "b", turned))
    back = {new: name[3:4] for name, new in names.items()}
    assert sorted((back[name], event, number) for name, event, number, _ in animals(backward) if name != "t") == [
        (name, event, number) for name, event, number, _ in animals(forward) if name != "g"
    ]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Three photos within seconds; the package has an event for the first two."""
    times = [f"2024-05-01T06:00:0{second}Z" for second in range(3)]
    media = [medium(f"m{n}", f"{n}.jpg", time) for n, time in enumerate(times)]
    boxes = bbox(0.1, 0.5, 0.2, 0.3)
    rows = [
        observation(f"o{n}", f"m{n}", eventID=event, eventStart=times[n], eventEnd=times[n], **boxes)
        for n, event in enumerate(("e7", "e7", ""))
    ]
    path = write_package(
        tmp_path / "dp",
        deployments=[{**SITE, "deploymentStart": "2024-05-01T00:00:00Z", "deploymentEnd": "2024-05-09T00:00:00Z"}],
        media=media,
        observations=rows,
    )
    for n in range(3):
        photo_settings(tmp_path / "made", {f"{n}.jpg": Photo()})
        (tmp_path / f"made/survey/{n}.jpg").rename(path / f"{n}.jpg")
    return path


def test_a_packages_events_are_used_and_its_export_writes_ours(tmp_path: Path, package: Path) -> None:
    run_prediction(predict_settings(package, out=tmp_path / "out"))
    rows = [row.observation for row in read_distances(tmp_path / "out/distances.csv")]
    own = "S1@20240501T060002"
    assert [(row.media_id, row.event_id, row.animal_id) for row in rows] == [
        *(("0.jpg", "e7", 1), ("1.jpg", "e7", 1), ("2.jpg", own, 1)),
    ]
    export_results(tmp_path / "out", tmp_path / "new", ExportFormat.CAMTRAP_DP, package=package)
    with (tmp_path / "new/observations.csv").open() as file:
        written = {row["observationID"]: (row["eventID"], row["individualID"]) for row in csv.DictReader(file)}
    assert written == {"o0": ("e7", "e7:1"), "o1": ("e7", "e7:1"), "o2": (own, f"{own}:1")}


def test_an_event_of_the_package_holds_its_media(tmp_path: Path, package: Path) -> None:
    path = package / "observations.csv"
    with path.open() as file:
        rows = list(csv.DictReader(file))
    event = {**rows[0], "observationID": "event", "mediaID": "", "eventID": "e9", "observationLevel": "event"}
    event |= {"eventEnd": "2024-05-01T06:00:01Z"} | dict.fromkeys(bbox(0, 0, 0, 0), "")
    with path.open("w") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows([*({**row, "eventID": ""} for row in rows), event])
    run = run_prediction(predict_settings(package, out=tmp_path / "out"))
    found = defaultdict(list)
    for estimate in run.estimates:
        found[estimate.observation.event_id].append(estimate.observation.media_id)
    assert found == {"e9": ["0.jpg", "1.jpg"], "S1@20240501T060002": ["2.jpg"]}


def test_the_box_model_sees_a_burst_as_one_medium(tmp_path: Path) -> None:
    steps = [(0.1 + 0.05 * n, 0.4, 0.2 + 0.05 * n, 0.7 + 0.02 * n) for n in range(3)]
    photos = {f"S1/{n}.jpg": Photo(MAY + n * SECOND, [place]) for n, place in enumerate(steps)}
    run = run_prediction(photo_settings(tmp_path / "burst", photos))
    seen = [Observation("burst", float(n), Box(*place, 0.9), 1, "S1") for n, place in enumerate(steps)]
    together = BoxModel.load(None).estimate(seen)
    assert [row.measured_distance.distance_m for row in run.estimates] == [found.distance_m for found in together]
    apart = {f"S1/{n}.jpg": Photo(MAY + n * 10 * MINUTE, [place]) for n, place in enumerate(steps)}
    alone = run_prediction(photo_settings(tmp_path / "apart", apart))
    each = BoxModel.load(None).estimate([replace(row, media_id=f"{n}", time_s=0.0) for n, row in enumerate(seen)])
    assert [row.measured_distance.distance_m for row in alone.estimates] == [found.distance_m for found in each]


def test_a_review_adds_and_removes_animals_of_an_event(tmp_path: Path) -> None:
    run_prediction(photo_settings(tmp_path, BURST))
    results = read_results(tmp_path / "out")
    first = next(number for number, row in enumerate(results.rows) if row.observation.media_id == "S1/a.jpg")
    row = ("2024-06-01T00:00:00+00:00", first, "S1/a.jpg", 0.0, 1)
    add = Decision(1, row[0], DecisionKind.ADD, *row[1:], xyxy=(0.4, 0.4, 0.5, 0.5), distance_m=5.0)
    state = replay_decisions(results, [add, Decision(2, row[0], DecisionKind.DELETE, *row[1:])])
    rows = [row for media_id in results.media for row in state.of_medium(media_id)]
    corrected = mark_first_positions(reviewed_estimates(state, rows))
    found = {(row.media_id[3:4], row.animal_id): row for row in (estimate.observation for estimate in corrected)}
    assert ("a", 1) not in found
    new = found["a", 4]
    assert (new.event_id, new.taken_at, new.is_first) == (EVENT, MAY, True)
    assert found["b", 1].is_first is True


def test_the_report_shows_the_way_of_each_animal(tmp_path: Path) -> None:
    run = run_prediction(photo_settings(tmp_path, BURST))
    (shown,) = choose_sequences(run.estimates)
    assert (shown.event_id, shown.n_media) == (EVENT, 4)
    assert sorted(len(way) for way in shown.seconds[1].ways) == [1, 2]
    assert shown.caption.startswith("animal 1: ")
    page = render_report(run)
    assert "1 sequence of photos" in page
    assert f'<span class="name">{EVENT}</span>: animal 1: ' in page
    assert "sequence" not in render_report(replace(run, estimates=())).partition("Pictures</h2>")[2][:500]
