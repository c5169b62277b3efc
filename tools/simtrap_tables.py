r"""Makes training tables for the box model from a folder of simtrap, with what a field team would know.

    PYTHONPATH=benchmarks python tools/simtrap_tables.py --simtrap DIR --split train --without S0007 S0011 S0073 S0079 \
        --out tables/
    trapmeter boxmodel train --tables deep-chimpact/ --tables tables/ --simulated 3000 --out model/

DIR is simtrap or what its renderer exports; the sites left out are those of the demo's clips. The tables are the folder's
labels and metadata, with columns for the lens, the camera's height and pitch as they would be stated in the field, and the
shoulder height of the nearest visible animal: of its species, or where the truth states an individual's (the renderer draws
sizes at random), that one with an error.
"""

from __future__ import annotations

import argparse
import csv
import math
import zlib
from pathlib import Path

import numpy as np

from camera_facts import shoulder
from trapmeter.boxmodel.simulated import stated_mounting
from trapmeter.camera.model import PinholeCamera
from trapmeter.tables.drivendata import FACT_COLUMNS

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
    for row in metadata:
        row.update(facts_of_site(sites[row["site_id"]]))
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
    return f"{shoulder(animal['species']).height_m:.3f}"


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
