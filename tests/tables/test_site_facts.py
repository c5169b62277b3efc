"""Tables of reference points, cameras, and seconds to label."""

from pathlib import Path

import pytest

from trapmeter.errors import InputError
from trapmeter.records import Box, Observation
from trapmeter.tables.cameras import read_cameras
from trapmeter.tables.reference_points import read_reference_points
from trapmeter.tables.truth import read_labelled_rows, write_seconds_to_label


def write(folder: Path, text: str) -> Path:
    path = folder / "table.csv"
    path.write_text(text)
    return path


def test_points_in_fractions_and_in_pixels(tmp_path: Path) -> None:
    plain = "site_id,x,y,distance_m\nS1,0.5,0.9,2\nS1,0.25,0.5,8\n"
    pixels = "site_id,x,y,width,height,distance_m\nS1,960,972,1920,1080,2\nS1,480,540,1920,1080,8\n"
    assert read_reference_points(write(tmp_path, plain)) == read_reference_points(write(tmp_path, pixels))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("S1,0.5,0.9,2\n", "site S1 has 1 reference point"),
        ("S1,0.5,0.9,2\nS1,0.1,0.901,4\n", "all on one row"),
        ("S1,960,0.9,2\n", r"line 2, column 'x'.*'width' beside pixels"),
        ("S1,0.5,0.9,0\n", "metres > 0"),
        ("S1,0.5,,2\n", "line 2, column 'y'"),
    ],
)
def test_bad_points_are_told(tmp_path: Path, rows: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_reference_points(write(tmp_path, f"site_id,x,y,distance_m\n{rows}"))


def test_pixels_outside_the_picture_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="pixels of 0 to 640"):
        read_reference_points(write(tmp_path, "site_id,x,y,width,height,distance_m\nS1,700,100,640,360,2\n"))


def test_a_focal_length_is_a_field_of_view(tmp_path: Path) -> None:
    cameras = read_cameras(write(tmp_path, "site_id,focal_35mm\nS1,36\nS2,50\n"))
    assert cameras["S1"].hfov_deg == pytest.approx(53.13, abs=0.01)
    assert cameras["S2"].hfov_deg == pytest.approx(39.6, abs=0.01)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("S1,200,,,\n", "5 to 170 degrees"),
        ("S1,40,36,,\n", "mean the same"),
        ("S1,40,,1.2,\n", "column 'pitch_deg'.*only together"),
        ("S1,,,1.2,-5\n", "column 'hfov_deg'.*without which"),
        ("S1,,,,\n", "tells nothing of this camera"),
        ("S1,40,,,\nS1,40,,,\n", "lines 2 and 3: site S1 stands twice"),
    ],
)
def test_bad_cameras_are_told(tmp_path: Path, rows: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_cameras(write(tmp_path, f"site_id,hfov_deg,focal_35mm,height_m,pitch_deg\n{rows}"))


def test_picks_are_read_back_once_filled(tmp_path: Path) -> None:
    path = tmp_path / "to-label.csv"
    seen = [Observation(name, 3.5, Box(0.1, 0.2, 0.3, 0.4, 0.9), 2, "=S1") for name in ("a.mp4", "=b.mp4")]
    write_seconds_to_label(path, seen)
    with pytest.raises(InputError, match=r"no row has a distance_m"):
        read_labelled_rows(path)
    assert "\n'=S1,'=b.mp4" in path.read_text()
    head, first, second = path.read_text().splitlines()
    path.write_text(f"{head}\n{first}\n{second}4.5\n")
    (row,) = read_labelled_rows(path)
    assert (row.truth.video_id, row.truth.time_s, row.truth.distance_m) == ("=b.mp4", 3.5, 4.5)
    assert row.where == f"{path}, line 3"
    assert row.truth.box is not None
    assert row.truth.box.xyxy == (0.1, 0.2, 0.3, 0.4)


def test_a_second_labelled_twice_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"lines 2 and 3: a.mp4 at 1 s is labelled twice"):
        read_labelled_rows(write(tmp_path, "video_id,time,distance\na.mp4,1,4\na.mp4,1,5\n"))
