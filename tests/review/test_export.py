"""The tables that a review exports, and the commands that read them."""

import csv
import json
from dataclasses import replace
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
from trapmeter.review.state import replay_decisions
from trapmeter.tables.density_inputs import read_excluded_animals
from trapmeter.tables.distances import read_distances
from trapmeter.tables.drivendata import read_labels
from trapmeter.tables.species_names import PERSON, VEHICLE
from trapmeter.tables.truth import read_labelled_rows, read_truth
from trapmeter.training.samples import read_samples

BOX = (0.1, 0.1, 0.3, 0.4)


def reviewed(results: Results, *decisions: tuple) -> Path:
    """Makes decisions, each a kind, a row number and possibly its fields, and exports them."""
    with open_log(results.source) as log:
        session = ReviewSession(results, log)
        for kind, number, *fields in decisions:
            session.decide(kind, number, session.state.row(number).revision, **(fields[0] if fields else {}))
    out = results.source.parent.parent / "out"
    export_review(results.source.parent, out)
    return out


def of_second(estimates: list[Estimate], media_id: str, time_s: float) -> list[Estimate]:
    return [e for e in estimates if (e.observation.media_id, e.observation.time_s) == (media_id, time_s)]


def test_rows_without_a_decision_are_unchanged(results: Results) -> None:
    out = reviewed(results, (DecisionKind.ACCEPT, 2))
    after = {row_order(row): row for row in read_distances(out / "distances.csv")}
    others = [row for number, row in enumerate(results.rows) if number != 2]
    assert [after[row_order(row)] for row in others] == others
    assert after[AVI, 2, 0].reason == "review: accepted"
    header = (out / "distances.csv").read_text().splitlines()[0]
    assert header == results.source.read_text().splitlines()[0]


def test_corrections_record_the_earlier_value(results: Results) -> None:
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


def test_a_removed_animal_leaves_a_second_without_an_animal(results: Results) -> None:
    out = reviewed(results, (DecisionKind.NOT_ANIMAL, 0), (DecisionKind.DELETE, 3), (DecisionKind.DELETE, 1))
    after = read_distances(out / "distances.csv")
    (none,) = of_second(after, AVI, 0)
    assert (none.status, none.observation.box, none.reason) == (Status.NO_ANIMAL, None, "review: not an animal")
    assert [one.reason for one in of_second(after, AVI, 1)] == ["review: box deleted"]
    (left,) = of_second(after, MP4, 0)
    assert left.observation.animal_id == 2
    seconds = {(one.observation.media_id, one.observation.time_s) for one in results.rows}
    assert {(one.observation.media_id, one.observation.time_s) for one in after} == seconds


def test_an_added_animal_replaces_the_row_without_an_animal(results: Results) -> None:
    out = reviewed(results, (DecisionKind.ADD, 2, {"xyxy": BOX, "distance_m": 7.0}))
    (added,) = of_second(read_distances(out / "distances.csv"), AVI, 2)
    assert (added.status, added.observation.animal_id, added.reason) == (Status.MEASURED, 2, "review: added")


def test_a_drawn_box_gets_its_angle_from_the_other_boxes(tmp_path: Path) -> None:
    def with_angle(estimate: Estimate) -> Estimate:
        box = estimate.observation.box
        assert box is not None
        return replace(estimate, angle_deg=bearing_deg((box.x1 + box.x2) / 2, 30.0))

    results = results_of(tmp_path / "results", [with_angle(row("a.mp4", 0, x=0.7)), with_angle(row("a.mp4", 1, x=0.3))])
    out = reviewed(results, (DecisionKind.BOX, 1, {"xyxy": (0.0, 0.1, 0.1, 0.4)}))
    moved = read_distances(out / "distances.csv")[1]
    assert moved.angle_deg == pytest.approx(bearing_deg(0.05, 30.0), abs=0.1)


