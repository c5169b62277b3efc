"""Speed and accuracy of density estimation: fits and replicates a second, bias and coverage over simulated surveys.

    python benchmarks/density.py [--surveys 200] [--replicates 200]

Fits the eight detection functions of Howe et al. (2019) to 6,000 binned distances at 21 stations. A bootstrap replicate
resamples the stations, fits all eight and selects one. The same with covariates: a factor of three levels, and a number with
a different value for each of 300 visits, each with both keys and compared with the two functions without covariates. Times
are CPU times of one process.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from trapmeter.density.analysis import run_analysis
from trapmeter.density.bootstrap import bootstrap_density
from trapmeter.density.candidates import AnalysisSettings
from trapmeter.density.detection.formula import parse_formula
from trapmeter.density.detection.selection import SelectBy, candidate_functions
from trapmeter.density.replicates import BootstrapSettings
from trapmeter.density.survey.survey import Column, Station, Survey

EDGES_M = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0)
RIGHT_M = EDGES_M[-1]
N_STATIONS = 40
PER_VISIT = 15.0
"""Mean number of animals in the disc around a station."""

Floats = NDArray[np.float64]


def hazard_rate(r: Floats) -> Floats:
    """A hazard-rate with sigma 5 m and shape 4."""
    return np.asarray(-np.expm1(-((np.maximum(r, 1e-6) / 5.0) ** -4.0)))


KEYS: dict[str, tuple[str, Callable[[Floats], Floats]]] = {
    "half-normal": ("none", lambda r: np.exp(-((r / 4.0) ** 2) / 2)),
    "hazard-rate": ("none", hazard_rate),
    "uniform": ("cosine:1", lambda r: 1 + 0.4 * (np.cos(np.pi * r / RIGHT_M) - 1)),
}


def main() -> None:
    """Prints the speed, then two rows for each key: binned and exact distances."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--surveys", type=int, default=200)
    parser.add_argument("--replicates", type=int, default=200)
    arguments = parser.parse_args()
    speed(arguments.replicates)
    speed_with_covariates(arguments.replicates)
    print("| key | distances | bias of density | coverage of 95 % intervals |")
    print("| --- | --- | --- | --- |")
    for key, (adjust, g) in KEYS.items():
        for is_binned in (True, False):
            recover(key, adjust, g, arguments.surveys, is_binned=is_binned)


def speed(replicates: int) -> None:
    """Prints fits and replicates a second."""
    rng = np.random.default_rng(0)
    station = rng.choice(21, size=6000, p=rng.dirichlet(np.full(21, 0.8)))
    metres = np.minimum(rng.rayleigh(4.0, size=6000), RIGHT_M)[:, None]
    survey = Survey(tuple(Station(f"c{index}", 1e5, 0.1) for index in range(21)), station, metres)
    settings = AnalysisSettings(cutpoints_m=EDGES_M)
    analysis = run_analysis(survey, settings)
    start = time.process_time()
    for _ in range(10):
        run_analysis(survey, settings)
    print(f"fits per second: {10 * len(settings.functions) / (time.process_time() - start):.0f}")
    start = time.process_time()
    bootstrap = bootstrap_density(analysis, BootstrapSettings(replicates))
    seconds = time.process_time() - start
    print(f"bootstrap replicates of eight models per second: {replicates / seconds:.0f}; {bootstrap.n_failed} failed")
    print(f"1,000 replicates on 2 cores: {1000 / replicates * seconds / 2:.0f} s of CPU time on each\n")


def speed_with_covariates(replicates: int) -> None:
    """Prints the time of a bootstrap with a covariate beside that of the same keys without."""
    rng = np.random.default_rng(0)
    station = rng.choice(21, size=6000, p=rng.dirichlet(np.full(21, 0.8)))
    season, visit = rng.integers(0, 3, 6000), rng.integers(0, 300, 6000)
    metres = np.minimum(rng.rayleigh(3.0 + season), RIGHT_M)[:, None]
    columns = {
        "season": Column(tuple("abc"[index] for index in season)),
        "hour": Column(tuple(f"{24 * index / 300:.2f}" for index in visit)),
    }
    survey = Survey(tuple(Station(f"c{index}", 1e5, 0.1) for index in range(21)), station, metres, columns=columns)
    functions = candidate_functions(["half-normal", "hazard-rate"], ["none"])
    print("| distances | covariate | CPU seconds of 1,000 replicates | on each of two cores |")
    print("| --- | --- | --- | --- |")
    for is_binned in (True, False):
        for formula in ("1", "season", "hour"):
            cutpoints = EDGES_M if is_binned else ()
            settings = AnalysisSettings(
                functions, cutpoints, right_m=RIGHT_M, select_by=SelectBy.AIC, formulas=(parse_formula(formula),)
            )
            analysis = run_analysis(survey, settings)
            start = time.process_time()
            bootstrap_density(analysis, BootstrapSettings(replicates))
            seconds = 1000 / replicates * (time.process_time() - start)
            name = "none (baseline)" if formula == "1" else formula
            kind = "binned" if is_binned else "exact"
            print(f"| {kind} | {name} | {seconds:.0f} | {seconds / 2:.0f} |", flush=True)
    print()


def recover(key: str, adjust: str, g: Callable[[Floats], Floats], n_surveys: int, *, is_binned: bool) -> None:
    """Prints bias and coverage over simulated surveys of known density."""
    settings = AnalysisSettings(candidate_functions([key], [adjust]), EDGES_M if is_binned else (), right_m=RIGHT_M)
    stations = tuple(Station(f"c{index}", 1.0) for index in range(N_STATIONS))
    true_km2 = PER_VISIT / (math.pi * RIGHT_M**2) * 1e6
    rng = np.random.default_rng(11)
    ratios, n_covered = [], 0
    for _ in range(n_surveys):
        counts = rng.poisson(PER_VISIT, N_STATIONS)
        r = RIGHT_M * np.sqrt(rng.random(counts.sum()))
        is_detected = rng.random(len(r)) < g(r)
        station = np.repeat(np.arange(N_STATIONS), counts)[is_detected]
        density = run_analysis(Survey(stations, station, r[is_detected][:, None]), settings).best.density
        ratios.append(density.density_km2 / true_km2)
        n_covered += density.low_km2 <= true_km2 <= density.high_km2
    error = np.std(ratios) / math.sqrt(n_surveys)
    kind = "binned" if is_binned else "exact"
    print(f"| {key} | {kind} | {np.mean(ratios) - 1:+.1%} (se {error:.1%}) | {n_covered / n_surveys:.0%} |", flush=True)


if __name__ == "__main__":
    main()
