"""Animals of known size show the ground."""

from __future__ import annotations

import numpy as np
import pytest

from trapmeter.calibration.animal_marks import MIN_ANIMALS, PER_TRACK, animal_uprights
from trapmeter.calibration.animal_size import SizeSettings
from trapmeter.calibration.site_correction import SiteFacts, fit_site_camera
from trapmeter.camera.model import PinholeCamera
from trapmeter.records import Box, Observation
from trapmeter.tables.cameras import CameraSetup
from trapmeter.tables.reference_marks import UprightKind
from trapmeter.tables.species import ShoulderHeight

CAMERA = PinholeCamera(hfov_deg=40.0, height_m=0.7, pitch_deg=-3.0, slope_along_deg=2.0)
SHOULDER = ShoulderHeight(0.4)
SIZE = SizeSettings()


def seen(metres: float, bearing_deg: float, medium: int, second: int = 0, score: float = 0.8) -> Observation:
    """An animal as the camera sees it, with a loose box."""
    x, bottom = CAMERA.place(metres, bearing_deg)
    _, top = CAMERA.place(metres, bearing_deg, SHOULDER.height_m * SIZE.box_over_shoulder)
    return Observation(f"{medium}.mp4", float(second), Box(x - 0.05, top, x + 0.05, bottom, score), 1, "S1")


HERD = [
    seen(metres, bearing, number)
    for number, (metres, bearing) in enumerate(
        (float(metres), float(bearing)) for metres in np.linspace(3, 14, 8) for bearing in (-9, 0, 9)
    )
]
SHOULDERS = (SHOULDER,) * len(HERD)


def uprights(observations: list[Observation], repeated: float = 0.0) -> int:
    return len(animal_uprights(observations, [SHOULDER] * len(observations), [repeated] * len(observations), SIZE))


def test_animals_of_known_size_show_the_ground() -> None:
    fit = fit_site_camera(SiteFacts(camera=CameraSetup(hfov_deg=40.0), shoulders=SHOULDERS), HERD)
    assert fit is not None
    for metres in (3.0, 6.0, 10.0):
        nearness, sd = fit.nearness(*CAMERA.place(metres, 0.0))
        assert 1 / nearness == pytest.approx(metres, rel=0.15)
        assert abs(1 / metres - nearness) < 2 * sd


def test_only_boxes_that_show_a_whole_animal_count() -> None:
    assert uprights(HERD) == len(HERD)
    cut = [Observation(row.media_id, 0.0, Box(0.4, 0.3, 0.6, 0.999, 0.9), 1, "S1") for row in HERD]
    assert uprights(cut) == 0
    assert uprights([seen(5.0, 0.0, number, score=0.3) for number in range(20)]) == 0
    assert uprights(HERD, repeated=0.5) == 0
    assert uprights(HERD[: MIN_ANIMALS - 1]) == 0
    assert animal_uprights(HERD, [None] * len(HERD), [0.0] * len(HERD), SIZE) == []


def test_a_long_track_counts_little() -> None:
    standing = [seen(5.0, 0.0, 0, second) for second in range(40)]
    assert uprights(standing) == PER_TRACK
    assert {one.kind for one in animal_uprights(standing, [SHOULDER] * 40, [0.0] * 40, SIZE)} == {UprightKind.ANIMAL}


def test_reference_marks_take_the_place_of_animals() -> None:
    assert fit_site_camera(SiteFacts(), HERD) is None
    measured = fit_site_camera(SiteFacts(camera=CameraSetup(40.0, 0.7, -3.0), shoulders=SHOULDERS), HERD)
    assert measured is not None
    assert measured.weights == ()