def test_labels_are_the_distances_that_a_person_checked(results: Results) -> None:
    out = reviewed(
        results,
        (DecisionKind.DISTANCE, 0, {"distance_m": 4.25}),
        (DecisionKind.ACCEPT, 1),
        (DecisionKind.ACCEPT, 3),  # one of two animals in its second: which is nearer is unknown
        (DecisionKind.BOX, 5, {"xyxy": BOX}),  # its distance was not confirmed
        (DecisionKind.NOT_ANIMAL, 8),
    )
    labels = [
        (one.truth.video_id, one.truth.time_s, one.truth.distance_m) for one in read_labelled_rows(out / "labels.csv")
    ]
    assert labels == [(AVI, 0, 4.25), (AVI, 1, 6.0), (MP4, 0, 9.0)]
    nearest = [(one.video_id, one.time_s, one.distance_m) for one in read_labels(out / "train_labels.csv")]
    assert nearest == [(AVI, 0, 4.25), (AVI, 1, 6.0)]


def test_the_label_of_a_second_is_its_nearest_animal(results: Results) -> None:
    out = reviewed(results, (DecisionKind.DISTANCE, 3, {"distance_m": 2.9}), (DecisionKind.ACCEPT, 4))
    (label,) = read_labels(out / "train_labels.csv")
    assert label.distance_m == 2.9
    (sample,) = read_labelled_observations(out)
    assert sample.observation.box is not None
    assert sample.observation.box.x1 == 0.4
    assert sample.observation.site_id == "S02"


def test_training_and_calibration_can_read_the_labels(results: Results) -> None:
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


def test_density_excludes_animals_that_react(results: Results) -> None:
    out = reviewed(
        results,
        (DecisionKind.REACTS, 3),
        (DecisionKind.REACTS, 8),
        (DecisionKind.NOT_ANIMAL, 8),
        (DecisionKind.REACTS, 0),
        (DecisionKind.CALM, 0),
    )
    assert read_excluded_animals(out / "leave-out.csv") == {(MP4, 1)}


def test_names_that_look_like_formulas_are_written_as_text(tmp_path: Path) -> None:
    results = results_of(tmp_path / "results", [row("=cmd.mp4", 0, site_id="@site")])
    out = reviewed(results, (DecisionKind.ACCEPT, 0), (DecisionKind.REACTS, 0))
    for name in ("distances.csv", "labels.csv", "train_labels.csv", "train_metadata.csv", "leave-out.csv"):
        cells = [cell for line in csv.reader((out / name).read_text().splitlines()) for cell in line]
        assert "'=cmd.mp4" in cells, name
        assert not any(cell.startswith(("=", "@")) for cell in cells)
    assert read_excluded_animals(out / "leave-out.csv") == {("=cmd.mp4", 1)}


