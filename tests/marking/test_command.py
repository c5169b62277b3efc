"""`trapmeter points` as a user meets it: what it refuses, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from terminal import inside
from trapmeter.marking.run import PointsSettings

pytest.importorskip("fastapi", reason="needs pip install 'trapmeter[review]'")

if TYPE_CHECKING:
    from marking.conftest import Server


def test_the_table_is_in_the_folder_of_the_photographs(setup: Path, tmp_path: Path) -> None:
    photo = next(setup.rglob("*.jpg"))
    assert PointsSettings((setup,), "folder:1").table == setup / "points.csv"
    assert PointsSettings((photo,), "S01").table == photo.parent / "points.csv"
    assert PointsSettings((setup,), "folder:1", tmp_path / "other.csv").table == tmp_path / "other.csv"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("not a table", "expected the columns site_id, x, y, distance_m"),
        ("site_id,x,y,distance_m\nS01,0.5,0.5,far\n", "line 2, column 'distance_m'"),
        ("site_id,x,y,distance_m,object\nS01,0.5,0.5,,pole 1\n", "line 2: expected a distance, or two marks"),
        (
            "site_id,x,y,distance_m,object,mark_height_m\nS01,0.5,0.5,,p,0\nS01,0.5,0.7,,p,1\n",
            "as if the pole stood upside down",
        ),
    ],
)
def test_a_broken_table_is_refused_and_left_alone(
    setup: Path, table: Path, capsys: pytest.CaptureFixture[str], content: str, message: str
) -> None:
    table.write_text(content)
    assert inside("points", setup, "--site", "folder:1", "--out", table, "--no-open") == 2
    assert message in capsys.readouterr().err
    assert table.read_text() == content


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--site", ""], "--site needs the name"),
        (["--site", "folder:5"], "gives none of the 4 photographs a site"),
        (["--site", "S1", "--start", "soon"], "--start: expected a date"),
        (["--site", "S1", "--start", "2024-06-01", "--end", "2024-05-01"], "an end after the start"),
        (["--site", "S1", "--time", "-1"], "--time takes seconds of 0 or more"),
        (["--site", "S1", "--out", "points.html"], "for a page give --page points.html"),
        (["--site", "S1", "--hfov", "200"], "--hfov: expected at least 5"),
        (["--site", "S1", "--cameras", "nowhere.csv"], "nowhere.csv does not exist"),
    ],
)
def test_wrong_options_are_refused(
    setup: Path, table: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert inside("points", setup, "--out", table, *arguments, "--no-open") == 2
    assert message in capsys.readouterr().err
    assert not table.exists()


def test_photos_that_cant_be_marked_are_refused(
    tmp_path: Path, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cards").mkdir()
    assert inside("points", tmp_path / "cards", "--site", "S1", "--out", table) == 2
    assert "no video or photo found" in capsys.readouterr().err
    (tmp_path / "cards/bad.jpg").write_bytes(b"bad")
    assert inside("points", tmp_path / "cards", "--site", "S1", "--out", table) == 2
    assert "none of the 1 photographs can be marked; bad.jpg: not a picture" in capsys.readouterr().err


@pytest.mark.slow
def test_two_commands_on_one_table_are_refused(
    setup: Path, table: Path, serve: Callable[..., Server], capsys: pytest.CaptureFixture[str]
) -> None:
    server = serve(setup, "--site", "folder:1", "--out", table)
    assert inside("points", setup, "--site", "folder:1", "--out", table, "--no-open") == 2
    assert "another run is writing there" in capsys.readouterr().err
    assert server.stop() == 0
