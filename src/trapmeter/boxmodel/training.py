"""Trains a box model and writes its bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from trapmeter.boxmodel.bundle import BundleCard, write_bundle
from trapmeter.boxmodel.cross_validation import (
    assign_site_folds,
    fit_uncertainties,
    held_out_distances,
    predict_held_out,
    with_simulated_sites,
)
from trapmeter.boxmodel.ensemble import fit_ensemble, load_lightgbm
from trapmeter.boxmodel.features import FEATURES
from trapmeter.boxmodel.network import limit_blas_threads
from trapmeter.boxmodel.novelty import learn_ranges
from trapmeter.boxmodel.onnx_export import to_onnx
from trapmeter.boxmodel.settings import BoxModelSettings
from trapmeter.boxmodel.training_data import CASES, FULL, Case, LabelledObservation, View, build_training_table
from trapmeter.facts import NO_FACTS
from trapmeter.files import PathLike, make_folder, sha256_of_bytes
from trapmeter.metrics import coverage, mae, mean_width
from trapmeter.progress import Announce
from trapmeter.records import Distance

SETTINGS_NOT_IN_CARD = ("model_id", "attribution", "threads")
"""Settings that the card has elsewhere, or that don't change the model."""


def train_box_model(
    samples: Sequence[LabelledObservation], out: PathLike, settings: BoxModelSettings, announce: Announce
) -> None:
    """Trains on all samples and simulated sites, and writes the bundle `out`.

    First, a few folds by site determine how far to widen the intervals; then all rows are fitted. The same samples, settings
    and machine give the same bytes.

    Raises:
        MissingExtraError: LightGBM, onnx or threadpoolctl is not installed.
        InputError: fewer sites than settings.calibration_folds. RunError: `out` can't be created.
    """
    load_lightgbm()
    out = Path(out)
    make_folder(out)  # Fails now rather than after minutes of training.
    n_labelled = len(samples)
    samples, asked = with_simulated_sites(sorted(samples, key=_sort_key), settings)
    fold = assign_site_folds(samples, settings.calibration_folds)
    announce(f"features of {len(samples)} rows")
    table = build_training_table(samples)
    # One forest is enough to learn the widening, since the ends of the interval are not bagged.
    raw = predict_held_out(samples, table, fold, replace(settings, bags=1), announce, asked)
    questions = [sample for sample, is_asked in zip(samples, asked.tolist(), strict=True) if is_asked]
    distances = held_out_distances(questions, fold[asked], raw)
    announce("all rows")
    with limit_blas_threads():
        ensemble = fit_ensemble(table, np.ones(len(samples), dtype=bool), settings)
    model = to_onnx(ensemble, len(FEATURES))
    card = BundleCard(
        model_id=settings.model_id,
        onnx_sha256=sha256_of_bytes(model),
        uncertainties=fit_uncertainties(questions, raw, np.ones(len(questions), dtype=bool)),
        seen=learn_ranges(table.features[View.FULL]),
        trained_on={
            "rows": n_labelled,
            "media": len({sample.observation.media_id for sample in samples[:n_labelled]}),
            "sites": len({sample.observation.site_id for sample in samples[:n_labelled]}),
            "simulated_rows": len(samples) - n_labelled,
            "rows_with_facts": sum(sample.facts != NO_FACTS for sample in samples),
        },
        held_out={
            "folds_by_site": settings.calibration_folds,
            "bags": 1,
            **_figures(questions[:n_labelled], distances[FULL][:n_labelled]),
            "by_park": _figures_by_park(questions, distances),
        },
        settings={name: value for name, value in asdict(settings).items() if name not in SETTINGS_NOT_IN_CARD},
        attribution=settings.attribution,
    )
    write_bundle(out, card, model)
    announce(f"wrote {out} ({len(model) / 1e6:.1f} MB)")


def _figures(samples: Sequence[LabelledObservation], distances: Sequence[Distance]) -> dict[str, float]:
    truth = [sample.distance_m for sample in samples]
    low, high = [d.low_m for d in distances], [d.high_m for d in distances]
    return {
        "mae_m": round(mae([d.distance_m for d in distances], truth), 4),
        "coverage": round(coverage(low, high, truth), 4),
        "mean_width_m": round(mean_width(low, high), 4),
    }


def _figures_by_park(
    samples: Sequence[LabelledObservation], distances: Mapping[Case, Sequence[Distance]]
) -> dict[str, dict[str, dict[str, float]]]:
    """The figures of each park in each case that its samples have facts for; SIMULATED is a park, too."""
    applies = {case: case.applies_to(samples) for case in CASES}
    parks = np.array([sample.park for sample in samples])
    figures: dict[str, dict[str, dict[str, float]]] = {}
    for park in sorted(set(parks.tolist())):
        figures[park] = {}
        for case in CASES:
            rows = np.flatnonzero((parks == park) & applies[case]).tolist()
            if rows:
                figures[park][str(case)] = _figures([samples[i] for i in rows], [distances[case][i] for i in rows])
    return figures


def _sort_key(sample: LabelledObservation) -> tuple[str, str, float, int, tuple[float, ...], float]:
    """Sorts samples independently of their order in the file."""
    observation = sample.observation
    box = (*observation.box.xyxy, observation.box.score) if observation.box else ()
    key = observation.site_id, observation.media_id, observation.time_s, observation.animal_id
    return *key, box, sample.distance_m
