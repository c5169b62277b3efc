"""How often `trapmeter calibrate` doubts honest reference points, and how often it finds wrong ones.

    python benchmarks/point_check.py --sites 300

Cameras stand at 0.3 to 3 m, pitched 35 degrees down to 5 up, with lenses of 30 to 70 degrees; their roll and the ground's
slope have SDs of 3 degrees. Points lie at 1 to 25 m, at any bearing in the picture. A click is 0.5 % of the picture's height
off, a distance 5 % (SDs), and the ground under each point is uneven by a share of the camera's height (SD, 15 cm at most).
A site is drawn again if its points are all on one row.
"""

from __future__ import annotations

import argparse
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from trapmeter.calibration.point_consistency import Finding, check_consistency
from trapmeter.tables.metres import FARTHEST_KNOWN_M
from trapmeter.tables.reference_marks import MIN_HEIGHT_RANGE, Upright, ground_point

ASPECT = 16 / 9
COUNTS = (2, 3, 4, 6, 9, 12)
SMOOTH = 0.03


def seen_points(rng: np.random.Generator, n: int, uneven: float) -> list[Upright]:
    """The n points of one camera."""
    while True:
        height_m = math.exp(rng.uniform(math.log(0.3), math.log(3)))
        pitch, slope = math.radians(rng.uniform(-35, 5)), math.radians(rng.normal(0, 3))
        hfov, roll = math.radians(rng.uniform(30, 70)), math.radians(rng.normal(0, 3))
        points: list[Upright] = []
        for _ in range(60 * n):
            metres, bearing = math.exp(rng.uniform(0, math.log(25))), rng.uniform(-hfov / 2, hfov / 2)
            right, ahead = metres * math.sin(bearing), metres * math.cos(bearing)
            up = ahead * math.tan(slope) - height_m + rng.normal(0, min(uneven * height_m, 0.15))
            depth = ahead * math.cos(pitch) + up * math.sin(pitch)
            if depth < 0.1:
                continue
            u, v = right / depth, (up * math.cos(pitch) - ahead * math.sin(pitch)) / depth
            u, v = u * math.cos(roll) - v * math.sin(roll), u * math.sin(roll) + v * math.cos(roll)
            half = math.tan(hfov / 2)
            x = 0.5 + u / half / 2 + rng.normal(0, 0.005 / ASPECT)
            y = 0.5 - v / half / 2 * ASPECT + rng.normal(0, 0.005)
            given_m = round(math.hypot(metres, up) * (1 + rng.normal(0, 0.05)), 2)
            if 0 <= x <= 1 and 0 <= y <= 1 and given_m > 0:
                points.append(ground_point(x, y, given_m))
            if len(points) == n:
                break
        rows = [point.lowest.y for point in points]
        if len(points) == n and max(rows) - min(rows) >= MIN_HEIGHT_RANGE:
            return points


Site = tuple[list[Upright], int | None]
"""Points, and which one is wrong."""


def honest(uneven: float) -> Callable[[np.random.Generator, int], Site]:
    """Points of one camera."""
    return lambda rng, n: (seen_points(rng, n, uneven), None)


def off_by(factor: float) -> Callable[[np.random.Generator, int], Site]:
    """One distance is multiplied."""

    def make(rng: np.random.Generator, n: int) -> Site:
        points, wrong = seen_points(rng, n, SMOOTH), int(rng.integers(n))
        points[wrong] = replace(points[wrong], distance_m=min(points[wrong].distance_m * factor, FARTHEST_KNOWN_M))
        return points, wrong

    return make


def upside_down(rng: np.random.Generator, n: int) -> Site:
    """The rows count from the bottom."""
    return [
        ground_point(point.lowest.x, 1 - point.lowest.y, point.distance_m) for point in seen_points(rng, n, SMOOTH)
    ], None


def two_cameras(rng: np.random.Generator, n: int) -> Site:
    """Half of the points are of another camera."""
    return [*seen_points(rng, n // 2, SMOOTH), *seen_points(rng, n - n // 2, SMOOTH)], None


CASES = {
    "honest, level ground": honest(0.0),
    "honest, uneven by 10 % of the height": honest(0.1),
    "honest, uneven by 20 % of the height": honest(0.2),
    "one distance 10 times too large": off_by(10),
    "one distance 10 times too small": off_by(0.1),
    "one distance 3 times too large": off_by(3),
    "one distance 3 times too small": off_by(1 / 3),
    "upside down": upside_down,
    "two cameras": two_cameras,
}


def outcome(points: Sequence[Upright], wrong: int | None) -> str:
    """What `calibrate` does with a site."""
    found = check_consistency(points)
    match found.finding:
        case Finding.FINE:
            return "passed"
        case Finding.SOME_WRONG:
            return "named" if wrong is None or found.doubtful == (wrong,) else "misnamed"
        case Finding.ONE_OF_SEVERAL | Finding.UNEVEN:
            return "warned"
        case _:
            return "refused"


def main() -> None:
    """Prints, for each case and number of points, the share of sites with each outcome."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sites", type=int, default=300)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    outcomes = ("passed", "named", "misnamed", "warned", "refused")
    print(f"| case | points | {' | '.join(outcomes)} |\n| --- | --- |{' --- |' * len(outcomes)}")
    for name, make in CASES.items():
        for n in COUNTS:
            if n < 4 and name == "two cameras":
                continue
            counts = Counter(outcome(*make(rng, n)) for _ in range(arguments.sites))
            shares = " | ".join(f"{counts[one] / arguments.sites:.1%}" for one in outcomes)
            print(f"| {name} | {n} | {shares} |", flush=True)


if __name__ == "__main__":
    main()
