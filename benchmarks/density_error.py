"""What errors of distances do to density, and what allowing for them mends: simulated surveys whose density is known.

    python benchmarks/density_error.py DIR/oof.csv [--surveys 100] [--replicates 100] [--picture FILE] [--random] [--from-0]

Reads the held-out answers of `trapmeter boxmodel evaluate --out DIR` (every row answered by a model that never saw its
site). Each survey takes 40 sites for its 40 cameras: an animal at a true distance gets the answer and the draws of a row of
that site whose label is about that distance, or of any site where it has none. The error model is that of the
answers at the *other* sites, so that it knows as little of the survey's cameras as that of a real one. Cameras differ in how
many animals pass.

Each line: bias of density, and how many of the 95 % intervals hold the truth, by formula and by bootstrap over cameras.
`like the training`: true distances are mixed as the labels are, which draws take for granted. `nearer`, `farther`: they
aren't. First the labels themselves, where density is compared with that from true distances; with `--random` only simulated
errors (a random error of 20 %, a scale of 10 %). Cutpoints start at 2 m, with `--from-0` at 0 m.
"""

from __future__ import annotations

import argparse
import csv
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trapmeter.density.analysis import AnalysisSettings, run_analysis
from trapmeter.density.bootstrap import bootstrap_density
from trapmeter.density.detection.distances import BinnedDistances, bin_distances
from trapmeter.density.detection.fit import fit_detection
from trapmeter.density.detection.function import detection_function
from trapmeter.density.detection.held_out_errors import HeldOutErrors
from trapmeter.density.detection.measurement_error import MeasurementError, RandomError
from trapmeter.density.detection.selection import candidate_functions
from trapmeter.density.replicates import BootstrapSettings
from trapmeter.density.survey.survey import Station, Survey
from trapmeter.errors import InputError
from trapmeter.tables.distances import DRAW_COLUMNS
from trapmeter.uncertainty import spread_rounded_labels

CUTPOINTS_M = (2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0, 15.0)
FARTHEST_M = 25.0
"""Animals are simulated up to here: errors bring some from beyond the truncation into it."""
N_CAMERAS = 40
PER_CAMERA = 40.0
CAMERA_CV = 0.8
"""How much cameras differ in the animals that pass them."""
CIRCLE_SHARE = 42 / 360
EFFORT = 1e6
HEAD = "| true distances, key | distances fitted | bias | holds by formula | by bootstrap: percentiles | lognormal | failed |"

Floats = NDArray[np.float64]
Numbers = NDArray[np.intp]


class Rows(NamedTuple):
    """Held-out rows: label, answer, draws, site."""

    truth_m: Floats
    answer_m: Floats
    draws_m: Floats
    site: Numbers

    def errors(self, is_known: NDArray[np.bool_]) -> HeldOutErrors:
        """The error model of some of the rows."""
        site = np.unique(self.site[is_known], return_inverse=True)[1]
        return HeldOutErrors("held-out", self.truth_m[is_known], self.answer_m[is_known], site.astype(np.intp))


class Mix(NamedTuple):
    """The detection function that makes a mix of distances: key and parameters."""

    key: str
    parameters: tuple[float, ...]

    def g(self, r_m: Floats) -> Floats:
        """The share of animals at distances (n, metres) that are seen."""
        return detection_function(self.key).g(r_m, np.array(self.parameters), FARTHEST_M)[0]


class Judged(NamedTuple):
    """Bias of density with its standard error, shares of intervals that hold, surveys that failed."""

    bias: float
    se: float
    by_formula: float
    by_percentiles: float
    by_lognormal: float
    n_failed: int

    def cells(self) -> str:
        """As cells of a table."""
        holds = f"{self.by_formula:.0%} | {self.by_percentiles:.0%} | {self.by_lognormal:.0%}"
        return f"{self.bias:+.1%} (se {self.se:.1%}) | {holds} | {self.n_failed}"


