"""Lines of equal distance in the pictures of reports, and the page of the seconds to label."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fitted_world import LEVEL, fit_of, fitted, write_cameras
from report.conftest import make_row, make_run
from report.pages import Page
from terminal import call
from trapmeter.camera.distance_lines import distance_lines
from trapmeter.camera.medium_cameras import MediumCameras
from trapmeter.report.annotations import GROUND_LINE, draw_animals
from trapmeter.report.label_page import write_label_page
from trapmeter.report.run_report import render_report, write_report
from trapmeter.tables.distances import write_distances

GREY = np.full((288, 480, 3), 128, np.uint8)
SENTENCE = "lines show where the ground is at round distances"


def green(image: np.ndarray) -> np.ndarray:
    """Where a picture has about the colour of the lines, even after JPEG."""
    return np.abs(image.astype(int) - GROUND_LINE).max(axis=2) < 60


def pictures_of(page: str) -> list[np.ndarray]:
    found = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(jpeg)))) for jpeg in found]


def test_lines_are_drawn_where_the_camera_shows_the_distance() -> None:
    lines = distance_lines(fit_of())
    image = np.asarray(draw_animals(GREY, [], lines))
    for metres in (4.0, 10.0):
        x, y = LEVEL.place(metres, 0.0)
        row, column = round(y * 288), round(x * 480)
        assert green(image[row - 2 : row + 3, column - 2 : column + 3]).any()
    assert not green(image[: round(LEVEL.place(40.0, 0.0)[1] * 288) - 15]).any(), "nothing lies above the horizon"


def test_boxes_and_labels_are_drawn_over_the_lines() -> None:
    lines, animals = distance_lines(fit_of()), [make_row(4.2, xyxy=(0.25, 0.4, 0.75, 0.95))]
    image = np.asarray(draw_animals(GREY, animals, lines))
    without = np.asarray(draw_animals(GREY, animals))
    label = (without == (20, 20, 20)).all(axis=2)
    assert (image[label] == without[label]).all()


def test_labels_of_animals_can_be_left_out() -> None:
    image = np.asarray(draw_animals(GREY, [make_row(4.2, xyxy=(0.25, 0.5, 0.75, 0.75))], has_labels=False))
    assert not (image == (20, 20, 20)).all(axis=2).any()
    assert tuple(image[144, 120]) == (255, 214, 10)


@pytest.fixture
def wide(tmp_path: Path) -> Path:
    """A folder with a.jpg, b.jpg and c.jpg in the format of the fitted camera, c.jpg in another one."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a", "b"):
        Image.fromarray(np.full((192, 320, 3), 128, np.uint8)).save(folder / f"{name}.jpg")
    Image.fromarray(np.full((240, 320, 3), 128, np.uint8)).save(folder / "c.jpg")
    return folder


def test_the_pictures_of_a_report_have_lines_where_the_camera_is_known(wide: Path) -> None:
    rows = [
        make_row(3.0, "a.jpg", site_id="S01"),
        make_row(5.0, "b.jpg", site_id="S02"),
        make_row(7.0, "c.jpg", site_id="S01"),
    ]
    html = render_report(make_run(wide, rows), cameras=MediumCameras((fitted("S01"),)))
    assert SENTENCE in Page(html).text
    # The most doubtful first, which is the farthest: c.jpg has another format, and b.jpg a site without a fitted camera.
    assert [bool(green(picture).sum() > 100) for picture in pictures_of(html)] == [False, False, True]
    assert SENTENCE not in Page(render_report(make_run(wide, rows))).text
    several = MediumCameras((fitted("S01"), fitted("S01")))
    text = Page(render_report(make_run(wide, rows), cameras=several)).text
    assert "site S01 has 2 fitted cameras, and nothing says when a.jpg was recorded" in text


@pytest.fixture
def results(tmp_path: Path, wide: Path) -> Path:
    """A folder of results with rows of a.jpg (two animals), of b.jpg, and of a lost photo."""
    folder = tmp_path / "results"
    folder.mkdir()
    rows = [make_row(3.71, "a.jpg", site_id="S01"), make_row(9.13, "a.jpg", animal_id=2, site_id="S01")]
    rows += [make_row(5.17, "b.jpg", site_id="<b>S02"), make_row(6.29, "gone.jpg", site_id="S01")]
    write_distances(folder / "distances.csv", rows)
    (folder / "run.json").write_text(json.dumps({"root": str(wide)}))
    write_cameras(folder, fitted("S01"))
    return folder


@pytest.mark.parametrize("form", ["html", "pdf"])
def test_the_report_of_a_folder_reads_its_fitted_cameras(results: Path, form: str) -> None:
    if form == "pdf":
        pytest.importorskip("weasyprint", reason="needs pip install 'trapmeter[pdf]'", exc_type=ImportError)
    path = write_report(results, form=form)
    if form == "html":
        assert SENTENCE in Page(path.read_text()).text
        assert sum(green(picture).sum() > 100 for picture in pictures_of(path.read_text())) == 1
    else:
        assert path.read_bytes().startswith(b"%PDF")


def test_the_page_of_the_seconds_to_label_shows_each_animal_and_no_distance(results: Path, tmp_path: Path) -> None:
    from trapmeter.tables.distances import read_distances

    estimates = read_distances(results / "distances.csv")
    page = tmp_path / "to-label.html"
    assert write_label_page(results / "distances.csv", estimates, page) == 1
    html = page.read_text()
    text = Page(html).text
    for words in (
        "line 2",
        "line 3",
        "line 4",
        "line 5",
        "animal 2",
        "no picture: No such file or directory",
        SENTENCE,
    ):
        assert words in text
    for answer in ("3.7", "9.1", "5.2", "5.17", "6.3"):
        assert answer not in text
    assert "<b>S02" not in html
    assert "script" not in re.sub(r"base64,[^\"]+", "", html)
    with_lines = [bool(green(picture).sum() > 100) for picture in pictures_of(html)]
    assert with_lines == [True, True, False]
    assert max(pictures_of(html)[0].shape) == 800


def test_calibrate_pick_writes_table_and_page_and_says_how_to_go_on(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, output, _ = call(capsys, "calibrate", results, "--pick", 1, "--out", tmp_path / "labels")
    assert status == 0
    assert (tmp_path / "labels/to-label.html").exists()
    table = tmp_path / "labels/to-label.csv"
    assert f"trapmeter review {results / 'distances.csv'} --only {table} --blind" in output
    assert len(table.read_text().splitlines()) == 3
