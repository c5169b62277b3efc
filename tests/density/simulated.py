"""Simulated point transects: animals at random over a disc, seen as a detection function says."""

from __future__ import annotations

import numpy as np

from trapmeter.density.survey.survey import Station, Survey


def seen_distances(rng, n_animals, right_m, g):
    """Distances (metres) of the animals that are seen, of n_animals at random over the disc within right_m."""
    r = right_m * np.sqrt(rng.random(n_animals))
    return r[rng.random(n_animals) < g(r)]


def half_normal(sigma_m):
    return lambda r: np.exp(-((r / sigma_m) ** 2) / 2)


def hazard_rate(sigma_m, shape):
    return lambda r: -np.expm1(-((np.maximum(r, 1e-6) / sigma_m) ** -shape))


def cosine(b, right_m):
    return lambda r: 1 + b * (np.cos(np.pi * r / right_m) - 1)


def stations_of(station_ids, distance_m, effort_snapshots, *, left_m=0.0, right_m):
    """Every station with effort, and its detections within the truncation."""
    number = {name: index for index, name in enumerate(effort_snapshots)}
    cameras = tuple(Station(name, effort) for name, effort in effort_snapshots.items())
    camera = np.array([number[name] for name in station_ids], np.intp)
    return Survey(cameras, camera, np.reshape(distance_m, (-1, 1))).count_detections(left_m, right_m)
