"""The species of each box, from every kind of table into the results, the exports and density."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from package_world import photo
from packages import bbox, medium, observation, write_package
from trapmeter.calibration.run import calibrate
from trapmeter.density.settings import DensitySettings
from trapmeter.density.survey.measured_distances import read_measured_survey
from trapmeter.errors import InputError
from trapmeter.export import ExportFormat, export_results
from trapmeter.prediction.run import PredictRun, run_prediction
from trapmeter.prediction.settings import PredictSettings
from trapmeter.records import Estimate, Status
from trapmeter.tables.site_rules import FolderSite
from trapmeter.tables.species_names import PERSON, VEHICLE

UUID = "b1352069-a39c-4a84-a949-60044271c0c1"
FOX = f"{UUID};mammalia;carnivora;canidae;vulpes;vulpes;red fox"
HUMAN = f"{UUID};mammalia;primates;hominidae;homo;sapiens;human"
LEFT, RIGHT = [0.1, 0.4, 0.2, 0.3], [0.6, 0.4, 0.2, 0.3]
DEPLOYMENTS = "site_id,start,end,theta_deg,snapshot_s\nS1,2024-05-01T00:00,2024-05-02T00:00,42,2\n"


def found(category: str, box: list[float], **more: Any) -> dict[str, Any]:
    return {"category": category, "conf": 0.9, "bbox": box, **more}


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """The photo a.jpg shows a fox and a person, b.jpg a person, c.jpg a vehicle."""
    for name in "abc":
        photo(tmp_path / f"card/S1/{name}.jpg")
    return tmp_path / "card"


def megadetector(folder: Path, score: float = 0.9) -> Path:
    fox = found("1", LEFT, classifications=[["0", score]])
    document = {
        "info": {"format_version": "1.6"},
        "detection_categories": {"1": "animal", "2": "person", "3": "vehicle"},
        "classification_categories": {"0": "red fox", "1": "human"},
        "classification_category_descriptions": {"0": FOX, "1": HUMAN},
        "images": [
            {"file": "S1/a.jpg", "detections": [fox, found("2", RIGHT)]},
            {"file": "S1/b.jpg", "detections": [found("1", RIGHT, classifications=[["1", 0.4]])]},
            {"file": "S1/c.jpg", "detections": [found("3", RIGHT)]},
        ],
    }
    path = folder / "md.json"
    path.write_text(json.dumps(document))
    return path


def speciesnet(folder: Path) -> Path:
    predictions = [
        {"filepath": "S1/a.jpg", "detections": [found("1", LEFT), found("2", RIGHT)], "prediction": FOX},
        {"filepath": "S1/b.jpg", "detections": [found("2", RIGHT)], "prediction": HUMAN},
        {"filepath": "S1/c.jpg", "detections": [found("3", RIGHT)], "prediction": f"{UUID};;;;;;vehicle"},
    ]
    path = folder / "speciesnet.json"
    path.write_text(json.dumps({"predictions": [{**one, "prediction_score": 0.9} for one in predictions]}))
    return path


def package(folder: Path) -> Path:
    machine = {"classificationMethod": "machine", "classificationProbability": "0.9"}
    kinds = [("m1", "animal", LEFT), ("m1", "human", RIGHT), ("m2", "animal", RIGHT), ("m3", "vehicle", RIGHT)]
    names = ["Vulpes vulpes", "", "Homo sapiens", ""]
    rows = [
        observation(f"o{i}", media, observationType=kind, scientificName=name, **machine, **bbox(*box))
        for i, ((media, kind, box), name) in enumerate(zip(kinds, names, strict=True))
    ]
    made = write_package(
        folder / "dp", media=[medium(f"m{i}", f"S1/{name}.jpg") for i, name in enumerate("abc", 1)], observations=rows
    )
    for name in "abc":
        photo(made / f"S1/{name}.jpg")
    return made


def measure(path: Path, out: Path, **settings: Any) -> PredictRun:
    return run_prediction(PredictSettings((path,), out=out, **settings))


def measured(run: PredictRun) -> Estimate:
    (row,) = [row for row in run.estimates if row.distance is not None]
    return row


@pytest.mark.parametrize("kind", ["megadetector", "speciesnet", "package"])
def test_people_and_vehicles_are_kept_apart_whatever_table_names_them(tmp_path: Path, card: Path, kind: str) -> None:
    out = tmp_path / "out"
    if kind == "package":
        run = measure(package(tmp_path), out)
    else:
        boxes = megadetector(tmp_path) if kind == "megadetector" else speciesnet(tmp_path)
        run = measure(card, out, boxes=boxes, site=FolderSite(1))
    rows = [(row.observation.media_id[3], row.status, row.observation.species) for row in run.estimates]
    assert sorted(rows) == [
        ("a", Status.MEASURED, "Vulpes vulpes"),
        ("a", Status.NO_ANIMAL, PERSON),
        ("b", Status.NO_ANIMAL, PERSON),
        ("c", Status.NO_ANIMAL, VEHICLE),
    ]
    fox = measured(run)
    assert fox.observation.species_score == 0.9
    assert "shoulder 0.40 m" in fox.model_id
    assert (run.summary.n_people, run.summary.n_vehicles, run.summary.n_no_animal) == (2, 1, 2)
    assert run.summary.n_animals == 1
    (tmp_path / "deployments.csv").write_text(DEPLOYMENTS)
    # A person with a distance doesn't count either.
    lines = (out / "distances.csv").read_text().splitlines()
    walker = next(line for line in lines if "Vulpes vulpes" in line).replace("S1/a", "S1/b")
    (out / "distances.csv").write_text("\n".join([*lines, walker.replace("Vulpes vulpes", "human"), ""]))
    survey = read_measured_survey(DensitySettings(out / "distances.csv", deployments=tmp_path / "deployments.csv"))
    assert len(survey.distance_m) == 1


def test_the_results_are_exported_and_measured_again_with_their_species(tmp_path: Path, card: Path) -> None:
    first = measure(card, tmp_path / "out", boxes=megadetector(tmp_path), site=FolderSite(1))
    export_results(tmp_path / "out", tmp_path / "back.json", ExportFormat.MEGADETECTOR)
    for boxes in (tmp_path / "back.json", tmp_path / "out/distances.csv"):
        again = measure(card, tmp_path / boxes.stem, boxes=boxes, site=FolderSite(1))
        species = [[row.observation.species for row in run.estimates] for run in (first, again)]
        assert species[0] == species[1]
        assert [row.distance for row in again.estimates] == [row.distance for row in first.estimates]


def test_an_unsure_species_is_unknown_and_tells_no_size(tmp_path: Path, card: Path) -> None:
    boxes = megadetector(tmp_path, score=0.4)
    unsure = measured(measure(card, tmp_path / "unsure", boxes=boxes))
    assert (unsure.observation.species, unsure.observation.species_score) == ("", 0.4)
    assert unsure.observation.species_label == "red fox"
    assert "shoulder" not in unsure.model_id
    named = measured(measure(card, tmp_path / "named", boxes=boxes, min_species_score=0.3))
    assert named.observation.species == "Vulpes vulpes"
    assert named.distance != unsure.distance


def test_a_table_names_single_boxes_and_corrects_the_classifier(tmp_path: Path, card: Path) -> None:
    table = tmp_path / "species.csv"
    table.write_text(
        "media_id,x1,y1,x2,y2,species\na.jpg,0.1,0.4,0.3,0.7,person\na.jpg,0.6,0.4,0.8,0.7,Dachs\nc.jpg,,,,,Sciurus niger\n"
    )
    run = measure(card, tmp_path / "out", boxes=megadetector(tmp_path), species=str(table))
    species = [(row.observation.media_id[3], row.observation.species) for row in run.estimates]
    # A detector's person or vehicle stays one, since its box was never measured.
    assert sorted(species) == [("a", PERSON), ("a", PERSON), ("b", PERSON), ("c", VEHICLE)]
    assert any("Sciurus niger isn't known" in note for note in run.facts["notes"])


def test_calibrate_keeps_species_and_takes_their_sizes_once(tmp_path: Path, card: Path) -> None:
    measure(card, tmp_path / "out", boxes=megadetector(tmp_path, score=0.4), site=FolderSite(1))
    done = calibrate(tmp_path / "out", tmp_path / "calibrated", species="Rotfuchs")
    (fox,) = [row for row in done.estimates if row.distance is not None]
    assert (fox.observation.species, fox.observation.species_label) == ("Vulpes vulpes", "Rotfuchs")
    assert [row.observation.species for row in done.estimates if row.distance is None] == [PERSON, PERSON, VEHICLE]
    told = measure(card, tmp_path / "told", boxes=megadetector(tmp_path), site=FolderSite(1), hfov_deg=40.0)
    with pytest.raises(InputError, match="has used shoulder already"):
        calibrate(tmp_path / "told", tmp_path / "again", species="red fox")
    (tmp_path / "labels.csv").write_text("video_id,time,distance\nS1/a.jpg,0,4\n")
    labelled = calibrate(tmp_path / "told", tmp_path / "labelled", labels=tmp_path / "labels.csv")
    assert [row.observation.species for row in labelled.estimates] == [
        row.observation.species for row in told.estimates
    ]
