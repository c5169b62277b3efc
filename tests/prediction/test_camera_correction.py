"""Facts of cameras and animals: which of them count first, and how they correct distances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from fakes import HEIGHT, HeightModel
from trapmeter.calibration.animal_facts import NO_ANIMAL_FACTS, AnimalFacts, read_animal_facts
from trapmeter.calibration.field_facts import FieldFacts, LensSource, facts_used_in
from trapmeter.calibration.lens import lens_ratio
from trapmeter.errors import InputError
from trapmeter.facts import Facts
from trapmeter.prediction.camera_correction import (
    CameraCorrection,
    CameraInputs,
    ToldFacts,
    count_known_cameras,
    find_camera_facts,
    read_camera_inputs,
)
from trapmeter.prediction.estimates import estimate_distances
from trapmeter.prediction.estimators import BoxEstimator, DetectedAnimal
from trapmeter.prediction.medium_result import MediumResult, SecondResult
from trapmeter.prediction.settings import PredictSettings
from trapmeter.records import Box, Distance, Medium, MediumKind, Observation, Status
from trapmeter.tables.cameras import CameraSetup
from trapmeter.tables.species import ShoulderHeight

BOX = Box(0.4, 0.3, 0.6, 0.5, 0.9)
SECOND = SecondResult(0.0, Status.MEASURED, boxes=(BOX,), animal_ids=(1,))
SITES = {"S1/a.jpg": "S1", "S1/b.jpg": "S1", "S2/c.jpg": "S2"}


def result(media_id: str, hfov_deg: float | None = None, aspect: float | None = 16 / 9) -> MediumResult:
    return MediumResult(media_id, 1, 1, (SECOND,), hfov_deg=hfov_deg, aspect=aspect)


def reconyx(media_id: str, model: str = "HYPERFIRE 2 COVERT", **changes: object) -> MediumResult:
    """A photo of 4:3 from a camera of the table: 38.2 degrees, unless another model is given."""
    return replace(result(media_id, aspect=4 / 3), camera_make="RECONYX", camera_model=model, **changes)


def seen(media_id: str) -> Observation:
    return Observation(media_id, 0.0, BOX, 1)


def settings(**changes: object) -> PredictSettings:
    return PredictSettings((Path("card"),), out=Path("out"), **changes)  # type: ignore[arg-type]


def cameras(
    *media: MediumResult, table: dict[str, CameraSetup] | None = None, **changes: object
) -> dict[str, CameraSetup]:
    return dict(find_camera_facts(media, CameraInputs(SITES, table or {}), settings(**changes)).cameras)


def test_the_table_overrides_hfov_and_hfov_overrides_exif() -> None:
    media = [result("S1/a.jpg", 60.0), result("S2/c.jpg", 60.0)]
    found = cameras(*media, table={"S1": CameraSetup(20.0)}, hfov_deg=30.0, exif=True)
    assert (found["S1/a.jpg"].hfov_deg, found["S2/c.jpg"].hfov_deg) == (20.0, 30.0)
    assert {camera.hfov_deg for camera in cameras(*media, exif=True).values()} == {60.0}
    assert cameras(*media) == {}


def test_exif_counts_only_if_a_sites_photos_agree() -> None:
    assert cameras(result("S1/a.jpg", 60.0), result("S1/b.jpg", 20.0), exif=True) == {}
    both = cameras(result("S1/a.jpg", 60.0), result("S1/b.jpg"), exif=True)
    assert both["S1/b.jpg"].hfov_deg == 60.0


def test_run_json_counts_the_media_with_a_field_of_view_and_those_with_exif() -> None:
    media = [result("S1/a.jpg", 60.0), result("S1/b.jpg", 40.0), result("S2/c.jpg")]
    facts = find_camera_facts(media, CameraInputs(SITES, {"S2": CameraSetup(20.0)}), settings())
    assert count_known_cameras(media, facts) == {
        "n_with_hfov": 1,
        "n_exif": 2,
        "exif": 50.0,
        "n_by_source": {"stated": 1, "exif": 0, "model": 0},
        "models": [],
    }


def test_the_model_of_the_camera_states_the_lens_only_if_requested_and_nothing_else_does() -> None:
    media = [reconyx("S1/a.jpg"), reconyx("S2/c.jpg", hfov_deg=60.0)]
    assert cameras(*media) == {}
    found = cameras(*media, exif=True)
    assert (found["S1/a.jpg"].hfov_deg, found["S2/c.jpg"].hfov_deg) == (38.2, 60.0)
    assert {camera.hfov_deg for camera in cameras(*media, exif=True, hfov_deg=30.0).values()} == {30.0}
    assert cameras(*media, exif=True, table={"S1": CameraSetup(20.0)})["S1/a.jpg"].hfov_deg == 20.0


def test_a_model_counts_only_if_a_sites_media_agree() -> None:
    assert cameras(reconyx("S1/a.jpg"), reconyx("S1/b.jpg", model="HC600 HYPERFIRE"), exif=True) == {}
    assert cameras(reconyx("S1/a.jpg"), reconyx("S1/b.jpg", model="of an unknown kind"), exif=True) == {}
    # Focal lengths that contradict each other aren't replaced by the model.
    assert cameras(reconyx("S1/a.jpg", hfov_deg=60.0), reconyx("S1/b.jpg", hfov_deg=20.0), exif=True) == {}


def test_media_without_a_model_share_their_sites_if_their_format_fits() -> None:
    media = [reconyx("S1/a.jpg"), result("S1/b.jpg", aspect=4 / 3), result("S2/c.jpg", aspect=4 / 3)]
    assert set(cameras(*media, exif=True)) == {"S1/a.jpg", "S1/b.jpg"}
    assert set(cameras(reconyx("S1/a.jpg"), result("S1/b.jpg"), exif=True)) == {"S1/a.jpg"}


def test_rows_and_run_json_say_where_the_lens_comes_from() -> None:
    media = [reconyx("S1/a.jpg"), reconyx("S1/b.jpg"), result("S2/c.jpg", 60.0)]
    facts = find_camera_facts(media, CameraInputs(SITES, {}), settings(exif=True))
    assert facts.note(seen("S1/a.jpg")) == "; with lens 38.2 deg by camera model"
    assert facts.note(seen("S2/c.jpg")) == "; with lens 60 deg by EXIF"
    assert facts.lens_source("S1/b.jpg") is LensSource.MODEL
    assert facts_used_in(facts.note(seen("S1/a.jpg"))) == {"lens"}
    counts = count_known_cameras(media, facts)
    assert counts["n_by_source"] == {"stated": 0, "exif": 1, "model": 2}
    assert [(m["name"], m["n_media"], m["n_without_hfov"]) for m in counts["models"]] == [("Reconyx HyperFire 2", 2, 0)]
    unused = count_known_cameras(media, find_camera_facts(media, CameraInputs(SITES, {}), settings()))
    assert [m["n_without_hfov"] for m in unused["models"]] == [2]


def test_the_pictures_own_aspect_counts_unless_the_table_has_one() -> None:
    assert cameras(result("S1/a.jpg", aspect=4 / 3), hfov_deg=40.0)["S1/a.jpg"].aspect == 4 / 3
    table = {"S1": CameraSetup(40.0, aspect=1.5)}
    assert cameras(result("S1/a.jpg", aspect=4 / 3), table=table)["S1/a.jpg"].aspect == 1.5


def test_a_box_model_is_told_the_lens_and_gets_the_detected_boxes() -> None:
    facts = FieldFacts({"S1/a.jpg": CameraSetup(20.0, aspect=16 / 9)})
    first, other = estimate_distances(
        [result("S1/a.jpg"), result("S2/c.jpg")], SITES, BoxEstimator(HeightModel()), facts
    )
    assert first.distance is not None
    assert other.distance is not None
    assert first.distance.distance_m == pytest.approx(5 * lens_ratio(CameraSetup(20.0)))
    assert first.model_id == "height; with lens 20 deg"
    assert (other.distance.distance_m, other.model_id) == (pytest.approx(5.0), "height")
    assert first.observation.box == BOX


def test_the_box_model_of_a_blend_is_told_the_lens_and_the_size_follows_afterwards() -> None:
    facts = FieldFacts({"S1/a.jpg": CameraSetup(20.0, aspect=16 / 9)}, AnimalFacts(shoulder=ShoulderHeight(0.3)))
    received: list[DetectedAnimal] = []

    class Recorder(BoxEstimator):
        def estimate(self, animals: Sequence[DetectedAnimal]) -> list[Distance]:
            received.extend(animals)
            return super().estimate(animals)

    animal = DetectedAnimal(Observation("S1/a.jpg", 0.0, BOX, 1, "S1"))
    CameraCorrection(Recorder(HeightModel()), facts, ToldFacts(network_lens=True)).estimate([animal])
    CameraCorrection(Recorder(HeightModel()), facts).estimate([animal])
    assert [animal.facts for animal in received] == [Facts(20.0, 16 / 9), Facts(20.0, 16 / 9, 0.3)]


def test_a_small_animal_is_estimated_nearer() -> None:
    box = replace(BOX, species="Genetta")
    second = replace(SECOND, boxes=(box,))
    media = [replace(result("S1/a.jpg"), seconds=(second,)), result("S2/c.jpg")]
    first, other = estimate_distances(media, SITES, BoxEstimator(HeightModel()))
    assert first.distance is not None
    assert first.distance.distance_m < 2.8
    assert facts_used_in(first.model_id) == {"shoulder"}
    assert other.distance is not None
    assert other.distance.distance_m == pytest.approx(5.0)


def test_network_predictions_are_multiplied() -> None:
    received: list[DetectedAnimal] = []

    class Recorder:
        identity = HEIGHT

        def estimate(self, animals: Sequence[DetectedAnimal]) -> list[Distance]:
            received.extend(animals)
            return [Distance(5.0, 4.0, 6.0) for _ in animals]

    animal = DetectedAnimal(Observation("S1/a.jpg", 0.0, BOX, 1, "S1"), (4.0, 6.0))
    ratio = lens_ratio(CameraSetup(20.0)) ** 0.5
    CameraCorrection(Recorder(), FieldFacts({"S1/a.jpg": CameraSetup(20.0)}), ToldFacts()).estimate([animal])
    assert [animal.network_distances_m for animal in received] == [pytest.approx((4 * ratio, 6 * ratio))]


def test_a_table_of_other_sites_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "cameras.csv"
    table.write_text("site_id,hfov_deg\nS9,40\n")
    media = [Medium(name, Path(name), MediumKind.PHOTO, site) for name, site in SITES.items()]
    with pytest.raises(InputError, match="none of its 1 cameras is of a site of this run; the sites are S1, S2"):
        read_camera_inputs(settings(cameras=table), media)


def test_species_and_height_exclude_each_other() -> None:
    with pytest.raises(InputError, match="exclude each other"):
        read_animal_facts(settings(species="fox", shoulder_m=0.4), SITES.items())
    assert read_animal_facts(settings(), SITES.items()) == NO_ANIMAL_FACTS


@pytest.mark.parametrize("degrees", [0.0, 4.0, 171.0])
def test_an_impossible_lens_is_refused(degrees: float) -> None:
    with pytest.raises(InputError, match="--hfov: expected at least 5 and at most 170 degrees"):
        settings(hfov_deg=degrees)


def test_a_camera_that_sees_no_ground_is_refused_with_its_site(tmp_path: Path) -> None:
    table = tmp_path / "cameras.csv"
    table.write_text("site_id,hfov_deg,height_m,pitch_deg\nS1,40,1.2,40\n")
    media = [Medium("S1/a.jpg", Path("S1/a.jpg"), MediumKind.PHOTO, "S1")]
    with pytest.raises(InputError, match=r"cameras\.csv: site S1: .*sees no ground"):
        read_camera_inputs(settings(cameras=table), media)


def test_a_lens_is_noted_whenever_it_was_told() -> None:
    facts = FieldFacts({"a": CameraSetup(45.0, aspect=16 / 9), "b": CameraSetup(aspect=16 / 9)})
    assert tuple(facts.note(seen(name)) for name in "abc") == ("; with lens 45 deg", "", "")
