"""Blends of networks and box model, weighted by their errors at held-out sites."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import MakeClip
from terminal import inside
from training_world import make_bundles
from trapmeter.boxmodel.knowledge import Knowledge
from trapmeter.boxmodel.model import BoxModel
from trapmeter.errors import InputError, ModelError
from trapmeter.prediction.blend import (
    CANDIDATE_SHARES,
    Blend,
    BoxSituation,
    HeldOutPair,
    blend_log1p,
    box_situation,
    fit_blend,
    predict_held_out,
    read_blend,
    write_blend,
)
from trapmeter.prediction.fit_blend import fit_blend_of_training
from trapmeter.prediction.run import run_prediction
from trapmeter.prediction.settings import PredictSettings
from trapmeter.records import Box

pytestmark = pytest.mark.slow

SURE, CUT = Box(0.2, 0.3, 0.4, 0.6, 0.9), Box(0.2, 0.3, 0.4, 1.0, 0.9)
rng = np.random.default_rng(0)


def rows(n: int = 400, networks_off: float = 0.1, boxes_off: float = 0.1, box: Box | None = SURE) -> list[HeldOutPair]:
    """Random pairs; the arguments are the standard deviations of independent errors in log(1 + metres)."""
    truth = np.log1p(rng.uniform(1, 15, n))
    predictions = [np.expm1(truth + rng.normal(0, off, n)).clip(0) for off in (networks_off, boxes_off)]
    pairs = zip(*predictions, np.expm1(truth), strict=True)
    return [HeldOutPair(f"s{i % 20}", box, *map(float, numbers)) for i, numbers in enumerate(pairs)]


def shares_of(blend: Blend, known: Knowledge = Knowledge.NOTHING) -> dict[BoxSituation, float]:
    return blend.for_knowledge(known).shares


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        (None, BoxSituation.NO_BOX),
        (SURE, BoxSituation.SURE),
        (replace(SURE, score=0.2), BoxSituation.UNSURE),
        (CUT, BoxSituation.CUT_OFF),
        (Box(0.0, 0.3, 0.4, 0.6, 0.1), BoxSituation.CUT_OFF),
    ],
)
def test_the_situation_of_a_box(box: Box | None, expected: BoxSituation) -> None:
    assert box_situation(box) is expected


@given(st.sampled_from(CANDIDATE_SHARES), st.floats(0, 30), st.floats(0, 30))
def test_a_blend_lies_between_both_predictions(share: float, networks_m: float, boxes_m: float) -> None:
    blended = np.expm1(blend_log1p(dict.fromkeys(BoxSituation, share), SURE, networks_m, boxes_m))
    assert min(networks_m, boxes_m) - 1e-9 <= blended <= max(networks_m, boxes_m) + 1e-9


def test_the_model_with_smaller_errors_gets_the_larger_share() -> None:
    both = rows(networks_off=0.1, boxes_off=0.4, box=SURE) + rows(networks_off=0.4, boxes_off=0.1, box=CUT)
    shares = shares_of(fit_blend(both, ""))
    assert shares[BoxSituation.SURE] > 0.7
    assert shares[BoxSituation.CUT_OFF] < 0.5


def test_two_equally_good_models_are_better_together() -> None:
    pairs = rows(2000)
    alone = np.mean([abs(row.networks_m - row.truth_m) for row in pairs])
    together = np.abs(predict_held_out(pairs) - [row.truth_m for row in pairs]).mean()
    assert together < 0.8 * alone
    assert 0.3 <= shares_of(fit_blend(pairs, ""))[BoxSituation.SURE] <= 0.7


def test_each_state_of_knowledge_has_its_own_shares_and_intervals() -> None:
    told = [replace(row, known=Knowledge.LENS_AND_SIZE) for row in rows(1000, networks_off=0.05, boxes_off=0.5)]
    blend = fit_blend(rows(1000, networks_off=0.5) + told, "")
    assert shares_of(blend, Knowledge.LENS_AND_SIZE)[BoxSituation.SURE] > 0.8
    assert shares_of(blend)[BoxSituation.SURE] < 0.3
    assert blend.for_knowledge(Knowledge.LENS) is blend.for_knowledge(Knowledge.NOTHING)
    widths = [
        blend.for_knowledge(known).uncertainty.distances(np.log1p([5.0]))[0]
        for known in (Knowledge.NOTHING, told[0].known)
    ]
    assert widths[1].high_m - widths[1].low_m < widths[0].high_m - widths[0].low_m


def test_without_untold_rows_there_is_no_blend() -> None:
    with pytest.raises(InputError, match="no held-out predictions"):
        fit_blend([replace(row, known=Knowledge.SIZE) for row in rows()], "")


def test_a_rare_situation_gets_about_the_shares_of_the_others() -> None:
    few = rows(4, networks_off=0.5, boxes_off=0.01, box=None)
    shares = shares_of(fit_blend(rows(1000, boxes_off=0.5) + few, ""))
    assert shares[BoxSituation.NO_BOX] == pytest.approx(shares[BoxSituation.SURE], abs=0.15)


def test_a_blend_survives_its_file(tmp_path: Path) -> None:
    blend = fit_blend(rows(), "abc")
    write_blend(tmp_path / "blend.json", blend)
    assert read_blend(tmp_path / "blend.json")[0] == blend


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"trapmeter_blend": 9}', '{"trapmeter_blend": 2, "by_knowledge": {}}']
)
def test_a_file_that_is_no_blend_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "blend.json").write_text(text)
    with pytest.raises(ModelError, match=r"blend\.json"):
        read_blend(tmp_path / "blend.json")


def test_no_rows_and_too_few_sites_are_refused() -> None:
    with pytest.raises(InputError, match="no held-out predictions"):
        fit_blend([], "")
    with pytest.raises(InputError, match=r"5 folds by site .* there are 1 sites"):
        predict_held_out([replace(row, site_id="s") for row in rows(10)])


@pytest.fixture
def training(tmp_path: Path) -> tuple[Path, Path]:
    """A training's held-out predictions, and the metadata of their seconds."""
    (tmp_path / "training").mkdir()
    for number, bundle in enumerate(make_bundles(tmp_path, n=2)):
        fold = tmp_path / "training" / f"fold-{number}"
        fold.mkdir()
        bundle.rename(fold / "bundle")
    (fold / "held_out.csv").write_text("video_id,time,distance,truth,site_id\n")
    fold = tmp_path / "training" / "fold-0"
    metadata = tmp_path / "metadata.csv"
    with (fold / "held_out.csv").open("w", newline="") as held, metadata.open("w", newline="") as boxes:
        predictions, box_rows = csv.writer(held), csv.writer(boxes)
        predictions.writerow(("video_id", "time", "distance", "truth", "site_id"))
        box_rows.writerow(("video_id", "time", "x1", "y1", "x2", "y2", "probability", "park", "site_id"))
        for number in range(60):
            second = f"v{number}.mp4", 0
            predictions.writerow((*second, 5 + number % 3, 5.5, f"s{number % 6}"))
            box_rows.writerow((*second, 0.2, 0.3, 0.4, 0.6, 0.9, "park", f"s{number % 6}"))
    return tmp_path / "training", metadata