def main() -> None:
    """Prints a line for each mix of distances, key and kind of distance."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("oof", type=Path)
    parser.add_argument("--surveys", type=int, default=100)
    parser.add_argument("--replicates", type=int, default=100)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--random", action="store_true")
    parser.add_argument("--from-0", action="store_true")
    arguments = parser.parse_args()
    rows = read_rows(arguments.oof)
    like = fit_detection(
        candidate_functions(["hazard-rate"], ["none"])[0],
        bin_distances(spread_rounded_labels(rows.truth_m), CUTPOINTS_M),
    )
    mixes = {
        "like the training": Mix("hazard-rate", like.parameters),
        "nearer": Mix("half-normal", (math.log(3.5),)),
        "farther": Mix("half-normal", (math.log(7.0),)),
    }
    if arguments.random:
        kinds: Sequence[str] = ("random 20 %", "random 20 %, allowed for", "scale +10 %")
    else:
        kinds = ("true", "answers", "draws", "answers, error allowed for")
        on_labels(rows)
    print(f"{HEAD}\n| --- | --- | --- | --- | --- | --- | --- |", flush=True)
    found: dict[tuple[str, str], Judged] = {}
    asked = [(mix, kind) for mix in mixes for kind in kinds]
    edges_m = (0.0, 1.0, *CUTPOINTS_M) if arguments.from_0 else CUTPOINTS_M
    counts = arguments.surveys, arguments.replicates, edges_m
    with ProcessPoolExecutor() as pool:
        answers = [pool.submit(judge, rows, mixes[mix], kind, *counts) for mix, kind in asked]
        for (mix, kind), answer in zip(asked, answers, strict=True):
            found[mix, kind] = answer.result()
            print(f"| {mix}, {mixes[mix].key} | {kind} | {found[mix, kind].cells()} |", flush=True)
    if arguments.picture:
        draw(found, arguments.picture)


def read_rows(path: Path) -> Rows:
    """The held-out rows."""
    with path.open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    return Rows(
        np.array([float(row["truth_m"]) for row in table]),
        np.array([float(row["full_distance_m"]) for row in table]),
        np.array([[float(row[f"full_{name}"]) for name in DRAW_COLUMNS] for row in table]),
        np.unique([row["site_id"] for row in table], return_inverse=True)[1].astype(np.intp),
    )


def on_labels(rows: Rows) -> None:
    """Density from the answers to all labelled seconds against that from the labels; errors are those at other sites."""
    part = np.random.default_rng(5).permutation(int(rows.site.max()) + 1)[rows.site] % 10
    labels = bin_distances(spread_rounded_labels(rows.truth_m), CUTPOINTS_M, np.full(4 * len(rows.truth_m), 0.25))
    answers = bin_distances(rows.answer_m, CUTPOINTS_M)
    blurs = [rows.errors(part != one).matrices_for_bins(answers.edges_m).mean() for one in range(10)]
    sizes = np.bincount(part) / len(part)
    shares = sum(size * blur.shares for size, blur in zip(sizes, blurs, strict=True))
    allowed = replace(answers, error_matrix=replace(max(blurs, key=lambda blur: blur.farthest_m), shares=shares))
    print("| key | density from answers, against labels | with the error allowed for |\n| --- | --- | --- |")
    for key in ("half-normal", "hazard-rate"):
        truth, plain, mended = (per_area(key, distances) for distances in (labels, answers, allowed))
        print(f"| {key} | {plain / truth - 1:+.1%} | {mended / truth - 1:+.1%} |", flush=True)
    print()


def per_area(key: str, distances: BinnedDistances) -> float:
    """Density, in any unit."""
    return distances.n / fit_detection(candidate_functions([key], ["none"])[0], distances).pa


def cells(metres: Floats) -> Numbers:
    """The whole metre that a distance rounds to: as finely as labels tell at all distances."""
    return np.round(metres).astype(np.intp)


def judge(rows: Rows, mix: Mix, kind: str, n_surveys: int, replicates: int, edges_m: tuple[float, ...]) -> Judged:
    """Bias and coverage over simulated surveys."""
    settings = AnalysisSettings(candidate_functions([mix.key], ["none"]), edges_m)
    ratios, by_formula, by_percentiles, by_lognormal, n_failed = [], 0, 0, 0, 0
    for number, (survey, density) in enumerate(simulated(rows, mix, kind, n_surveys)):
        try:
            analysis = run_analysis(survey, settings)
            found = bootstrap_density(analysis, BootstrapSettings(replicates, seed=number))
        except InputError:
            n_failed += 1
            continue
        best = analysis.best.density
        ratios.append(best.density_km2 / density)
        by_formula += best.low_km2 <= density <= best.high_km2
        by_percentiles += found.low_km2 <= density <= found.high_km2
        by_lognormal += found.log_low_km2 <= density <= found.log_high_km2
    n = len(ratios)
    return Judged(
        float(np.mean(ratios)) - 1,
        float(np.std(ratios)) / math.sqrt(n),
        by_formula / n,
        by_percentiles / n,
        by_lognormal / n,
        n_failed,
    )


def simulated(rows: Rows, mix: Mix, kind: str, n_surveys: int) -> Iterator[tuple[Survey, float]]:
    """Surveys and their true density; the same animals for every kind of distance."""
    grid = np.linspace(0, FARTHEST_M, 5001)
    seen = np.cumsum(grid * mix.g(np.maximum(grid, 1e-6)))
    # Of animals at random over the sector, the share that is seen.
    share = 2 * float(seen[-1]) * (grid[1] - grid[0]) / FARTHEST_M**2
    area_km2 = CIRCLE_SHARE * math.pi * FARTHEST_M**2 / 1e6
    density = PER_CAMERA / (EFFORT * area_km2 * share)
    cameras = tuple(Station(f"c{number}", EFFORT, CIRCLE_SHARE) for number in range(N_CAMERAS))
    for number in range(n_surveys):
        rng = np.random.default_rng([7, number])
        counts = rng.poisson(PER_CAMERA * rng.gamma(CAMERA_CV**-2, CAMERA_CV**2, N_CAMERAS))
        camera = np.repeat(np.arange(N_CAMERAS), counts)
        true_m = np.interp(rng.random(len(camera)) * seen[-1], seen, grid)
        sites = rng.permutation(int(rows.site.max()) + 1)[:N_CAMERAS]
        metres, errors = measured(rows, kind, true_m, sites, camera, rng)
        yield Survey(cameras, camera, metres.reshape(len(camera), -1), errors=errors), density


def measured(
    rows: Rows, kind: str, true_m: Floats, sites: Numbers, camera: Numbers, rng: np.random.Generator
) -> tuple[Floats, MeasurementError | None]:
    """The distances of a kind, (n) or (n, draws), and what is known of their error."""
    if kind.startswith("random"):
        error = RandomError(0.2)
        sd = math.sqrt(math.log1p(error.cv**2))
        factor = np.exp(sd * rng.standard_normal(len(true_m)) - sd**2 / 2)
        return true_m * factor, error if kind.endswith("allowed for") else None
    if kind.startswith("scale"):
        return true_m * 1.1, None
    if kind == "true":
        return true_m, None
    picked = pick(rows, sites, camera, cells(true_m), rng)
    if kind == "draws":
        return rows.draws_m[picked], None
    is_known = ~np.isin(rows.site, sites)
    return rows.answer_m[picked], rows.errors(is_known) if kind.endswith("allowed for") else None


def pick(rows: Rows, sites: Numbers, camera: Numbers, cell: Numbers, rng: np.random.Generator) -> Numbers:
    """A row for each animal: of its camera's site at about its distance, else of any site, else the nearest in distance."""
    of_cell = cells(rows.truth_m)
    picked = np.zeros(len(cell), np.intp)
    for one in np.unique(cell):
        away = np.abs(of_cell - one)
        there = np.flatnonzero(away == away.min())
        of_site = {site: there[rows.site[there] == site] for site in sites.tolist()}
        for number in np.flatnonzero(cell == one):
            own = of_site[int(sites[camera[number]])]
            picked[number] = rng.choice(own if len(own) else there)
    return picked


