import pytest

from trapmeter.errors import InputError
from trapmeter.tables.cameras import read_cameras


def test_a_focal_length_gives_the_field_of_view(write):
    cameras = read_cameras(write("site_id,focal_35mm\nS1,36\nS2,50\n"))
    assert cameras["S1"].hfov_deg == pytest.approx(53.13, abs=0.01)
    assert cameras["S2"].hfov_deg == pytest.approx(39.6, abs=0.01)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("S1,200,,,\n", "5 to 170 degrees"),
        ("S1,40,36,,\n", "mean the same"),
        ("S1,40,,1.2,\n", "column 'pitch_deg'.*only together"),
        ("S1,,,1.2,-5\n", "column 'hfov_deg'.*of no use without it"),
        ("S1,,,,\n", "says nothing about its camera"),
        ("S1,40,,,\nS1,40,,,\n", "lines 2 and 3: site S1 appears twice"),
    ],
)
def test_bad_cameras_are_refused(write, rows, message):
    with pytest.raises(InputError, match=message):
        read_cameras(write(f"site_id,hfov_deg,focal_35mm,height_m,pitch_deg\n{rows}"))
