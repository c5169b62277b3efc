"""What the server sends of lines, reference photographs and hidden answers, and which rows a table lists."""

from __future__ import annotations

import csv
import html
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fitted_world import fitted, write_cameras
from review_rows import AVI, MP4, ROWS, results_of, row
from terminal import call, inside
from trapmeter.camera.fitted_cameras import write_fitted_cameras
from trapmeter.errors import InputError
from trapmeter.records import Estimate
from trapmeter.review.decisions import DecisionKind, open_log, read_log
from trapmeter.review.export import export_review
from trapmeter.review.listing import order_by_time
from trapmeter.review.results import Results, read_results
from trapmeter.review.session import ReviewSession
from trapmeter.tables.truth import write_seconds_to_label

pytest.importorskip("fastapi", reason="needs pip install 'trapmeter[review]'")
pytest.importorskip("httpx", reason="starlette's test client needs httpx")

from starlette.testclient import TestClient

from trapmeter.review.pictures import open_pictures, open_references
from trapmeter.review.server import make_app
from trapmeter.web.auth import AuthMiddleware

HERE = "http://127.0.0.1:4321"


@contextmanager
def client_of(results: Results, *, is_blind: bool = False) -> Iterator[TestClient]:
    """A client with the token."""
    with (
        open_log(results.source) as log,
        open_pictures(results, workers=1) as pictures,
        open_references(results) as references,
    ):
        app = make_app(results, ReviewSession(results, log, is_blind=is_blind), pictures, references)
        client = TestClient(AuthMiddleware(app, "the-token", 4321), base_url=HERE, headers={"origin": HERE})
        assert client.get("/?token=the-token").status_code == 200
        yield client


def stage_of(page: str) -> dict[str, Any]:
    """What a row tells the page's scripts."""
    found = re.search(r'data-stage="([^"]*)"', page)
    assert found is not None
    stage: dict[str, Any] = json.loads(html.unescape(found[1]))
    return stage


def photo(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((60, 100, 3), 99, np.uint8)).save(path)


def results_with(tmp_path: Path, references: list[tuple[str, float]], rows: tuple[Estimate, ...] = ROWS) -> Results:
    """Results whose media lie in tmp_path/media, and whose site S01 has these reference photographs."""
    (tmp_path / "media").mkdir(exist_ok=True)
    results = results_of(tmp_path / "results", rows, root=tmp_path / "media")
    write_cameras(results.source.parent, fitted("S01", photo_distances=tuple(references)))
    return read_results(results.source)


def test_reference_photographs_are_sent_by_number(tmp_path: Path) -> None:
    for name in ("S01/near.jpg", "S01/far.jpg"):
        photo(tmp_path / "media" / name)
    references = [("S01/far.jpg", 12.0), ("S01/near.jpg", 2.5), ("S01/near.jpg", 2.5), ("S01/lost.jpg", 5.0)]
    with client_of(results_with(tmp_path, references)) as client:
        stage = stage_of(client.get("/rows/0").text)
        assert [one["metres"] for one in stage["references"]] == [2.5, 12.0]
        assert stage["near"] == 5.0
        for one in stage["references"]:
            answer = client.get(one["address"])
            assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
        # The lost one has a number, but no picture.
        statuses = sorted(client.get(f"/references/{number}").status_code for number in range(4))
        assert statuses == [200, 200, 404, 404]
        # Rows of another site have none.
        assert stage_of(client.get("/rows/3").text)["references"] == []
        assert client.get("/rows/3").status_code == 200


def test_reference_photographs_outside_the_folder_of_the_media_are_never_sent(tmp_path: Path) -> None:
    photo(tmp_path / "secret.jpg")
    photo(tmp_path / "media/S01/inside.jpg")
    (tmp_path / "media/S01/notes.txt").write_text("secret")
    (tmp_path / "media/S01/link.jpg").symlink_to(tmp_path / "secret.jpg")
    (tmp_path / "media/up").symlink_to(tmp_path)
    names = ["../secret.jpg", str(tmp_path / "secret.jpg"), "S01/../../secret.jpg", "S01\\..\\..\\secret.jpg"]
    names += ["S01/link.jpg", "up/secret.jpg", "S01/notes.txt", "", "."]
    results = results_with(tmp_path, [(name, 5.0) for name in names if name] + [("S01/inside.jpg", 6.0)])
    with client_of(results) as client:
        assert [one["metres"] for one in stage_of(client.get("/rows/0").text)["references"]] == [6.0]
        sent = [client.get(f"/references/{number}") for number in range(len(results.references))]
        assert [answer.status_code for answer in sent].count(200) == 1
        assert "secret.jpg" not in "".join(answer.text for answer in sent if answer.status_code != 200)


def test_reference_photographs_are_found_where_calibrate_found_them(tmp_path: Path) -> None:
    photo(tmp_path / "points/near.jpg")
    photo(tmp_path / "secret.jpg")
    results = results_with(tmp_path, [("near.jpg", 2.5), ("../secret.jpg", 5.0)])
    run = json.loads((tmp_path / "results/run.json").read_text())
    (tmp_path / "results/run.json").write_text(json.dumps(run | {"photo_folders": [str(tmp_path / "points"), 3]}))
    with client_of(read_results(results.source)) as client:
        (one,) = stage_of(client.get("/rows/0").text)["references"]
        assert one["metres"] == 2.5
        assert client.get(one["address"]).status_code == 200


