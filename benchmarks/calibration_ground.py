"""Measures how much reference points and camera set-ups reduce the error on simtrap, at sites new to the models.

    python benchmarks/calibration_ground.py --simtrap DIR --split train --answers OUT/default_cpu/round-0/fold-*/held_out.csv
    python benchmarks/calibration_ground.py --simtrap DIR --split test --answers submission.csv --errors .../held_out.csv ...
    python benchmarks/calibration_ground.py --simtrap DIR --split test --box-model OUT/box-model

Points: a person at 2, 3, 5, 7, 10 and 15 m (or the nearest distance that the picture shows), at random bearings in the
middle 70 % of the picture, read with an error of 0.6 % of the picture. Their place in the picture comes from the rendered
camera: height, pitch, roll, field of view and lens. simtrap's ground is not level and the files don't state its slope, so
two angles per site are fitted to the feet in the true boxes of animals that are fully visible. Sites with fewer than four
such feet get no points. Camera set-ups have errors of 1 degree of field of view, 5 % of height and 1.5 degrees of pitch,
and assume level ground.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from trapmeter.boxmodel.model import BoxModel
from trapmeter.calibration.site_correction import SiteFacts, apply_known_facts, correct_site
from trapmeter.metrics import bootstrap_interval
from trapmeter.records import Distance, Observation
from trapmeter.tables.cameras import CameraSetup
from trapmeter.tables.drivendata import best_box_rows, read_labels
from trapmeter.tables.reference_marks import Upright, ground_point
from trapmeter.uncertainty import fit_uncertainty

Floats = NDArray[np.float64]
Row = Mapping[str, str]

DISTANCES_M = (2.0, 3.0, 5.0, 7.0, 10.0, 15.0)
REACHABLE_M = np.arange(1.0, 20.0, 0.5)
READING_SD = 0.006
MIN_FEET = 4


def main() -> None:
    """Prints errors and coverage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simtrap", type=Path, required=True)
    parser.add_argument("--split", choices=("train", "test"), required=True)
    parser.add_argument("--answers", type=Path, nargs="+", help="CSV files of video_id, time, distance")
    parser.add_argument(
        "--errors", type=Path, nargs="+", help="held_out.csv files to learn the uncertainty of --answers from"
    )
    parser.add_argument("--box-model", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()

    observations, truth = labelled(arguments.simtrap, arguments.split)
    model = BoxModel.load(arguments.box_model) if arguments.box_model else None
    if model is not None:
        distances = model.estimate(observations)
    else:
        predictions = read_predictions(arguments.answers)
        errors = read_errors(arguments.errors or arguments.answers, arguments.simtrap)
        logs = np.log1p([predictions[row.media_id, row.time_s] for row in observations])
        distances = fit_uncertainty(*errors).distances(np.asarray(logs, np.float64))
    print(f"{len(truth)} labels, {len({row.site_id for row in observations})} sites")
    report("as predicted", [distances], truth, observations)
    cameras = {row["site_id"]: row for row in read(arguments.simtrap / "sites.csv")}
    feet, aspects = true_feet(arguments.simtrap)
    runs_by_facts: dict[str, list[list[Distance]]] = defaultdict(list)
    for seed in range(arguments.seeds):
        rng = np.random.default_rng(seed)
        points = {site: reference_points(cameras[site], feet[site], aspects[site], rng) for site in sorted(feet)}
        facts = {site: camera_facts(cameras[site], aspects[site], rng) for site in sorted(cameras)}
        few = {site: found[1::3] for site, found in points.items()}
        three = {site: found[::2] for site, found in points.items()}
        lens = {site: replace(camera, height_m=None, pitch_deg=None) for site, camera in facts.items()}
        runs_by_facts["6 points"].append(corrected(observations, distances, points, {}, aspects, model))
        runs_by_facts["3 points"].append(corrected(observations, distances, three, {}, aspects, model))
        runs_by_facts["2 points"].append(corrected(observations, distances, few, {}, aspects, model))
        runs_by_facts["lens, height and pitch"].append(corrected(observations, distances, {}, facts, aspects, model))
        runs_by_facts["lens, height, pitch and 2 points"].append(
            corrected(observations, distances, few, facts, aspects, model)
        )
        runs_by_facts["lens, height, pitch and 6 points"].append(
            corrected(observations, distances, points, facts, aspects, model)
        )
        runs_by_facts["lens alone"].append(corrected(observations, distances, {}, lens, aspects, model))
    for name, runs in runs_by_facts.items():
        report(name, runs, truth, observations)


def report(name: str, runs: Sequence[Sequence[Distance]], truth: Floats, observations: Sequence[Observation]) -> None:
    """Prints a line: mean error with its 95 % bootstrap interval over sites, and coverage and width of 90 % intervals."""
    errors = np.mean([[abs(d.distance_m - m) for d, m in zip(run, truth, strict=True)] for run in runs], axis=0)
    # Labels are rounded to half metres, to whole ones from 8 m on.
    rounding = np.where(truth < 8, 0.25, 0.5)
    ends = [np.array([(d.low_m, d.high_m) for d in run]) for run in runs]
    covered = np.mean([(end[:, 0] - rounding <= truth) & (truth <= end[:, 1] + rounding) for end in ends])
    width = np.mean([end[:, 1] - end[:, 0] for end in ends])
    low, high = bootstrap_interval(errors, [row.site_id for row in observations])
    print(f"| {name} | {errors.mean():.3f} ({low:.2f} to {high:.2f}) | {covered:.1%} | {width:.1f} |", flush=True)


def corrected(
    observations: Sequence[Observation],
    distances: Sequence[Distance],
    points: Mapping[str, Sequence[Upright]],
    cameras: Mapping[str, CameraSetup],
    aspects: Mapping[str, float],
    model: BoxModel | None,
) -> list[Distance]:
    """The distances after calibration. The cameras of the models' training have 47 degrees on average."""
    of_site: dict[str, list[int]] = defaultdict(list)
    for i, row in enumerate(observations):
        of_site[row.site_id].append(i)
    result = list(distances)
    for site, index in of_site.items():
        camera = cameras.get(site, CameraSetup(aspect=1 / aspects[site]))
        facts = SiteFacts((), tuple(points.get(site, ())), camera)
        rows = [observations[i] for i in index]
        informed, left = apply_known_facts(rows, [distances[i] for i in index], facts, model, 47.0)
        after = correct_site(rows, informed, left).distances
        for i, distance in zip(index, after, strict=True):
            result[i] = distance
    return result


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a table."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def labelled(simtrap: Path, split: str) -> tuple[list[Observation], Floats]:
    """The labelled seconds with the detector's best box, and their distances."""
    boxes = best_box_rows(simtrap / f"{split}_metadata.csv")
    labels = read_labels(simtrap / f"{split}_labels.csv")
    rows = [boxes[label.video_id, label.time_s] for label in labels]
    observations = [Observation(row.video_id, row.time_s, row.box, 1, row.site_id) for row in rows]
    return observations, np.array([label.distance_m for label in labels])


def read_predictions(paths: Sequence[Path]) -> dict[tuple[str, float], float]:
    """Predicted metres by video and second."""
    return {(row["video_id"], float(row["time"])): float(row["distance"]) for path in paths for row in read(path)}


def read_errors(paths: Sequence[Path], simtrap: Path) -> tuple[Floats, Floats, list[str]]:
    """Held-out predictions (log(1 + m)), their truths (m), and their sites."""
    truth = {(label.video_id, label.time_s): label.distance_m for label in read_labels(simtrap / "train_labels.csv")}
    sites = {row["video_id"]: row["site_id"] for row in read(simtrap / "videos.csv")}
    predictions = {second: metres for second, metres in read_predictions(paths).items() if second in truth}
    return (
        np.log1p(np.array(list(predictions.values()))),
        np.array([truth[second] for second in predictions]),
        [sites[video] for video, _ in predictions],
    )


def true_feet(simtrap: Path, without: Collection[str] = ()) -> tuple[dict[str, Floats], dict[str, float]]:
    """Distance, bearing (radians) and row of visible animals' feet by site; and height over width of its pictures.

    without: video_ids whose feet are left out.
    """
    videos = {row["video_id"]: row for row in read(simtrap / "videos.csv")}
    feet: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for row in read(simtrap / "truth.csv"):
        if row["video_id"] in without:
            continue
        if row["x1"] and float(row["visible_fraction"]) > 0.85 and float(row["y2"]) < 0.98:
            at = float(row["distance_m"]), float(np.radians(float(row["angle_deg"]))), float(row["y2"])
            feet[videos[row["video_id"]]["site_id"]].append(at)
    aspects = {row["site_id"]: int(row["height"]) / int(row["width"]) for row in videos.values()}
    return {site: np.array(found) for site, found in feet.items() if len(found) >= MIN_FEET}, aspects


def project(camera: Row, aspect: float, distance_m: Floats, bearing: Floats, tilt: Floats) -> tuple[Floats, Floats]:
    """Where ground at a distance and bearing is in the picture. tilt: degrees added to pitch and roll."""
    pitch, roll = np.radians(float(camera["pitch_deg"]) + tilt[0]), np.radians(float(camera["roll_deg"]) + tilt[1])
    half, k1 = np.tan(np.radians(float(camera["hfov_deg"])) / 2), float(camera["k1"])
    right, ahead, up = distance_m * np.sin(bearing), distance_m * np.cos(bearing), -float(camera["camera_height_m"])
    depth, high = ahead * np.cos(pitch) + up * np.sin(pitch), -ahead * np.sin(pitch) + up * np.cos(pitch)
    x = (right * np.cos(roll) + high * np.sin(roll)) / depth / half
    y = -(-right * np.sin(roll) + high * np.cos(roll)) / depth / half
    u, v = x, y
    for _ in range(20):
        bent = (1 + k1 * (u * u + v * v)) / (1 + k1)
        u, v = x / bent, y / bent
    # Far outside the picture the lens formula has no inverse.
    v = np.where(np.hypot(x, y) < 1.5, v, np.nan)
    return 0.5 + u / 2, 0.5 + v / 2 / aspect


def reference_points(camera: Row, feet: Floats, aspect: float, rng: np.random.Generator) -> list[Upright]:
    """Six points as a field team would take them."""
    # Many seconds of few videos count as twelve at most.
    weight = np.sqrt(min(len(feet), 12) / len(feet)) / 0.015

    def misfit(tilt: Floats) -> Floats:
        residual = np.nan_to_num(project(camera, aspect, feet[:, 0], feet[:, 1], tilt)[1] - feet[:, 2], nan=1.0)
        return np.concatenate([weight * residual, tilt / (3, 4)])

    tilt = least_squares(misfit, np.zeros(2), loss="soft_l1").x
    points = []
    for target_m in DISTANCES_M:
        bearing = np.radians(rng.uniform(-0.35, 0.35) * float(camera["hfov_deg"]))
        for metres in REACHABLE_M[np.argsort(np.abs(REACHABLE_M - target_m), kind="stable")].tolist():
            x, y = project(camera, aspect, np.array([metres]), np.array([bearing]), tilt)
            if 0 < y[0] < 0.97:
                x, y = (np.clip(value[0] + rng.normal(0, READING_SD), 0, 1) for value in (x, y))
                points.append(ground_point(float(x), float(y), float(metres)))
                break
    return points


def camera_facts(camera: Row, aspect: float, rng: np.random.Generator) -> CameraSetup:
    """The set-up as a field team would measure it."""
    return CameraSetup(
        float(camera["hfov_deg"]) + rng.normal(0, 1),
        float(camera["camera_height_m"]) * float(np.exp(rng.normal(0, 0.05))),
        float(camera["pitch_deg"]) + rng.normal(0, 1.5),
        1 / aspect,
    )


if __name__ == "__main__":
    main()
