"""Cameras fitted to points, poles and people."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trapmeter.camera.fit import fit_camera
from trapmeter.camera.left_out import left_out_distances
from trapmeter.camera.model import PinholeCamera
from trapmeter.camera.prior import camera_prior, check_sees_ground
from trapmeter.errors import InputError
from trapmeter.tables.cameras import CameraSetup
from trapmeter.tables.reference_marks import Mark, Upright, UprightKind, ground_point

CAMERA = PinholeCamera(
    hfov_deg=38.0, height_m=0.8, pitch_deg=-5.0, roll_deg=2.0, slope_along_deg=3.0, slope_across_deg=-2.0
)
PLACES = ((2.5, -8.0), (3.5, 10.0), (5.0, -12.0), (7.0, 5.0), (10.0, 13.0), (14.0, -4.0))
PRIOR = camera_prior()


def point(metres: float, bearing_deg: float, stated_m: float | None = None) -> Upright:
    x, y = CAMERA.place(metres, bearing_deg)
    return ground_point(x, y, stated_m or metres)


def pole(
    metres: float,
    bearing_deg: float,
    *heights_m: float,
    stated_m: float | None = None,
    kind: UprightKind = UprightKind.POLE,
) -> Upright:
    marks = tuple(Mark(*CAMERA.place(metres, bearing_deg, height_m), height_m) for height_m in heights_m)
    return Upright(marks, stated_m, kind)


POINTS = [point(metres, bearing_deg) for metres, bearing_deg in PLACES]


def seen_m(uprights: list[Upright], metres: float, setup: CameraSetup | None = None) -> float:
    """The distance that the fitted camera sees where one lies."""
    fit = fit_camera(uprights, camera_prior(setup))
    return 1 / fit.nearness(*CAMERA.place(metres, 0.0))[0]


@pytest.mark.parametrize("metres", [3.0, 6.0, 12.0, 18.0])
def test_points_show_the_ground(metres: float) -> None:
    assert seen_m(POINTS, metres) == pytest.approx(metres, rel=0.05)


@pytest.mark.parametrize("metres", [3.0, 6.0, 10.0])
def test_poles_show_the_ground_without_distances_and_feet(metres: float) -> None:
    poles = [pole(m, bearing_deg, 0.5, 1.5) for m, bearing_deg in PLACES]
    known_lens = CameraSetup(hfov_deg=38.0)
    assert seen_m(poles, metres, known_lens) == pytest.approx(metres, rel=0.08)


def test_poles_at_known_distances_show_the_lens() -> None:
    poles = [pole(m, bearing_deg, 0.0, 1.0, stated_m=m) for m, bearing_deg in PLACES]
    fit = fit_camera(poles, PRIOR)
    assert fit.camera.hfov_deg == pytest.approx(CAMERA.hfov_deg, rel=0.03)
    assert fit.camera.height_m == pytest.approx(CAMERA.height_m, rel=0.05)


def test_a_person_counts_less_than_a_pole() -> None:
    spreads = []
    for kind in (UprightKind.POLE, UprightKind.PERSON):
        people = [pole(m, bearing_deg, 0.0, 1.75, kind=kind) for m, bearing_deg in PLACES[:3]]
        spreads.append(fit_camera(people, camera_prior(CameraSetup(hfov_deg=38.0))).nearness(0.5, 0.6)[1])
    assert spreads[0] < spreads[1]


@settings(max_examples=30, deadline=None)
# Of the farthest point, too large a distance may also be a slope.
@given(st.sampled_from([0, 1, 2, 3, 4, 6, 7, 8, 9]), st.sampled_from([0.1, 0.4, 3.0, 10.0]))
def test_one_wrong_distance_does_not_decide_and_is_named(wrong: int, factor: float) -> None:
    places = (*PLACES, (3.0, 0.0), (4.2, 3.0), (6.0, -6.0), (8.5, 0.0))
    points = [point(m, bearing_deg, m * factor if i == wrong else m) for i, (m, bearing_deg) in enumerate(places)]
    assert seen_m(points, 6.0) == pytest.approx(6.0, rel=0.15)
    weights = fit_camera(points, PRIOR).weights
    assert int(np.argmin(weights)) == wrong
    assert weights[wrong] < 0.05


def test_a_pole_with_wrong_heights_is_named() -> None:
    wrong = Upright(tuple(Mark(mark.x, mark.y, 3 * mark.height_m) for mark in pole(6.0, 3.0, 0.3, 1.2).marks), None)
    weights = fit_camera([*POINTS, wrong], PRIOR).weights
    assert weights[-1] < 0.05
    assert min(weights[:-1]) > 0.5


def test_marks_may_lie_below_the_picture() -> None:
    near = point(1.3, 0.0)
    assert near.lowest.y > 1
    assert seen_m([*POINTS[:2], near], 3.0) == pytest.approx(3.0, rel=0.06)


def test_more_marks_make_it_more_certain() -> None:
    place = CAMERA.place(6.0, 0.0)
    spreads = [fit_camera(POINTS[:n], PRIOR).nearness(*place)[1] for n in (0, 1, 2, 4, 6)]
    assert spreads == sorted(spreads, reverse=True)
    assert spreads[0] > 5 * spreads[-1]


def test_without_marks_the_prior_remains() -> None:
    setup = CameraSetup(hfov_deg=50.0, height_m=1.2, pitch_deg=-10.0, aspect=4 / 3)
    camera = fit_camera([], camera_prior(setup)).camera
    assert (camera.hfov_deg, camera.height_m, camera.pitch_deg, camera.aspect_ratio) == pytest.approx(
        (50.0, 1.2, -10.0, 4 / 3)
    )


def test_what_is_measured_keeps_its_weight() -> None:
    measured = fit_camera(POINTS[:2], camera_prior(CameraSetup(hfov_deg=38.0, height_m=0.8, pitch_deg=-5.0)))
    unmeasured = fit_camera(POINTS[:2], PRIOR)
    place = CAMERA.place(12.0, 0.0)
    assert measured.nearness(*place)[1] < unmeasured.nearness(*place)[1]
    assert 1 / measured.nearness(*place)[0] == pytest.approx(12.0, rel=0.35)


def test_intervals_hold_at_other_cameras() -> None:
    rng = np.random.default_rng(2)
    inside, n = 0, 0
    for _ in range(60):
        camera = PinholeCamera(
            hfov_deg=rng.uniform(25, 60),
            height_m=math.exp(rng.uniform(math.log(0.4), math.log(2.5))),
            pitch_deg=rng.uniform(-15, -4),
            roll_deg=rng.normal(0, 2),
            slope_along_deg=rng.normal(0, 3),
            slope_across_deg=rng.normal(0, 3),
            distortion=rng.normal(0, 0.02),
        )
        places = [(metres, rng.uniform(-0.4, 0.4) * camera.hfov_deg) for metres in (3.0, 5.0, 8.0, 6.0)]
        seen = [(*camera.place(*place), place[0]) for place in places]
        if not all(0 < y < 1 for _, y, _ in seen):
            continue
        *marks, (x, y, metres) = seen
        noisy = [ground_point(u, v + rng.normal(0, 0.005), m * math.exp(rng.normal(0, 0.03))) for u, v, m in marks]
        nearness, sd = fit_camera(noisy, PRIOR).nearness(x, y)
        inside += abs(1 / metres - nearness) < 1.645 * sd
        n += 1
    assert n >= 25
    assert inside / n > 0.8


def test_each_mark_is_compared_with_the_others() -> None:
    points = [*POINTS[:4], point(10.0, 13.0, stated_m=30.0)]
    others = left_out_distances(points, PRIOR)
    assert others[4] == pytest.approx(10.0, rel=0.1)
    assert others[1] == pytest.approx(3.5, rel=0.25)
    assert left_out_distances(points[:1], PRIOR) == [None]
    high = Upright((Mark(*CAMERA.place(8.0, 0.0, 0.5), 0.5),), 8.0)
    assert left_out_distances([*POINTS, high], PRIOR)[-1] == pytest.approx(8.0, rel=0.25)


def test_marks_at_the_horizon_are_beyond_all_distances() -> None:
    assert left_out_distances([*POINTS, ground_point(0.5, 0.05, 30.0)], PRIOR)[-1] == math.inf


def test_a_camera_that_points_at_the_sky_is_refused() -> None:
    check_sees_ground(camera_prior(CameraSetup(45.0, 1.0, -8.0)))
    with pytest.raises(InputError, match="sees no ground"):
        check_sees_ground(camera_prior(CameraSetup(30.0, 1.0, 40.0)))
