from pathlib import Path

import pytest

from trapmeter.competition.evaluation import evaluate_pairs, format_errors, pair_predictions, write_evaluation
from trapmeter.errors import InputError
from trapmeter.records import Box
from trapmeter.tables.drivendata import Label, MetadataRow

TRUTH = [Label("a.mp4", 0, 1.0), Label("a.mp4", 5, 3.0), Label("b.mp4", 0, 12.0), Label("c.mp4", 2, 5.0)]
PREDICTED = [Label("c.mp4", 2, 5.0), Label("a.mp4", 0, 2.0), Label("a.mp4", 5, 3.5), Label("b.mp4", 0, 9.0)]
BOX = Box(0.1, 0.1, 0.2, 0.2, 0.9)
KNOWN = {
    ("a.mp4", 0.0): MetadataRow("a.mp4", 0, BOX, "tai", "s1"),
    ("a.mp4", 5.0): MetadataRow("a.mp4", 5, None, "tai", "s1"),
    ("b.mp4", 0.0): MetadataRow("b.mp4", 0, BOX, "moyen", "s2"),
}


def test_figures_of_all_parts() -> None:
    figures = {
        f.part: f for f in evaluate_pairs(pair_predictions(PREDICTED, TRUTH, KNOWN, {"a.mp4": True, "b.mp4": False}))
    }
    assert figures["all"].n == 4
    assert figures["all"].mae_m == pytest.approx((1 + 0.5 + 3 + 0) / 4)
    assert figures["all"].bias_m == pytest.approx((1 + 0.5 - 3 + 0) / 4)
    assert figures["all"].median_mae_m == pytest.approx((3 + 1 + 8 + 1) / 4)
    assert figures["10 to 15 m"].bias_m == -3
    assert {name: figures[name].n for name in ("park tai", "park moyen", "day", "night")} == {
        "park tai": 2,
        "park moyen": 1,
        "day": 1,
        "night": 2,
    }
    assert (figures["with box"].n, figures["without box"].n) == (2, 1)
    assert (figures["first second"].n, figures["last second"].n) == (3, 3)
    low, high = figures["all"].mae_low_m, figures["all"].mae_high_m
    assert low is not None
    assert high is not None
    assert low <= figures["all"].mae_m <= high


def test_a_label_without_a_prediction_is_refused() -> None:
    with pytest.raises(InputError, match=r"1 labels have no prediction; the first is a.mp4 at 0 s"):
        pair_predictions(PREDICTED[2:] + PREDICTED[:1], TRUTH, {}, {})
    with pytest.raises(InputError, match="no rows to compare with"):
        pair_predictions(PREDICTED, [], {}, {})


def test_json_and_picture_are_written(tmp_path: Path) -> None:
    pairs = pair_predictions(PREDICTED, TRUTH, KNOWN, {})
    figures = evaluate_pairs(pairs)
    write_evaluation(figures, pairs, tmp_path)
    assert (tmp_path / "evaluation.png").stat().st_size > 10_000
    assert '"part": "all"' in (tmp_path / "evaluation.json").read_text()
    assert format_errors(figures).count("\n") == len(figures)


def test_nights_are_told_from_the_pictures_of_a_store(tmp_path: Path) -> None:
    import numpy as np
    from PIL import Image

    from trapmeter.competition.evaluation import find_night_videos
    from trapmeter.frames.fill import fill_store
    from trapmeter.frames.requests import FrameRequest
    from trapmeter.frames.spec import Codec, StoreSpec
    from trapmeter.frames.store import FrameStore
    from trapmeter.records import Medium, MediumKind

    rng = np.random.default_rng(0)
    for name, n_colours in (("night.png", 1), ("day.png", 3)):
        picture = np.broadcast_to(rng.integers(0, 256, (64, 64, n_colours), np.uint8), (64, 64, 3))
        Image.fromarray(np.ascontiguousarray(picture)).save(tmp_path / name)
    store = FrameStore.create(tmp_path / "store", StoreSpec((64, 64), codec=Codec.PNG))
    media = [Medium(name, tmp_path / name, MediumKind.PHOTO) for name in ("night.png", "day.png")]
    fill_store(store, [FrameRequest(medium, (0.0,), (0.0,)) for medium in media], 1)
    assert find_night_videos(store, ["night.png", "day.png", "unknown.png"]) == {"night.png": True, "day.png": False}
