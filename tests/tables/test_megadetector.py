import json
from dataclasses import replace

import pytest

from trapmeter.errors import InputError
from trapmeter.records import Box
from trapmeter.tables.megadetector import FileDetections, FrameBox, read_megadetector
from trapmeter.tables.species_names import PERSON, VEHICLE

CATEGORIES = {"1": "animal", "2": "person", "3": "vehicle"}
FOUND = {"category": "1", "conf": 0.9, "bbox": [0.25, 0.25, 0.5, 0.5]}
BOX = Box(0.25, 0.25, 0.75, 0.75, 0.9)


def document(*images, info=None, **changes):
    return json.dumps(
        {"info": info or {"format_version": "1.4"}, "detection_categories": CATEGORIES, "images": list(images)}
        | changes
    )


def photo(*detections, **changes):
    return {"file": "a/b.jpg", "detections": list(detections)} | changes


def test_a_file_without_images_is_empty(write):
    assert read_megadetector(write(document())) == []


def test_photos_and_failures_are_read(write):
    path = write(
        document(
            photo(FOUND, FOUND | {"category": "2"}, FOUND | {"category": "77"}),
            photo(file="blank.jpg", failure=None),
            {"file": "broken.jpg", "failure": "Failure image access", "detections": None},
            {"file": "odd.jpg"},
        )
    )
    assert read_megadetector(path) == [
        FileDetections("a/b.jpg", (FrameBox(None, BOX), FrameBox(None, replace(BOX, species=PERSON)))),
        FileDetections("blank.jpg", ()),
        FileDetections("broken.jpg", (), "Failure image access"),
        FileDetections("odd.jpg", (), "the entry has neither detections nor a failure"),
    ]


def test_detections_in_a_video_have_frame_numbers(write):
    video = photo(FOUND | {"frame_number": 20}, file="v.mp4", frame_rate=20, frames_processed=[0, 20, 50])
    assert read_megadetector(write(document(video))) == [
        FileDetections("v.mp4", (FrameBox(20, BOX),), "", 20.0, (0, 20, 50), is_video=True)
    ]


@pytest.mark.parametrize("rate", [{}, {"frame_rate": None}, {"frame_rate": 0}])
def test_a_video_may_lack_its_frame_rate(write, rate):
    (file,) = read_megadetector(write(document(photo(FOUND | {"frame_number": 20}, frames_processed=[20], **rate))))
    assert (file.detections, file.frame_rate, file.processed_frames) == ((FrameBox(20, BOX),), None, (20,))


def test_people_and_vehicles_are_named_apart_and_other_categories_ignored(write):
    boxes = [FOUND | {"category": category} for category in ("1", 2, "3", "4")]
    named = {"detection_categories": {"1": "animal", "2": "Person", "3": "vehicle", "4": "bird"}}
    (file,) = read_megadetector(write(document(photo(*boxes), **named)))
    assert [found.box.species for found in file.detections] == ["", PERSON, VEHICLE]
    with pytest.raises(InputError, match=r"category named animal, found bird"):
        read_megadetector(write(document(detection_categories={"1": "bird"})))


@pytest.mark.parametrize("info", [{"format_version": "1.0"}, {"format_version": 1.6}, {"detector": "x"}, {}, None])
def test_versions_1_and_files_without_one_are_read(write, info):
    text = json.loads(document(photo(FOUND)))
    text["info"] = info
    assert len(read_megadetector(write(json.dumps(text)))) == 1
    del text["info"]
    assert len(read_megadetector(write(json.dumps(text)))) == 1


@pytest.mark.parametrize("version", ["2.0", "10.1", "new"])
def test_other_versions_are_refused(write, version):
    with pytest.raises(InputError, match=rf"format 1.x, got format_version '{version}'"):
        read_megadetector(write(document(info={"format_version": version})))


