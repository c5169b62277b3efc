"""Trains a box model and writes its bundle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from trapmeter.boxmodel.bundle import BundleCard, write_bundle
from trapmeter.boxmodel.cross_validation import assign_site_folds, held_out_distances, predict_held_out
from trapmeter.boxmodel.ensemble import fit_ensemble, load_lightgbm
from trapmeter.boxmodel.features import FEATURES
from trapmeter.boxmodel.intervals import fit_box_uncertainty
from trapmeter.boxmodel.network import limit_blas_threads
from trapmeter.boxmodel.novelty import learn_ranges
from trapmeter.boxmodel.onnx_export import to_onnx
from trapmeter.boxmodel.settings import BoxModelSettings
from trapmeter.boxmodel.training_data import LabelledObservation, View, build_training_table
from trapmeter.files import PathLike, make_folder, sha256_of_bytes
from trapmeter.metrics import coverage, mae, mean_width
from trapmeter.progress import Announce

SETTINGS_NOT_IN_CARD = ("model_id", "attribution", "threads")
"""Settings that the card has elsewhere, or that don't change the model."""


def train_box_model(
    samples: Sequence[LabelledObservation], out: PathLike, settings: BoxModelSettings, announce: Announce
) -> None:
    """Trains on all samples and writes the bundle `out`. The same samples, settings and machine give the same bytes.

    First, a few folds by site determine how far to widen the intervals; then all rows are fitted.

    Raises:
        MissingExtraError: LightGBM, onnx or threadpoolctl is not installed.
        InputError: fewer sites than settings.calibration_folds. RunError: `out` can't be created.
    """
    load_lightgbm()
    out = Path(out)
    make_folder(out)  # Fails now rather than after minutes of training.
    samples = sorted(samples, key=_sort_key)
    fold = assign_site_folds(samples, settings.calibration_folds)
    announce(f"features of {len(samples)} rows")
    table = build_training_table(samples)
    # One forest is enough to learn the widening, since the ends of the interval are not bagged.
    raw = predict_held_out(table, fold, replace(settings, bags=1), announce)
    held_out = held_out_distances(samples, fold, {View.FULL: raw[View.FULL]})[View.FULL]
    announce("all rows")
    with limit_blas_threads():
        ensemble = fit_ensemble(table, np.ones(len(samples), dtype=bool), settings)
    model = to_onnx(ensemble, len(FEATURES))
    truth = [sample.distance_m for sample in samples]
    sites = [sample.observation.site_or_medium for sample in samples]
    low, high = [d.low_m for d in held_out], [d.high_m for d in held_out]
    card = BundleCard(
        model_id=settings.model_id,
        onnx_sha256=sha256_of_bytes(model),
        uncertainty=fit_box_uncertainty(raw[View.FULL], np.array(truth), sites),
        seen=learn_ranges(table.features[View.FULL]),
        trained_on={
            "rows": len(samples),
            "media": len({sample.observation.media_id for sample in samples}),
            "sites": len({sample.observation.site_id for sample in samples}),
        },
        held_out={
            "folds_by_site": settings.calibration_folds,
            "bags": 1,
            "mae_m": round(mae([d.distance_m for d in held_out], truth), 4),
            "coverage": round(coverage(low, high, truth), 4),
            "mean_width_m": round(mean_width(low, high), 4),
        },
        settings={name: value for name, value in asdict(settings).items() if name not in SETTINGS_NOT_IN_CARD},
        attribution=settings.attribution,
    )
    write_bundle(out, card, model)
    announce(f"wrote {out} ({len(model) / 1e6:.1f} MB)")


def _sort_key(sample: LabelledObservation) -> tuple[str, str, float, int, tuple[float, ...], float]:
    """Sorts samples independently of their order in the file."""
    observation = sample.observation
    box = (*observation.box.xyxy, observation.box.score) if observation.box else ()
    key = observation.site_id, observation.media_id, observation.time_s, observation.animal_id
    return *key, box, sample.distance_m
