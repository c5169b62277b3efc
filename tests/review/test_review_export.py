"""What comes out of a review, and that the verbs which it is for read it."""

import csv
import json
from pathlib import Path

import pytest

from review_rows import AVI, MP4, results_of, row
from terminal import inside
from trapmeter.boxmodel.training_data import read_labelled_observations
from trapmeter.calibration.inputs import read_inputs
from trapmeter.calibration.settings import CalibrateSettings
from trapmeter.errors import InputError
from trapmeter.geometry import bearing_deg
from trapmeter.prediction.results import read_run
from trapmeter.records import Estimate, Status, row_order
from trapmeter.report.examples import choose_examples
from trapmeter.report.run_report import render_report
from trapmeter.review.decisions import DecisionKind, open_log
from trapmeter.review.export import export_review
from trapmeter.review.results import Results, read_results
from trapmeter.review.session import ReviewSession
from trapmeter.tables.density_inputs import read_excluded_animals
from trapmeter.tables.distances import read_distances
from trapmeter.tables.drivendata import read_labels
from trapmeter.tables.truth import read_labelled_rows, read_truth
from trapmeter.training.samples import read_samples

BOX = (0.1, 0.1, 0.3, 0.4)


def reviewed(results: Results, *decisions: tuple) -> Path:
    """Makes decisions (kind, row, and what is given), and exports them."""
    with open_log(results.source) as log:
        session = ReviewSession(results, log)
        for kind, number, *given in decisions:
            session.decide(kind, number, session.state.row(number).revision, **(given[0] if given else {}))
    out = results.source.parent.parent / "out"
    export_review(results.source.parent, out)
    return out


def of_second(estimates: list[Estimate], media_id: str, time_s: float) -> list[Estimate]:
    return [e for e in estimates if (e.observation.media_id, e.observation.time_s) == (media_id, time_s)]


def test_rows_that_nobody_decided_about_stay_as_they_are(results: Results) -> None:
    out = reviewed(results, (DecisionKind.ACCEPT, 2))
    after = {row_order(one): one for one in read_distances(out / "distances.csv")}
    others = [row for number, row in enumerate(results.rows) if number != 2]
    assert [after[row_order(row)] for row in others] == others
    assert after[AVI, 2, 0].reason == "review: accepted"
    header = (out / "distances.csv").read_text().splitlines()[0]
    assert header == results.source.read_text().splitlines()[0]


def test_corrections_say_what_was_there_before(results: Results) -> None:
    out = reviewed(
        results,
        (DecisionKind.DISTANCE, 0, {"distance_m": 4.25}),
        (DecisionKind.ACCEPT, 1),
        (DecisionKind.BOX, 5, {"xyxy": BOX}),
        (DecisionKind.REACTS, 3),
    )
    after = read_distances(out / "distances.csv")
    (corrected,) = of_second(after, AVI, 0)
    assert corrected.distance is not None
    assert (corrected.distance.distance_m, corrected.distance.low_m, corrected.distance.high_m) == (4.25, 4.25, 4.25)
    assert (corrected.reason, corrected.model_id) == ("review: distance was 5.00 m", "review")
    (accepted,) = of_second(after, AVI, 1)
    assert (accepted.reason, accepted.model_id) == ("review: accepted", "model")
    (moved,) = of_second(after, MP4, 1)
    assert moved.reason == "unlike the training; review: box moved; review: reacts to the camera"
    assert moved.observation.box is not None
    assert moved.observation.box.xyxy == BOX


def test_what_was_taken_away_leaves_a_second_without_an_animal(results: Results) -> None:
    out = reviewed(results, (DecisionKind.NOT_ANIMAL, 0), (DecisionKind.DELETE, 3), (DecisionKind.DELETE, 1))
    after = read_distances(out / "distances.csv")
    (none,) = of_second(after, AVI, 0)
    assert (none.status, none.observation.box, none.reason) == (Status.NO_ANIMAL, None, "review: not an animal")
    assert [one.reason for one in of_second(after, AVI, 1)] == ["review: box deleted"]
    (left,) = of_second(after, MP4, 0)
    assert left.observation.animal_id == 2
    seconds = {(one.observation.media_id, one.observation.time_s) for one in results.rows}
    assert {(one.observation.media_id, one.observation.time_s) for one in after} == seconds


def test_an_added_animal_takes_the_place_of_the_row_without_one(results: Results) -> None:
    out = reviewed(results, (DecisionKind.ADD, 2, {"xyxy": BOX, "distance_m": 7.0}))
    (added,) = of_second(read_distances(out / "distances.csv"), AVI, 2)
    assert (added.status, added.observation.animal_id, added.reason) == (Status.MEASURED, 2, "review: added")


def test_a_drawn_box_gets_the_angle_that_the_others_tell(tmp_path: Path) -> None:
    def seen(x: float, time_s: float) -> Estimate:
        one = row("a.mp4", time_s, x=x)
        box = one.observation.box
        assert box is not None
        return Estimate(one.observation, one.status, one.distance, bearing_deg((box.x1 + box.x2) / 2, 30.0))

    results = results_of(tmp_path / "results", [seen(0.7, 0), seen(0.3, 1)])
    out = reviewed(results, (DecisionKind.BOX, 1, {"xyxy": (0.0, 0.1, 0.1, 0.4)}))
    moved = read_distances(out / "distances.csv")[1]
    assert moved.angle_deg == pytest.approx(bearing_deg(0.05, 30.0), abs=0.1)