def test_rounding_is_clipped(write):
    (file,) = read_megadetector(write(document(photo(FOUND | {"bbox": [0.5, -0.0005, 0.5004, 0.5]}))))
    assert file.detections[0].box == Box(0.5, 0.0, 1.0, 0.4995, 0.9)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"this is not JSON"),
        ("[]", r"got a list, which has boxes in pixels"),
        ("3", r"a list 'images'.*the file has neither"),
        (document(images=None), r"a list 'images'.*the file has neither"),
        (document(detection_categories=None), r"expected 'detection_categories'"),
        (document({"detections": []}), r"images\[0\]: expected an entry with 'file'"),
        (document(photo(), photo(FOUND)), r"images\[0\] and images\[1\]: both are 'a/b.jpg'"),
        (document(photo(detections=3)), r"images\[0\] \('a/b.jpg'\): expected a list 'detections', got 3"),
        (document(photo(3)), r"detections\[0\]: expected category, conf and bbox, got 3"),
        (
            document(photo(FOUND, FOUND | {"bbox": [0.5, 0, 0.6, 0.1]})),
            r"images\[0\] \('a/b.jpg'\), detections\[1\], bbox",
        ),
        (document(photo(FOUND | {"bbox": [0.5, 0, 0.6]})), r"detections\[0\]: expected bbox .* four fractions"),
        (document(photo(FOUND | {"bbox": ["0", 0, 1, 1]})), r"expected bbox"),
        (document(photo(FOUND | {"conf": None})), r"expected conf, a number in 0..1, got None"),
        (document(photo(FOUND | {"conf": 90})), r"score must lie in 0..1, got 90"),
        (document(photo(FOUND | {"frame_number": -1}, frame_rate=1)), r"frame_number: expected a whole number >= 0"),
        (document(photo(frame_rate="x")), r"expected frame_rate, frames per second > 0, got 'x'"),
        (document(photo(frames_processed=3)), r"expected frames_processed to be a list"),
        (document(photo(frames_processed=[0.5])), r"frames_processed: expected a whole number"),
    ],
)
def test_bad_files_are_refused(write, text, message):
    with pytest.raises(InputError, match=message):
        read_megadetector(write(text, "md.json"))


def test_real_files_are_read(shared_file):
    files = read_megadetector(shared_file("stills/ena24_megadetector.json"))
    assert {file.file for file in files} >= {"2480.jpg", "2595.jpg", "2573.jpg"}
    files = read_megadetector(shared_file("stills/megadetector_output.json"))
    assert [bool(file.failure) for file in files] == [False, False, False, True, True]


CLASSES = {"classification_categories": {"0": "red fox", "1": "human", "2": "blank"}}


def classified(*pairs):
    return FOUND | {"classifications": [list(pair) for pair in pairs]}


def test_the_best_class_is_the_species_of_its_box(write):
    boxes = (classified(("0", 0.8), ("1", 0.1)), classified(("2", 0.9)), FOUND | {"classifications": None}, FOUND)
    (file,) = read_megadetector(write(document(photo(*boxes), **CLASSES)))
    assert [found.box.species for found in file.detections] == ["Vulpes vulpes", "", "", ""]
    assert [found.box.species_score for found in file.detections] == [0.8, None, None, None]


@pytest.mark.parametrize("score", [1.2, -0.1, "high", True])
def test_a_score_of_a_class_is_a_share(write, score):
    with pytest.raises(InputError, match=r"detections\[0\], classifications: expected a score in 0..1, got"):
        read_megadetector(write(document(photo(classified(("0", score))), **CLASSES)))


def test_a_class_may_lack_a_score(write):
    (file,) = read_megadetector(write(document(photo(classified(("0", None))), **CLASSES)))
    assert [(found.box.species, found.box.species_score) for found in file.detections] == [("Vulpes vulpes", None)]


def test_an_animal_that_the_classifier_calls_a_person_is_one(write):
    (file,) = read_megadetector(write(document(photo(classified(("1", 0.9)), classified(("0", 0.6))), **CLASSES)))
    assert [found.box.species for found in file.detections] == [PERSON, "Vulpes vulpes"]


