"""Predicts every labelled row with an ensemble that was trained on other sites."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from trapmeter.boxmodel.box_groups import Floats, Ints
from trapmeter.boxmodel.ensemble import fit_ensemble
from trapmeter.boxmodel.intervals import fit_box_uncertainty, to_distances
from trapmeter.boxmodel.network import limit_blas_threads
from trapmeter.boxmodel.settings import BoxModelSettings
from trapmeter.boxmodel.training_data import LabelledObservation, TrainingTable, View
from trapmeter.folds import folds_by_size
from trapmeter.progress import Announce
from trapmeter.records import Distance


def assign_site_folds(samples: Sequence[LabelledObservation], count: int) -> Ints:
    """The fold (0..count-1) of each sample. All rows of a site share a fold, and folds have about equally many rows.

    The largest site comes first, and each site goes to the fold with the fewest rows so far. If the site is unknown, the
    medium counts as a site.

    Raises:
        InputError: fewer than 2 folds, or fewer sites than folds.
    """
    sites = [sample.observation.site_key for sample in samples]
    fold_of = folds_by_size(sites, count)
    return np.array([fold_of[site] for site in sites], np.int64)


def predict_held_out(
    table: TrainingTable, fold: Ints, settings: BoxModelSettings, announce: Announce
) -> dict[View, Floats]:
    """Point, low and high (n x 3) in each view; every row is predicted by an ensemble trained on the other folds.

    table: n rows; fold (n): the fold of each row, 0..k-1.
    """
    count = int(fold.max()) + 1

    def predict_fold(index: int) -> dict[View, Floats]:
        held_out = fold == index
        ensemble = fit_ensemble(table, ~held_out, settings)
        predictions = {view: ensemble.predict(table.features[view][held_out]) for view in View}
        error = np.abs(np.expm1(predictions[View.FULL][:, 0]) - np.expm1(table.target[held_out])).mean()
        announce(
            f"fold {index + 1} of {count}: mean error {error:.2f} m on {int(held_out.sum())} rows of held-out sites"
        )
        return predictions

    raw = {view: np.zeros((len(fold), 3)) for view in View}
    with limit_blas_threads(), ThreadPoolExecutor(settings.threads) as pool:
        for index, predictions in enumerate(pool.map(predict_fold, range(count))):
            for view in View:
                raw[view][fold == index] = predictions[view]
    return raw


def held_out_distances(
    samples: Sequence[LabelledObservation], fold: Ints, raw: Mapping[View, Floats]
) -> dict[View, list[Distance]]:
    """Distances of all samples in each view, with intervals and draws learned only from other folds' rows.

    The ensembles that predicted those other rows were trained on this fold, as in cross-conformal prediction (Vovk 2015):
    separate ensembles for each pair of folds would cost ten times as much.
    """
    truth = np.array([sample.distance_m for sample in samples])
    sites = np.array([sample.observation.site_or_medium for sample in samples])
    distances: dict[View, list[Distance]] = {view: [Distance(0.0, 0.0, 0.0)] * len(fold) for view in raw}
    for index in range(int(fold.max()) + 1):
        held_out = fold == index
        uncertainty = fit_box_uncertainty(raw[View.FULL][~held_out], truth[~held_out], sites[~held_out].tolist())
        for view in raw:
            of_fold = to_distances(raw[view][held_out], uncertainty)
            for row, distance in zip(np.flatnonzero(held_out), of_fold, strict=True):
                distances[view][row] = distance
    return distances
