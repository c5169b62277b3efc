"""Our 90 % intervals beside those of crepes, on the same held-out answers.

Reads the held-out answers of `trapmeter boxmodel evaluate --out DIR` (every row answered by a model that never saw its site).
Each method learns from the rows of nine tenths of the sites and judges those of the last tenth, ten times over: ours
(label-conditional, by distance), and three of the package crepes (Bostroem 2022): conformal regression as it stands, with
errors divided by each row's own width, and Mondrian, apart for each class of predicted distance.

    pip install '.[benchmark]'
    python benchmarks/intervals.py DIR/oof.csv

Prints the share of truths inside, over all and by true distance, and the mean width.
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
Ends = tuple[Floats, Floats]
FOLDS = 10
MIN_SCALE = 0.03
CLASSES = 8


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("oof", type=Path)
    arguments = parser.parse_args()
    with arguments.oof.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    truth = np.array([float(row["truth_m"]) for row in rows])
    point = np.log1p([float(row["full_distance_m"]) for row in rows])
    # How wide the model itself thinks that it is: the draws' spread.
    width = np.log1p([float(row["full_q85_m"]) for row in rows]) - np.log1p([float(row["full_q15_m"]) for row in rows])
    scale = np.maximum(width / 2, MIN_SCALE)
    site = np.array([row["site_id"] for row in rows])
    methods = {
        "ours, by true distance": ours,
        "crepes, one pot": one_pot,
        "crepes, normalised": normalised,
        "crepes, Mondrian by answer": mondrian,
    }
    bands = list(itertools.pairwise(BANDS_M))
    names = [f"{low:g}-{high:g} m" if np.isfinite(high) else f"{low:g} m on" for low, high in bands]
    print(f"| method | all | {' | '.join(names)} | worst | mean width, m |")
    print("| --- |" + " --- |" * (len(bands) + 3))
    group = np.unique(site, return_inverse=True)[1] % FOLDS
    for name, method in methods.items():
        low, high = np.zeros(len(truth)), np.zeros(len(truth))
        for number in range(FOLDS):
            out = group == number
            low[out], high[out] = method(point, truth, scale, site, out)
        inside = (low <= truth) & (truth <= high)
        shares = [inside[(truth >= near) & (truth < far)].mean() for near, far in bands]
        cells = " | ".join(f"{share:.2f}" for share in shares)
        print(f"| {name} | {inside.mean():.3f} | {cells} | {min(shares):.2f} | {(high - low).mean():.1f} |")


def ours(point: Floats, truth: Floats, scale: Floats, site: NDArray[np.str_], out: NDArray[np.bool_]) -> Ends:
    """`trapmeter.uncertainty`, with the same scale as crepes gets."""
    known = fit_uncertainty(point[~out], truth[~out], site[~out].tolist(), scale[~out], scale[~out])
    answers = known.distances(point[out], scale[out], scale[out])
    return np.array([answer.low_m for answer in answers]), np.array([answer.high_m for answer in answers])


def one_pot(point: Floats, truth: Floats, scale: Floats, site: NDArray[np.str_], out: NDArray[np.bool_]) -> Ends:
    """Errors of all rows alike."""
    model = ConformalRegressor().fit((np.log1p(truth) - point)[~out])
    return metres(model.predict_int(point[out], confidence=COVERAGE))


def normalised(point: Floats, truth: Floats, scale: Floats, site: NDArray[np.str_], out: NDArray[np.bool_]) -> Ends:
    """Errors in units of each row's own scale."""
    model = ConformalRegressor().fit((np.log1p(truth) - point)[~out], sigmas=scale[~out])
    return metres(model.predict_int(point[out], sigmas=scale[out], confidence=COVERAGE))


def mondrian(point: Floats, truth: Floats, scale: Floats, site: NDArray[np.str_], out: NDArray[np.bool_]) -> Ends:
    """The same, apart for each class of answers."""
    classes, thresholds = binning(point[~out], bins=CLASSES)
    model = ConformalRegressor().fit((np.log1p(truth) - point)[~out], sigmas=scale[~out], bins=classes)
    theirs = binning(point[out], bins=thresholds)
    return metres(model.predict_int(point[out], sigmas=scale[out], bins=theirs, confidence=COVERAGE))


def metres(ends: Floats) -> Ends:
    """From log(1 + metres), within what can be."""
    low, high = np.expm1(np.clip(ends, 0.0, np.log1p(MAX_M))).T
    return low, high


if __name__ == "__main__":
    main()