def test_labels_are_what_somebody_checked(results: Results) -> None:
    out = reviewed(
        results,
        (DecisionKind.DISTANCE, 0, {"distance_m": 4.25}),
        (DecisionKind.ACCEPT, 1),
        (DecisionKind.ACCEPT, 3),  # of two animals in its second: which is nearest isn't known
        (DecisionKind.BOX, 5, {"xyxy": BOX}),  # nobody said that its distance is right
        (DecisionKind.NOT_ANIMAL, 8),
    )
    labels = [
        (one.truth.video_id, one.truth.time_s, one.truth.distance_m) for one in read_labelled_rows(out / "labels.csv")
    ]
    assert labels == [(AVI, 0, 4.25), (AVI, 1, 6.0), (MP4, 0, 9.0)]
    nearest = [(one.video_id, one.time_s, one.distance_m) for one in read_labels(out / "train_labels.csv")]
    assert nearest == [(AVI, 0, 4.25), (AVI, 1, 6.0)]


def test_the_nearest_of_a_second_is_its_label(results: Results) -> None:
    out = reviewed(results, (DecisionKind.DISTANCE, 3, {"distance_m": 2.0}), (DecisionKind.ACCEPT, 4))
    (label,) = read_labels(out / "train_labels.csv")
    assert label.distance_m == 2.0
    (sample,) = read_labelled_observations(out)
    assert sample.observation.box is not None
    assert sample.observation.box.x1 == 0.4
    assert sample.observation.site_id == "S02"


def test_training_and_calibration_read_the_labels(results: Results) -> None:
    out = reviewed(
        results,
        (DecisionKind.DISTANCE, 0, {"distance_m": 4.25}),
        (DecisionKind.ACCEPT, 3),
        (DecisionKind.DISTANCE, 4, {"distance_m": 3.5}),
    )
    samples = read_samples(out / "train_labels.csv", out / "train_metadata.csv", out / "labels.csv")
    assert [(one.video_id, one.distance_m, one.source) for one in samples] == [
        *((AVI, 4.25, "label"), (MP4, 3.5, "label"), (MP4, 9.0, "other animal")),
    ]
    assert len(read_truth(out / "labels.csv")) == 3
    settings = CalibrateSettings(results.source, out=out, labels=out / "labels.csv")
    assert read_inputs(settings, results.source, results.rows).labels == {0: 4.25, 3: 9.0, 4: 3.5}


def test_animals_that_react_are_left_out_by_density(results: Results) -> None:
    out = reviewed(
        results,
        (DecisionKind.REACTS, 3),
        (DecisionKind.REACTS, 8),
        (DecisionKind.NOT_ANIMAL, 8),
        (DecisionKind.REACTS, 0),
        (DecisionKind.CALM, 0),
    )
    assert read_excluded_animals(out / "leave-out.csv") == {(MP4, 1)}


def test_names_that_a_spreadsheet_would_run_stay_text(tmp_path: Path) -> None:
    results = results_of(tmp_path / "results", [row("=cmd.mp4", 0, site_id="@site")])
    out = reviewed(results, (DecisionKind.ACCEPT, 0), (DecisionKind.REACTS, 0))
    for name in ("distances.csv", "labels.csv", "train_labels.csv", "train_metadata.csv", "leave-out.csv"):
        cells = [cell for line in csv.reader((out / name).read_text().splitlines()) for cell in line]
        assert "'=cmd.mp4" in cells, name
        assert not any(cell.startswith(("=", "@")) for cell in cells)
    assert read_excluded_animals(out / "leave-out.csv") == {("=cmd.mp4", 1)}


def test_a_review_can_be_exported_again_and_reviewed_again(results: Results) -> None:
    out = reviewed(results, (DecisionKind.DISTANCE, 0, {"distance_m": 4.25}))
    once = {path.name: path.read_bytes() for path in out.iterdir()}
    export_review(results.source.parent, out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == once
    assert inside("review", "export", out, "--out", out.parent / "again") == 2, "nothing was decided about that one"


def test_reports_and_exports_of_a_review_know_its_run(results: Results) -> None:
    (results.source.parent / "run.json").write_text(
        json.dumps({"root": str(results.root), "finished": "2026-01-02T03:04:05+00:00"})
    )
    out = reviewed(results, (DecisionKind.DISTANCE, 0, {"distance_m": 4.25}), (DecisionKind.DELETE, 4))
    run = read_run(out)
    assert (run.root, run.facts["finished"]) == (results.root, "2026-01-02T03:04:05+00:00")
    # The second animal of a video is gone; what a person decided is no doubt.
    assert run.summary.n_animals == 4
    page = render_report(run)
    assert "1 corrected, 1 deleted; nobody decided about 5" in page
    assert page.count("<img") > 0
    doubtful, _ = choose_examples(run.estimates)
    assert [one.media_id for one in doubtful[:1]] == [MP4]
    assert read_results(out).root == results.root
    assert inside("export", out, "--format", "megadetector", "--out", out.parent / "boxes.json") == 0
    rates = {
        one["file"]: one.get("frame_rate") for one in json.loads((out.parent / "boxes.json").read_text())["images"]
    }
    assert (rates[AVI], rates[MP4]) == (10, 10)


def test_the_results_are_never_written_over(results: Results, capsys: pytest.CaptureFixture[str]) -> None:
    reviewed(results, (DecisionKind.ACCEPT, 0))
    with pytest.raises(InputError, match="choose another --out"):
        export_review(results.source, results.source.parent)
    assert inside("review", "export", results.source.parent, "--out", results.source.parent.parent / "told") == 0
    said = capsys.readouterr().out
    assert "7 animals: 6 open, 1 accepted" in said
    assert "labels: 1 animals" in said
