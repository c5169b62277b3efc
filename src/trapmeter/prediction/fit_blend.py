"""Fit a blend to a training's held-out predictions and a box model's for the same seconds."""

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

HELD_OUT, BUNDLE = "held_out.csv", "bundle"
"""What `train` leaves in the folder of each finished fold."""


@dataclass(frozen=True, slots=True)
class BlendFit:
    """A blend and what it is worth: mean absolute errors in metres over held-out moments."""

    blend: Blend
    moments: int
    sites: int
    networks_mae_m: float
    boxes_mae_m: float
    blend_mae_m: float
    """Of blends learnt at other sites than those that they are judged at."""


def fit_blend_of_training(
    training: Path, metadata: Path, out: Path, box_model: Path | None, box_answers: Path | None
) -> BlendFit:
    """Writes a blend to out.

    training: a folder with the folds that `train` left. metadata: the boxes and sites of their moments. box_model: None is
    the embedded one, which answers for the moments itself; one that was trained on these very labels knows them, and needs
    box_answers, the table of held-out answers that `boxmodel evaluate` wrote.

    Raises:
        InputError: a table is not as expected, no fold is finished or parted by site, or no moment has both answers.
        ModelError: a fold's network is damaged.
    """
    model = BoxModel.load(box_model)
    known = best_box_rows(metadata)
    observations = {
        moment: Observation(row.video_id, row.time_s, row.box, animal_id=1, site_id=row.site_id)
        for moment, row in known.items()
    }
    by_boxes = _predict_by_box_model(model, observations) if box_answers is None else _read_box_predictions(box_answers)
    rows = []
    networks = _read_fold_networks(training)
    for network in networks:
        path = network.folder.parent / HELD_OUT
        for row in read_rows(path, required=("video_id", "time", "distance", "truth", "site_id")):
            moment = VideoSecond(row.text("video_id"), row.non_negative_number("time", "seconds"))
            if moment not in by_boxes or moment not in observations:
                continue
            numbers = max(row.number("distance"), 0.0), by_boxes[moment], row.non_negative_number("truth", "metres")
            rows.append(HeldOutPair(observations[moment].site_id or moment[0], observations[moment].box, *numbers))
    if not rows:
        raise InputError(
            f"none of the moments in {training}/*/{HELD_OUT} stands in {box_answers or metadata}; "
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
    """The networks of the folds that are finished, each beside its held-out answers."""
    folders = sorted(path.parent for path in training.glob(f"*/{BUNDLE}") if (path.parent / HELD_OUT).exists())
    if not folders:
        raise InputError(
            f"{training}: no finished fold with {BUNDLE}/ and {HELD_OUT}; give the folder that `trapmeter train --out` filled"
        )
    networks = [read_bundle(folder / BUNDLE) for folder in folders]
    for network in networks:
        if network.provenance.get("held_out", {}).get("folds_by") == "video":
            raise InputError(
                f"{network.folder}: trained with --folds-by video, so that its answers are of sites that it knew; a blend is "
                "learnt from folds by site"
            )
    return networks


def _predict_by_box_model(model: BoxModel, observations: dict[VideoSecond, Observation]) -> dict[VideoSecond, float]:
    answers = model.estimate(list(observations.values()))
    return {moment: distance.distance_m for moment, distance in zip(observations, answers, strict=True)}


def _read_box_predictions(path: Path) -> dict[VideoSecond, float]:
    rows = read_rows(path, required=("media_id", "time_s", "full_distance_m"))
    return {
        VideoSecond(row.text("media_id"), row.non_negative_number("time_s", "seconds")): row.non_negative_number(
            "full_distance_m", "metres"
        )
        for row in rows
    }