def test_a_medium_that_shows_another_view_has_no_lines(results: Results) -> None:
    write_fitted_cameras(results.source.parent / "cameras.json", [fitted("S01")], {AVI: "the camera was moved"})
    with client_of(read_results(results.source)) as client:
        stage = stage_of(client.get("/rows/0").text)
        assert (stage["lines"], stage["linesReason"]) == ([], "the camera was moved")


@pytest.mark.parametrize(
    "path", ["/references/-1", "/references/99", "/references/x", "/references/..%2fa.jpg", "/references/S01/near.jpg"]
)
def test_no_part_of_the_address_of_a_reference_is_a_file_path(tmp_path: Path, path: str) -> None:
    photo(tmp_path / "media/S01/near.jpg")
    with client_of(results_with(tmp_path, [("S01/near.jpg", 2.5)])) as client:
        assert client.get(path).status_code in (404, 422)


def test_references_and_the_switch_of_the_blind_mode_need_the_token_and_this_page(results: Results) -> None:
    write_cameras(results.source.parent, fitted("S01", photo_distances=(("S01/near.jpg", 2.0),)))
    with client_of(read_results(results.source), is_blind=True) as client:
        elsewhere = {"origin": "http://evil.example"}
        assert client.post("/blind", json={"on": False}, headers=elsewhere).status_code == 403
        assert client.get("/blind").status_code == 405
        assert "? m" in client.get("/rows/0").text
        client.cookies.clear()
        assert client.get("/references/0").status_code == 403
        assert client.post("/blind", json={"on": False}).status_code == 403


def test_a_damaged_file_of_cameras_is_refused_at_the_start(
    results: Results, capsys: pytest.CaptureFixture[str]
) -> None:
    (results.source.parent / "cameras.json").write_text("{")
    assert inside("review", results.source.parent, "--no-open") == 2
    assert "cameras.json: expected JSON" in capsys.readouterr().err


JUDGED = (
    row(AVI, 0, 5.37, width_m=0.5),
    row(AVI, 1, 6.43, width_m=1.38, reason="static: unlike the training"),
    row(MP4, 1, 9.71, site_id="S02", width_m=3.1),
)
ANSWERS = ("5.4", "5.37", "5.1", "5.6", "6.4", "5.7", "7.1", "9.7", "9.71", "8.2", "11.3", "unlike the training")


def answers_in(text: str) -> list[str]:
    return [answer for answer in ANSWERS if re.search(rf"(?<![\d.]){re.escape(answer)}(?![\d.])", text)]


def test_a_blind_review_sends_no_answer_before_the_judgement(tmp_path: Path) -> None:
    results = results_with(tmp_path, [("S01/near.jpg", 2.5)], JUDGED)
    with client_of(results, is_blind=True) as client:

        def decide(**request: object) -> str:
            return client.post("/decisions", json=request).text

        sent = [client.get(path).text for path in ("/", "/rows", "/rows?order=doubt", "/rows/0", "/rows/1", "/?row=2")]
        sent += [client.get("/rows?low=5").text, decide(kind="accept", row=0), decide(kind="static_accept", row=1)]
        sent += [decide(kind="reacts", row=0), decide(kind="not_animal", row=2), decide(kind="undo", row=2, target=2)]
        sent += [
            decide(kind="box", row=0, base=1, xyxy=[0.2, 0.3, 0.5, 0.7]),
            decide(kind="distance", row=99, distance_m=3),
        ]
        assert [answers_in(text) for text in sent] == [[]] * len(sent)
        # A row whose answer is hidden matches no range of distances.
        assert "No row matches" in sent[6]
        assert answers_in(decide(kind="distance", row=0, base=4, distance_m=30)) == ["5.4", "5.1", "5.6"]
        assert answers_in(client.get("/rows/1").text) == [], "the answer of the other row is still hidden"
    judged = {decision.number: decision.blind for decision in read_log(results.source)}
    assert judged == {1: False, 2: False, 3: False, 4: False, 5: True}
    lines = [json.loads(line) for line in (tmp_path / "results/review.jsonl").read_text().splitlines()]
    assert [line.get("blind") for line in lines] == [None, None, None, None, None, True]


def test_a_hidden_distance_does_not_choose_the_reference_photograph(tmp_path: Path) -> None:
    results = results_with(tmp_path, [], JUDGED)
    camera = results.cameras.cameras[0].fit.camera
    with client_of(results, is_blind=True) as client:
        assert stage_of(client.get("/rows/0").text)["near"] == round(camera.distance_m(0.5, 0.7), 1)
        assert stage_of(client.get("/rows/2").text)["near"] is None


