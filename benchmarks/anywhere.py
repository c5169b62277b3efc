"""Compares the box model with an earlier version, at sites, lenses and animals that neither has seen.

    python benchmarks/anywhere.py --simtrap DIR --before ../trapmeter-1.0/src --out anywhere.json

Grounds: simtrap's test sites (the detector's best box of each labelled second), and simulated sites by lens and by size of
animal. Each version answers several times, given more each time: nothing; the lens (with an error of 3 %); lens and species;
lens, species and three or six reference points, whose places in the picture have an error of 0.6 %. Every version answers in
a process of its own, from the same rows.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

LENS, SPECIES = "lens", "species"
TOLD: dict[str, tuple[str, ...]] = {
    "nothing": (),
    LENS: (LENS,),
    "lens, species": (LENS, SPECIES),
    "lens, species, 3 points": (LENS, SPECIES, "3"),
    "lens, species, 6 points": (LENS, SPECIES, "6"),
}
SIMULATED_SITES, SIMULATED_SEED = 300, 900
"""Not a seed of training."""
POINTS_M = (2.0, 3.0, 5.0, 7.0, 10.0, 15.0)
READING_SD = 0.006
SPECIES_SD_LOG = 0.12
LENS_BANDS_DEG = ((18, 30), (30, 42), (42, 54), (54, 70))
SIZE_BANDS_M = ((0.15, 0.4), (0.4, 0.8), (0.8, 1.5), (1.5, 3.2))
Row = dict[str, Any]


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simtrap", type=Path)
    parser.add_argument("--before", type=Path, help="folder `src` of an earlier version")
    parser.add_argument("--out", type=Path, help="write the figures as JSON, too")
    parser.add_argument("--answer", nargs=2, type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.answer:
        answer(*arguments.answer)
        return
    grounds: dict[str, list[Row]] = {"simulated": simulated_rows()}
    if arguments.simtrap:
        grounds = {"simtrap test": simtrap_rows(arguments.simtrap)} | grounds
    figures = []
    for name, rows in grounds.items():
        answers = {"now": ask(Path(__file__).parents[1] / "src", rows)}
        if arguments.before:
            answers = {"before": ask(arguments.before, rows)} | answers
        figures += print_ground(name, rows, answers)
        if name == "simulated":
            for label, chosen in bands(rows).items():
                part = {
                    version: {told: [distances[i] for i in chosen] for told, distances in of.items()}
                    for version, of in answers.items()
                }
                figures += print_ground(f"simulated, {label}", [rows[i] for i in chosen], part)
    if arguments.out:
        arguments.out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def ask(source: Path, rows: list[Row]) -> dict[str, list[list[float]]]:
    """The distances of a version of trapmeter: for each row metres, low and high, by what it is told."""
    with tempfile.TemporaryDirectory() as folder:
        question, reply = Path(folder, "rows.json"), Path(folder, "distances.json")
        question.write_text(json.dumps(rows), encoding="utf-8")
        environment = {**os.environ, "PYTHONPATH": str(source.resolve())}
        subprocess.run([sys.executable, __file__, "--answer", question, reply], env=environment, check=True)
        distances: dict[str, list[list[float]]] = json.loads(reply.read_text(encoding="utf-8"))
    return distances


def answer(question: Path, reply: Path) -> None:
    """Answers in the version of trapmeter that is on the path."""
    from trapmeter.boxmodel.model import BoxModel
    from trapmeter.calibration import site_correction
    from trapmeter.calibration.site_correction import SiteFacts
    from trapmeter.records import Box, Observation
    from trapmeter.tables.cameras import CameraSetup
    from trapmeter.tables.reference_marks import ground_point
    from trapmeter.tables.species import ShoulderHeight

    rows: list[Row] = json.loads(question.read_text(encoding="utf-8"))
    model = BoxModel.load()
    boxes = [Box(*row["box"]) if row["box"] else None for row in rows]
    observations = [
        Observation(row["media_id"], row["time_s"], box, 1, row["site_id"])
        for row, box in zip(rows, boxes, strict=True)
    ]
    of_site: dict[str, list[int]] = defaultdict(list)
    for i, row in enumerate(rows):
        of_site[row["site_id"]].append(i)
    untold = model.estimate(observations)
    result = {}
    for told, names in TOLD.items():
        distances = list(untold)
        for index in of_site.values() if names else ():
            first = rows[index[0]]
            points = first["points"][:: 1 if "6" in names else 2] if {"3", "6"} & set(names) else []
            shoulders = tuple(
                ShoulderHeight(rows[i]["shoulder_m"], rows[i]["shoulder_sd_log"])
                if SPECIES in names and rows[i]["shoulder_m"]
                else None
                for i in index
            )
            facts = SiteFacts(
                uprights=tuple(ground_point(*point) for point in points),
                camera=CameraSetup(first["hfov_deg"], aspect=first["aspect_ratio"]),
                shoulders=shoulders,
            )
            of_site_rows, before = [observations[i] for i in index], [untold[i] for i in index]
            if hasattr(site_correction, "apply_known_facts"):
                before, facts = site_correction.apply_known_facts(of_site_rows, before, facts, model)
            else:
                # Versions whose box model took no facts.
                before = site_correction.correct_for_lens(of_site_rows, before, facts.camera, 45.0, model)
            after = site_correction.correct_site(of_site_rows, before, facts).distances
            for i, distance in zip(index, after, strict=True):
                distances[i] = distance
        result[told] = [[d.distance_m, d.low_m, d.high_m] for d in distances]
    reply.write_text(json.dumps(result), encoding="utf-8")


def print_ground(name: str, rows: list[Row], answers: dict[str, dict[str, list[list[float]]]]) -> list[Row]:
    """Prints a ground's table and returns its figures."""
    truth = np.array([row["distance_m"] for row in rows])
    # simtrap's labels are rounded to half metres, to whole ones from 8 m on.
    rounding = np.where(truth < 8, 0.25, 0.5) * np.array([row["is_rounded"] for row in rows])
    median = float(np.abs(truth - np.median(truth)).mean())
    print(
        f"\n{name}: {len(rows)} rows, {len({row['site_id'] for row in rows})} sites; always the median {median:.2f} m\n"
    )
    print("| told | version | error, m | of before | relative | bias, m | 90 % holds | width, m |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    figures = []
    for told in TOLD:
        first = None
        for version, distances in answers.items():
            metres, low, high = np.array(distances[told]).T
            error = float(np.abs(metres - truth).mean())
            first = first or error
            figure = {
                "ground": name,
                "told": told,
                "version": version,
                "error_m": round(error, 3),
                "ratio": round(error / first, 3),
                "relative": round(float(np.median(np.abs(metres - truth) / truth)), 3),
                "bias_m": round(float((metres - truth).mean()), 3),
                "coverage": round(float(np.mean((low - rounding <= truth) & (truth <= high + rounding))), 3),
                "width_m": round(float((high - low).mean()), 2),
            }
            figures.append(figure)
            print(
                f"| {told} | {version} | {error:.3f} | {figure['ratio']:.0%} | {figure['relative']:.0%} | "
                f"{figure['bias_m']:+.2f} | {figure['coverage']:.1%} | {figure['width_m']:.1f} |",
                flush=True,
            )
    return figures


def bands(rows: list[Row]) -> dict[str, list[int]]:
    """The rows by lens and by size of the animal."""
    chosen = {
        f"{low} to {high} degrees": [i for i, row in enumerate(rows) if low <= row["hfov_deg"] < high]
        for low, high in LENS_BANDS_DEG
    }
    return chosen | {
        f"{low} to {high} m high": [i for i, row in enumerate(rows) if low <= row["shoulder_m"] < high]
        for low, high in SIZE_BANDS_M
    }


def simulated_rows() -> list[Row]:
    """The rows of simulated sites, with reference points that their cameras show."""
    from trapmeter.boxmodel.simulated import simulate_site
    from trapmeter.boxmodel.simulated_animals import draw_camera

    rows = []
    for number in range(SIMULATED_SITES):
        site_id = f"simulated-{number}"
        # The camera is the first thing that a site draws.
        camera = draw_camera(np.random.default_rng([SIMULATED_SEED, number]))
        rng = np.random.default_rng([SIMULATED_SEED, number, 1])
        points = []
        for metres in POINTS_M:
            bearing = rng.uniform(-0.35, 0.35) * camera.hfov_deg
            x, y = (value + rng.normal(0, READING_SD) for value in camera.place(metres, bearing))
            if 0 < x < 1 and 0 < y < 1:
                points.append((x, y, metres))
        for sample in simulate_site(site_id, np.random.default_rng([SIMULATED_SEED, number])):
            box = sample.observation.box
            rows.append(
                {
                    "media_id": sample.observation.media_id,
                    "time_s": sample.observation.time_s,
                    "site_id": site_id,
                    "box": [*box.xyxy, box.score] if box else None,
                    "distance_m": sample.distance_m,
                    "is_rounded": False,
                    "hfov_deg": sample.facts.hfov_deg,
                    "aspect_ratio": camera.aspect_ratio,
                    "shoulder_m": sample.facts.shoulder_m,
                    "shoulder_sd_log": SPECIES_SD_LOG,
                    "points": points,
                }
            )
    return rows


def simtrap_rows(simtrap: Path, split: str = "test") -> list[Row]:
    """The labelled seconds of a split, with reference points as in benchmarks/calibration_ground.py."""
    import calibration_ground as ground
    from camera_facts import shoulder_heights

    observations, truth = ground.labelled(simtrap, split)
    cameras = {row["site_id"]: row for row in ground.read(simtrap / "sites.csv")}
    feet, aspects = ground.true_feet(simtrap)
    shoulders = shoulder_heights(simtrap)
    rows, points, hfov = [], {}, {}
    for site, camera in sorted(cameras.items()):
        rng = np.random.default_rng(int(site[1:]))
        tangent = math.tan(math.radians(float(camera["hfov_deg"])) / 2) * math.exp(rng.normal(0, 0.03))
        hfov[site] = math.degrees(2 * math.atan(tangent))
        uprights = ground.reference_points(camera, feet[site], aspects[site], rng) if site in feet else []
        points[site] = [(u.marks[0].x, u.marks[0].y, u.distance_m) for u in uprights]
    for observation, metres in zip(observations, truth.tolist(), strict=True):
        box, site = observation.box, observation.site_id
        shoulder = shoulders.get(observation.media_id)
        rows.append(
            {
                "media_id": observation.media_id,
                "time_s": observation.time_s,
                "site_id": site,
                "box": [*box.xyxy, box.score] if box else None,
                "distance_m": metres,
                "is_rounded": True,
                "hfov_deg": hfov[site],
                "aspect_ratio": 1 / aspects[site],
                "shoulder_m": None if shoulder is None else shoulder.height_m,
                "shoulder_sd_log": None if shoulder is None else shoulder.sd_log,
                "points": points[site],
            }
        )
    return rows


if __name__ == "__main__":
    main()
