"""Simulated surveys of known density: what comes out on average, and how often the interval holds it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from density.simulated import cosine, half_normal, hazard_rate, seen_distances, stations_of
from trapmeter.density.detection.distances import bin_distances, truncate
from trapmeter.density.detection.fit import fit_detection
from trapmeter.density.detection.function import detection_function
from trapmeter.density.estimate import estimate_density

RIGHT_M = 12.0
EDGES = [0, 1, 2, 3, 4, 5, 6, 8, 10, 12]
N_STATIONS, N_SURVEYS = 40, 200
PER_VISIT = 15.0
"""Animals in the disc around a station: stations differ as animals at random do."""


@pytest.mark.slow
@pytest.mark.parametrize("is_binned", [True, False], ids=["binned", "exact"])
@pytest.mark.parametrize(
    ("form", "g"),
    [
        (("half-normal",), half_normal(4.0)),
        (("hazard-rate",), hazard_rate(5.0, 4.0)),
        (("uniform", "cosine", 1), cosine(0.4, RIGHT_M)),
    ],
    ids=["half-normal", "hazard-rate", "uniform"],
)
def test_density_is_recovered(form, g, is_binned):
    rng, function = np.random.default_rng(11), detection_function(*form)
    true_km2 = PER_VISIT / (math.pi * RIGHT_M**2) * 1e6
    names = [f"s{number}" for number in range(N_STATIONS)]
    errors, hits = [], 0
    for _ in range(N_SURVEYS):
        at = [seen_distances(rng, rng.poisson(PER_VISIT), RIGHT_M, g) for _ in names]
        r = np.concatenate(at)
        ids = [name for name, seen in zip(names, at, strict=True) for _ in seen]
        fit = fit_detection(function, bin_distances(r, EDGES) if is_binned else truncate(r, right_m=RIGHT_M))
        found = estimate_density(fit, stations_of(ids, r, dict.fromkeys(names, 1.0), right_m=RIGHT_M))
        errors.append(found.density_km2 / true_km2 - 1)
        hits += found.low_km2 <= true_km2 <= found.high_km2
    assert abs(np.mean(errors)) < 0.02
    # 200 surveys of 95 % give 93 to 97 % four times of five.
    assert 0.92 <= hits / N_SURVEYS <= 0.98
