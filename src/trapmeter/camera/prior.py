"""What is known of a camera before any reference photograph: the prior of a fit."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from trapmeter.camera.model import (
    DISTORTION,
    HEIGHT_LOG,
    N_PARAMETERS,
    PITCH,
    ROLL,
    SLOPE_ACROSS,
    SLOPE_ALONG,
    TAN_LOG,
    Floats,
    PinholeCamera,
)
from trapmeter.errors import InputError
from trapmeter.tables.cameras import CameraSetup

TYPICAL_HFOV_DEG, TYPICAL_HEIGHT_M, TYPICAL_PITCH_DEG = 42.0, 1.0, -8.0
LENS_SD_LOG = 0.3
"""Of tan(hfov / 2) if the lens is unknown: two thirds of cameras have 32 to 55 degrees."""
TOLD_LENS_SD_LOG = 0.05
"""If it is known: stated fields of view are a few per cent off."""
HEIGHT_SD_LOG, TOLD_HEIGHT_SD_LOG = 0.6, 0.1
PITCH_SD_DEG, TOLD_PITCH_SD_DEG = 10.0, 2.0
ROLL_SD_DEG, SLOPE_SD_DEG = 2.5, 3.5
DISTORTION_SD = 0.03
FARTHEST_GROUND_M = 40.0


@dataclass(frozen=True, slots=True, eq=False)
class CameraPrior:
    """Independent normal distributions of a camera's parameters (N_PARAMETERS each), and the picture's aspect ratio."""

    mean: Floats
    sd: Floats
    aspect_ratio: float


def camera_prior(setup: CameraSetup | None = None) -> CameraPrior:
    """The prior of a camera, given what was measured or stated about it."""
    setup = setup or CameraSetup()
    mean, sd = np.zeros(N_PARAMETERS), np.zeros(N_PARAMETERS)
    mean[TAN_LOG] = math.log(math.tan(math.radians(setup.hfov_deg or TYPICAL_HFOV_DEG) / 2))
    sd[TAN_LOG] = LENS_SD_LOG if setup.hfov_deg is None else TOLD_LENS_SD_LOG
    mean[HEIGHT_LOG] = math.log(setup.height_m or TYPICAL_HEIGHT_M)
    sd[HEIGHT_LOG] = HEIGHT_SD_LOG if setup.height_m is None else TOLD_HEIGHT_SD_LOG
    mean[PITCH] = math.radians(TYPICAL_PITCH_DEG if setup.pitch_deg is None else setup.pitch_deg)
    sd[PITCH] = math.radians(PITCH_SD_DEG if setup.pitch_deg is None else TOLD_PITCH_SD_DEG)
    sd[ROLL] = math.radians(ROLL_SD_DEG)
    sd[SLOPE_ALONG] = sd[SLOPE_ACROSS] = math.tan(math.radians(SLOPE_SD_DEG))
    sd[DISTORTION] = DISTORTION_SD
    return CameraPrior(mean, sd, setup.aspect_ratio)


def check_sees_ground(prior: CameraPrior) -> None:
    """Refuses a camera that points so far up that its lower edge shows no ground within FARTHEST_GROUND_M.

    Raises:
        InputError: with what to correct.
    """
    camera = PinholeCamera.from_parameters(prior.mean, prior.aspect_ratio)
    if camera.distance_m(0.5, 1.0) > FARTHEST_GROUND_M:
        raise InputError(
            f"a camera with a pitch of {camera.pitch_deg:g} degrees and {camera.hfov_deg:.3g} degrees across sees no ground; "
            "pitch_deg is negative if the camera points down"
        )
