"""The responses of the server, and who gets them."""

import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import number_in
from review_rows import AVI, MP4, ODD_NAME, ODD_SITE, results_of, row
from terminal import inside
from trapmeter.review.decisions import open_log, read_log
from trapmeter.review.results import Results
from trapmeter.tables.distances import REVIEW_LOG

pytest.importorskip("fastapi", reason="needs pip install 'trapmeter[review]'")
pytest.importorskip("httpx", reason="starlette's test client needs httpx")

from starlette.testclient import TestClient

from trapmeter.review.pictures import open_pictures
from trapmeter.review.server import make_app
from trapmeter.review.session import ReviewSession
from trapmeter.web.auth import AuthMiddleware
from trapmeter.web.pictures import Pictures

HERE = "http://127.0.0.1:4321"


def client_of(results: Results, session: ReviewSession, pictures: Pictures) -> TestClient:
    app = make_app(results, session, pictures, pictures)
    return TestClient(AuthMiddleware(app, "the-token", 4321), base_url=HERE, follow_redirects=False)


@pytest.fixture
def stranger(results: Results) -> Iterator[TestClient]:
    """A client without the token."""
    with open_log(results.source) as log, open_pictures(results, workers=1) as pictures:
        yield client_of(results, ReviewSession(results, log), pictures)


@pytest.fixture
def client(stranger: TestClient) -> TestClient:
    """A client with the token."""
    assert stranger.get("/?token=the-token").status_code == 200
    return stranger


def decide(client: TestClient, origin: str | None = HERE, **request: object) -> tuple[int, str]:
    answer = client.post("/decisions", json=request, headers={} if origin is None else {"origin": origin})
    return answer.status_code, answer.text


def n_decisions(results: Results) -> int:
    return len(read_log(results.source))


def test_the_token_becomes_a_cookie_that_no_script_and_no_other_site_can_use(stranger: TestClient) -> None:
    answer = stranger.get("/?token=the-token&row=3")
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert "SameSite=strict" in answer.headers["set-cookie"]
    assert "the-token" not in answer.text
    assert 'url=/?row=3"' in answer.text
    page = stranger.get("/")
    assert page.status_code == 200
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert page.headers["cache-control"] == "no-store"


PATHS = [
    "/",
    "/?token=",
    "/?token=wrong",
    "/rows",
    "/rows/0",
    "/media/0",
    "/media/0/picture?time=0",
    "/static/review.js",
]


@pytest.mark.parametrize("path", PATHS)
def test_without_the_token_nothing_is_shown(stranger: TestClient, path: str) -> None:
    answer = stranger.get(path)
    assert answer.status_code == 403
    assert MP4 not in answer.text
    stranger.cookies.set("trapmeter-4321", "wrong")
    assert stranger.get(path).status_code == 403
    assert decide(stranger, kind="accept", row=0)[0] == 403


def test_a_wrong_token_is_refused_even_with_the_cookie(client: TestClient) -> None:
    assert client.get("/?token=wrong").status_code == 403


@pytest.mark.parametrize("host", ["evil.example", "evil.example:4321", "127.0.0.1", "127.0.0.1:80", ""])
def test_another_host_is_refused(client: TestClient, host: str) -> None:
    assert client.get("/", headers={"host": host}).status_code == 403
    assert client.get("/", headers={"host": "localhost:4321"}).status_code == 200


@pytest.mark.parametrize(
    "origin", [None, "null", "http://evil.example", "http://127.0.0.1:9", "https://127.0.0.1:4321"]
)
def test_decisions_from_another_page_are_refused(client: TestClient, results: Results, origin: str | None) -> None:
    assert decide(client, origin, kind="accept", row=0)[0] == 403
    assert n_decisions(results) == 0


