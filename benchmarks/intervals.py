"""The 90 % intervals of trapmeter compared with those of crepes, on the same held-out predictions.

Reads the held-out predictions of `trapmeter boxmodel evaluate --out DIR`, each by a model trained without its site. In ten
folds of sites, each method is fitted to nine tenths and tested on the rest: that of trapmeter (label-conditional, by
distance), and three of the package crepes (Bostroem 2022): standard conformal regression, normalised by the width of each
row, and Mondrian, separate for each bin of predicted distance.

    pip install '.[benchmark]'
    python benchmarks/intervals.py DIR/oof.csv

Prints the coverage, over all rows and by true distance, and the mean width.
"""

from __future__ import annotations

import argparse
import csv
import itertools
from pathlib import Path

import numpy as np
from crepes import ConformalRegressor
from crepes.extras import binning
from numpy.typing import NDArray

from trapmeter.metrics import BANDS_M
from trapmeter.uncertainty import COVERAGE, MAX_M, fit_uncertainty

Floats = NDArray[np.float64]
Limits = tuple[Floats, Floats]
"""Lower and upper limits (n, metres)."""
FOLDS = 10
MIN_SCALE = 0.03
N_BINS = 8


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("oof", type=Path)
    arguments = parser.parse_args()
    with arguments.oof.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    truth = np.array([float(row["truth_m"]) for row in rows])
    point = np.log1p([float(row["full_distance_m"]) for row in rows])
    # The model's own uncertainty: the spread of the draws.
    width = np.log1p([float(row["full_q85_m"]) for row in rows]) - np.log1p([float(row["full_q15_m"]) for row in rows])
    scale = np.maximum(width / 2, MIN_SCALE)
    site = np.array([row["site_id"] for row in rows])
    methods = {
        "trapmeter, by true distance": label_conditional,
        "crepes, standard": standard,
        "crepes, normalised": normalised,
        "crepes, Mondrian by prediction": mondrian,
    }
    bands = list(itertools.pairwise(BANDS_M))
    names = [f"{low:g}-{high:g} m" if np.isfinite(high) else f"from {low:g} m" for low, high in bands]
    print(f"| method | all | {' | '.join(names)} | worst | mean width, m |")
    print("| --- |" + " --- |" * (len(bands) + 3))
    fold = np.unique(site, return_inverse=True)[1] % FOLDS
    for name, method in methods.items():
        low, high = np.zeros(len(truth)), np.zeros(len(truth))
        for index in range(FOLDS):
            is_held_out = fold == index
            low[is_held_out], high[is_held_out] = method(point, truth, scale, site, is_held_out)
        inside = (low <= truth) & (truth <= high)
        shares = [inside[(truth >= near) & (truth < far)].mean() for near, far in bands]
        cells = " | ".join(f"{share:.2f}" for share in shares)
        print(f"| {name} | {inside.mean():.3f} | {cells} | {min(shares):.2f} | {(high - low).mean():.1f} |")


def label_conditional(
    point: Floats, truth: Floats, scale: Floats, site: NDArray[np.str_], out: NDArray[np.bool_]
) -> Limits:
    """`trapmeter.uncertainty`, with the same scale as the methods of crepes. out: the held-out rows."""
    uncertainty = fit_uncertainty(point[~out], truth[~out], site[~out].tolist(), scale[~out], scale[~out])
    distances = uncertainty.distances(point[out], scale[out], scale[out])
    return np.array([distance.low_m for distance in distances]), np.array([distance.high_m for distance in distances])


def standard(point: Floats, truth: Floats, scale: Floats, site: NDArray[np.str_], out: NDArray[np.bool_]) -> Limits:
    """One error distribution for all rows."""
    model = ConformalRegressor().fit((np.log1p(truth) - point)[~out])
    return limits_m(model.predict_int(point[out], confidence=COVERAGE))


def normalised(point: Floats, truth: Floats, scale: Floats, site: NDArray[np.str_], out: NDArray[np.bool_]) -> Limits:
    """Errors in units of each row's own scale."""
    model = ConformalRegressor().fit((np.log1p(truth) - point)[~out], sigmas=scale[~out])
    return limits_m(model.predict_int(point[out], sigmas=scale[out], confidence=COVERAGE))


def mondrian(point: Floats, truth: Floats, scale: Floats, site: NDArray[np.str_], out: NDArray[np.bool_]) -> Limits:
    """Normalised errors, separately for each bin of predictions."""
    bins, thresholds = binning(point[~out], bins=N_BINS)
    model = ConformalRegressor().fit((np.log1p(truth) - point)[~out], sigmas=scale[~out], bins=bins)
    held_out_bins = binning(point[out], bins=thresholds)
    return limits_m(model.predict_int(point[out], sigmas=scale[out], bins=held_out_bins, confidence=COVERAGE))


def limits_m(limits: Floats) -> Limits:
    """Limits in metres, 0 to `MAX_M`, from limits in log(1 + metres) (n, 2)."""
    low, high = np.expm1(np.clip(limits, 0.0, np.log1p(MAX_M))).T
    return low, high


if __name__ == "__main__":
    main()
