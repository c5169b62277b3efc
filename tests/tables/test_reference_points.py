import pytest

from trapmeter.errors import InputError
from trapmeter.tables.reference_points import read_reference_points


def test_points_in_fractions_and_in_pixels_are_the_same(write):
    plain = "site_id,x,y,distance_m\nS1,0.5,0.9,2\nS1,0.25,0.5,8\n"
    pixels = "site_id,x,y,width,height,distance_m\nS1,960,972,1920,1080,2\nS1,480,540,1920,1080,8\n"
    assert read_reference_points(write(plain, "plain.csv")) == read_reference_points(write(pixels, "pixels.csv"))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("S1,0.5,0.9,2\n", "site S1 has 1 reference point"),
        ("S1,0.5,0.9,2\nS1,0.1,0.901,4\n", "all on one row"),
        ("S1,960,0.9,2\n", r"line 2, column 'x'.*'width' beside pixels"),
        ("S1,0.5,0.9,0\n", "metres > 0"),
        (
            "S1,0.5,0.9,2\nS1,0.5,0.5,1500\n",
            r"line 3, column 'distance_m'.*probably 150\.0 with .* or 15\.00, if it is in cent",
        ),
        ("S1,0.5,,2\n", "line 2, column 'y'"),
    ],
)
def test_bad_points_are_refused(write, rows, message):
    with pytest.raises(InputError, match=message):
        read_reference_points(write(f"site_id,x,y,distance_m\n{rows}"))


def test_pixels_outside_the_picture_are_refused(write):
    with pytest.raises(InputError, match="pixels of 0 to 640"):
        read_reference_points(write("site_id,x,y,width,height,distance_m\nS1,700,100,640,360,2\n"))
