"""Features from what is known about camera and animal: what its size and its place on the ground say about distance.

Through a pinhole, an animal of shoulder height S fills the share h of a picture's height at the distance
S / (2 h tan(v / 2)), where v is the vertical field of view (Hartley and Zisserman 2004, section 6.1). Flat ground at an angle
a below a camera at height H is H / tan(a) away. Each such distance is a feature, as its logarithm; the model learns how far
to trust which. Boxes come as the usual lens shows them, so that only that lens enters here; where the lens is unknown, it is
taken for the usual one.
"""

from __future__ import annotations

import numpy as np

from trapmeter.boxmodel.box_groups import Columns, Floats

Values = dict[str, Floats]

NEAR_LOG, FAR_LOG = np.log(0.2), np.log(80.0)
"""Range of the distances: the horizon is infinitely far away."""
MIN_HEIGHT = 0.004
"""Of a box, and of a place below the horizon, as a share of the picture."""
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
FEET = {"own": "y2", "near": "sure6_y2", "robust": "robust3_y2", "lowest": "track_q100_y2"}


def fact_features(columns: Columns, known: Values, usual_tan_down: float) -> Values:
    """The features of all rows, NaN where a fact is unknown.

    known: the features that follow from boxes alone. usual_tan_down: the tangent of half the vertical field of view of the
    usual lens.
    """
    down_log = np.log(2 * usual_tan_down)
    tan_log = np.log(np.tan(np.radians(columns.fact("hfov_deg")) / 2))
    shoulder_log = np.log(columns.fact("shoulder_m"))
    # Without a lens, height and pitch say nothing.
    height_log = np.where(np.isnan(tan_log), np.nan, np.log(columns.fact("camera_height_m")))
    pitch = np.radians(columns.fact("pitch_deg"))
    heights = known | {"log_ground_h_at_y2": np.log(np.maximum(known["ground_h_at_y2"], MIN_HEIGHT))}
    values: Values = {
        "fact_tan_log": tan_log,
        "fact_shoulder_log": shoulder_log,
        "fact_height_log": height_log,
        "fact_pitch": np.where(np.isnan(tan_log), np.nan, pitch),
    }
    for name, height in SIZED_BOXES.items():
        values[f"size_distance_{name}"] = _clip(shoulder_log - down_log - heights[height])
    for name, foot in FEET.items():
        below = np.arctan((2 * known[foot] - 1) * usual_tan_down) - pitch
        values[f"flat_distance_{name}"] = _clip(height_log - np.log(_tangent(below)))
    # The horizon through the site's boxes shows the pitch; with the height this is the ground, too.
    below_horizon = np.maximum(known["below_horizon"], MIN_HEIGHT)
    values["horizon_distance"] = _clip(height_log - down_log - np.log(below_horizon))
    values["size_from_flat_own"] = values["size_distance_own"] - values["flat_distance_own"]
    values["size_from_line"] = values["size_distance_own"] - values["size_distance_line"]
    return values


def _tangent(below: Floats) -> Floats:
    """The tangent of angles below the horizon (radians), at least just above 0."""
    return np.asarray(np.tan(np.clip(below, 1e-4, np.pi / 2 - 1e-4)))


def _clip(log_m: Floats) -> Floats:
    return np.clip(log_m, NEAR_LOG, FAR_LOG)
