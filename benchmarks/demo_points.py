"""Writes the reference points of the demo's sites, as a field worker would measure them with a tape and a pole.

    python benchmarks/demo_points.py --simtrap DIR --out src/trapmeter/demo/videos/reference_points.csv

The protocol is that of `calibration_ground.py`: a pole at 2, 3, 5, 7, 10 and 15 m (or the nearest half metre that the
picture shows), at any bearing in the middle 70 % of the picture, read with an error of 0.6 % of the picture (standard
deviation, seed 0) and written to three decimals. The rendered camera's height, pitch, roll, field of view and lens say
where the pole stands in the picture. The ground's slope is in no file; two angles per site are fitted to the feet of
animals in the *other* videos of the site, so that nothing of the demo's own truth enters the points.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np

from calibration_ground import read, reference_points, true_feet
from trapmeter.demo.clips import CLIPS

SEED = 0


def main() -> None:
    """Writes the table and prints how many points each site has."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simtrap", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    demo = read(CLIPS / "videos.csv")
    cameras = {row["site_id"]: row for row in read(arguments.simtrap / "sites.csv")}
    feet, aspects = true_feet(arguments.simtrap, without={row["video_id"] for row in demo})
    rng = np.random.default_rng(SEED)
    with arguments.out.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("site_id", "x", "y", "distance_m"))
        for site in sorted({row["site_id"] for row in demo}):
            found = reference_points(cameras[site], feet[site], aspects[site], rng) if site in feet else []
            table.writerows((site, f"{p.lowest.x:.3f}", f"{p.lowest.y:.3f}", f"{p.distance_m:g}") for p in found)
            print(f"{site}: {len(found)} points, from {len(feet.get(site, ()))} feet")


if __name__ == "__main__":
    main()