TRAVERSALS = ["/static/../server.py", "/static/..%2fserver.py", "/static/%2e%2e/server.py", "/static//etc/passwd"]
TRAVERSALS += ["/media/../../etc/passwd", "/media/..%2f..%2fetc%2fpasswd", "/media/S01/a.avi", "/media/-1", "/media/99"]
TRAVERSALS += [
    "/media/99/picture?time=0",
    "/media/-1/picture?time=0",
    "/media/0/picture?time=nan",
    "/media/0/picture?time=-1",
]
TRAVERSALS += ["/media/0/picture", "/rows/99", "/rows/-1", "/rows/x", "/docs", "/openapi.json"]


@pytest.mark.parametrize("path", TRAVERSALS)
def test_no_part_of_an_address_is_a_file_path(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code in (404, 422)
    assert "import" not in answer.text
    assert "root:" not in answer.text


def test_files_outside_the_folder_of_the_videos_are_never_sent(tmp_path: Path, media: Path) -> None:
    (tmp_path / "secret.mp4").write_bytes(b"secret")
    (tmp_path / "secret.txt").write_bytes(b"secret")
    inner = tmp_path / "videos"
    inner.mkdir()
    (inner / "notes.txt").write_bytes(b"secret")
    names = ["../secret.mp4", str(tmp_path / "secret.mp4"), "notes.txt", "../secret.txt"]
    results = results_of(tmp_path / "results", [row(name, 0) for name in names], root=inner)
    with open_log(results.source) as log, open_pictures(results, workers=1) as pictures:
        client = client_of(results, ReviewSession(results, log), pictures)
        client.get("/?token=the-token")
        for number in range(len(names)):
            for path in (f"/media/{number}", f"/media/{number}/picture?time=0"):
                answer = client.get(path)
                assert answer.status_code == 404
                assert "secret" not in answer.text.replace("secret.", "")


def test_names_are_shown_as_text(client: TestClient) -> None:
    for path in ("/", "/rows", "/rows/9"):
        page = client.get(path).text
        assert "<img src=x" not in page
        assert "<script>document" not in page
    assert "&lt;img src=x onerror=document.title=&#39;run&#39;&gt;.asf" in client.get("/").text
    assert decide(client, kind="accept", row=9)[1].count("<img src=x") == 0


def test_a_picture_shows_the_requested_second(client: TestClient, results: Results) -> None:
    for name in (AVI, MP4, ODD_NAME):
        number = results.number_of[name]
        answer = client.get(f"/media/{number}/picture?time=2")
        assert answer.headers["content-type"] == "image/jpeg"
        pixels = np.asarray(Image.open(io.BytesIO(answer.content)))
        assert number_in(pixels) == 20, name
    answer = client.get(f"/media/{results.number_of[MP4]}/picture?time=3")
    assert (answer.status_code, answer.text) == (404, "the video ends at 3.00 s\n")


def test_videos_are_sent_in_byte_ranges(client: TestClient, results: Results, media: Path) -> None:
    number = results.number_of[MP4]
    answer = client.get(f"/media/{number}", headers={"range": "bytes=10-19"})
    assert (answer.status_code, answer.headers["content-type"]) == (206, "video/mp4")
    assert answer.content == (media / MP4).read_bytes()[10:20]
    assert client.get(f"/media/{results.number_of[AVI]}").status_code == 404, "browsers don't play AVI"


def test_a_decision_from_an_outdated_page_is_a_conflict_that_shows_the_current_row(
    client: TestClient, results: Results
) -> None:
    assert decide(client, kind="distance", row=0, distance_m=4.25)[0] == 200
    status, page = decide(client, kind="distance", row=0, base=0, distance_m=9.0)
    assert status == 409
    assert "another tab has made a decision" in page
    assert "4.2 m" in page
    assert n_decisions(results) == 1


def test_a_doubtful_distance_is_saved_only_if_confirmed(client: TestClient, results: Results) -> None:
    status, text = decide(client, kind="distance", row=0, distance_m=42)
    assert (status, text) == (
        428,
        "42 m is far above the measured 4.5 to 5.5 m: press Enter again if it is right, or correct it",
    )
    assert decide(client, kind="distance", row=0, distance_m=420, confirmed=True)[0] == 422
    assert n_decisions(results) == 0
    assert decide(client, kind="distance", row=0, distance_m=42, confirmed=True)[0] == 200
    assert n_decisions(results) == 1


@pytest.mark.parametrize(
    "request_fields",
    [
        {},
        {"kind": "destroy", "row": 0},
        {"kind": "accept", "row": "x"},
        {"kind": "accept", "row": 0, "path": "/etc/passwd"},
        {"kind": "distance", "row": 0},
        {"kind": "distance", "row": 0, "distance_m": -1},
        {"kind": "distance", "row": 0, "distance_m": 1e9},
        {"kind": "distance", "row": 2, "distance_m": 3},
        {"kind": "box", "row": 0, "xyxy": [0.5, 0.5, 0.4, 0.6]},
        {"kind": "box", "row": 0, "xyxy": [0.1, 0.2, 0.3]},
        {"kind": "undo", "row": 0},
    ],
)
def test_invalid_decisions_are_refused_and_not_saved(
    client: TestClient, results: Results, request_fields: dict
) -> None:
    status, _ = decide(client, **request_fields)
    assert status == 422
    assert n_decisions(results) == 0


@pytest.mark.parametrize("row_number", [-1, 99, 10**12])
def test_a_decision_about_a_missing_row_is_a_conflict(client: TestClient, results: Results, row_number: int) -> None:
    assert decide(client, kind="accept", row=row_number)[0] == 409
    assert n_decisions(results) == 0


def listed(page: str) -> list[int]:
    return [int(number) for number in re.findall(r'<li id="row-(\d+)"', page)]


def test_the_list_is_filtered(client: TestClient, results: Results) -> None:
    assert listed(client.get("/rows").text) == [5, 1, 4, 3, 0, 8, 9, 7, 2, 6]
    site = results.sites.index("S02")
    assert listed(client.get(f"/rows?site={site}&status=measured").text) == [5, 4, 3]
    assert listed(client.get("/rows?low=5,5&high=7.5&decided=").text) == [1, 8, 9]
    decide(client, kind="accept", row=5)
    assert 5 not in listed(client.get("/rows?decided=no").text)
    assert listed(client.get("/rows?decided=yes").text) == [5]
    assert "No row matches this filter" in client.get("/rows?low=500").text
    assert ODD_SITE not in client.get("/rows").text
    for wrong in ("low=near", "site=77", "site=-1", "site=0.5", "status=odd", "offset=-1", "low=nan"):
        answer = client.get(f"/rows?{wrong}")
        assert (answer.status_code, answer.text[:3]) == (422, "<li")
        assert client.get(f"/?{wrong}").status_code in (200, 422)


def test_a_long_list_is_sent_in_parts(tmp_path: Path) -> None:
    results = results_of(tmp_path / "long", [row("a.mp4", second) for second in range(250)])
    with open_log(results.source) as log, open_pictures(results, workers=1) as pictures:
        client = client_of(results, ReviewSession(results, log), pictures)
        client.get("/?token=the-token")
        numbers, address = [], "/rows?status=measured"
        while address:
            page = client.get(address).text
            numbers += listed(page)
            more = re.search(r'hx-get="(/rows\?[^"]+)"', page)
            address = more[1].replace("&amp;", "&") if more else ""
        assert numbers == list(range(250))
        assert "no run.json says where the videos are" in client.get("/media/0/picture?time=0").text


def test_without_the_extra_the_command_says_what_to_install(
    results: Results, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("trapmeter.errors.find_spec", lambda _: None)
    assert inside("review", results.source.parent) == 2
    assert "pip install 'trapmeter[review]'" in capsys.readouterr().err


def test_both_forms_of_the_command_refuse_wrong_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["review", tmp_path], ["review", "serve", tmp_path], ["review", "--no-open", tmp_path]):
        assert inside(*arguments) == 2
        assert "distances.csv does not exist" in capsys.readouterr().err
    results = results_of(tmp_path / "results")
    assert inside("review", results.source, "--videos", tmp_path / "nowhere") == 2
    assert "--videos" in capsys.readouterr().err
    assert not results.source.with_name(REVIEW_LOG).exists()
