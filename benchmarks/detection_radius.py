"""The effect of automatic distances on density estimation: effective detection radii from predictions and from draws.

Reads the held-out predictions of `trapmeter boxmodel evaluate --out DIR`, each by a model trained without its site. Fits a
half-normal and a hazard-rate detection function for point transects to the labels, to the predictions, and to the draws
q05_m ... q95_m, each with a tenth of its row's weight. Density is proportional to the radius to the power of -2.

    python benchmarks/detection_radius.py DIR/oof.csv [--picture detection.png]

Labels are rounded to half metres, and to whole metres from 8 m, so they heap on the edges of the bins: the bin to which an
edge belongs changes the radius by 6 %. The reference undoes the rounding, spreading each label over all distances that round
to it; the two other conventions are shown too.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trapmeter.density.detection.distances import BinnedDistances, bin_distances
from trapmeter.density.detection.fit import DetectionFit, fit_detection
from trapmeter.density.detection.function import detection_function
from trapmeter.tables.distances import DRAW_COLUMNS
from trapmeter.uncertainty import spread_rounded_labels

CUTPOINTS_M = (2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0, 15.0)
KEYS = ("half-normal", "hazard-rate")

Floats = NDArray[np.float64]


def main() -> None:
    """Prints the table and draws the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("oof", type=Path)
    parser.add_argument("--picture", type=Path)
    arguments = parser.parse_args()
    with arguments.oof.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    truth = np.array([float(row["truth_m"]) for row in rows])
    points = np.array([float(row["full_distance_m"]) for row in rows])
    draws = np.array([[float(row[f"full_{name}"]) for name in DRAW_COLUMNS] for row in rows])

    spread = spread_rounded_labels(truth)
    predictions = {
        "predictions (distance_m)": bin_weighted(points),
        "draws (q05_m ... q95_m)": bin_weighted(draws.ravel(), 1 / len(DRAW_COLUMNS)),
    }
    references = {
        "labels, rounding undone": bin_weighted(spread, len(truth) / len(spread)),
        "labels, bins include their lower edge": bin_weighted(truth),
        "labels, bins include their upper edge": bin_weighted(np.nextafter(truth, 0.0)),
    }
    print(f"{len(truth)} rows, cutpoints {', '.join(f'{edge:g}' for edge in CUTPOINTS_M)} m\n")
    print("| reference | " + " | ".join(f"{key}, m" for key in KEYS) + " | predictions against it | draws against it |")
    print("| --- | --- | --- | --- | --- |")
    fits = {name: fit_keys(counts) for name, counts in predictions.items()}
    for name, counts in references.items():
        reference = fit_keys(counts)
        radii = " | ".join(f"{reference[key].edr_m:.2f}" for key in KEYS)
        print(f"| {name} | {radii} | " + " | ".join(compare(fit, reference) for fit in fits.values()) + " |")
    if arguments.picture:
        draw(references["labels, rounding undone"], predictions, arguments.picture)


def bin_weighted(distance_m: Floats, weight: float = 1.0) -> BinnedDistances:
    """Counts by bin, each distance with the same weight."""
    return bin_distances(distance_m, CUTPOINTS_M, np.full(len(distance_m), weight))


def fit_keys(counts: BinnedDistances) -> dict[str, DetectionFit]:
    """The fits of both keys without adjustments."""
    return {key: fit_detection(detection_function(key), counts) for key in KEYS}


def compare(fits: Mapping[str, DetectionFit], reference: Mapping[str, DetectionFit]) -> str:
    """The differences of the radii, and of the densities that follow from them."""
    ratios = [fits[key].edr_m / reference[key].edr_m for key in KEYS]
    radius = ", ".join(f"{ratio - 1:+.1%}" for ratio in ratios)
    density = ", ".join(f"{ratio**-2 - 1:+.0%}" for ratio in ratios)
    return f"{radius} (density {density})"


def draw(labels: BinnedDistances, predictions: Mapping[str, BinnedDistances], path: Path) -> None:
    """Draws shares by bin as bars, with detection functions below."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6), layout="constrained")
    panels = figure.subplot_mosaic([["shares", "shares"], list(KEYS)])
    upper, lower = panels["shares"], [panels[key] for key in KEYS]
    shown = {"labels": labels, **predictions}
    edges, r = np.array(CUTPOINTS_M), np.linspace(0, CUTPOINTS_M[-1], 200)
    for name, counts in shown.items():
        height = counts.counts / counts.n / np.diff(edges)
        upper.stairs(
            height, edges, label=name, fill=name == "labels", alpha=0.35 if name == "labels" else 1, linewidth=2
        )
    upper.set(
        xlabel="distance (m)",
        ylabel="share of animals per metre",
        title="Distances of animals: labels, predictions, draws",
    )
    upper.legend()
    for axes, key in zip(lower, KEYS, strict=True):
        for name, counts in shown.items():
            fit = fit_detection(detection_function(key), counts)
            axes.plot(
                r, fit.g(r), label=f"{name.split(' (')[0]}: {fit.edr_m:.2f} m", linewidth=3 if name == "labels" else 1.5
            )
        axes.set(
            xlabel="distance (m)", ylabel="share detected", title=f"{key}: effective detection radius", ylim=(0, 1.05)
        )
        axes.legend()
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
