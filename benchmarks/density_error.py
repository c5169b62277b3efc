"""The effect of errors of distances on density, and how far allowing for them corrects it, over simulated surveys.

    python benchmarks/density_error.py DIR/oof.csv [--surveys 100] [--replicates 100] [--picture FILE] [--random] [--from-0]

Reads the held-out predictions of `trapmeter boxmodel evaluate --out DIR`, each by a model trained without its site. Each
survey takes 40 sites for its 40 stations: an animal at a true distance gets the prediction and the draws of a row of that
site whose label is about that distance, or of any site if it has none. The error model comes from the predictions at the
*other* sites, so it knows as little of the survey's stations as that of a real survey. Stations differ in the number of
animals that pass.

Each row gives the bias of density, and the coverage of the 95 % intervals, by formula and by bootstrap over stations.
`like the training`: true distances have the distribution of the labels, which draws assume. `nearer`, `farther`: they have
another one. First come the labels themselves, for which density is compared with that from true distances; with `--random`
only simulated errors (a random error of 20 %, a scale of 10 %). Cutpoints start at 2 m, with `--from-0` at 0 m.
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

from trapmeter.density.analysis import run_analysis
from trapmeter.density.bootstrap import bootstrap_density
from trapmeter.density.candidates import AnalysisSettings
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
"""Animals are simulated up to this distance: errors bring some from beyond the truncation into it."""
N_STATIONS = 40
PER_STATION = 40.0
STATION_CV = 0.8
"""Coefficient of variation of the number of animals that pass a station."""
CIRCLE_SHARE = 42 / 360
EFFORT = 1e6
HEAD = "| true distances, key | fitted | bias | coverage by formula | by bootstrap: percentiles | lognormal | failed |"

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


class Rows(NamedTuple):
    """Held-out rows: label, prediction, draws (metres), and index of the site."""

    truth_m: Floats
    predicted_m: Floats
    draws_m: Floats
    site: Indices

    def errors(self, is_other: NDArray[np.bool_]) -> HeldOutErrors:
        """The error model of the selected rows."""
        site = np.unique(self.site[is_other], return_inverse=True)[1]
        return HeldOutErrors("held-out", self.truth_m[is_other], self.predicted_m[is_other], site.astype(np.intp))


class Mix(NamedTuple):
    """A distribution of distances, given by the key and parameters of its detection function."""

    key: str
    parameters: tuple[float, ...]

    def g(self, r_m: Floats) -> Floats:
        """The share of animals detected at distances (n, metres)."""
        return detection_function(self.key).g(r_m, np.array(self.parameters), FARTHEST_M)[0]


class Score(NamedTuple):
    """Bias of density with its standard error, coverage of the intervals, and failed surveys."""

    bias: float
    se: float
    by_formula: float
    by_percentiles: float
    by_lognormal: float
    n_failed: int

    def cells(self) -> str:
        """The cells of a table row."""
        coverage = f"{self.by_formula:.0%} | {self.by_percentiles:.0%} | {self.by_lognormal:.0%}"
        return f"{self.bias:+.1%} (se {self.se:.1%}) | {coverage} | {self.n_failed}"


def main() -> None:
    """Prints a row for each mix of distances and kind of fitted distance."""
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
        kinds = ("true", "predictions", "draws", "predictions, error allowed for")
        score_labels(rows)
    print(f"{HEAD}\n| --- | --- | --- | --- | --- | --- | --- |", flush=True)
    scores: dict[tuple[str, str], Score] = {}
    cases = [(mix, kind) for mix in mixes for kind in kinds]
    edges_m = (0.0, 1.0, *CUTPOINTS_M) if arguments.from_0 else CUTPOINTS_M
    counts = arguments.surveys, arguments.replicates, edges_m
    with ProcessPoolExecutor() as pool:
        futures = [pool.submit(score_surveys, rows, mixes[mix], kind, *counts) for mix, kind in cases]
        for (mix, kind), future in zip(cases, futures, strict=True):
            scores[mix, kind] = future.result()
            print(f"| {mix}, {mixes[mix].key} | {kind} | {scores[mix, kind].cells()} |", flush=True)
    if arguments.picture:
        draw(scores, arguments.picture)


def read_rows(path: Path) -> Rows:
    """Reads the held-out rows."""
    with path.open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    return Rows(
        np.array([float(row["truth_m"]) for row in table]),
        np.array([float(row["full_distance_m"]) for row in table]),
        np.array([[float(row[f"full_{name}"]) for name in DRAW_COLUMNS] for row in table]),
        np.unique([row["site_id"] for row in table], return_inverse=True)[1].astype(np.intp),
    )


def score_labels(rows: Rows) -> None:
    """Prints density from all predictions relative to that from the labels; the error model comes from other sites."""
    fold = np.random.default_rng(5).permutation(int(rows.site.max()) + 1)[rows.site] % 10
    labels = bin_distances(spread_rounded_labels(rows.truth_m), CUTPOINTS_M, np.full(4 * len(rows.truth_m), 0.25))
    predictions = bin_distances(rows.predicted_m, CUTPOINTS_M)
    matrices = [rows.errors(fold != index).matrices_for_bins(predictions.edges_m).mean() for index in range(10)]
    sizes = np.bincount(fold) / len(fold)
    shares = sum(size * matrix.shares for size, matrix in zip(sizes, matrices, strict=True))
    farthest = max(matrices, key=lambda matrix: matrix.farthest_m)
    corrected = replace(predictions, error_matrix=replace(farthest, shares=shares))
    print("| key | density from predictions, relative to labels | with the error allowed for |\n| --- | --- | --- |")
    for key in ("half-normal", "hazard-rate"):
        truth, plain, allowed = (relative_density(key, counts) for counts in (labels, predictions, corrected))
        print(f"| {key} | {plain / truth - 1:+.1%} | {allowed / truth - 1:+.1%} |", flush=True)
    print()


def relative_density(key: str, distances: BinnedDistances) -> float:
    """Density in an arbitrary unit."""
    return distances.n / fit_detection(candidate_functions([key], ["none"])[0], distances).pa


def cells(metres: Floats) -> Indices:
    """Distances rounded to whole metres: the resolution of labels at all distances."""
    return np.round(metres).astype(np.intp)


def score_surveys(
    rows: Rows, mix: Mix, kind: str, n_surveys: int, replicates: int, edges_m: tuple[float, ...]
) -> Score:
    """Bias and coverage over simulated surveys; see `HEAD`."""
    settings = AnalysisSettings(candidate_functions([mix.key], ["none"]), edges_m)
    ratios, by_formula, by_percentiles, by_lognormal, n_failed = [], 0, 0, 0, 0
    for seed, (survey, density) in enumerate(simulate(rows, mix, kind, n_surveys)):
        try:
            analysis = run_analysis(survey, settings)
            bootstrap = bootstrap_density(analysis, BootstrapSettings(replicates, seed=seed))
        except InputError:
            n_failed += 1
            continue
        best = analysis.best.density
        ratios.append(best.density_km2 / density)
        by_formula += best.low_km2 <= density <= best.high_km2
        by_percentiles += bootstrap.low_km2 <= density <= bootstrap.high_km2
        by_lognormal += bootstrap.log_low_km2 <= density <= bootstrap.log_high_km2
    n = len(ratios)
    return Score(
        float(np.mean(ratios)) - 1,
        float(np.std(ratios)) / math.sqrt(n),
        by_formula / n,
        by_percentiles / n,
        by_lognormal / n,
        n_failed,
    )


def simulate(rows: Rows, mix: Mix, kind: str, n_surveys: int) -> Iterator[tuple[Survey, float]]:
    """Surveys and their true density, with the same animals for every kind of distance."""
    grid = np.linspace(0, FARTHEST_M, 5001)
    detected = np.cumsum(grid * mix.g(np.maximum(grid, 1e-6)))
    # The share of animals at random over the sector that are detected.
    share = 2 * float(detected[-1]) * (grid[1] - grid[0]) / FARTHEST_M**2
    area_km2 = CIRCLE_SHARE * math.pi * FARTHEST_M**2 / 1e6
    density = PER_STATION / (EFFORT * area_km2 * share)
    stations = tuple(Station(f"c{index}", EFFORT, CIRCLE_SHARE) for index in range(N_STATIONS))
    for survey_index in range(n_surveys):
        rng = np.random.default_rng([7, survey_index])
        counts = rng.poisson(PER_STATION * rng.gamma(STATION_CV**-2, STATION_CV**2, N_STATIONS))
        station = np.repeat(np.arange(N_STATIONS), counts)
        true_m = np.interp(rng.random(len(station)) * detected[-1], detected, grid)
        sites = rng.permutation(int(rows.site.max()) + 1)[:N_STATIONS]
        metres, errors = measure(rows, kind, true_m, sites, station, rng)
        yield Survey(stations, station, metres.reshape(len(station), -1), errors=errors), density


def measure(
    rows: Rows, kind: str, true_m: Floats, sites: Indices, station: Indices, rng: np.random.Generator
) -> tuple[Floats, MeasurementError | None]:
    """Distances of a kind, (n) or (n, draws), and the error model to allow for."""
    if kind.startswith("random"):
        error = RandomError(0.2)
        sd = math.sqrt(math.log1p(error.cv**2))
        factor = np.exp(sd * rng.standard_normal(len(true_m)) - sd**2 / 2)
        return true_m * factor, error if kind.endswith("allowed for") else None
    if kind.startswith("scale"):
        return true_m * 1.1, None
    if kind == "true":
        return true_m, None
    picked = pick(rows, sites, station, cells(true_m), rng)
    if kind == "draws":
        return rows.draws_m[picked], None
    is_other = ~np.isin(rows.site, sites)
    return rows.predicted_m[picked], rows.errors(is_other) if kind.endswith("allowed for") else None


def pick(rows: Rows, sites: Indices, station: Indices, cell: Indices, rng: np.random.Generator) -> Indices:
    """A row for each animal: of its own site at about its distance, else of any site, else the nearest in distance."""
    row_cell = cells(rows.truth_m)
    picked = np.zeros(len(cell), np.intp)
    for value in np.unique(cell):
        difference = np.abs(row_cell - value)
        nearest = np.flatnonzero(difference == difference.min())
        by_site = {site: nearest[rows.site[nearest] == site] for site in sites.tolist()}
        for animal in np.flatnonzero(cell == value):
            own = by_site[int(sites[station[animal]])]
            picked[animal] = rng.choice(own if len(own) else nearest)
    return picked


def draw(scores: dict[tuple[str, str], Score], path: Path) -> None:
    """Draws bias with two standard errors, and coverage, for each mix and kind."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams["svg.hashsalt"] = "trapmeter"
    kinds = list(dict.fromkeys(kind for _, kind in scores))
    mixes = list(dict.fromkeys(mix for mix, _ in scores))
    colours = dict(zip(kinds, ("#888888", "#d1495b", "#edae49", "#00798c"), strict=False))
    figure = Figure(figsize=(8.5, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for row, ((mix, kind), score) in enumerate(scores.items()):
        y = mixes.index(mix) + (kinds.index(kind) - (len(kinds) - 1) / 2) * 0.18
        label = kind if row < len(kinds) else None
        left.errorbar(100 * score.bias, y, xerr=200 * score.se, fmt="o", color=colours[kind], label=label, markersize=5)
        right.plot(100 * score.by_lognormal, y, "o", color=colours[kind], markersize=5)
    left.axvspan(-5, 5, color="#00798c", alpha=0.1, linewidth=0)
    right.axvspan(93, 97, color="#00798c", alpha=0.1, linewidth=0)
    left.set_yticks(range(len(mixes)), mixes)
    left.invert_yaxis()
    left.set_xlabel("bias of density (%)")
    right.set_xlabel("coverage of 95 % bootstrap intervals (%)")
    figure.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=len(kinds), frameon=False)
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