def test_only_what_was_judged_without_knowing_the_answer_is_exported_as_blind(tmp_path: Path) -> None:
    results = results_of(tmp_path / "results", JUDGED)
    with open_log(results.source) as log:
        session = ReviewSession(results, log, is_blind=True)
        session.decide(DecisionKind.DISTANCE, 0, distance_m=5.0)
        session.decide(DecisionKind.DISTANCE, 1, distance_m=6.0)
        session.decide(DecisionKind.DISTANCE, 1, 2, distance_m=6.5)
    with open_log(results.source) as log:
        session = ReviewSession(results, log)
        session.decide(DecisionKind.ACCEPT, 2)
    with open_log(results.source) as log:
        # What was accepted was known, also after a restart.
        session = ReviewSession(results, log, is_blind=True)
        session.decide(DecisionKind.DISTANCE, 2, 4, distance_m=9.0)
    export_review(results.source, tmp_path / "out")
    with (tmp_path / "out/labels.csv").open() as file:
        assert [(one["distance_m"], one["blind"]) for one in csv.DictReader(file)] == [
            *(("5.00", "1"), ("6.50", "0"), ("9.00", "0")),
        ]


def test_rows_are_ordered_by_site_and_time() -> None:
    rows = [row("b.mp4", 1), row("b.mp4", 0), row("a.mp4", 0), row("c.mp4", 0, site_id="S00"), row("d.mp4", 0)]
    morning, noon = datetime(2024, 5, 1, 6), datetime(2024, 5, 1, 12)  # noqa: DTZ001 - as a camera's clock shows them
    assert order_by_time([], {}) == []
    assert order_by_time(rows, {}) == [3, 2, 1, 0, 4]
    assert order_by_time(rows, {"a.mp4": noon, "b.mp4": morning}) == [3, 1, 0, 2, 4]
    # Times with and without a zone can't be compared, but stand in the same list.
    assert order_by_time(rows, {"a.mp4": noon, "b.mp4": morning.replace(tzinfo=UTC), "c.mp4": noon}) == [3, 2, 1, 0, 4]


def test_an_unknown_order_is_refused(results: Results) -> None:
    with client_of(results) as client:
        answer = client.get("/rows?order=size")
        assert (answer.status_code, "order must be one of doubt, time" in answer.text) == (422, True)


def only(results: Results, tmp_path: Path, text: str) -> frozenset[int] | None:
    table = tmp_path / "only.csv"
    table.write_text(text)
    return read_results(results.source, only=table).only


def test_a_table_names_the_rows_to_list(results: Results, tmp_path: Path) -> None:
    table = tmp_path / "to-label.csv"
    write_seconds_to_label(table, [ROWS[number].observation for number in (5, 4, 0)])
    assert read_results(results.source, only=table).only == {0, 4, 5}
    assert read_results(results.source).only is None
    assert only(results, tmp_path, f"video_id,time\n{MP4},0\n") == {3, 4}
    assert only(results, tmp_path, "video_id,time\nb.mp4,0\nodd.mp4,1.0004\n") == {3, 4, 8}
    assert only(results, tmp_path, f"video_id,time,x1,y1,x2,y2\n{MP4},0,0.69,0.3,0.9,0.7\n") == {4}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"video_id,time\n{MP4},0\nother.mp4,0\n", r"only\.csv, line 3: .*has no such animal \(other\.mp4 at 0 s\)"),
        (f"video_id,time,animal_id\n{MP4},0,1\n{MP4},0,7\n", r"only\.csv, line 3: .*no such animal"),
        (f"video_id,time\n{MP4},2\n", r"only\.csv, line 2: .*\(S02/b\.mp4 at 2 s\)"),
        (f"video_id,time\n{AVI},2\n", r"only\.csv, line 2: .*make it again with `trapmeter calibrate --pick`"),
        (f"video_id,time,x1,y1,x2,y2\n{MP4},0,0,0,0.1,0.1\n", r"only\.csv, line 2"),
        ("video_id,time\n", "only.csv has no rows"),
        ("video_id\na.mp4\n", "time is missing"),
    ],
)
def test_a_row_that_the_results_lack_is_refused_by_file_and_line(
    results: Results, tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        only(results, tmp_path, text)


def test_the_command_refuses_a_wrong_table(
    results: Results, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _, error = call(capsys, "review", results.source.parent, "--only", tmp_path / "none.csv", "--blind")
    assert (status, "none.csv does not exist" in error) == (2, True)


def test_what_is_typed_in_a_review_of_a_table_is_exported_as_labels(results: Results, tmp_path: Path) -> None:
    table = tmp_path / "to-label.csv"
    write_seconds_to_label(table, [ROWS[4].observation])
    with client_of(read_results(results.source, only=table)) as client:
        assert re.findall(r'<li id="row-(\d+)"', client.get("/rows").text) == ["4"]
        assert "0 of 1 animals reviewed" in client.get("/").text
        answer = client.post("/decisions", json={"kind": "distance", "row": 4, "distance_m": 3.5})
        assert "1 of 1 animals reviewed" in answer.text
    export_review(results.source, tmp_path / "out")
    with (tmp_path / "out/labels.csv").open() as file:
        assert [(one["video_id"], one["distance_m"]) for one in csv.DictReader(file)] == [(MP4, "3.50")]
