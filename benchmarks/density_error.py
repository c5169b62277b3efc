"""What errors of automatic distances do to density, and what draws mend: simulated surveys whose density is known.

Reads the held-out answers of `trapmeter boxmodel evaluate --out DIR` (every row answered by a model that never saw its
site). Each simulated camera takes the errors of one real site: an animal at a true distance gets the answer and the draws of
a row of that site whose label is about that distance, or of any site where it has none. Cameras differ in how many animals
pass.

    python benchmarks/density_error.py DIR/oof.csv [--surveys 100] [--replicates 100]

Each line: bias of density, and how many of the 95 % intervals hold the truth, by formula and by bootstrap over cameras.
`like the training`: true distances are mixed as the labels are, which draws take for granted. `nearer`, `farther`: they
aren't.
"""

from __future__ import annotations

import argparse
import csv
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trapmeter.density.analysis import AnalysisSettings, analyse
from trapmeter.density.bootstrap import BootstrapSettings, bootstrap_density
from trapmeter.density.candidates import candidates
from trapmeter.density.distances import bin_distances
from trapmeter.density.fit import fit_detection
from trapmeter.density.shift import N_TRAINING
from trapmeter.density.survey import Camera, Survey
from trapmeter.errors import InputError
from trapmeter.tables.distances import DRAWS
from trapmeter.uncertainty import unrounded

CUTPOINTS_M = (2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0, 15.0)
FARTHEST_M = 25.0
"""Animals are simulated up to here: errors bring some from beyond the truncation into it."""
N_CAMERAS = 40
PER_CAMERA = 40.0
CAMERA_CV = 0.8
"""How much cameras differ in the animals that pass them."""
CIRCLE_SHARE = 42 / 360
EFFORT = 1e6

Floats = NDArray[np.float64]
Detection = Callable[[Floats], Floats]


class Rows(NamedTuple):
    """Held-out rows: label cell, answer, draws, and rows by (site, cell) and by cell."""

    answer_m: Floats
    draws_m: Floats
    of_site: dict[tuple[int, int], NDArray[np.intp]]
    of_cell: dict[int, NDArray[np.intp]]
    n_sites: int
    training_m: Floats | None = None


