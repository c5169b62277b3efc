"""Features from what is known about camera and animal: what its size and its place on the ground say about distance.

Through a pinhole, an animal of shoulder height S fills the share h of a picture's height at the distance
S / (2 h tan(v / 2)), where v is the vertical field of view (Hartley and Zisserman 2004, section 6.1). Flat ground at an angle
a below a camera at height H is H / tan(a) away. Each such distance is a feature, as its logarithm; the model learns how far
to trust which.
"""

from __future__ import annotations

import numpy as np

from trapmeter.boxmodel.box_groups import Columns, Floats

Values = dict[str, Floats]

NEAR_LOG, FAR_LOG = np.log(0.2), np.log(80.0)
"""Range of the distances: the horizon is infinitely far away."""
SIZED_BOXES = {
    "own": "log_h",
    "near": "sure6_log_h",
    "even": "smooth6_log_h",
    "robust": "robust3_log_h",
    "robust_wide": "robust12_log_h",
    "middle": "track_q50_log_h",
    "upper": "track_q75_log_h",
    "largest": "track_q100_log_h",
    "line": "log_ground_h_at_y2",
}
"""Heights of boxes that stand for the animal's: its own box, means over neighbours in time, quantiles of its boxes, and what
the site's other boxes have at its place."""


def fact_features(columns: Columns, known: Values, ground_near: Values) -> Values:
    """The features of all rows, NaN where a fact is unknown.

    known: the features that follow from boxes alone. ground_near: the fitted ground's log distances, smoothed over time.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        tan_log = np.log(np.tan(np.radians(columns.fact("hfov_deg")) / 2))
        shoulder_log = np.log(columns.fact("shoulder_m"))
        height_log = np.log(columns.fact("camera_height_m"))
        aspect_log = np.log(columns.fact("aspect_ratio"))
        ground_log = _clip(np.log(columns.fact("ground_m")))
        heights = known | {"log_ground_h_at_y2": np.log(np.maximum(known["ground_h_at_y2"], 0.004))}
    # Of the picture's height. Where the aspect ratio is unknown, pictures are taken for 16:9.
    down_log = tan_log - np.where(np.isnan(aspect_log), np.log(16 / 9), aspect_log)
    values: Values = {
        "fact_tan_log": tan_log,
        "fact_aspect_log": aspect_log,
        "fact_shoulder_log": shoulder_log,
        "fact_height_log": height_log,
        "fact_pitch": np.radians(columns.fact("pitch_deg")),
        "fact_ground_sd_log": np.minimum(columns.fact("ground_sd_log"), 2.0),
    }
    for name, height in SIZED_BOXES.items():
        # The animal's size if it stood 1 m away, and the distance at which it has the stated size.
        values[f"angle_{name}"] = heights[height] + np.log(2) + down_log
        values[f"size_distance_{name}"] = _clip(shoulder_log - values[f"angle_{name}"])
        values[f"size_ratio_{name}"] = shoulder_log - heights[height]
    for name, foot in (("own", "y2"), ("near", "sure6_y2"), ("robust", "robust3_y2"), ("lowest", "track_q100_y2")):
        values[f"flat_distance_{name}"] = _flat_ground(height_log, values["fact_pitch"], down_log, known[foot])
    # The horizon through the site's boxes shows the pitch; with the lens and the height this is the ground, too.
    below = np.log(2) + down_log + np.log(np.maximum(known["below_horizon"], 0.004))
    values["horizon_angle"] = below
    values["horizon_distance"] = _clip(height_log - below)
    values["ground_distance_own"] = ground_log
    values |= {f"ground_distance_{name}": _clip(value) for name, value in ground_near.items()}
    values["size_from_ground_own"] = values["size_distance_own"] - ground_log
    values["size_from_ground_near"] = values["size_distance_near"] - values["ground_distance_near"]
    values["size_from_flat_own"] = values["size_distance_own"] - values["flat_distance_own"]
    values["size_from_line"] = values["size_distance_own"] - values["size_distance_line"]
    return values


def _flat_ground(height_log: Floats, pitch: Floats, down_log: Floats, foot: Floats) -> Floats:
    """The log distance of flat ground at a place of the picture (0 top, 1 bottom) from the camera's height and pitch."""
    below = np.arctan((2 * foot - 1) * np.exp(down_log)) - pitch
    unknown = np.isnan(below) | np.isnan(height_log)
    tangent = np.tan(np.clip(np.nan_to_num(below), 1e-4, np.pi / 2 - 1e-4))
    return np.where(unknown, np.nan, _clip(height_log - np.log(tangent)))


def _clip(log_m: Floats) -> Floats:
    return np.clip(log_m, NEAR_LOG, FAR_LOG)
