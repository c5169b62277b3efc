import numpy as np
import pytest

from trapmeter.media.infrared import colourfulness, is_infrared

GREY = np.random.default_rng(0).integers(0, 256, (40, 60, 1), np.uint8).repeat(3, axis=2)


def test_grey_pictures_are_infrared() -> None:
    assert colourfulness(GREY) == 0
    assert is_infrared(GREY)


def test_a_uniform_tint_is_infrared() -> None:
    tinted = GREY // 2 + np.array([60, 20, 80], np.uint8)
    assert is_infrared(tinted)


def test_pictures_with_colours_are_not_infrared() -> None:
    half_green = GREY.copy()
    half_green[:, :30, 1] //= 2
    assert not is_infrared(half_green)
    assert colourfulness(np.array([[[255, 0, 255], [0, 255, 0]]], np.uint8)) == pytest.approx(510)
