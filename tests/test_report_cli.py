"""`trapmeter report`: the same bytes as the run's own report, plus known distances and locations given later."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from conftest import MakeClip
from report.pages import Page
from terminal import inside
from trapmeter.boxmodel.model import BoxModel
from trapmeter.demo.clips import CLIPS
from trapmeter.tables.distances import read_distances


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run over one of the demo's clips, which shows an animal."""
    out = tmp_path_factory.mktemp("run") / "results"
    site = out.parent / "sites.csv"
    site.write_text("media_id,site_id\nbmnq4208.mp4,S1\n")
    assert inside("predict", CLIPS / "bmnq4208.mp4", "--out", out, "--site", site, "--every", 4, "--jobs", 1) == 0
    return out


@pytest.mark.slow
def test_the_report_has_the_same_bytes_as_that_of_the_run(results: Path) -> None:
    first = (results / "report.html").read_bytes()
    (results / "report.html").unlink()
    assert inside("report", results, "--jobs", 1) == 0
    assert (results / "report.html").read_bytes() == first
    text = Page(first.decode()).text
    assert "By day and night" in text
    assert "Model cards" in text
    counts = BoxModel.load().card.trained_on
    assert f"{counts['rows']:,} rows, {counts['media']:,} media, {counts['sites']:,} sites" in text
    assert f"{counts['simulated_rows']:,} simulated rows" in text


def test_rows_know_that_it_was_day(results: Path) -> None:
    assert {estimate.observation.is_night for estimate in read_distances(results / "distances.csv")} == {False}


@pytest.mark.slow
def test_known_distances_and_locations_can_be_given_later(results: Path, tmp_path: Path) -> None:
    (tmp_path / "truth.csv").write_text("video_id,time,distance\nbmnq4208.mp4,0,5\nbmnq4208.mp4,4,5\n")
    (tmp_path / "places.csv").write_text("site_id,latitude,longitude\nS1,5.5,-7\n")
    calibrated = tmp_path / "calibrated"
    assert inside("calibrate", results, "--labels", tmp_path / "truth.csv", "--out", calibrated) == 0
    options = ["--truth", tmp_path / "truth.csv", "--places", tmp_path / "places.csv", "--jobs", 1]
    assert inside("report", calibrated, *options) == 0
    page = Page((calibrated / "report.html").read_text())
    assert "Comparison with known distances" in page.text
    assert "at 1 site by labels" in page.text
    assert "1 site. The larger the circle" in page.text
    assert page.all("img")


@pytest.mark.slow
def test_a_missing_table_is_announced(make_clip: MakeClip, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    places = tmp_path / "places.csv"
    places.write_text("site_id,latitude,longitude\nS1,5.5,-7\n")
    clip = make_clip("plain.mp4", n=10, rate=10)
    assert inside("predict", clip, "--out", tmp_path / "out", "--places", places, "--jobs", 1) == 0
    places.unlink()
    assert inside("report", tmp_path / "out", "--jobs", 1) == 0
    assert "places.csv: the run had this file, but it isn't there now" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--format", "doc"], 'Choose from: "html", "pdf"'),
        (["--media", "gone"], "is no folder"),
        (["--truth", "gone.csv"], "gone.csv"),
    ],
)
def test_wrong_options_are_refused(
    results: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert inside("report", results, *options) == 2
    assert message in capsys.readouterr().err


def test_pdf_says_what_to_install(
    results: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    assert inside("report", results, "--format", "pdf") == 2
    assert "trapmeter[pdf]" in capsys.readouterr().err


@pytest.mark.slow
def test_pdf_is_written(results: Path) -> None:
    try:
        import weasyprint  # noqa: F401
    except (ImportError, OSError) as error:
        pytest.skip(f"the extra pdf or the system's Pango is not installed: {error}")
    assert inside("report", results, "--format", "pdf", "--jobs", 1) == 0
    assert (results / "report.pdf").read_bytes().startswith(b"%PDF-")
