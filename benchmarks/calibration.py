"""Measures how much labelled seconds at a site reduce the error, by their number, at held-out sites.

    trapmeter boxmodel evaluate --tables deep-chimpact --out DIR
    python benchmarks/calibration.py DIR/oof.csv --tables deep-chimpact

Sites are divided into four groups; the constants for each come from the other three. At each site with at least four
videos, a random half of the videos may be labelled and the other half is scored, ten times: the same rows for every
method and number.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from learn_covariance import Floats, Site, learn, read_sites
from trapmeter.calibration.gaussian_process import Covariance, SiteRows, fit_label_correction
from trapmeter.calibration.label_selection import select_labels
from trapmeter.folds import folds_by_size

COUNTS = (1, 3, 5, 10, 20)
METHODS = ("median ratio, random", "random", "picked")
GROUPS = 4
MIN_VIDEOS = 4
SHRINK = 3
"""Labels without error that are added for the simple method."""

Index = NDArray[np.intp]


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("oof", type=Path)
    parser.add_argument("--tables", type=Path, required=True)
    parser.add_argument("--repetitions", type=int, default=10)
    arguments = parser.parse_args()
    sites = read_sites(arguments.oof, arguments.tables)
    np.random.default_rng(3).shuffle(sites)
    errors: dict[tuple[str, int], dict[str, Floats]] = defaultdict(dict)
    group_of = folds_by_size(range(len(sites)), GROUPS)
    for group in range(GROUPS):
        covariance = learn([site for i, site in enumerate(sites) if group_of[i] != group])
        print(f"group {group + 1}: {covariance}", flush=True)
        for site in (site for i, site in enumerate(sites) if group_of[i] == group):
            if len(set(site.media)) >= MIN_VIDEOS:
                for key, sums in site_errors(site, covariance, arguments.repetitions).items():
                    errors[key][site.name] = sums
    names = sorted(errors["random", 0])
    none = np.array([errors["random", 0][name] for name in names])
    print(f"\n{len(names)} sites; without labels {none[:, 0].sum() / none[:, 1].sum():.3f} m\n")
    print("| labels | " + " | ".join(f"{method}, m | change (95 % over sites)" for method in METHODS) + " |")
    print("| --- " * (2 * len(METHODS) + 1) + "|")
    for count in COUNTS:
        cells = []
        for method in METHODS:
            sums = np.array([errors[method, count][name] for name in names])
            ratio, low, high = ratio_with_interval(sums[:, 0], none[:, 0])
            cells.append(
                f"{sums[:, 0].sum() / sums[:, 1].sum():.3f} | {ratio - 1:+.1%} ({low - 1:+.1%} to {high - 1:+.1%})"
            )
        print(f"| {count} | " + " | ".join(cells) + " |")


def site_errors(site: Site, covariance: Covariance, repetitions: int) -> dict[tuple[str, int], Floats]:
    """Sum of absolute errors (m) and number of rows scored, by method and number of labels."""
    rng = np.random.default_rng([ord(letter) for letter in site.name])
    sums: dict[tuple[str, int], Floats] = defaultdict(lambda: np.zeros(2))
    videos = np.array(sorted(set(site.media)))
    truth_m, prediction = np.expm1(site.truth_log), site.rows.prediction_log
    for _ in range(repetitions):
        may_label = np.isin(site.media, rng.permutation(videos)[: len(videos) // 2])
        pool, scored = np.flatnonzero(may_label), np.flatnonzero(~may_label)
        rows, mixed = site.rows.take(scored), spread(site.rows, pool, rng)
        picked = pool[select_labels(site.rows.take(pool), max(COUNTS), covariance)]

        shifts = {("random", 0): np.zeros(len(scored))}
        for count in COUNTS:
            shifts["median ratio, random", count] = ratio_shift(prediction, truth_m, mixed[:count], scored)
            for method, order in (("random", mixed), ("picked", picked)):
                labelled = order[:count]
                correction = fit_label_correction(site.rows.take(labelled), site.truth_log[labelled], covariance)
                shifts[method, count] = correction.shift_log(rows)
        for key, shift in shifts.items():
            error = np.abs(np.expm1(np.clip(prediction[scored] + shift, 0.0, None)) - truth_m[scored])
            sums[key] += error.sum(), len(error)
    return sums


def spread(rows: SiteRows, pool: Index, rng: np.random.Generator) -> Index:
    """The pool in random order, each video once before any comes a second time."""
    order = rng.permutation(pool)
    n_taken: dict[int, int] = defaultdict(int)
    turns = []
    for video in rows.video[order].tolist():
        turns.append(n_taken[video])
        n_taken[video] += 1
    return order[np.argsort(turns, kind="stable")]


def ratio_shift(prediction_log: Floats, truth_m: Floats, labelled: Index, scored: Index) -> Floats:
    """All distances times the labels' median ratio of truth to prediction, shrunk towards 1."""
    ratios = np.log(np.maximum(truth_m[labelled], 0.25) / np.expm1(prediction_log[labelled]))
    factor = np.exp(np.median(ratios) * len(labelled) / (len(labelled) + SHRINK))
    return np.asarray(np.log1p(np.expm1(prediction_log[scored]) * factor) - prediction_log[scored], np.float64)


def ratio_with_interval(after: Floats, before: Floats, draws: int = 2000) -> tuple[float, float, float]:
    """Sum after over sum before, with its 95 % bootstrap interval over sites."""
    rng = np.random.default_rng(0)
    chosen = rng.integers(0, len(after), (draws, len(after)))
    ratios = after[chosen].sum(axis=1) / before[chosen].sum(axis=1)
    low, high = np.quantile(ratios, [0.025, 0.975])
    return float(after.sum() / before.sum()), float(low), float(high)


if __name__ == "__main__":
    main()
