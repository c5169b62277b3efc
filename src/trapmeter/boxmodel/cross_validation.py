"""Predicts every labelled row with an ensemble that was trained on other sites."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from trapmeter.boxmodel.box_groups import Flags, Floats, Ints
from trapmeter.boxmodel.ensemble import fit_ensemble
from trapmeter.boxmodel.intervals import fit_box_uncertainty, to_distances
from trapmeter.boxmodel.knowledge import Knowledge
from trapmeter.boxmodel.network import limit_blas_threads
from trapmeter.boxmodel.settings import BoxModelSettings
from trapmeter.boxmodel.simulated import simulate_sites
from trapmeter.boxmodel.training_data import CASES, FULL, Case, LabelledObservation, TrainingTable, View
from trapmeter.folds import folds_by_size
from trapmeter.progress import Announce
from trapmeter.records import Distance
from trapmeter.uncertainty import MIN_SITES, Uncertainty


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


def with_simulated_sites(
    samples: Sequence[LabelledObservation], settings: BoxModelSettings
) -> tuple[list[LabelledObservation], Flags]:
    """The samples followed by those of the settings' simulated sites, and which to ask for when errors are measured (n).

    Enough simulated sites are asked for to have about as many rows as the samples.
    """
    simulated = [
        replace(sample, weight=settings.simulated_weight)
        for sample in simulate_sites(settings.simulated_sites, settings.seed)
    ]
    asked = np.ones(len(samples) + len(simulated), dtype=bool)
    if len(simulated) > len(samples) > 0:
        last = simulated[len(samples)].observation.site_id
        end = next((i for i in range(len(samples), len(simulated)) if simulated[i].observation.site_id != last), 0)
        asked[len(samples) + (end or len(simulated)) :] = False
    return [*samples, *simulated], asked


def predict_held_out(
    samples: Sequence[LabelledObservation],
    table: TrainingTable,
    fold: Ints,
    settings: BoxModelSettings,
    announce: Announce,
    asked: Flags,
) -> dict[Case, Floats]:
    """Point, low and high (m x 3) of the m samples that are asked for, in each case, by models trained on the other folds.

    table: n rows of the samples; fold, asked (n): the fold of each row, 0..k-1, and whether it is asked for. All rows of a
    site are asked for or none.
    """
    count = int(fold.max()) + 1
    questions = [sample for sample, is_asked in zip(samples, asked.tolist(), strict=True) if is_asked]
    rows = {case: case.features(questions) for case in CASES}
    truth = np.array([sample.distance_m for sample in questions])

    def predict_fold(index: int) -> dict[Case, Floats]:
        ensemble = fit_ensemble(table, fold != index, settings)
        held_out = fold[asked] == index
        predictions = {case: ensemble.predict(rows[case][held_out]) for case in CASES}
        error = np.abs(np.expm1(predictions[FULL][:, 0]) - truth[held_out]).mean()
        announce(
            f"fold {index + 1} of {count}: mean error {error:.2f} m on {int(held_out.sum())} rows of held-out sites"
        )
        return predictions

    raw = {case: np.zeros((len(questions), 3)) for case in CASES}
    with limit_blas_threads(), ThreadPoolExecutor(settings.threads) as pool:
        for index, predictions in enumerate(pool.map(predict_fold, range(count))):
            for case in CASES:
                raw[case][fold[asked] == index] = predictions[case]
    return raw


def fit_uncertainties(
    samples: Sequence[LabelledObservation], raw: Mapping[Case, Floats], kept: Flags
) -> dict[Knowledge, Uncertainty]:
    """The errors to expect by what is known, from held-out predictions (n x 3) of the samples marked in kept (n).

    A case that too few sites have facts for gets the errors of nothing known.
    """
    truth = np.array([sample.distance_m for sample in samples])
    sites = np.array([sample.observation.site_or_medium for sample in samples])
    uncertainties: dict[Knowledge, Uncertainty] = {}
    for known in Knowledge:
        case = Case(View.FULL, known)
        rows = kept & case.applies_to(samples)
        if known is Knowledge.NOTHING or len(set(sites[rows].tolist())) >= MIN_SITES:
            uncertainties[known] = fit_box_uncertainty(raw[case][rows], truth[rows], sites[rows].tolist())
        else:
            uncertainties[known] = uncertainties[Knowledge.NOTHING]
    return uncertainties


def held_out_distances(
    samples: Sequence[LabelledObservation], fold: Ints, raw: Mapping[Case, Floats]
) -> dict[Case, list[Distance]]:
    """Distances of all samples in each case, with intervals and draws learned only from other folds' rows.

    The ensembles that predicted those other rows were trained on this fold, as in cross-conformal prediction (Vovk 2015):
    separate ensembles for each pair of folds would cost ten times as much.
    """
    distances: dict[Case, list[Distance]] = {case: [Distance(0.0, 0.0, 0.0)] * len(fold) for case in raw}
    for index in range(int(fold.max()) + 1):
        held_out = fold == index
        uncertainties = fit_uncertainties(samples, raw, ~held_out)
        for case in raw:
            of_fold = to_distances(raw[case][held_out], uncertainties[case.knowledge])
            for row, distance in zip(np.flatnonzero(held_out), of_fold, strict=True):
                distances[case][row] = distance
    return distances
