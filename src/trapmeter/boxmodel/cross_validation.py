"""Predictions for samples whose site the ensemble was not trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from trapmeter.boxmodel.ensemble import fit_ensemble
from trapmeter.boxmodel.intervals import Floats, fit_box_uncertainty, to_distances
from trapmeter.boxmodel.network import limit_blas_threads
from trapmeter.boxmodel.settings import BoxModelSettings
from trapmeter.boxmodel.training_data import LabelledObservation, TrainingTable, View
from trapmeter.folds import folds_by_size
from trapmeter.records import Distance

Folds = NDArray[np.int64]
Progress = Callable[[str], None]


def assign_site_folds(samples: Sequence[LabelledObservation], count: int) -> Folds:
    """The fold (0..count-1) of each sample. All rows of a site share one, and folds are about equally large.

    Where the site is unknown, a medium counts as a site.
    """
    sites = [(bool(sample.observation.site_id), sample.site_key) for sample in samples]
    fold_of = folds_by_size(sites, count)
    return np.array([fold_of[site] for site in sites], np.int64)


def predict_held_out(
    table: TrainingTable, fold: Folds, settings: BoxModelSettings, progress: Progress
) -> dict[View, Floats]:
    """Point, low and high (n x 3) for each view, every row answered by an ensemble that saw other folds only."""
    count = int(fold.max()) + 1

    def answer(index: int) -> dict[View, Floats]:
        out = fold == index
        ensemble = fit_ensemble(table, ~out, settings)
        answers = {view: ensemble.predict(table.features[view][out]) for view in View}
        error = np.abs(np.expm1(answers[View.FULL][:, 0]) - np.expm1(table.target[out])).mean()
        progress(f"fold {index + 1} of {count}: mean error {error:.2f} m on {int(out.sum())} rows of sites held out")
        return answers

    raw = {view: np.zeros((len(fold), 3)) for view in View}
    with limit_blas_threads(), ThreadPoolExecutor(settings.threads) as pool:
        for index, answers in enumerate(pool.map(answer, range(count))):
            for view in View:
                raw[view][fold == index] = answers[view]
    return raw


def held_out_distances(
    samples: Sequence[LabelledObservation], fold: Folds, raw: Mapping[View, Floats]
) -> dict[View, list[Distance]]:
    """Distances with intervals and draws that, too, were learned from other folds' rows only.

    The ensembles that answered those other rows did see this fold. That is as in cross-conformal prediction (Vovk 2015):
    ensembles apart for each pair of folds would cost ten times as much.
    """
    truth = np.array([sample.distance_m for sample in samples])
    sites = np.array([sample.site_key for sample in samples])
    answers: dict[View, list[Distance]] = {view: [Distance(0.0, 0.0, 0.0)] * len(fold) for view in raw}
    for index in range(int(fold.max()) + 1):
        out = fold == index
        uncertainty = fit_box_uncertainty(raw[View.FULL][~out], truth[~out], sites[~out].tolist())
        for view in raw:
            distances = to_distances(raw[view][out], uncertainty)
            for row, distance in zip(np.flatnonzero(out), distances, strict=True):
                answers[view][row] = distance
    return answers
