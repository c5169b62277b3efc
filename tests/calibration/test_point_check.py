"""Reference points that can't be right: named or refused, while honest ones pass."""

from __future__ import annotations

import csv
import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from calibration_world import CAMERA, point_at, row_of
from terminal import inside
from trapmeter.calibration.point_check import PointCheck, check_points, describe_misfits
from trapmeter.calibration.point_consistency import Finding, check_consistency
from trapmeter.calibration.run import calibrate
from trapmeter.camera.fit import fit_camera
from trapmeter.camera.prior import camera_prior
from trapmeter.errors import InputError
from trapmeter.tables.cameras import CameraSetup
from trapmeter.tables.point_misfits import Doubt, PointMisfit
from trapmeter.tables.reference_marks import MarkedDeployment, Upright, ground_point

PLACES = ((0.3, 2.7), (0.7, 4.0), (0.4, 6.0), (0.6, 9.0), (0.5, 14.0), (0.2, 20.0))
POINTS = [point_at(metres, x, line) for line, (x, metres) in enumerate(PLACES, 2)]
STEEP = CameraSetup(hfov_deg=60.0, height_m=0.7, pitch_deg=-22.0)
OTHER_CAMERA = [ground_point(x, row_of(m, STEEP), m, 20) for x, m in ((0.3, 1.5), (0.7, 2.2), (0.4, 3.5), (0.6, 6.0))]


def typed(position: int, metres: float) -> list[Upright]:
    """The points, one with another distance."""
    return [replace(point, distance_m=metres) if i == position else point for i, point in enumerate(POINTS)]


def check(points: list[Upright], **cameras: CameraSetup) -> PointCheck:
    return check_points(Path("points.csv"), [deployment("S1", points)], cameras)


def deployment(site_id: str, uprights: list[Upright]) -> MarkedDeployment:
    return MarkedDeployment(site_id, None, None, tuple(uprights))


def turned_over(point: Upright) -> Upright:
    """The point as if rows counted from below."""
    assert point.distance_m is not None
    return ground_point(point.lowest.x, 1 - point.lowest.y, point.distance_m, point.line)


@st.composite
def honest_points(draw: st.DrawFn) -> list[Upright]:
    """What a team measures with a camera at 0.3 to 3 m: clicks 4 of 720 pixels off, distances 5 % off."""
    height_m, pitch = draw(st.floats(0.3, 3.0)), math.radians(draw(st.floats(-35.0, 5.0)))
    across = math.tan(math.radians(draw(st.floats(30.0, 70.0))) / 2)
    roll = math.radians(draw(st.floats(-5.0, 5.0)))
    points = []
    for _ in range(draw(st.integers(3, 12))):
        depth_m, side = draw(st.floats(1.0, 25.0)), draw(st.floats(-0.8, 0.8)) * across
        ahead = depth_m * math.cos(pitch) - height_m * math.sin(pitch)
        up = (-depth_m * math.sin(pitch) - height_m * math.cos(pitch)) / ahead
        u, v = side * math.cos(roll) - up * math.sin(roll), side * math.sin(roll) + up * math.cos(roll)
        x, y = 0.5 + u / across / 2, 0.5 - v / across * 16 / 9 / 2 + draw(st.floats(-4.0, 4.0)) / 720
        distance_m = math.hypot(depth_m, height_m, side * ahead) * draw(st.floats(0.95, 1.05))
        if ahead > 0 and 0 <= x <= 1 and 0 <= y <= 1:
            points.append(ground_point(x, y, distance_m))
    rows = [point.lowest.y for point in points]
    assume(len(points) >= 2 and max(rows) - min(rows) >= 0.05)
    return points


@settings(max_examples=150)
@given(honest_points())
def test_honest_points_of_any_camera_raise_no_doubt(points: list[Upright]) -> None:
    assert check_consistency(points).finding is Finding.FINE


@settings(max_examples=10, deadline=None)
@given(honest_points())
def test_honest_points_are_never_refused(points: list[Upright]) -> None:
    checked = check(points)
    assert len(checked.misfits) == len(points)
    assert not any("line" in note for note in checked.notes)


def test_each_point_is_compared_with_the_others() -> None:
    misfits = check(typed(2, 7.0)).misfits
    assert (misfits[0].line, misfits[0].distance_m) == (4, 7.0), "the worst comes first"
    assert misfits[0].misfit_m == pytest.approx(1.0, abs=0.3)
    assert {misfit.doubt for misfit in misfits} == {Doubt.NONE}
    for misfit in misfits:
        others = [p for p in typed(2, 7.0) if p.line != misfit.line]
        nearness, _ = fit_camera(others, camera_prior()).nearness(misfit.x, misfit.y)
        assert misfit.others_m == pytest.approx(1 / nearness, rel=1e-3)


