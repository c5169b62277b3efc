"""How often the page of reference photographs names a wrong distance, and how often it accuses a right one.

    python benchmarks/wrong_marks.py [--sites 100]

Simulates sites: a camera at a random height and tilt above an evenly sloping ground, and marks with the errors of people
(clicks of 0.4 % of the picture's height, distances of 2 %, ground uneven by 5 cm). Then the distance of one mark is doubled.
A row is a number of points on the ground, or of poles with a mark at the foot and at 1 m.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np

from trapmeter.camera.fit import fit_camera
from trapmeter.camera.model import CameraModel
from trapmeter.camera.prior import camera_prior
from trapmeter.marking.ground import Agreement, MarkCheck, check_marks
from trapmeter.tables.reference_marks import Mark, Upright, UprightKind

COUNTS = (3, 4, 6, 8)
NEAREST_M, FARTHEST_M = 2.5, 14.0
CLICK_SD, DISTANCE_SD, UNEVEN_SD_M = 0.004, 0.02, 0.05
HEIGHTS_M = {UprightKind.GROUND: (0.0,), UprightKind.POLE: (0.0, 1.0)}


def simulate_site(n: int, kind: UprightKind, rng: np.random.Generator) -> list[Upright]:
    """The marks of a site, from near to far."""
    camera = CameraModel(
        hfov_deg=rng.uniform(35, 60),
        height_m=rng.uniform(0.6, 1.6),
        pitch_deg=rng.uniform(-14, -3),
        roll_deg=rng.normal(0, 2),
        slope_along_deg=rng.normal(0, 3),
        slope_across_deg=rng.normal(0, 3),
    )
    uprights = []
    for metres in np.geomspace(NEAREST_M, FARTHEST_M, n) * rng.uniform(0.9, 1.1, n):
        bearing, uneven_m = rng.uniform(-15, 15), rng.normal(0, UNEVEN_SD_M)
        places = [camera.place(metres, bearing, height + uneven_m) for height in HEIGHTS_M[kind]]
        marks = tuple(
            Mark(x + rng.normal(0, CLICK_SD / camera.aspect_ratio), min(y + rng.normal(0, CLICK_SD), 2.0), height)
            for (x, y), height in zip(places, HEIGHTS_M[kind], strict=True)
        )
        uprights.append(Upright(marks, round(metres * float(np.exp(rng.normal(0, DISTANCE_SD))), 2), kind))
    return uprights


def checks_of(uprights: list[Upright]) -> list[MarkCheck]:
    """Each mark against the others, as the page shows it."""
    prior = camera_prior()
    return [check for _, check in check_marks(uprights, prior, fit_camera(uprights, prior), range(len(uprights)))]


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sites", type=int, default=100)
    n_sites = parser.parse_args().sites
    print(
        "| marks | right marks accused | others can't tell | doubled distance named | a right one accused beside it |"
    )
    print("| --- | --- | --- | --- | --- |")
    for kind in HEIGHTS_M:
        for n in COUNTS:
            rng = np.random.default_rng(n)
            accused = unknown = named = accused_beside = 0
            for _ in range(n_sites):
                uprights = simulate_site(n, kind, rng)
                found = [check.agreement for check in checks_of(uprights)]
                accused += found.count(Agreement.OFF)
                unknown += found.count(Agreement.UNKNOWN)
                wrong = int(rng.integers(n))
                uprights[wrong] = replace(uprights[wrong], distance_m=2 * (uprights[wrong].distance_m or 0))
                found = [check.agreement for check in checks_of(uprights)]
                named += found[wrong] is Agreement.OFF
                accused_beside += Agreement.OFF in (*found[:wrong], *found[wrong + 1 :])
            shares = (accused / n / n_sites, unknown / n / n_sites, named / n_sites, accused_beside / n_sites)
            words = "points on the ground" if kind is UprightKind.GROUND else "poles with two marks"
            print(f"| {n} {words} | {' | '.join(f'{share:.1%}'.replace('%', ' %') for share in shares)} |", flush=True)


if __name__ == "__main__":
    main()
