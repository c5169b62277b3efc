"""The page without a server: its content, and the table it writes in a real browser."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import MakeClip
from trapmeter.errors import InputError
from trapmeter.marking.photographs import Photograph, find_photographs
from trapmeter.marking.static_page import write_static_page
from trapmeter.tables.reference_marks import COLUMNS, UprightKind, read_reference_marks

CLICKS = """
const pick = (kind) => { document.querySelector(`[value=${kind}]`).checked = true; };
const at = (i, x, y) => {
  const picture = document.querySelectorAll(".picture")[i], edge = picture.getBoundingClientRect();
  picture.dispatchEvent(new MouseEvent("click",
    { bubbles: true, clientX: edge.left + x * edge.width, clientY: edge.top + y * edge.height }));
};
const type = (name, value) => {
  const field = rows.lastElementChild.querySelector(`.${name}`);
  field.value = value;
  field.dispatchEvent(new Event("input"));
};
at(0, 0.25, 0.9); type("distance", "3");
at(1, 0.75, 0.6); type("distance", "7,5");
at(0, 0.5, 0.7); type("distance", "1");
rows.children[2].querySelector("button").click();
pick("pole"); at(0, 0.4, 0.8); at(0, 0.4, 0.3); type("high", "1,2");
pick("person"); at(1, 0.6, 0.4); at(1, 0.6, 0.7); type("distance", "6");
document.title = "save " + save.disabled;
pick("ground"); at(0, 0.5, 0.5); type("distance", "oops");
document.title += " " + save.disabled;
type("distance", "420");
document.title += " " + save.disabled;
rows.lastElementChild.querySelector("button").click();
pick("pole"); at(1, 0.1, 0.9);
document.title += " " + save.disabled;
rows.lastElementChild.querySelector("button").click();
document.title += " " + save.disabled;
"""


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "<b>pole.png"
    Image.fromarray(np.full((360, 640, 3), 90, np.uint8)).save(path)
    return path


@pytest.mark.slow
def test_clicks_become_the_table_that_calibrate_reads(make_clip: MakeClip, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no chromium on this machine")
    page = tmp_path / "points.html"
    dates = (datetime(2024, 5, 1), datetime(2024, 6, 1, 12))
    clip = make_clip("setup.mp4", n=25, rate=10)
    assert write_static_page(find_photographs([clip], "S,1", (0.0, 1.0), dates), page) == 2
    text = page.read_text()
    # A second script clicks after the page's own script, which ran only if its checksum is right.
    digest = re.search("'(sha256-[^']+)'", text)
    assert digest is not None
    driven = text.replace(digest[0], f"{digest[0]} 'nonce-test'")
    page.write_text(driven.replace("</body>", f'<script nonce="test">{CLICKS}</script></body>'))
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    done = subprocess.run(
        [*command, "--window-size=1000,900", "--dump-dom", page.as_uri()],
        capture_output=True,
        text=True,
        check=True,
        timeout=1200,
    )
    assert "<title>save false true true true false</title>" in done.stdout
    found = re.search('<pre id="csv">(.*?)</pre>', done.stdout, flags=re.DOTALL)
    assert found is not None
    table = tmp_path / "points.csv"
    table.write_text(html.unescape(found[1]))
    assert table.read_text().splitlines()[0] == ",".join(COLUMNS)
    (deployment,) = read_reference_marks(table)
    assert (deployment.site_id, deployment.start, deployment.end) == ("S,1", *dates)
    assert deployment.photos == ("setup.mp4#t=0", "setup.mp4#t=1")
    near, far, pole, person = deployment.uprights
    assert (near.lowest.x, near.lowest.y, near.distance_m) == pytest.approx((0.25, 0.9, 3.0), abs=0.003)
    assert (far.lowest.x, far.lowest.y, far.distance_m) == pytest.approx((0.75, 0.6, 7.5), abs=0.003)
    assert (pole.kind, pole.distance_m, pole.highest.height_m) == (UprightKind.POLE, None, 1.2)
    assert (person.kind, person.distance_m, person.highest.height_m) == (UprightKind.PERSON, 6.0, 1.75)
    assert person.lowest.y == pytest.approx(0.7, abs=0.003)


def test_names_are_shown_as_text(photo: Path, tmp_path: Path) -> None:
    page = tmp_path / "points.html"
    write_static_page(find_photographs([photo], '"><script>alert(1)</script>'), page)
    text = page.read_text()
    assert text.count("<script") == 1
    assert "<b>pole" not in text


def test_a_damaged_photo_stays_as_a_reason_and_alone_is_refused(photo: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"bad")
    page = tmp_path / "points.html"
    assert write_static_page(find_photographs([photo, tmp_path / "bad.jpg"], "S1"), page) == 1
    assert "not a picture that can be read" in page.read_text()
    page.unlink()
    with pytest.raises(InputError, match=r"bad.jpg, site S1: not a picture"):
        write_static_page(find_photographs([tmp_path / "bad.jpg"], "S1"), page)
    assert not page.exists()


def test_too_many_pictures_are_refused(photo: Path, tmp_path: Path) -> None:
    (one,) = find_photographs([photo], "S1")
    many: list[Photograph] = [one] * 201
    with pytest.raises(InputError, match="at most 200 pictures, got 201"):
        write_static_page(many, tmp_path / "points.html")
