"""Simulated boxes of animals that walk on flat ground in front of cameras of known height and pitch."""

from __future__ import annotations

import numpy as np

from trapmeter.boxmodel.settings import BoxModelSettings
from trapmeter.boxmodel.training_data import LabelledObservation
from trapmeter.records import Box, Observation

QUICK = BoxModelSettings(
    point_rounds=60,
    interval_rounds=60,
    bags=2,
    leaves=15,
    min_rows=15,
    learning_rate=0.1,
    networks=2,
    network_epochs=30,
    network_width=32,
    calibration_folds=3,
    simulated_sites=0,
)
"""Trains in seconds rather than minutes."""

FOCAL = 1.2  # in picture heights
ASPECT = 16 / 9


def make_samples(sites: int = 16, videos: int = 6, seconds: int = 8, seed: int = 7) -> list[LabelledObservation]:
    """Animals 0.4 to 0.9 m high, 1.5 to 18 m away; cameras 0.8 to 1.6 m above ground. One row in eight has no box."""
    rng = np.random.default_rng(seed)
    samples = []
    for site in range(sites):
        camera_m, horizon = rng.uniform(0.8, 1.6), rng.uniform(0.2, 0.5)
        for video in range(videos):
            height_m, depth_m = rng.uniform(0.4, 0.9), rng.uniform(1.5, 18.0)
            pace, across, x = rng.normal(0, 0.3), rng.normal(0, 0.03), rng.uniform(0.3, 0.7)
            for second in range(seconds):
                depth = max(depth_m + pace * second, 1.2)
                bottom = horizon + FOCAL * camera_m / depth
                top = bottom - FOCAL * height_m / depth * rng.uniform(0.93, 1.07)
                half = 0.7 * FOCAL * height_m / depth / ASPECT
                centre = float(np.clip(x + across * second, 0.02, 0.98))
                edges = np.clip([centre - half, top, centre + half, bottom], 0.0, 1.0)
                is_detected = edges[3] - edges[1] > 0.01 and rng.uniform() > 0.125
                box = Box(*map(float, edges), score=float(rng.uniform(0.3, 1.0))) if is_detected else None
                observation = Observation(f"s{site}v{video}.mp4", 2.0 * second, box, animal_id=1, site_id=f"s{site}")
                samples.append(LabelledObservation(observation, round(2 * depth) / 2))
    return samples