def test_predict_uses_the_blend_that_the_command_fitted(
    training: tuple[Path, Path], tmp_path: Path, make_clip: MakeClip, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, metadata = training
    path = tmp_path / "blend.json"
    arguments = ["blend", "--training", str(folder), "--metadata", str(metadata), "--out", str(path)]
    assert inside(*arguments) == 0
    assert "60 seconds at 6 held-out sites" in capsys.readouterr().out
    content = json.loads(path.read_text())
    content["by_knowledge"][Knowledge.NOTHING]["shares_of_networks"] = dict.fromkeys(BoxSituation, 0.5)
    path.write_text(json.dumps(content))

    clip = make_clip("blend.mp4", n=30, rate=10)
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("video_id,time,x1,y1,x2,y2,probability,park,site_id\nblend.mp4,1,0.2,0.3,0.4,0.6,0.9,p,s\n")
    bundles = (folder / "fold-0" / "bundle", folder / "fold-1" / "bundle")
    shared = PredictSettings(paths=(clip,), out=tmp_path / "out", boxes=boxes)
    runs = {
        "networks": run_prediction(replace(shared, models=bundles, out=tmp_path / "n")),
        "boxes": run_prediction(replace(shared, out=tmp_path / "b")),
        "blend": run_prediction(replace(shared, models=bundles, blend=path)),
    }
    metres = {
        name: [e.distance.distance_m for e in run.estimates if e.distance is not None] for name, run in runs.items()
    }
    assert len(metres["blend"]) == 1
    expected = np.expm1((np.log1p(metres["networks"]) + np.log1p(metres["boxes"])) / 2)
    assert metres["blend"] == pytest.approx(expected, rel=1e-3)
    (row,) = [e for e in runs["blend"].estimates if e.distance is not None]
    assert "boxmodel" in row.model_id


def test_a_blend_of_another_box_model_is_refused(tmp_path: Path, make_clip: MakeClip) -> None:
    path = tmp_path / "blend.json"
    write_blend(path, fit_blend(rows(), "another"))
    settings = PredictSettings(
        paths=(make_clip("x.mp4", n=5),), out=tmp_path / "out", models=tuple(make_bundles(tmp_path, n=1)), blend=path
    )
    with pytest.raises(ModelError, match=f"another box model than {BoxModel.load().identity.model_id}"):
        run_prediction(settings)


def test_a_blend_of_other_networks_is_refused(tmp_path: Path, make_clip: MakeClip) -> None:
    path = tmp_path / "blend.json"
    write_blend(path, fit_blend(rows(), BoxModel.load().identity.sha256, {"another"}))
    settings = PredictSettings(
        paths=(make_clip("x.mp4", n=5),), out=tmp_path / "out", models=tuple(make_bundles(tmp_path, n=1)), blend=path
    )
    with pytest.raises(ModelError, match="other networks than tiny-0"):
        run_prediction(settings)


def test_folds_by_video_are_refused(tmp_path: Path, training: tuple[Path, Path]) -> None:
    card = training[0] / "fold-0" / "bundle" / "bundle.json"
    content = json.loads(card.read_text())
    content["provenance"] = {"held_out": {"folds_by": "video"}}
    card.write_text(json.dumps(content))
    with pytest.raises(InputError, match="folds by site"):
        fit_blend_of_training(*training, tmp_path / "blend.json", None, None)


def test_a_blend_needs_networks(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--blend needs its networks"):
        PredictSettings(paths=(tmp_path,), out=tmp_path, blend=tmp_path / "blend.json")


def test_a_training_without_finished_folds_is_refused(tmp_path: Path, training: tuple[Path, Path]) -> None:
    with pytest.raises(InputError, match="no finished fold"):
        fit_blend_of_training(tmp_path / "no", training[1], tmp_path / "blend.json", None, None)


def test_held_out_predictions_of_a_box_model_replace_its_own(tmp_path: Path, training: tuple[Path, Path]) -> None:
    held_out = tmp_path / "oof.csv"
    held_out.write_text("media_id,time_s,full_distance_m\n" + "".join(f"v{i}.mp4,0,5.5\n" for i in range(60)))
    fit = fit_blend_of_training(*training, tmp_path / "blend.json", None, held_out)
    assert (fit.n_seconds, fit.n_sites) == (60, 6)
    assert fit.boxes_mae_m == 0
    # A model without errors gets everything.
    assert set(shares_of(fit.blend).values()) == {0.0}
    assert fit.blend_mae_m == pytest.approx(0.0)


def test_seconds_of_which_only_the_network_was_told_are_left_out(tmp_path: Path, training: tuple[Path, Path]) -> None:
    held_out = training[0] / "fold-0" / "held_out.csv"
    header, *lines = held_out.read_text().splitlines()
    told = [f"{header},told", *(f"{line},{int(number < 10)}" for number, line in enumerate(lines))]
    held_out.write_text("\n".join(told))
    assert fit_blend_of_training(*training, tmp_path / "blend.json").n_seconds == 50


def test_tables_of_other_videos_are_refused(tmp_path: Path, training: tuple[Path, Path]) -> None:
    held_out = tmp_path / "oof.csv"
    held_out.write_text("media_id,time_s,full_distance_m\nother.mp4,0,5.5\n")
    with pytest.raises(InputError, match="same videos"):
        fit_blend_of_training(*training, tmp_path / "blend.json", None, held_out)
