"""Fits a blend to the held-out predictions of a training and of a box model for the same seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trapmeter.boxmodel.model import BoxModel
from trapmeter.errors import InputError
from trapmeter.models.bundle import Bundle, read_bundle
from trapmeter.prediction.blend import Blend, HeldOutPair, fit_blend, predict_held_out, write_blend
from trapmeter.records import Observation, VideoSecond
from trapmeter.tables.csvfile import read_rows
from trapmeter.tables.drivendata import best_box_rows

HELD_OUT, BUNDLE, TOLD = "held_out.csv", "bundle", "told"
"""The results of `train` in the folder of each finished fold, and a column of the first."""


@dataclass(frozen=True, slots=True)
class BlendFit:
    """A blend, and mean absolute errors in metres over held-out seconds."""

    blend: Blend
    n_seconds: int
    n_sites: int
    networks_mae_m: float
    boxes_mae_m: float
    blend_mae_m: float
    """Each row's by a blend that was fitted without its site."""


def fit_blend_of_training(
    training: str | Path,
    metadata: str | Path,
    out: str | Path,
    box_model: str | Path | None = None,
    box_answers: str | Path | None = None,
) -> BlendFit:
    """Fits a blend and writes it to out.

    training: the folder of `train`, with its folds. metadata: the boxes and sites of their seconds. box_model: its folder;
    None is the embedded one. A box model that was trained on the same labels can't predict them fairly: box_answers is then
    the table of its held-out predictions that `boxmodel evaluate` wrote.

    Raises:
        InputError: a table is not as expected, no fold is finished, folds are not by site, or no second has both predictions.
        ModelError: a fold's network is damaged.
    """
    training, metadata = Path(training), Path(metadata)
    model = BoxModel.load(None if box_model is None else Path(box_model))
    observations = {
        second: Observation(row.video_id, row.time_s, row.box, animal_id=1, site_id=row.site_id)
        for second, row in best_box_rows(metadata).items()
    }
    by_boxes = _predict_by_box_model(model, observations) if box_answers is None else _read_box_predictions(box_answers)
    rows = []
    networks = _read_fold_networks(training)
    for network in networks:
        path = network.folder.parent / HELD_OUT
        for row in read_rows(path, required=("video_id", "time", "distance", "truth", "site_id")):
            second = VideoSecond(row.text("video_id"), row.non_negative_number("time", "seconds"))
            if second not in by_boxes or second not in observations:
                continue
            if row.optional_text(TOLD) == "1":
                # The box model wasn't told the same.
                continue
            distances_m = max(row.number("distance"), 0.0), by_boxes[second], row.non_negative_number("truth", "metres")
            observation = observations[second]
            rows.append(HeldOutPair(observation.site_id or second[0], observation.box, *distances_m))
    if not rows:
        raise InputError(
            f"none of the seconds in {training}/*/{HELD_OUT} is in {box_answers or metadata}; "
            "give the tables of the same videos"
        )
    blend = fit_blend(rows, model.identity.sha256, {network.identity.sha256 for network in networks})
    blended_m = predict_held_out(rows)
    write_blend(out, blend)
    return BlendFit(
        blend,
        len(rows),
        len({row.site_id for row in rows}),
        sum(abs(row.networks_m - row.truth_m) for row in rows) / len(rows),
        sum(abs(row.boxes_m - row.truth_m) for row in rows) / len(rows),
        sum(abs(metres - row.truth_m) for metres, row in zip(blended_m.tolist(), rows, strict=True)) / len(rows),
    )


def _read_fold_networks(training: Path) -> Sequence[Bundle]:
    """The networks of the finished folds, each beside its held-out predictions."""
    folders = sorted(path.parent for path in training.glob(f"*/{BUNDLE}") if (path.parent / HELD_OUT).exists())
    if not folders:
        raise InputError(
            f"{training}: no finished fold with {BUNDLE}/ and {HELD_OUT}; give the folder that `trapmeter train --out` filled"
        )
    networks = [read_bundle(folder / BUNDLE) for folder in folders]
    for network in networks:
        if network.provenance.get("held_out", {}).get("folds_by") == "video":
            raise InputError(
                f"{network.folder}: trained with --folds-by video, so it knows the sites of its held-out videos; "
                "a blend needs folds by site"
            )
    return networks


def _predict_by_box_model(model: BoxModel, observations: dict[VideoSecond, Observation]) -> dict[VideoSecond, float]:
    distances = model.estimate(list(observations.values()))
    return {second: distance.distance_m for second, distance in zip(observations, distances, strict=True)}


def _read_box_predictions(path: str | Path) -> dict[VideoSecond, float]:
    rows = read_rows(Path(path), required=("media_id", "time_s", "full_distance_m"))
    return {
        VideoSecond(row.text("media_id"), row.non_negative_number("time_s", "seconds")): row.non_negative_number(
            "full_distance_m", "metres"
        )
        for row in rows
    }
