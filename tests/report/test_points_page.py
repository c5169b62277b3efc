"""The page on which you click reference points: its content, and the table it writes in a real browser."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import MakeClip
from trapmeter.errors import InputError
from trapmeter.report.points_page import write_points_page
from trapmeter.tables.metres import FARTHEST_KNOWN_M
from trapmeter.tables.reference_marks import read_reference_marks

CLICKS = """
for (const [i, [x, y, metres]] of [
  [0.25, 0.9, "3"], [0.75, 0.6, "7,5"], [0.5, 0.7, "1"], [0.5, 0.5, "oops"], [0.5, 0.4, "420"],
].entries()) {
  const picture = document.querySelectorAll(".picture")[i % 2], edge = picture.getBoundingClientRect();
  picture.dispatchEvent(new MouseEvent("click",
    { bubbles: true, clientX: edge.left + x * edge.width, clientY: edge.top + y * edge.height }));
  const field = rows.lastElementChild.querySelector("input");
  field.value = metres;
  field.dispatchEvent(new Event("input"));
}
rows.children[2].querySelector("button").click();
document.title = "save " + save.disabled;
for (const _ of [3, 4]) {
  rows.lastElementChild.querySelector("button").click();
  document.title += " " + save.disabled;
}
"""


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "<b>pole.png"
    Image.fromarray(np.full((360, 640, 3), 90, np.uint8)).save(path)
    return path


def test_clicks_become_the_table_that_calibrate_reads(make_clip: MakeClip, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no chromium on this machine")
    page = tmp_path / "points.html"
    assert write_points_page(make_clip("setup.mp4", n=25, rate=10), "S,1", (0.0, 1.0), page) == 2
    text = page.read_text()
    assert f"FARTHEST_M = {FARTHEST_KNOWN_M:g};" in text
    assert re.search("script-src 'sha256-[^']+'", text)
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
    assert "<title>save true true false</title>" in done.stdout
    found = re.search('<pre id="csv">(.*?)</pre>', done.stdout, flags=re.DOTALL)
    assert found is not None
    table = tmp_path / "points.csv"
    table.write_text(html.unescape(found[1]))
    (deployment,) = read_reference_marks(table)
    near, far = deployment.uprights
    assert deployment.site_id == "S,1"
    assert (near.lowest.x, near.lowest.y, near.distance_m) == pytest.approx((0.25, 0.9, 3.0), abs=0.003)
    assert (far.lowest.x, far.lowest.y, far.distance_m) == pytest.approx((0.75, 0.6, 7.5), abs=0.003)


def test_names_are_shown_as_text(photo: Path, tmp_path: Path) -> None:
    page = tmp_path / "points.html"
    write_points_page(photo, '"><script>alert(1)</script>', (0.0,), page)
    text = page.read_text()
    assert text.count("<script") == 1
    assert "<b>pole" not in text


@pytest.mark.parametrize(
    ("site", "times", "message"),
    [(" ", (0.0,), "--site needs"), ("S1", (-1.0,), "seconds of 0 or more"), ("S1", (5.0,), "no picture at 5 s")],
)
def test_impossible_pages_are_refused(
    photo: Path, tmp_path: Path, site: str, times: tuple[float, ...], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        write_points_page(photo, site, times, tmp_path / "points.html")
    assert not (tmp_path / "points.html").exists()


def test_a_damaged_photo_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"bad")
    with pytest.raises(InputError, match=r"bad.jpg: not a picture"):
        write_points_page(tmp_path / "bad.jpg", "S1", (0.0,), tmp_path / "points.html")