def test_a_review_can_be_exported_again_and_reviewed_again(results: Results) -> None:
    out = reviewed(results, (DecisionKind.DISTANCE, 0, {"distance_m": 4.25}))
    first = {path.name: path.read_bytes() for path in out.iterdir()}
    export_review(results.source.parent, out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == first
    assert inside("review", "export", out, "--out", out.parent / "again") == 2, (
        "the exported folder has no decisions yet"
    )


def test_reports_and_exports_of_a_review_use_the_facts_of_its_run(results: Results) -> None:
    (results.source.parent / "run.json").write_text(
        json.dumps({"root": str(results.root), "finished": "2026-01-02T03:04:05+00:00"})
    )
    out = reviewed(results, (DecisionKind.DISTANCE, 0, {"distance_m": 4.25}), (DecisionKind.DELETE, 4))
    run = read_run(out)
    assert (run.root, run.facts["finished"]) == (results.root, "2026-01-02T03:04:05+00:00")
    # The second animal of a video is removed, and decisions of people are no doubt.
    assert run.summary.n_animals == 4
    page = render_report(run)
    assert "1 corrected, 1 deleted; 5 not reviewed" in page
    assert page.count("<img") > 0
    doubtful, _ = choose_examples(run.estimates)
    assert [second.media_id for second in doubtful[:1]] == [MP4]
    assert read_results(out).root == results.root
    assert inside("export", out, "--format", "megadetector", "--out", out.parent / "boxes.json") == 0
    rates = {
        one["file"]: one.get("frame_rate") for one in json.loads((out.parent / "boxes.json").read_text())["images"]
    }
    assert (rates[AVI], rates[MP4]) == (10, 10)


def test_the_reviewed_results_are_never_overwritten(results: Results, capsys: pytest.CaptureFixture[str]) -> None:
    reviewed(results, (DecisionKind.ACCEPT, 0))
    with pytest.raises(InputError, match="choose another --out"):
        export_review(results.source, results.source.parent)
    assert inside("review", "export", results.source.parent, "--out", results.source.parent.parent / "other") == 0
    output = capsys.readouterr().out
    assert "7 animals: 6 open, 1 accepted" in output
    assert "labels: 1 animal in" in output


def test_a_corrected_species_goes_into_all_rows_of_the_animal_and_keeps_what_was_said(tmp_path: Path) -> None:
    fox = {"species": "Vulpes vulpes", "species_score": 0.7, "species_label": "red fox"}
    rows = [row(AVI, second, 5.0) for second in range(2)] + [row(AVI, 1, 8.0, 2)]
    rows = [replace(one, observation=replace(one.observation, **fox)) for one in rows]
    results = results_of(tmp_path / "in", rows)
    out = reviewed(results, (DecisionKind.SPECIES, 0, {"species": "blaireau"}))
    first, second, other = read_distances(out / "distances.csv")
    assert [one.observation.species for one in (first, second, other)] == ["Meles meles"] * 2 + ["Vulpes vulpes"]
    assert (first.observation.species_score, first.observation.species_label) == (None, "red fox")
    assert first.reason == "review: species was Vulpes vulpes"
    assert other == results.rows[2]
    # The distance is still to be checked.
    assert (out / "labels.csv").read_text().count("\n") == 1


def test_people_named_in_a_review_stay_apart_and_never_count(tmp_path: Path) -> None:
    results = results_of(tmp_path / "in", [row(AVI, 0), row(AVI, 1), row(AVI, 1, 3.0, 2), row(AVI, 2, 4.0, 3)])
    out = reviewed(
        results,
        (DecisionKind.SPECIES, 0, {"species": "person"}),
        (DecisionKind.SPECIES, 3, {"species": "Fahrzeug"}),
        (DecisionKind.ACCEPT, 3),
    )
    after = read_distances(out / "distances.csv")
    found = [(one.observation.time_s, one.status, one.observation.species) for one in after]
    assert found == [
        (0, Status.NO_ANIMAL, PERSON),
        (1, Status.NO_ANIMAL, PERSON),
        (1, Status.MEASURED, ""),
        (2, Status.NO_ANIMAL, VEHICLE),
    ]
    assert all(one.observation.box is not None and one.observation.animal_id in (0, 2) for one in after)
    summary = read_run(out).summary
    assert (summary.n_people, summary.n_vehicles, summary.n_measured, summary.n_no_animal) == (2, 1, 1, 2)
    again = read_results(out)
    assert replay_decisions(again, ()).row(0).current_species == PERSON


def test_a_person_may_turn_out_to_be_an_animal(tmp_path: Path) -> None:
    results = results_of(tmp_path / "in", [row(AVI, 0)])
    out = reviewed(
        results,
        (DecisionKind.SPECIES, 0, {"species": "person"}),
        (DecisionKind.SPECIES, 0, {"species": ""}),
    )
    assert read_distances(out / "distances.csv") == list(results.rows)
    with pytest.raises(InputError, match="'danta' is ambiguous"):
        reviewed(results, (DecisionKind.SPECIES, 0, {"species": "danta"}))