def test_descriptions_of_classes_tell_their_species(write):
    uuid = "b1352069-a39c-4a84-a949-60044271c0c1"
    classes = {"classification_categories": {"0": "a deer", "1": "unheard of"}}
    classes["classification_category_descriptions"] = {
        "0": f"{uuid};mammalia;artiodactyla;cervidae;odocoileus;virginianus;white-tailed deer",
        "1": f"{uuid};mammalia;artiodactyla;cervidae;;;cervidae family",
    }
    boxes = classified(("0", 0.8)), classified(("1", 0.7))
    (file,) = read_megadetector(write(document(photo(*boxes), info={"format_version": "1.6"}, **classes)))
    found = [(one.box.species, one.box.species_score, one.box.species_label) for one in file.detections]
    assert found == [("Odocoileus virginianus", 0.8, "a deer"), ("Cervidae", 0.7, "unheard of")]


def test_of_repeated_entries_the_one_that_worked_counts(write):
    failed = {"file": "a/b.jpg", "failure": "Failure image access", "detections": None}
    for images in ((failed, photo(FOUND)), (photo(FOUND), failed), (failed, failed, photo(FOUND), photo(FOUND))):
        assert read_megadetector(write(document(*images))) == [FileDetections("a/b.jpg", (FrameBox(None, BOX),))]
    assert read_megadetector(write(document(failed, failed)))[0].failure == "Failure image access"


def test_numbers_may_be_written_as_text(write):
    video = photo(FOUND | {"frame_number": "20"}, frame_rate="10", frames_processed=["0", "20"])
    (file,) = read_megadetector(write(document(video)))
    assert (file.detections, file.frame_rate, file.processed_frames) == ((FrameBox(20, BOX),), 10.0, (0, 20))
    with pytest.raises(InputError, match=r"expected a whole number >= 0, got 2\.5"):
        read_megadetector(write(document(photo(FOUND | {"frame_number": "2.5"}))))


def test_speciesnets_own_json_is_read(write):
    label = "b1352069-a39c-4a84-a949-60044271c0c1;mammalia;carnivora;canidae;vulpes;vulpes;red fox"
    person = "990ae9dd-7a59-4344-afcb-1b7b21368000;mammalia;primates;hominidae;homo;sapiens;human"
    blank = "f1856211-cfb7-4a5b-9158-c0f72fd09ee6;;;;;;blank"
    human = FOUND | {"category": "2", "label": "human"}
    predictions = [
        {"filepath": "a.jpg", "detections": [FOUND, human], "prediction": label, "prediction_score": 0.9},
        {"filepath": "b.jpg", "failures": ["DETECTOR"]},
        {"filepath": "c.jpg", "failures": ["CLASSIFIER"], "detections": [FOUND]},
        {"filepath": "d.jpg", "detections": [], "prediction": blank, "prediction_score": 0.9},
        {"filepath": "e.jpg", "detections": [FOUND], "prediction": person, "prediction_score": 0.9},
    ]
    fox, broken, unnamed, empty, walker = read_megadetector(write(json.dumps({"predictions": predictions})))
    assert [found.box.species for found in fox.detections] == ["Vulpes vulpes", PERSON]
    assert "DETECTOR" in broken.failure
    assert [found.box.species for found in unnamed.detections] == [""]
    assert (empty.detections, empty.failure) == ((), "")
    assert [found.box.species for found in (*fox.detections[1:], *walker.detections)] == [PERSON, PERSON]


def test_dogs_with_people_stay_animals(write):
    person = "990ae9dd-7a59-4344-afcb-1b7b21368000;mammalia;primates;hominidae;homo;sapiens;human"
    human = FOUND | {"category": "2", "label": "human"}
    with_person = {"filepath": "a.jpg", "detections": [FOUND, human], "prediction": person, "prediction_score": 0.9}
    unsure = {**with_person, "filepath": "b.jpg", "detections": [FOUND, human | {"conf": 0.05}]}
    walk, alone = read_megadetector(write(json.dumps({"predictions": [with_person, unsure]})))
    assert [found.box.species for found in walk.detections] == ["", PERSON]
    assert [found.box.species for found in alone.detections] == [PERSON, PERSON]
