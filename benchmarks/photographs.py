"""Density from motion-triggered photographs over simulated surveys: the plain way, and the way of `trapmeter density`.

    python benchmarks/photographs.py [--cameras 40] [--spans 180] [--seed 1] [--delays 0,1,5] [--from-0]

Animals walk, turn and stop at random around each camera, and are seen while they are in its angle of view and near enough:
one with the chance U, drawn when it comes into view, at distances where g(r) > U. At every moment, the detection function is
thus g. The camera is triggered by an animal that it sees: at once if the animal walks, after a few seconds if it stands, and
now and then by something else. It takes its burst, and is blind for the retrigger delay. The same animals pass for every
delay, so that rows can be compared.

The plain way counts each photograph as a snapshot, and a snapshot every second of operating time. Bias is relative to the
density from snapshots every second of the same animals, as a video would give it, because the few visits that a simulation
can hold vary by more than the ways of counting differ. Cutpoints start at 2 m, as those of Howe et al. (2017), with
`--from-0` at 0 m: close to the camera, where the angle of view is narrow, animals leave sooner than others.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trapmeter.density.analysis import AnalysisSettings, run_analysis
from trapmeter.density.detection.selection import candidate_functions
from trapmeter.density.settings import DensitySettings
from trapmeter.density.survey.effort import StationEffort, compute_effort
from trapmeter.density.survey.photographs import weigh_photographs
from trapmeter.density.survey.survey import Station, Survey
from trapmeter.density.survey.triggers import Burst, find_timing
from trapmeter.tables.deployments import Deployment

STEP_S = 0.25
THETA_DEG = 42.0
RIGHT_M, SIGMA_M = 12.0, 5.0
EDGES_M = (2.0, 4.0, 6.0, 8.0, 10.0, RIGHT_M)
START = datetime(2024, 5, 1)
SPAN_S = 6000.0
"""A camera is simulated as several animals in a square each, one after the other, for this long."""

Floats = NDArray[np.float64]


class Behaviour(NamedTuple):
    """How animals move: metres per second, mean seconds of walks and stops, turns (radians per root second).

    square_m: side of the square that one animal walks in. notice_s: mean seconds until a standing animal triggers the camera.
    """

    speed: float
    walk_s: float
    stop_s: float
    turn: float
    square_m: float
    notice_s: float


BEHAVIOURS = {
    "feeding": Behaviour(0.4, 10, 20, 0.5, 100, 3),
    "resting": Behaviour(0.4, 15, 120, 0.5, 60, 3),
    "resting, standing still": Behaviour(0.4, 15, 120, 0.5, 60, 10),
    "passing": Behaviour(1.0, 60, 5, 0.2, 150, 3),
}
BURSTS = (Burst(3, 1.0), Burst(1))


class Sighting(NamedTuple):
    """What cameras see in steps of STEP_S: camera, step, distance in metres, whether the animal walks (n each)."""

    camera: NDArray[np.intp]
    step: NDArray[np.intp]
    distance_m: Floats
    walks: NDArray[np.bool_]


class Photo(NamedTuple):
    """A photograph: seconds since the start, and the distance of its animal or NaN."""

    time_s: float
    distance_m: float


def simulate(behaviour: Behaviour, n_cameras: int, spans: int, seed: int) -> Sighting:
    """The animals that cameras see during `spans` stretches of SPAN_S seconds, one animal in a square around the camera."""
    rng = np.random.default_rng(seed)
    n, side_m = n_cameras * spans, behaviour.square_m
    position = rng.uniform(-side_m / 2, side_m / 2, (n, 2))
    heading = rng.uniform(0, 2 * np.pi, n)
    walks = rng.random(n) < behaviour.walk_s / (behaviour.walk_s + behaviour.stop_s)
    speed = behaviour.speed * rng.lognormal(-0.08, 0.4, n)
    chance, was_inside = rng.random(n), np.zeros(n, np.bool_)
    found: list[tuple[NDArray[np.intp], int, Floats, NDArray[np.bool_]]] = []
    for step in range(int(SPAN_S / STEP_S)):
        changes = rng.random(n) < STEP_S / np.where(walks, behaviour.walk_s, behaviour.stop_s)
        walks = walks ^ changes
        heading += np.where(changes & walks, rng.uniform(-np.pi, np.pi, n), 0.0)
        heading += behaviour.turn * math.sqrt(STEP_S) * rng.standard_normal(n)
        moved_m = np.where(walks, speed * STEP_S, 0.0)
        position += moved_m[:, None] * np.stack([np.cos(heading), np.sin(heading)], axis=1)
        position -= side_m * np.round(position / side_m)  # whoever leaves the square comes in on its other side
        distance_m = np.hypot(position[:, 0], position[:, 1])
        bearing_deg = np.degrees(np.abs(np.arctan2(position[:, 1], position[:, 0])))
        is_inside = (distance_m < RIGHT_M) & (bearing_deg < THETA_DEG / 2)
        chance = np.where(is_inside & ~was_inside, rng.random(n), chance)
        was_inside = is_inside
        seen = np.flatnonzero(is_inside & (chance < np.exp(-((distance_m / SIGMA_M) ** 2) / 2)))
        if len(seen):
            found.append((seen, step, distance_m[seen], walks[seen]))
    index = np.concatenate([seen for seen, *_ in found])
    step_in_span = np.concatenate([np.full(len(seen), step) for seen, step, *_ in found])
    step = step_in_span + index // n_cameras * int(SPAN_S / STEP_S)
    order = np.lexsort((step, index % n_cameras))
    distance_m, walk = (np.concatenate([entry[number] for entry in found]) for number in (2, 3))
    return Sighting((index % n_cameras)[order], step[order], distance_m[order], walk[order])


def photograph(
    sighting: Sighting,
    camera: int,
    burst: Burst,
    delay_s: float,
    notice_s: float,
    false_triggers: Sequence[float],
    seed: int,
) -> list[Photo]:
    """The photographs of one camera. false_triggers: seconds at which something else triggers it, if it is ready."""
    rng = np.random.default_rng([seed, camera])
    is_own = sighting.camera == camera
    steps = sighting.step[is_own].tolist()
    seen = dict(zip(steps, sighting.distance_m[is_own].tolist(), strict=True))
    wishes = [(step, walks) for step, walks in zip(steps, sighting.walks[is_own].tolist(), strict=True)]
    wishes += [(int(time_s / STEP_S), True) for time_s in false_triggers]
    photos: list[Photo] = []
    ready = 0
    for step, is_noticed in sorted(wishes):
        if step < ready or not (is_noticed or rng.random() < STEP_S / notice_s):
            continue
        for number in range(burst.n):
            at = step + round(number * burst.spacing_s / STEP_S)
            photos.append(Photo(at * STEP_S, seen.get(at, math.nan)))
        ready = step + round(burst.length_s / STEP_S) + max(round(delay_s / STEP_S), 1)
    return photos


def density_km2(survey: Survey, *, from_0: bool) -> float:
    """The density of a half-normal fit."""
    edges_m = (0.0, *EDGES_M) if from_0 else EDGES_M
    settings = AnalysisSettings(candidate_functions(["half-normal"], ["none"]), edges_m)
    return run_analysis(survey, settings).best.density.density_km2


def plain_survey(cameras: Sequence[Sequence[Photo]], total_s: float, interval_s: float) -> Survey:
    """Every photograph is a snapshot, and effort is operating seconds divided by the interval."""
    stations = tuple(Station(f"c{number}", total_s / interval_s, THETA_DEG / 360) for number in range(len(cameras)))
    found = [
        (number, photo.distance_m) for number, photos in enumerate(cameras) for photo in photos if _has_animal(photo)
    ]
    return Survey(stations, np.array([n for n, _ in found], np.intp), np.array([[metres] for _, metres in found]))


def weighed_survey(
    cameras: Sequence[Sequence[Photo]], total_s: float, burst: Burst | None, delay_s: float | None
) -> Survey:
    """The survey as `trapmeter density` counts it. burst, delay_s: None for what is to be learnt."""
    settings = DensitySettings("", theta_deg=THETA_DEG, burst=burst, retrigger_s=delay_s)  # type: ignore[arg-type]
    sites = compute_effort(list(_deployments(len(cameras), total_s)), settings)
    named = {
        f"c{number}": {f"{index}": START + timedelta(seconds=photo.time_s) for index, photo in enumerate(photos)}
        for number, photos in enumerate(cameras)
    }
    found = [
        (f"c{number}", f"{index}", photo.distance_m)
        for number, photos in enumerate(cameras)
        for index, photo in enumerate(photos)
        if _has_animal(photo)
    ]
    weighed = weigh_photographs(sites, named, [(site_id, name) for site_id, name, _ in found], settings)
    stations = [site.station for site in _in_order(weighed.sites, len(cameras))]
    return Survey(
        tuple(stations),
        np.array([int(site_id[1:]) for site_id, *_ in found], np.intp),
        np.array([[metres] for *_, metres in found]),
        weight=weighed.weight,
    )


def _has_animal(photo: Photo) -> bool:
    return not math.isnan(photo.distance_m)


def _deployments(n: int, total_s: float) -> Iterator[Deployment]:
    for number in range(n):
        end = START + timedelta(seconds=total_s)
        yield Deployment("", f"c{number}", START, end, THETA_DEG, 1.0, (), "", None)


def _in_order(sites: dict[str, StationEffort], n: int) -> list[StationEffort]:
    return [sites[f"c{number}"] for number in range(n)]


def video_survey(sighting: Sighting, n_cameras: int, total_s: float) -> Survey:
    """Snapshots every second of the same animals."""
    is_second = sighting.step % round(1 / STEP_S) == 0
    stations = tuple(Station(f"c{number}", total_s, THETA_DEG / 360) for number in range(n_cameras))
    return Survey(stations, sighting.camera[is_second], sighting.distance_m[is_second][:, None])


def main() -> None:
    """Prints a row for each behaviour, burst and delay."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, default=40)
    parser.add_argument("--spans", type=int, default=180)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--delays", default="0,1,5,15,30,60")
    parser.add_argument("--false-triggers", type=float, default=0.5, help="others than animals, per camera and hour")
    parser.add_argument("--from-0", action="store_true", help="cutpoints from 0 m")
    arguments = parser.parse_args()
    estimate = partial(density_km2, from_0=arguments.from_0)
    total_s = arguments.spans * SPAN_S
    print("| animals | burst | retrigger delay (s) | photographs | plain way | trapmeter | burst and delay learnt |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, behaviour in BEHAVIOURS.items():
        sighting = simulate(behaviour, arguments.cameras, arguments.spans, arguments.seed)
        video = estimate(video_survey(sighting, arguments.cameras, total_s))
        rng = np.random.default_rng(arguments.seed)
        n_false = rng.poisson(arguments.false_triggers * total_s / 3600, arguments.cameras).tolist()
        false = [sorted(rng.uniform(0, total_s, n).tolist()) for n in n_false]
        for burst in BURSTS:
            for delay_s in map(float, arguments.delays.split(",")):
                cameras = [
                    photograph(sighting, number, burst, delay_s, behaviour.notice_s, times, arguments.seed)
                    for number, times in enumerate(false)
                ]
                plain = estimate(plain_survey(cameras, total_s, burst.spacing_s or 1.0)) / video - 1
                told = estimate(weighed_survey(cameras, total_s, burst, delay_s)) / video - 1
                learnt = estimate(weighed_survey(cameras, total_s, None, None)) / video - 1
                timing = find_timing([np.array([photo.time_s for photo in photos]) for photos in cameras])[0]
                print(
                    f"| {name} | {burst} | {delay_s:g} | {sum(map(len, cameras)):,} | {plain:+.0%} | {told:+.1%} | "
                    f"{learnt:+.1%} ({timing.burst}, {timing.retrigger_s:g} s) |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