def main() -> None:
    """Prints a line for each mix of distances, key and kind of distance."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("oof", type=Path)
    parser.add_argument("--surveys", type=int, default=100)
    parser.add_argument("--replicates", type=int, default=100)
    arguments = parser.parse_args()
    rows, truth_m = read_rows(arguments.oof)
    training_m = read_training_of(truth_m)
    like = fit_detection(candidates(["hazard-rate"], ["none"])[0], bin_distances(unrounded(truth_m), CUTPOINTS_M))
    mixes: dict[str, tuple[str, Detection]] = {
        "like the training": ("hazard-rate", like.g),
        "nearer": ("half-normal", lambda r: np.exp(-((r / 3.5) ** 2) / 2)),
        "farther": ("half-normal", lambda r: np.exp(-((r / 7.0) ** 2) / 2)),
    }
    print(
        "| true distances, key | distances fitted | bias | holds by formula | holds by bootstrap | failed |", flush=True
    )
    print("| --- | --- | --- | --- | --- | --- |", flush=True)
    for mix, (key, g) in mixes.items():
        for kind in ("true", "answers", "draws", "draws, shifted"):
            line = judge(rows._replace(training_m=training_m), g, key, kind, arguments.surveys, arguments.replicates)
            print(f"| {mix}, {key} | {kind} | {line} |", flush=True)


def read_rows(path: Path) -> tuple[Rows, Floats]:
    """The held-out rows and their labels."""
    with path.open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    truth = np.array([float(row["truth_m"]) for row in table])
    site = np.unique([row["site_id"] for row in table], return_inverse=True)[1]
    cell = cells(truth)
    of_site: dict[tuple[int, int], list[int]] = {}
    for number, key in enumerate(zip(site.tolist(), cell.tolist(), strict=True)):
        of_site.setdefault(key, []).append(number)
    return Rows(
        np.array([float(row["full_distance_m"]) for row in table]),
        np.array([[float(row[f"full_{name}"]) for name in DRAWS] for row in table]),
        {key: np.array(numbers) for key, numbers in of_site.items()},
        {one: np.flatnonzero(cell == one) for one in range(int(FARTHEST_M) + 1) if (cell == one).any()},
        int(site.max()) + 1,
    ), truth


def read_training_of(truth_m: Floats) -> Floats:
    """Quantiles of the labels, as `trapmeter density --training` takes them."""
    return np.quantile(unrounded(truth_m), (np.arange(N_TRAINING) + 0.5) / N_TRAINING)


def cells(metres: Floats) -> NDArray[np.intp]:
    """The whole metre that a distance rounds to: as finely as labels tell at all distances."""
    return np.round(metres).astype(np.intp)


def judge(rows: Rows, g: Detection, key: str, kind: str, n_surveys: int, replicates: int) -> str:
    """Bias and coverage over simulated surveys, as cells of a table."""
    settings = AnalysisSettings(candidates([key], ["none"]), CUTPOINTS_M)
    ratios, by_formula, by_bootstrap, n_failed = [], 0, 0, 0
    for number, (survey, density) in enumerate(simulated(rows, g, kind, n_surveys)):
        try:
            analysis = analyse(survey, settings)
            found = bootstrap_density(analysis, BootstrapSettings(replicates, seed=number))
        except InputError:
            n_failed += 1
            continue
        best = analysis.best.density
        ratios.append(best.density_km2 / density)
        by_formula += best.low_km2 <= density <= best.high_km2
        by_bootstrap += found.low_km2 <= density <= found.high_km2
    error = np.std(ratios) / math.sqrt(len(ratios))
    holds = f"{by_formula / len(ratios):.0%} | {by_bootstrap / len(ratios):.0%}"
    return f"{np.mean(ratios) - 1:+.1%} (se {error:.1%}) | {holds} | {n_failed}"


def simulated(rows: Rows, g: Detection, kind: str, n_surveys: int) -> Iterator[tuple[Survey, float]]:
    """Surveys and their true density; the same animals for every kind of distance."""
    grid = np.linspace(0, FARTHEST_M, 5001)
    seen = np.cumsum(grid * np.nan_to_num(g(np.maximum(grid, 1e-6))))
    # Of animals at random over the sector, the share that is seen.
    share = 2 * float(seen[-1]) * (grid[1] - grid[0]) / FARTHEST_M**2
    area_km2 = CIRCLE_SHARE * math.pi * FARTHEST_M**2 / 1e6
    density = PER_CAMERA / (EFFORT * area_km2 * share)
    cameras = tuple(Camera(f"c{number}", EFFORT, CIRCLE_SHARE) for number in range(N_CAMERAS))
    for number in range(n_surveys):
        rng = np.random.default_rng([7, number])
        counts = rng.poisson(PER_CAMERA * rng.gamma(CAMERA_CV**-2, CAMERA_CV**2, N_CAMERAS))
        camera = np.repeat(np.arange(N_CAMERAS), counts)
        true_m = np.interp(rng.random(len(camera)) * seen[-1], seen, grid)
        site = rng.integers(rows.n_sites, size=N_CAMERAS)[camera]
        picked = [rng.choice(pick(rows, int(one), int(cell))) for one, cell in zip(site, cells(true_m), strict=True)]
        metres = {"true": true_m, "answers": rows.answer_m[picked]}.get(kind, rows.draws_m[picked])
        training_m = rows.training_m if kind == "draws, shifted" else None
        yield Survey(cameras, camera, metres.reshape(len(camera), -1), training_m=training_m), density


def pick(rows: Rows, site: int, cell: int) -> NDArray[np.intp]:
    """Rows of this site at about this distance, of any site where it has none, of the nearest distance where nobody has."""
    own = rows.of_site.get((site, cell))
    if own is not None:
        return own
    return rows.of_cell[min(rows.of_cell, key=lambda one: abs(one - cell))]


if __name__ == "__main__":
    main()
