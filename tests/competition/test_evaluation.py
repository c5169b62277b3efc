"""Predictions are compared with labels, overall and by group."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trapmeter.competition.evaluation import (
    evaluate_pairs,
    evaluate_table,
    find_night_videos,
    format_errors,
    pair_predictions,
    write_evaluation,
)
from trapmeter.errors import InputError
from trapmeter.frames.fill import fill_store
from trapmeter.frames.requests import FrameRequest
from trapmeter.frames.spec import Codec, StoreSpec
from trapmeter.frames.store import FrameStore
from trapmeter.records import Box, Medium, MediumKind
from trapmeter.tables.drivendata import Label, MetadataRow

TRUTH = [Label("a.mp4", 0, 1.0), Label("a.mp4", 5, 3.0), Label("b.mp4", 0, 12.0), Label("c.mp4", 2, 5.0)]
PREDICTED = [Label("c.mp4", 2, 5.0), Label("a.mp4", 0, 2.0), Label("a.mp4", 5, 3.5), Label("b.mp4", 0, 9.0)]
BOX = Box(0.1, 0.1, 0.2, 0.2, 0.9)
METADATA = {
    ("a.mp4", 0.0): MetadataRow("a.mp4", 0, BOX, "tai", "s1"),
    ("a.mp4", 5.0): MetadataRow("a.mp4", 5, None, "tai", "s1"),
    ("b.mp4", 0.0): MetadataRow("b.mp4", 0, BOX, "moyen", "s2"),
}


def test_errors_overall_and_by_group() -> None:
    errors = {
        group.part: group
        for group in evaluate_pairs(pair_predictions(PREDICTED, TRUTH, METADATA, {"a.mp4": True, "b.mp4": False}))
    }
    assert errors["all"].n == 4
    assert errors["all"].mae_m == pytest.approx((1 + 0.5 + 3 + 0) / 4)
    assert errors["all"].bias_m == pytest.approx((1 + 0.5 - 3 + 0) / 4)
    assert errors["all"].median_mae_m == pytest.approx((3 + 1 + 8 + 1) / 4)
    assert errors["10 to 15 m"].bias_m == -3
    assert {name: errors[name].n for name in ("park tai", "park moyen", "day", "night")} == {
        "park tai": 2,
        "park moyen": 1,
        "day": 1,
        "night": 2,
    }
    assert (errors["with box"].n, errors["without box"].n) == (2, 1)
    assert (errors["first second"].n, errors["last second"].n) == (3, 3)
    low, high = errors["all"].mae_low_m, errors["all"].mae_high_m
    assert low is not None
    assert high is not None
    assert low <= errors["all"].mae_m <= high


def test_a_label_without_a_prediction_is_refused() -> None:
    with pytest.raises(InputError, match=r"1 labels have no prediction; the first is a.mp4 at 0 s"):
        pair_predictions(PREDICTED[2:] + PREDICTED[:1], TRUTH, {}, {})
    with pytest.raises(InputError, match="no rows to compare with"):
        pair_predictions(PREDICTED, [], {}, {})


def test_json_and_picture_are_written(tmp_path: Path) -> None:
    pairs = pair_predictions(PREDICTED, TRUTH, METADATA, {})
    errors = evaluate_pairs(pairs)
    write_evaluation(errors, pairs, tmp_path)
    assert (tmp_path / "evaluation.png").stat().st_size > 10_000
    assert '"part": "all"' in (tmp_path / "evaluation.json").read_text()
    assert format_errors(errors).count("\n") == len(errors)


def test_tables_are_compared_from_plain_paths(tmp_path: Path) -> None:
    for name, rows in (("predictions", PREDICTED), ("labels", TRUTH)):
        lines = "".join(f"{row.video_id},{row.time_s},{row.distance_m}\n" for row in rows)
        (tmp_path / f"{name}.csv").write_text(f"video_id,time,distance\n{lines}")
    (tmp_path / "metadata.csv").write_text(
        "video_id,time,x1,y1,x2,y2,probability,park,site_id\na.mp4,0,0.1,0.1,0.2,0.2,0.9,tai,s1\n"
    )
    tables = (str(tmp_path / f"{name}.csv") for name in ("predictions", "labels"))
    errors = evaluate_table(*tables, str(tmp_path / "out"), metadata=str(tmp_path / "metadata.csv"))
    assert {group.part: group.n for group in errors if group.part in ("all", "park tai", "with box")} == {
        "all": 4,
        "park tai": 1,
        "with box": 1,
    }
    assert (tmp_path / "out/evaluation.json").exists()


def test_night_videos_are_found_by_their_frames(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name, n_colours in (("night.png", 1), ("day.png", 3)):
        picture = np.broadcast_to(rng.integers(0, 256, (64, 64, n_colours), np.uint8), (64, 64, 3))
        Image.fromarray(np.ascontiguousarray(picture)).save(tmp_path / name)
    store = FrameStore.create(tmp_path / "store", StoreSpec((64, 64), codec=Codec.PNG))
    media = [Medium(name, tmp_path / name, MediumKind.PHOTO) for name in ("night.png", "day.png")]
    fill_store(store, [FrameRequest(medium, (0.0,), (0.0,)) for medium in media], 1)
    assert find_night_videos(store, ["night.png", "day.png", "unknown.png"]) == {"night.png": True, "day.png": False}
