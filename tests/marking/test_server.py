"""The responses of the server, and who gets them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import MakeClip, number_in
from marking_world import CAMERA, POLES_M, draw_photo
from terminal import inside
from trapmeter.marking.photographs import Photograph, find_photographs

pytest.importorskip("fastapi", reason="needs pip install 'trapmeter[review]'")
pytest.importorskip("httpx", reason="starlette's test client needs httpx")

from starlette.testclient import TestClient

from trapmeter.marking.fits import QUICK_UPRIGHTS, Cameras, Grounds
from trapmeter.marking.server import make_app, medium_finder
from trapmeter.marking.session import open_session
from trapmeter.tables.cameras import CameraSetup
from trapmeter.tables.reference_marks import read_reference_marks
from trapmeter.web.auth import AuthMiddleware
from trapmeter.web.pictures import Pictures

HERE = "http://127.0.0.1:4321"


def clients(photographs: list[Photograph], table: Path, cameras: Cameras | None = None) -> Iterator[TestClient]:
    with (
        open_session(table, photographs) as session,
        Pictures(medium_finder(session.photographs), workers=1) as pictures,
    ):
        app = make_app(session, Grounds(session, cameras or Cameras({}, None)), pictures)
        yield TestClient(AuthMiddleware(app, "the-token", 4321), base_url=HERE, follow_redirects=False)


@pytest.fixture
def stranger(photographs: list[Photograph], table: Path) -> Iterator[TestClient]:
    """A client without the token."""
    yield from clients(photographs, table)


@pytest.fixture
def client(stranger: TestClient) -> TestClient:
    """A client with the token."""
    assert stranger.get("/?token=the-token").status_code == 200
    return stranger


def put(client: TestClient, number: int = 0, base: int = 1, distance: str = "3", **changes: object) -> tuple[int, dict]:
    request = {"photograph": number, "base": base, "kind": "ground", "distance": distance}
    request |= {"marks": [{"x": 0.5, "y": 0.75}], **changes}
    answer = client.post("/objects", json=request, headers={"origin": HERE})
    return answer.status_code, answer.json()


@pytest.mark.parametrize(
    "path", ["/", "/?token=wrong", "/photographs", "/photographs/0", "/photographs/0/picture", "/static/marking.js"]
)
def test_without_the_token_nothing_is_shown(stranger: TestClient, table: Path, path: str) -> None:
    answer = stranger.get(path)
    assert answer.status_code == 403
    assert "S01" not in answer.text
    assert stranger.post("/undo", json={}, headers={"origin": HERE}).status_code == 403
    assert not table.exists()


@pytest.mark.parametrize("origin", [None, "null", "http://evil.example", "http://127.0.0.1:9"])
def test_changes_from_another_page_are_refused(client: TestClient, table: Path, origin: str | None) -> None:
    request = {"photograph": 0, "base": 1, "kind": "ground", "distance": "3", "marks": [{"x": 0.5, "y": 0.5}]}
    answer = client.post("/objects", json=request, headers={} if origin is None else {"origin": origin})
    assert answer.status_code == 403
    assert not table.exists()


@pytest.mark.parametrize(
    "path",
    [
        *("/static/../server.py", "/static/..%2fserver.py", "/static/%2e%2e/server.py", "/static/page.html"),
        *("/photographs/9", "/photographs/-1/picture", "/photographs/x", "/photographs/..%2f..%2fetc%2fpasswd/picture"),
        *("/photographs/2/ground", "/docs", "/openapi.json"),
    ],
)
def test_no_part_of_an_address_is_a_file_path(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code in (404, 422)
    assert "import" not in answer.text
    assert "root:" not in answer.text


def test_the_policy_allows_no_inline_scripts(client: TestClient) -> None:
    page = client.get("/")
    assert "unsafe" not in page.headers["content-security-policy"]
    assert page.text.count("<script") == 2
    assert "<style" not in page.text


def test_names_are_shown_as_text(tmp_path: Path) -> None:
    odd = "<img src=x onerror=alert(1)>"
    draw_photo(tmp_path / f"{odd}.png")
    for client in clients(find_photographs([tmp_path], odd), tmp_path / "points.csv"):
        client.get("/?token=the-token")
        page = client.get("/").text
        assert odd not in page
        assert "&lt;img src=x" in page


def test_a_picture_shows_the_requested_second(make_clip: MakeClip, table: Path) -> None:
    found = find_photographs([make_clip("walk.mp4", n=30, rate=10, size=(320, 192))], "S1", (1.0, 2.0))
    for client in clients(found, table):
        client.get("/?token=the-token")
        answer = client.get("/photographs/1/picture")
        assert answer.headers["content-type"] == "image/jpeg"
        assert number_in(np.asarray(Image.open(io.BytesIO(answer.content)))) == 20


def test_a_damaged_photo_is_a_reason(client: TestClient) -> None:
    assert "not a picture" in client.get("/photographs/2/picture").text
    status, answer = put(client, 2)
    assert (status, answer["field"]) == (422, "")
    assert "this photograph can't be marked: not a picture" in answer["message"]
    assert "can't be marked" in client.get("/photographs").text


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"distance": ""}, "distance", "type the distance"),
        ({"distance": "nan"}, "distance", "is not a number"),
        ({"distance": "1_0"}, "distance", "is not a number"),
        ({"distance": "-3"}, "distance", "more than 0 m"),
        ({"distance": "201"}, "distance", "probably 20.1"),
        ({"marks": [{"x": 0.5, "y": 9}]}, "", "beside it, got 0.5, 9"),
        ({"kind": "pole", "marks": [{"x": 0.5, "y": 0.8, "height": "11"}]}, "height-0", "0 to 10 m above"),
        (
            {"kind": "pole", "marks": [{"x": 0.5, "y": 0.8}, {"x": 0.5, "y": 0.4, "height": "0,0"}]},
            "height-1",
            "same height, 0 m",
        ),
        (
            {"kind": "pole", "marks": [{"x": 0.5, "y": 0.4}, {"x": 0.5, "y": 0.8, "height": "1,5"}]},
            "height-0",
            "upside down",
        ),
        (
            {"kind": "pole", "marks": [{"x": 0.1, "y": 0.5}, {"x": 0.9, "y": 0.4, "height": "1,5"}]},
            "",
            "side by side",
        ),
        ({"kind": "person", "distance": "", "marks": [{"x": 0.5, "y": 0.8}]}, "distance", "a second height"),
    ],
)
def test_impossible_marks_are_explained_and_not_saved(
    client: TestClient, table: Path, changes: dict, field: str, message: str
) -> None:
    status, answer = put(client, **changes)
    assert (status, answer["field"]) == (422, field)
    assert message in answer["message"]
    assert answer["version"] == 1
    assert not table.exists()


@pytest.mark.parametrize(
    "changes", [{"kind": "tree"}, {"marks": []}, {"extra": 1}, {"base": "x"}, {"marks": [{"x": "a", "y": 0}]}]
)
def test_other_requests_are_refused(client: TestClient, table: Path, changes: dict) -> None:
    assert put(client, **changes)[0] == 422
    assert not table.exists()


@pytest.mark.parametrize("typed", ["8,5", " 8.5 ", "8.5 m", "8.5m", "08.50"])
def test_metres_are_accepted_as_people_write_them(client: TestClient, table: Path, typed: str) -> None:
    status, answer = put(client, distance=typed)
    assert (status, answer["message"], answer["objects"][0]["distance"]) == (200, "", 8.5)
    assert read_reference_marks(table, allows_few=True)[0].uprights[0].distance_m == 8.5


def test_the_ground_is_fitted_after_each_change(client: TestClient) -> None:
    base = 1
    for metres, bearing in POLES_M:
        x, y = CAMERA.place(metres, bearing)
        ground = client.get("/photographs/0/ground").json()
        assert ground["isFitted"] is (base > 2)
        status, answer = put(client, 0, base, f"{metres}", marks=[{"x": x, "y": y}])
        assert status == 200
        base = answer["version"]
    ground = client.get("/photographs/0/ground").json()
    assert ground["version"] == base
    assert {"3", "5", "10"} <= set(ground["lines"])
    assert len(ground["checks"]) == len(POLES_M)
    # Another photograph of the site has the same lines, one of another site has none.
    assert client.get("/photographs/1/ground").json()["lines"] == ground["lines"]
    assert client.get("/photographs/3/ground").json()["lines"] == {}


def test_at_a_site_with_many_marks_the_lines_come_first(client: TestClient, table: Path) -> None:
    places = [(2.5 + 0.5 * (i % 20), (7 * i) % 20 - 10.0) for i in range(QUICK_UPRIGHTS + 1)]
    for base, (metres, bearing) in enumerate(places, 1):
        x, y = CAMERA.place(metres, bearing)
        put(client, 0, base, f"{metres}", marks=[{"x": x, "y": y}])
    first = client.get("/photographs/0/ground").json()
    assert (first["isFitted"], first["hasAll"], first["checks"]) == (True, False, {})
    assert first["lines"]
    full = client.get("/photographs/0/ground?checks=true").json()
    assert (full["hasAll"], len(full["checks"])) == (True, len(places))
    assert client.get("/photographs/0/ground").json() == full


def test_photographs_of_different_shapes_are_noted(tmp_path: Path, table: Path) -> None:
    Image.new("RGB", (640, 360)).save(tmp_path / "a.png")
    Image.new("RGB", (640, 480)).save(tmp_path / "b.png")
    for client in clients(find_photographs([tmp_path], "S1"), table):
        client.get("/?token=the-token")
        put(client, 0, 1)
        put(client, 0, 2, "9", marks=[{"x": 0.5, "y": 0.5}])
        assert "different shapes" not in client.get("/photographs/0/ground").json()["message"]
        assert "different shapes" in client.get("/photographs/1/ground").json()["message"]


def test_heights_are_remembered_and_undo_names_its_photograph(client: TestClient) -> None:
    assert client.get("/photographs/0").json()["heights"] == {"pole": [0.0, 1.5], "person": [0.0, 1.75]}
    marks = [{"x": 0.5, "y": 0.8, "height": "0,2"}, {"x": 0.5, "y": 0.4, "height": "1.2"}]
    put(client, 1, 1, "", kind="pole", marks=marks)
    assert client.get("/photographs/0").json()["heights"]["pole"] == [0.2, 1.2]
    answer = client.post("/undo", json={"photograph": 0, "base": 2}, headers={"origin": HERE}).json()
    assert (answer["photograph"], answer["objects"], answer["undo"]) == (1, [], "")


def test_stated_cameras_are_where_the_fit_starts(photographs: list[Photograph]) -> None:
    cameras = Cameras({"S01": CameraSetup(hfov_deg=30.0)}, 60.0)
    first, other = cameras.prior(photographs[0]), cameras.prior(photographs[3])
    assert np.degrees(2 * np.arctan(np.exp([first.mean[0], other.mean[0]]))) == pytest.approx([30, 60])
    assert first.aspect_ratio == pytest.approx(640 / 360)


def test_without_the_extra_the_command_says_what_to_install(
    setup: Path, table: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("trapmeter.errors.find_spec", lambda _: None)
    assert inside("points", setup, "--site", "folder:1", "--out", table) == 2
    assert "pip install 'trapmeter[review]'" in capsys.readouterr().err
    # The static page needs nothing.
    page = table.with_suffix(".html")
    assert inside("points", setup / "S01", "--site", "S01", "--page", page) == 0
    assert page.stat().st_size > 10_000
