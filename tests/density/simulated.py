"""Simulated point transects: animals at random over a disc, detected with a known detection function."""

from __future__ import annotations

import numpy as np

from trapmeter.density.survey.survey import Station, Survey

RIGHT_M = 12.0
EDGES = np.array([0.0, 1, 2, 3, 4, 6, 8, 10, RIGHT_M])
"""Cutpoints for simulated surveys, metres."""
DUIKER_CUTPOINTS = [2.0, 3, 4, 5, 6, 7, 8, 10, 12, 15]
"""The cutpoints of Howe et al. (2017), metres."""


def detected_distances(rng, n_animals, right_m, g):
    """Distances (metres) of the detected ones of n_animals at random over the disc within right_m."""
    r = right_m * np.sqrt(rng.random(n_animals))
    return r[rng.random(n_animals) < g(r)]


def half_normal(sigma_m):
    return lambda r: np.exp(-((r / sigma_m) ** 2) / 2)


def hazard_rate(sigma_m, shape):
    return lambda r: -np.expm1(-((np.maximum(r, 1e-6) / sigma_m) ** -shape))


def cosine(b, right_m):
    return lambda r: 1 + b * (np.cos(np.pi * r / right_m) - 1)


def make_survey(distance_m, *, n_stations, station=None, effort=10, multiplier=1.0, **facts):
    """A survey of alike stations, whose observations go round the stations unless their indices are given."""
    stations = tuple(Station(f"c{index}", effort, multiplier) for index in range(n_stations))
    index = np.arange(len(distance_m)) % n_stations if station is None else station
    return Survey(stations, index, np.reshape(distance_m, (len(distance_m), -1)), **facts)


def station_counts(station_ids, distance_m, effort_snapshots, *, left_m=0.0, right_m):
    """Every station with effort, and its detections inside the truncation."""
    index = {name: number for number, name in enumerate(effort_snapshots)}
    stations = tuple(Station(name, effort) for name, effort in effort_snapshots.items())
    station = np.array([index[name] for name in station_ids], np.intp)
    return Survey(stations, station, np.reshape(distance_m, (-1, 1))).count_detections(left_m, right_m)
