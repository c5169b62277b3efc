"""Measures how much labels of a site's other videos improve the box model: an upper limit for calibration by labels.

Two cross-validations of the same model on the same rows: folds by site, as usual, and folds by video, where nine tenths of
the videos of a row's own site are in the training data, with their labels.

    pip install '.[boxmodel]'
    python benchmarks/known_sites.py --tables DIR --out DIR [--folds 10]

Takes about half an hour on one core. Finished folds are kept in --out; repeat the command to resume.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trapmeter.boxmodel.cross_validation import assign_site_folds
from trapmeter.boxmodel.ensemble import fit_ensemble
from trapmeter.boxmodel.network import limit_blas_threads
from trapmeter.boxmodel.settings import BoxModelSettings
from trapmeter.boxmodel.training_data import (
    LabelledObservation,
    TrainingTable,
    View,
    build_training_table,
    read_labelled_observations,
)
from trapmeter.metrics import bootstrap_interval


def predict_folds(table: TrainingTable, fold: NDArray[np.int64], out: Path) -> NDArray[np.float64]:
    """Metres for each row from an ensemble trained on the other folds; kept in out, fold by fold."""
    out.mkdir(parents=True, exist_ok=True)
    metres = np.zeros(len(fold))
    for index in range(int(fold.max()) + 1):
        path, held_out = out / f"{index}.npy", fold == index
        if not path.exists():
            print(f"{out.name}: fold {index + 1} of {fold.max() + 1}", file=sys.stderr, flush=True)
            with limit_blas_threads():
                ensemble = fit_ensemble(table, ~held_out, BoxModelSettings())
                raw = ensemble.predict(table.features[View.FULL][held_out])
            np.save(path, np.expm1(raw[:, 0]))
        metres[held_out] = np.load(path)
    return metres


def main() -> None:
    """Prints both errors."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--folds", type=int, default=10)
    arguments = parser.parse_args()
    samples = read_labelled_observations(arguments.tables)
    table = build_training_table(samples)
    by_video: list[LabelledObservation] = [
        replace(sample, observation=replace(sample.observation, site_id="")) for sample in samples
    ]
    truth = np.array([sample.distance_m for sample in samples])
    sites = [sample.observation.site_or_medium for sample in samples]
    errors = {
        name: np.abs(predict_folds(table, assign_site_folds(units, arguments.folds), arguments.out / name) - truth)
        for name, units in (("site", samples), ("video", by_video))
    }
    print("| held out | mean absolute error, m | 95 % over sites |\n| --- | --- | --- |")
    for name, error in errors.items():
        low, high = bootstrap_interval(error, sites)
        print(f"| the {name} | {error.mean():.3f} | {low:.2f} to {high:.2f} |")
    low, high = bootstrap_interval(errors["video"] - errors["site"], sites)
    print(
        f"\nlabels of the site's other videos: {errors['video'].mean() / errors['site'].mean() - 1:+.1%}, "
        f"{(errors['video'] - errors['site']).mean():+.3f} m ({low:+.3f} to {high:+.3f} over sites)"
    )


if __name__ == "__main__":
    main()
