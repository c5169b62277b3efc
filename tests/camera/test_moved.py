from collections.abc import Mapping
from datetime import datetime, timedelta

import numpy as np
import pytest

from camera.scenes import by_night, movement, picture, scene
from trapmeter.camera.background import Background
from trapmeter.camera.homography import carry_points, picture_grid
from trapmeter.camera.moved import MAX_LINKS, place_backgrounds, placement_by_medium
from trapmeter.camera.registration import Registration, Verdict
from trapmeter.records import Pixels

REFERENCE = 0
START = datetime(2024, 5, 1, 12)


def numbered(number: int) -> Pixels:
    """A picture whose pixels are its number."""
    return np.full((9, 16, 3), number, np.uint8)


def backgrounds(n: int) -> list[Background]:
    """Backgrounds 1, 2, ... of days one after the other."""
    days = [START + timedelta(days=i) for i in range(n)]
    return [
        Background(numbered(i + 1), False, day, day + timedelta(hours=6), (f"{i}",), 1) for i, day in enumerate(days)
    ]


def registered(right: float = 0.0, error: float = 0.003) -> Registration:
    return Registration(Verdict.SHIFTED, movement(right=right), 50, 60, error, 1.0, 60.0, f"moved by {right:g}")


class FakeRegister:
    """Registers the pairs of numbers that it knows, and counts its calls."""

    def __init__(self, known: Mapping[tuple[int, int], Registration]) -> None:
        self.known = known
        self.calls: list[tuple[int, int]] = []

    def __call__(self, reference: Pixels, view: Pixels) -> Registration:
        pair = int(reference[0, 0, 0]), int(view[0, 0, 0])
        self.calls.append(pair)
        refused = Registration(Verdict.UNRELATED, None, 3, 60, np.inf, 0.0, 0.5, "3 of 60 patches agree")
        return self.known.get(pair, refused)


def right_of(homography: np.ndarray | None) -> float:
    assert homography is not None
    return float(carry_points([[0.5, 0.5]], homography)[0, 0] - 0.5)


def test_no_backgrounds_have_no_placement() -> None:
    assert place_backgrounds(numbered(REFERENCE), [], FakeRegister({})) == ()


def test_what_registers_to_the_reference_goes_through_nothing_else() -> None:
    register = FakeRegister({(0, i): registered(0.01 * i) for i in (1, 2, 3)})
    placed = place_backgrounds(numbered(REFERENCE), backgrounds(3), register)
    assert [round(right_of(placement.homography), 6) for placement in placed] == [0.01, 0.02, 0.03]
    assert all(placement.through == () and placement.error == 0.003 for placement in placed)
    assert len(register.calls) == 3


def test_a_night_is_reached_through_its_day() -> None:
    register = FakeRegister({(0, 1): registered(0.1), (1, 2): registered(0.02)})
    _, night = place_backgrounds(numbered(REFERENCE), backgrounds(2), register)
    assert night.is_usable
    assert right_of(night.homography) == pytest.approx(0.12)
    assert night.through == (0,)
    assert night.error == pytest.approx(0.006)
    assert night.reason == "moved by 0.1; moved by 0.02"


def test_chains_are_short() -> None:
    known = {(i, i + 1): registered(0.01) for i in range(6)}
    placed = place_backgrounds(numbered(REFERENCE), backgrounds(6), FakeRegister(known))
    assert [placement.is_usable for placement in placed] == [True] * MAX_LINKS + [False] * (6 - MAX_LINKS)
    assert placed[MAX_LINKS - 1].through == tuple(range(MAX_LINKS - 1))
    assert "the camera moved since 2024-05-03 18:00" in placed[MAX_LINKS].reason


def test_errors_add_up_until_a_chain_is_refused() -> None:
    known = {(0, 1): registered(error=0.015), (1, 2): registered(error=0.015)}
    first, second = place_backgrounds(numbered(REFERENCE), backgrounds(2), FakeRegister(known))
    assert first.is_usable
    assert not second.is_usable


def test_two_chains_must_lead_to_the_same_place() -> None:
    known = {(0, 1): registered(0.0), (0, 3): registered(0.0), (1, 2): registered(0.0), (3, 2): registered(0.1)}
    _, between, _ = place_backgrounds(numbered(REFERENCE), backgrounds(3), FakeRegister(known))
    assert not between.is_usable
    assert "two ways through other pictures lead 17.8% of the height apart" in between.reason
    agreeing = known | {(3, 2): registered(0.004, error=0.002)}
    _, between, _ = place_backgrounds(numbered(REFERENCE), backgrounds(3), FakeRegister(agreeing))
    assert between.is_usable
    assert between.through == (2,)


def test_a_moved_camera_is_told_with_the_time() -> None:
    register = FakeRegister({(0, 1): registered()})
    _, second, third = place_backgrounds(numbered(REFERENCE), backgrounds(3), register)
    for placement in (second, third):
        assert placement.homography is None
        assert placement.error == np.inf
        assert placement.reason == "the camera moved since 2024-05-01 18:00: 3 of 60 patches agree"


def test_a_view_that_comes_back_is_no_moved_camera() -> None:
    register = FakeRegister({(0, 1): registered(), (0, 3): registered()})
    _, between, _ = place_backgrounds(numbered(REFERENCE), backgrounds(3), register)
    assert "may have moved for a while" in between.reason


def test_a_view_that_never_appears_is_named() -> None:
    (only,) = place_backgrounds(numbered(REFERENCE), backgrounds(1), FakeRegister({}))
    assert only.reason.startswith("no picture up to this time shows the view of the reference photograph")


def test_each_medium_has_the_placement_of_its_background() -> None:
    days = backgrounds(2)
    placements = place_backgrounds(numbered(REFERENCE), days, FakeRegister({(0, 1): registered()}))
    assert placement_by_medium(days, placements) == {"0": placements[0], "1": placements[1]}


def test_no_pair_is_registered_twice() -> None:
    register = FakeRegister({(0, 1): registered(), (1, 2): registered(), (2, 3): registered()})
    place_backgrounds(numbered(REFERENCE), backgrounds(7), register)
    assert len(register.calls) == len(set(register.calls))


@pytest.mark.slow
def test_pictures_of_a_camera_that_is_pushed_and_replaced() -> None:
    drawn, pushed = scene(1), movement(right=0.06, rotation_deg=1)
    shown = [picture(drawn), picture(drawn, pushed), by_night(picture(drawn, pushed)), picture(scene(2))]
    days = [Background(pixels, False, None, None, (f"{i}",), 1) for i, pixels in enumerate(shown)]
    same, by_day, night, other = place_backgrounds(picture(drawn), days)
    assert right_of(same.homography) == pytest.approx(0, abs=0.002)
    for placement in (by_day, night):
        assert placement.homography is not None
        true = carry_points(picture_grid(), pushed)
        shown_by_both = ((true >= 0) & (true <= 1)).all(axis=1)
        off = (carry_points(picture_grid(), placement.homography) - true)[shown_by_both]
        assert np.abs(off).max() < 0.01
    assert other.reason.startswith("the camera moved: ")