@pytest.mark.parametrize(
    ("position", "metres", "meant"),
    [(3, 90.0, "9"), (3, 0.9, "9"), (2, 60.0, "6"), (0, 27.0, "2.7"), (5, 2.0, "20"), (1, 0.04, "4")],
)
def test_a_point_off_by_a_factor_is_named_with_what_was_meant(position: int, metres: float, meant: str) -> None:
    checked = check(typed(position, metres))
    (note,) = checked.notes
    point = POINTS[position]
    assert note.startswith(
        f"points.csv, site S1: line {position + 2} (x {point.lowest.x:.3g}, y {point.lowest.y:.3g}) says {metres:g} m"
    )
    assert f"was {meant} m meant?" in note
    assert [(misfit.line, misfit.doubt) for misfit in checked.misfits][:2] == [
        (position + 2, Doubt.WRONG),
        (checked.misfits[1].line, Doubt.NONE),
    ]
    # The others are compared without it.
    assert all(abs(misfit.misfit_m or 0) < 0.1 * misfit.distance_m for misfit in checked.misfits[1:])


def test_a_far_point_that_the_others_cannot_check_is_questioned() -> None:
    (note,) = check(typed(5, 150.0)).notes
    assert "line 7" in note
    assert "15" in note


def test_points_upside_down_are_refused_with_what_their_rows_suggest() -> None:
    upside_down = [turned_over(point) for point in POINTS]
    with pytest.raises(
        InputError, match=r"points.csv: site S1: its farther points are lower.*check the table"
    ) as error:
        check(upside_down)
    assert "line 7 (x 0.2, y 0.693) says 20 m, the order of the rows 2.7 m (+17.3 m)" in str(error.value)
    with pytest.raises(InputError, match="farther points are lower"):
        check(upside_down[::3])


def test_points_of_two_cameras_are_refused() -> None:
    with pytest.raises(InputError, match=r"as if they were of two cameras.*two site names") as error:
        check([*POINTS, *OTHER_CAMERA])
    assert "line 20" in str(error.value)
    assert "the other points put it beyond 200 m or the horizon" in str(error.value)


def test_a_wrong_point_among_three_is_noticed() -> None:
    notes = check([POINTS[0], POINTS[1], replace(POINTS[4], distance_m=40.0)]).notes
    assert not any("line" in note for note in notes), "a factor of 3 may be a plane"
    wrong, few = check([POINTS[0], replace(POINTS[1], distance_m=40.0), POINTS[3]]).notes
    assert "don't show which one is wrong" in wrong or "line 3" in wrong
    assert few.startswith("site S1: three reference points")


def test_two_points_cannot_check_each_other() -> None:
    checked = check([POINTS[0], POINTS[3]])
    (note,) = checked.notes
    assert "two reference points can't check each other" in note
    assert {misfit.misfit_m for misfit in checked.misfits} == {None}
    assert describe_misfits(checked.misfits) == "S1: 2 reference points, which can't check each other"
    with_camera = check([POINTS[0], POINTS[3]], S1=CAMERA).misfits
    assert all(misfit.misfit_m is not None for misfit in with_camera)


def test_sites_with_few_points_share_a_note() -> None:
    (note,) = check_points(Path("points.csv"), [deployment(f"S{i:02}", POINTS[:2]) for i in range(10)], {}).notes
    assert note.startswith("site S00, S01, S02, S03, S04, S05, S06, S07 and 2 more: two reference points")


def test_the_line_for_the_user_names_the_worst_points() -> None:
    misfit = PointMisfit("S1", 3, 0.25, 0.5, 6.0, 5.0, 1.0)
    beyond = PointMisfit("S1", 4, 0.25, 0.4, 9.0, math.inf, None)
    assert describe_misfits([misfit, beyond]) == (
        "S1: 2 reference points, median misfit 1.0 m; worst: line 4 (x 0.25, y 0.4) says 9 m, but the other points put it "
        "beyond 200 m or the horizon; line 3 (x 0.25, y 0.5) says 6 m, the other points 5.0 m (+1.0 m)"
    )


def write_points(path: Path, points: list[Upright]) -> Path:
    rows = [f"S1,{point.lowest.x},{point.lowest.y:.5f},{point.distance_m}" for point in points]
    path.write_text("\n".join(["site_id,x,y,distance_m", *rows]))
    return path


def test_misfits_are_in_the_table_the_picture_and_the_terminal(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, out = write_points(tmp_path / "points.csv", typed(3, 90.0)), tmp_path / "out"
    assert inside("calibrate", results, "--points", table, "--out", out) == 0
    printed = capsys.readouterr().out
    assert "note: " in printed
    assert "S1: 6 reference points, median misfit 0." in printed
    assert "worst: line 5 (x 0.6" in printed
    with (out / "calibration-points.csv").open() as file:
        first, *others = csv.DictReader(file)
    assert (first["site_id"], first["line"], first["distance_m"], first["doubt"]) == ("S1", "5", "90.000", "wrong")
    assert float(first["misfit_m"]) == pytest.approx(81.0, abs=1.0)
    assert len(others) == 5
    assert (out / "calibration.png").stat().st_size > 1000
    # Another run into this folder doesn't keep them.
    calibrate(results, out, species="red fox")
    assert not (out / "calibration-points.csv").exists()


def test_refused_points_leave_no_results(results: Path, tmp_path: Path) -> None:
    table = write_points(tmp_path / "points.csv", [turned_over(point) for point in POINTS])
    with pytest.raises(InputError, match="farther points are lower"):
        calibrate(results, tmp_path / "out", points=table)
    assert not (tmp_path / "out").exists()
