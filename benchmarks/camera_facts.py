"""Measures how much the lens and the animal's size reduce the error: on simtrap, and on boxes as narrower lenses show them.

    python benchmarks/camera_facts.py --simtrap DIR --split train
    python benchmarks/camera_facts.py --tables deep-chimpact

simtrap: the built-in box model, trained with other cameras and animals, on the detector's boxes and on the true boxes of
animals that are at least 20 % visible. Fields of view have an error of 1 degree; species have a field guide's name
(elephant calves 1.2 m).

Tables: three folds by site. A lens that is z times longer shows the middle of the picture, so its boxes follow exactly:
enlarged and cut, if at least half of a box remains. The animals and their distances are the same.
"""

from __future__ import annotations

import argparse
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from calibration_ground import Floats, labelled, read, report
from trapmeter.boxmodel.cross_validation import assign_site_folds
from trapmeter.boxmodel.ensemble import fit_forest
from trapmeter.boxmodel.features import features
from trapmeter.boxmodel.model import BoxModel
from trapmeter.boxmodel.settings import BoxModelSettings
from trapmeter.boxmodel.training_data import build_training_table, read_labelled_observations
from trapmeter.calibration.site_correction import SiteFacts, apply_known_facts, correct_site
from trapmeter.facts import Facts
from trapmeter.records import Box, Distance, Observation
from trapmeter.tables.cameras import CameraSetup
from trapmeter.tables.species import ShoulderHeight, shoulder_height_of

NAMES = {
    "elephant": "forest elephant",
    "hog": "red river hog",
    "buffalo": "forest buffalo",
    "monkey": "sooty mangabey",
    "golden_cat": "African golden cat",
    "fox": "red fox",
}
CALF = ShoulderHeight(1.2)
MIN_VISIBLE = 0.2
LONGER = (1.25, 1.5, 2.0, 3.0)
TRAINED_HFOV_DEG = 45.0


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simtrap", type=Path)
    parser.add_argument("--split", choices=("train", "test"), default="train")
    parser.add_argument("--tables", type=Path)
    arguments = parser.parse_args()
    if arguments.simtrap:
        simtrap(arguments.simtrap, arguments.split)
    if arguments.tables:
        narrow_lenses(arguments.tables)


def simtrap(folder: Path, split: str) -> None:
    """Errors with and without facts."""
    model = BoxModel.load()
    observations, truth = labelled(folder, split)
    rng = np.random.default_rng(0)
    cameras = {
        row["site_id"]: CameraSetup(float(row["hfov_deg"]) + rng.normal(0, 1), aspect=16 / 9)
        for row in read(folder / "sites.csv")
    }
    shoulders = shoulder_heights(folder)
    for name, rows in (("detector's boxes", observations), ("true boxes", true_boxes(folder, observations))):
        distances = model.estimate(rows)
        print(f"\n{name}: {len(rows)} rows")
        facts: dict[str, tuple[Mapping[str, CameraSetup], Mapping[str, ShoulderHeight]]] = {
            "nothing": ({}, {}),
            "lens": (cameras, {}),
            "species": ({}, shoulders),
            "lens and species": (cameras, shoulders),
        }
        for used, (site_cameras, media_shoulders) in facts.items():
            report(used, [corrected(rows, distances, site_cameras, media_shoulders, model)], truth, rows)


def shoulder_heights(folder: Path) -> dict[str, ShoulderHeight]:
    """The shoulder height that a field team would state for each video with an animal."""
    return {row["video_id"]: shoulder(row["species"]) for row in read(folder / "videos.csv") if row["species"]}


def shoulder(species: str) -> ShoulderHeight:
    """The shoulder height that a field team would state for a rendered species."""
    return CALF if species == "elephant_calf" else shoulder_height_of(NAMES.get(species, species))


