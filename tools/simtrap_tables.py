r"""Makes training tables for the box model from a folder of simtrap, with what a field team would know.

    PYTHONPATH=benchmarks python tools/simtrap_tables.py --simtrap DIR --split train --without S0007 S0011 S0073 S0079 \
        --out tables/
    trapmeter boxmodel train --tables deep-chimpact/ --tables tables/ --simulated 3000 --out model/

DIR is simtrap or what its renderer exports; the sites left out are those of the demo's clips. The tables are the folder's
labels and metadata, with columns for the lens, the camera's height and pitch as they would be stated in the field, and the
shoulder height of the nearest visible animal: of its species, or where the truth states an individual's (the renderer draws
sizes at random), that one with an error. The ground is by a camera fitted to reference points, see
benchmarks/calibration_ground.py.
"""

from __future__ import annotations

import argparse
import csv
import math
import zlib
from pathlib import Path

import numpy as np

from calibration_ground import reference_points, true_feet
from trapmeter.boxmodel.simulated import stated_mounting
from trapmeter.camera.fit import CameraFit, fit_camera
from trapmeter.camera.model import PinholeCamera
from trapmeter.camera.prior import camera_prior
from trapmeter.tables.cameras import CameraSetup
from trapmeter.tables.drivendata import FACT_COLUMNS
from trapmeter.tables.species import shoulder_height_of

NAMES = {
    "elephant": "forest elephant",
    "hog": "red river hog",
    "buffalo": "forest buffalo",
    "monkey": "sooty mangabey",
    "golden_cat": "African golden cat",
    "fox": "red fox",
}
"""The names in field guides of simtrap's species."""
CALF_M = 1.2
MIN_VISIBLE = 0.2
INDIVIDUAL_SD_LOG = 0.07

Row = dict[str, str]


def main() -> None:
    """Writes train_labels.csv and train_metadata.csv."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simtrap", type=Path, required=True)
    parser.add_argument("--split", default="", help="train or test; leave it out for a renderer's export")
    parser.add_argument(
        "--name", default="", help="set before the names of videos, sites and parks, to tell several folders apart"
    )
    parser.add_argument(
        "--without", nargs="*", default=[], metavar="SITE", help="sites to leave out, such as the demo's"
    )
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    prefix = f"{arguments.split}_" if arguments.split else ""
    name = arguments.name
    sites = {row["site_id"]: row for row in read(arguments.simtrap / "sites.csv")}
    nearest = nearest_animals(arguments.simtrap / "truth.csv")
    metadata = [
        row for row in read(arguments.simtrap / f"{prefix}metadata.csv") if row["site_id"] not in arguments.without
    ]
    videos = {row["video_id"] for row in metadata}
    labels = [row for row in read(arguments.simtrap / f"{prefix}labels.csv") if row["video_id"] in videos]
    fits = fits_to_points(arguments.simtrap, sites)
    for row in metadata:
        row.update(facts_of_site(sites[row["site_id"]]))
        row.update(ground_of(row, fits.get(row["site_id"])))
        row["shoulder_m"] = shoulder_of(nearest.get((row["video_id"], row["time"])))
    for row in (*labels, *metadata):
        row.update({column: f"{name}{row[column]}" for column in ("video_id", "site_id", "park") if column in row})
    write(arguments.out / "train_labels.csv", labels, list(labels[0]))
    box = ("video_id", "time", "x1", "y1", "x2", "y2", "probability", "park", "site_id")
    write(arguments.out / "train_metadata.csv", metadata, [*box, *FACT_COLUMNS])
    print(f"{len(labels)} labels, {len(metadata)} boxes: {arguments.out}")


def facts_of_site(site: Row) -> Row:
    """What a field team would state, drawn by the site's name."""
    camera = PinholeCamera(float(site["hfov_deg"]), float(site["camera_height_m"]), float(site["pitch_deg"]))
    stated = stated_mounting(camera, np.random.default_rng(zlib.crc32(site["site_id"].encode())))
    cells = {"hfov_deg": stated.hfov_deg, "camera_height_m": stated.height_m, "pitch_deg": stated.pitch_deg}
    return {"aspect_ratio": f"{16 / 9:.4f}"} | {name: f"{value:.3f}" for name, value in cells.items()}


def fits_to_points(simtrap: Path, sites: dict[str, Row]) -> dict[str, CameraFit]:
    """A camera for each site, fitted to two to six reference points; at half of the sites its lens is known."""
    feet, aspects = true_feet(simtrap)
    fits = {}
    for site in sorted(feet):
        rng = np.random.default_rng(zlib.crc32(site.encode()) + 1)
        points = reference_points(sites[site], feet[site], aspects[site], rng)
        chosen = sorted(rng.permutation(len(points))[: int(rng.integers(2, 7))].tolist())
        hfov_deg = float(facts_of_site(sites[site])["hfov_deg"]) if rng.random() < 0.5 else None
        if len(chosen) >= 2:
            prior = camera_prior(CameraSetup(hfov_deg, aspect=1 / aspects[site]))
            fits[site] = fit_camera([points[i] for i in chosen], prior)
    return fits


def ground_of(row: Row, fit: CameraFit | None) -> Row:
    """The ground at the lower edge of a row's box; empty without a fit or a box, and near the horizon."""
    at = None
    if fit is not None and row["x1"]:
        at = fit.ground((float(row["x1"]) + float(row["x2"])) / 2, float(row["y2"]))
    return (
        {"ground_m": "", "ground_sd_log": ""}
        if at is None
        else {"ground_m": f"{at[0]:.3f}", "ground_sd_log": f"{at[1]:.4f}"}
    )


def nearest_animals(truth: Path) -> dict[tuple[str, str], Row]:
    """The nearest animal of each second that is visible enough to be labelled."""
    nearest: dict[tuple[str, str], Row] = {}
    for row in read(truth):
        second = row["video_id"], row["time"]
        if row["x1"] and float(row["visible_fraction"]) >= MIN_VISIBLE:
            known = nearest.get(second)
            if known is None or float(row["distance_m"]) < float(known["distance_m"]):
                nearest[second] = row
    return nearest


def shoulder_of(animal: Row | None) -> str:
    """The shoulder height that a field team would state; empty without an animal."""
    if animal is None:
        return ""
    if "shoulder_m" in animal:
        rng = np.random.default_rng(zlib.crc32(animal["individual"].encode()))
        return f"{min(float(animal['shoulder_m']) * math.exp(rng.normal(0, INDIVIDUAL_SD_LOG)), 4.0):.3f}"
    species = animal["species"]
    return f"{CALF_M if species == 'elephant_calf' else shoulder_height_of(NAMES.get(species, species)).height_m:.3f}"


def read(path: Path) -> list[Row]:
    """The rows of a CSV file."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write(path: Path, rows: list[Row], columns: list[str]) -> None:
    """Writes a CSV file."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
