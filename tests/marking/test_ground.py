"""What the page says about the marks of a site."""

from __future__ import annotations

import math

import pytest

from marking_world import CAMERA, POLES_M
from trapmeter.camera.fit import fit_camera
from trapmeter.camera.prior import camera_prior
from trapmeter.marking.ground import (
    Agreement,
    GroundView,
    MarkCheck,
    check_mark,
    check_marks,
    view_ground,
    what_is_missing,
)
from trapmeter.tables.cameras import CameraSetup
from trapmeter.tables.reference_marks import Mark, Upright, UprightKind, ground_point

PRIOR = camera_prior(CameraSetup(aspect=CAMERA.aspect_ratio))
POINTS = [ground_point(*CAMERA.place(*place), place[0]) for place in POLES_M]
POLE = Upright((Mark(0.5, 0.8), Mark(0.5, 0.3, 1.2)), None, UprightKind.POLE)


def seen(uprights: list[Upright]) -> tuple[GroundView, dict[int, MarkCheck]]:
    fit = fit_camera(uprights, PRIOR)
    return view_ground(uprights, fit), dict(check_marks(uprights, PRIOR, fit, range(len(uprights))))


@pytest.mark.parametrize(
    ("uprights", "missing"),
    [
        ([], "No marks yet"),
        (POINTS[:1], "One mark: add another one"),
        ([ground_point(0.2, 0.7, 4), ground_point(0.8, 0.71, 4)], "on one row"),
        (POINTS[:2], ""),
        ([POLE], ""),
    ],
)
def test_what_is_missing_is_said(uprights: list[Upright], missing: str) -> None:
    found = what_is_missing(uprights)
    assert found.startswith(missing) if missing == "" else missing in found
    assert bool(found) is bool(missing)


def test_nothing_is_drawn_before_there_are_enough_marks() -> None:
    view, checks = seen(POINTS[:1])
    assert (view.is_fitted, dict(view.lines), view.horizon, checks) == (False, {}, [], {})


def test_lines_pass_where_the_distances_are() -> None:
    view, checks = seen(POINTS)
    assert view.is_fitted
    # Points on the ground alone tell neither the lens nor the height.
    assert view.message.startswith("Fitted to 6 marks: looking 7° down")
    poles = [
        Upright(tuple(Mark(*CAMERA.place(*place, height), height) for height in (0.0, 1.5)), place[0], UprightKind.POLE)
        for place in POLES_M
    ]
    assert seen(poles)[0].message.endswith("lens 1.0 m above the ground, field of view 55°.")
    assert {3.0, 5.0, 10.0} <= set(view.lines)
    x, y = CAMERA.place(5.0, 0.0)
    near = min(view.lines[5.0], key=lambda place: abs(place[0] - x))
    assert near[1] == pytest.approx(y, abs=0.02)
    assert all(0 <= y < 0.4 for _, y in view.horizon[1:-1])
    assert {check.agreement for check in checks.values()} <= {Agreement.GOOD, Agreement.FAIR, Agreement.UNKNOWN}


def test_a_wrong_mark_is_named_with_both_distances() -> None:
    marks = [*POINTS]
    marks[3] = ground_point(marks[3].lowest.x, marks[3].lowest.y, 12.0)
    fit = fit_camera(marks, PRIOR)
    ((number, check),) = check_marks(marks, PRIOR, fit, [3])
    assert (number, check.agreement) == (3, Agreement.OFF)
    assert check.text.startswith("says 12 m, the others 7.")


@pytest.mark.parametrize(
    ("upright", "others_m", "weight", "agreement", "text"),
    [
        (ground_point(0.5, 0.5, 5.0), 5.1, 1.0, Agreement.GOOD, "-0.1 m"),
        (ground_point(0.5, 0.5, 5.0), 5.5, 0.8, Agreement.FAIR, "-0.5 m"),
        (ground_point(0.5, 0.5, 5.0), 4.0, 0.1, Agreement.POOR, "+1.0 m"),
        (ground_point(0.5, 0.5, 12.0), 5.4, 0.01, Agreement.OFF, "says 12 m, the others 5.4 m"),
        (ground_point(0.5, 0.5, 12.0), math.inf, 0.01, Agreement.OFF, "says 12 m, the others more than 200 m"),
        (ground_point(0.5, 0.5, 12.0), math.inf, 0.5, Agreement.UNKNOWN, ""),
        (ground_point(0.5, 0.5, 5.0), None, 1.0, Agreement.UNKNOWN, ""),
        (ground_point(0.5, 0.5, 5.0), None, 0.0, Agreement.OFF, "contradicts the others"),
        (POLE, None, 1.0, Agreement.UNKNOWN, ""),
        (POLE, 5.4, 1.0, Agreement.UNKNOWN, "5.4 m by the others"),
        (POLE, 5.4, 0.0, Agreement.OFF, "its heights and place don't fit the others (5.4 m by the others)"),
    ],
)
def test_a_mark_agrees_or_not(
    upright: Upright, others_m: float | None, weight: float, agreement: Agreement, text: str
) -> None:
    check = check_mark(upright, others_m, weight)
    assert (check.agreement, check.text) == (agreement, text)