def draw(found: dict[tuple[str, str], Judged], path: Path) -> None:
    """Bias with two standard errors, and coverage, for each mix and kind."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams["svg.hashsalt"] = "trapmeter"
    kinds = list(dict.fromkeys(kind for _, kind in found))
    mixes = list(dict.fromkeys(mix for mix, _ in found))
    colours = dict(zip(kinds, ("#888888", "#d1495b", "#edae49", "#00798c"), strict=False))
    figure = Figure(figsize=(8.5, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for row, (mix, kind) in enumerate(found):
        one = found[mix, kind]
        at = mixes.index(mix) + (kinds.index(kind) - (len(kinds) - 1) / 2) * 0.18
        label = kind if row < len(kinds) else None
        left.errorbar(100 * one.bias, at, xerr=200 * one.se, fmt="o", color=colours[kind], label=label, markersize=5)
        right.plot(100 * one.by_lognormal, at, "o", color=colours[kind], markersize=5)
    left.axvspan(-5, 5, color="#00798c", alpha=0.1, linewidth=0)
    right.axvspan(93, 97, color="#00798c", alpha=0.1, linewidth=0)
    left.set_yticks(range(len(mixes)), mixes)
    left.invert_yaxis()
    left.set_xlabel("bias of density (%)")
    right.set_xlabel("95 % bootstrap intervals that hold the truth (%)")
    figure.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=len(kinds), frameon=False)
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
