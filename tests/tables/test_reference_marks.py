import pytest

from trapmeter.errors import InputError
from trapmeter.tables.reference_marks import UprightKind, photo_name, read_reference_marks, split_photo_name


def test_points_in_fractions_and_in_pixels_are_the_same(write):
    plain = "site_id,x,y,distance_m\nS1,0.5,0.9,2\nS1,0.25,0.5,8\n"
    pixels = "site_id,x,y,width,height,distance_m\nS1,960,972,1920,1080,2\nS1,480,540,1920,1080,8\n"
    (one,), (other,) = (read_reference_marks(write(text, f"{len(text)}.csv")) for text in (plain, pixels))
    assert one.uprights == other.uprights
    assert (one.aspect, other.aspect) == (None, pytest.approx(16 / 9, abs=0.01))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("S1,0.5,0.9,2\n", "site S1 has 1 reference point"),
        ("S1,0.5,0.9,2\nS1,0.1,0.901,4\n", "all on one row"),
        ("S1,0.5,2.5,2\n", r"line 2, column 'y'"),
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
        read_reference_marks(write(f"site_id,x,y,distance_m\n{rows}"))


def test_pixels_outside_the_picture_are_refused(write):
    with pytest.raises(InputError, match="pixels of 0 to 640"):
        read_reference_marks(write("site_id,x,y,width,height,distance_m\nS1,1700,100,640,360,2\n"))


HEAD = "site_id,start,end,photo,object,kind,x,y,mark_height_m,distance_m\n"


def test_marks_of_one_pole_or_person_belong_together(write):
    rows = (
        "S1,,,a.jpg,pole 1,pole,0.5,0.9,0,5\nS1,,,a.jpg,pole 1,pole,0.5,0.5,1,\n"
        "S1,,,b.jpg,pole 1,person,0.3,0.7,0,\nS1,,,b.jpg,pole 1,person,0.3,0.4,1.8,\nS1,,,b.jpg,,,0.6,0.6,,9\n"
    )
    (deployment,) = read_reference_marks(write(HEAD + rows))
    pole, person, point = deployment.uprights
    assert (pole.kind, pole.distance_m, [mark.height_m for mark in pole.marks]) == (UprightKind.POLE, 5, [0, 1])
    assert (person.kind, person.distance_m, person.photo) == (UprightKind.PERSON, None, "b.jpg")
    assert (point.is_ground_point, point.distance_m, point.line) == (True, 9, 6)
    assert deployment.photos == ("a.jpg", "b.jpg")


def test_marks_belong_to_deployments_in_time(write):
    spans = ("2024-03-01,2024-05-01", "2024-05-01,")
    rows = "".join(f"S1,{span},,,,0.5,{y},,{metres}\n" for span in spans for y, metres in ((0.9, 2), (0.6, 6)))
    first, second = read_reference_marks(write(HEAD + rows))
    assert first.end == second.start
    assert second.end is None
    assert first.spans(first.end)
    assert not second.spans(first.start)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("S1,,,a,1,pole,0.5,0.5,0,\nS1,,,a,1,pole,0.5,0.9,1,\n", "upside down"),
        ("S1,,,a,1,pole,0.5,0.9,1,\nS1,,,a,1,pole,0.5,0.5,1,\n", "at the same height"),
        ("S1,,,a,1,pole,0.5,0.9,0,\nS1,,,a,2,pole,0.5,0.5,1,\n", "expected a distance, or two marks"),
        ("S1,,,a,1,pole,0.5,0.9,0,4\nS1,,,a,1,pole,0.5,0.5,1,5\n", "line 3, column 'distance_m'.*the same distance"),
        ("S1,,,a,1,tree,0.5,0.9,0,4\nS1,,,a,1,tree,0.5,0.5,1,\n", "column 'kind'.*ground, pole, person"),
        ("S1,,,a,1,pole,0.5,0.9,0,4\nS1,,,a,1,pole,0.5,0.5,120,\n", "mark_height_m.*0 to 10"),
        ("S1,2024-05-01,2024-03-01,,,,0.5,0.9,,4\n", "column 'end'.*after start"),
        (
            "".join(
                f"S1,{span},,,,0.5,{y},,{y * 9}\n"
                for span in ("2024-03-01,2024-05-01", "2024-04-30,")
                for y in (0.9, 0.6)
            ),
            r"two deployments of site S1 overlap \(2024-03-01.*to 2024-05-01.* and 2024-04-30.*to open\)",
        ),
    ],
)
def test_marks_that_cannot_be_are_refused(write, rows, message):
    with pytest.raises(InputError, match=message):
        read_reference_marks(write(HEAD + rows))


def test_pictures_of_one_camera_have_one_shape(write):
    with pytest.raises(InputError, match="as wide and high as the others"):
        read_reference_marks(write("site_id,x,y,width,height,distance_m\nS1,500,300,640,360,2\nS1,500,300,640,480,2\n"))


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        (photo_name("S1/a.mp4", 2.5), ("S1/a.mp4", 2.5)),
        ("a.jpg", ("a.jpg", 0.0)),
        ("a#t=b.mp4", ("a#t=b.mp4", 0.0)),
        ("a.mp4#t=-1", ("a.mp4#t=-1", 0.0)),
        ("a.mp4#t=inf", ("a.mp4#t=inf", 0.0)),
        ("a#t=1.mp4#t=3", ("a#t=1.mp4", 3.0)),
    ],
)
def test_a_photo_may_be_a_picture_of_a_video(name, parts):
    assert split_photo_name(name) == parts