def true_boxes(folder: Path, observations: Sequence[Observation]) -> list[Observation]:
    """The observations with the true box of the nearest animal that is visible."""
    nearest: dict[tuple[str, float], tuple[float, Box]] = {}
    for row in read(folder / "truth.csv"):
        if row["x1"] and float(row["visible_fraction"]) >= MIN_VISIBLE:
            second, metres = (row["video_id"], float(row["time"])), float(row["distance_m"])
            if metres < nearest.get(second, (math.inf, None))[0]:
                x1, y1, x2, y2 = (float(row[name]) for name in ("x1", "y1", "x2", "y2"))
                nearest[second] = metres, Box(x1, y1, x2, y2, 0.9)
    return [replace(row, box=nearest[row.media_id, row.time_s][1]) for row in observations]


def corrected(
    observations: Sequence[Observation],
    distances: Sequence[Distance],
    cameras: Mapping[str, CameraSetup],
    shoulders: Mapping[str, ShoulderHeight],
    model: BoxModel,
) -> list[Distance]:
    """The distances after calibration by these facts."""
    of_site: dict[str, list[int]] = defaultdict(list)
    for i, row in enumerate(observations):
        of_site[row.site_id].append(i)
    result = list(distances)
    for site, index in of_site.items():
        rows = [observations[i] for i in index]
        heights = tuple(shoulders.get(row.media_id) for row in rows)
        facts = SiteFacts(camera=cameras.get(site), shoulders=heights)
        informed, left = apply_known_facts(rows, [distances[i] for i in index], facts, model, TRAINED_HFOV_DEG)
        for i, distance in zip(index, correct_site(rows, informed, left).distances, strict=True):
            result[i] = distance
    return result


def narrow_lenses(folder: Path) -> None:
    """Prints errors at held-out sites, on boxes as narrower lenses show them."""
    samples = read_labelled_observations(folder)
    fold = assign_site_folds(samples, 3)
    table = build_training_table(samples)
    forests = [fit_forest(table, fold != k, BoxModelSettings(bags=1)) for k in range(3)]
    truth = np.array([sample.distance_m for sample in samples])
    print(
        "| lens, times longer | rows | plain picture, m | as predicted, m | times root, m | times ratio, m | lens told, m |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for longer in LONGER:
        hfov_deg = math.degrees(2 * math.atan(math.tan(math.radians(TRAINED_HFOV_DEG) / 2) / longer))
        visible: dict[int, Observation] = {}
        for i, sample in enumerate(samples):
            box = None if sample.observation.box is None else enlarged(sample.observation.box, longer)
            if box is not None:
                visible[i] = replace(sample.observation, box=box)
        rows = np.array(list(visible))
        lens = Facts(hfov_deg=hfov_deg, aspect_ratio=16 / 9)

        def predict_m(
            observations: Sequence[Observation], facts: Sequence[Facts] = (), folds: np.ndarray = fold[rows]
        ) -> Floats:
            values = features(observations, facts)
            predictions = np.stack([np.expm1(forest.predict(values)[:, 0]) for forest in forests])
            return np.asarray(predictions[folds, np.arange(len(folds))], np.float64)

        plain, enlarged_m = predict_m([samples[i].observation for i in rows]), predict_m(list(visible.values()))
        told_m = predict_m(list(visible.values()), [lens] * len(visible))
        columns = [plain, enlarged_m, enlarged_m * math.sqrt(longer), enlarged_m * longer, told_m]
        errors = " | ".join(f"{np.abs(column - truth[rows]).mean():.3f}" for column in columns)
        print(f"| {longer:g} | {len(rows)} | {errors} |", flush=True)


def enlarged(box: Box, longer: float) -> Box | None:
    """The box as a longer lens shows it; None if less than half of it remains in the picture."""
    x1, y1, x2, y2 = (0.5 + (value - 0.5) * longer for value in box.xyxy)
    left, top, right, bottom = (min(max(value, 0.0), 1.0) for value in (x1, y1, x2, y2))
    if left >= right or top >= bottom or (right - left) * (bottom - top) < 0.5 * (x2 - x1) * (y2 - y1):
        return None
    return Box(left, top, right, bottom, box.score)


if __name__ == "__main__":
    main()
