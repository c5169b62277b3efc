from __future__ import annotations

import json

import pytest

from density.surveys import deployments_text, distances_rows, write_distances_survey
from trapmeter.density.settings import DensitySettings
from trapmeter.density.survey.measured_distances import read_measured_survey
from trapmeter.errors import InputError


@pytest.fixture
def measured(tmp_path):
    def read(rows, deployments, **options):
        path = write_distances_survey(tmp_path, rows, deployments)
        return read_measured_survey(DensitySettings(path, deployments=tmp_path / "deployments.csv", **options))

    return read


def test_effort_comes_from_deployments_and_draws_from_distances(measured):
    survey = measured(distances_rows(), deployments_text(snapshot_s=1, hours="06:00-18:00"))
    assert len(survey.stations) == 7
    assert survey.stations[0].effort_snapshots == 10 * 12 * 3600
    assert survey.multiplier == pytest.approx(42 / 360)
    assert survey.distance_m.shape == (240, 10)
    assert survey.hours == {((6.0, 18.0),): 7 * 10 * 12 * 3600}
    assert survey.count_detections(0, 100)[6].n == 0
    points = measured(distances_rows(), deployments_text(), points=True)
    assert points.distance_m.shape == (240, 1)
    assert "distance_m counts as the true distance" in points.notes[-1]


def test_only_snapshots_count_with_each_animal_once(measured):
    rows = distances_rows()
    survey = measured([*rows, rows[0]], deployments_text(snapshot_s=2))
    assert len(survey.distance_m) == 120
    assert "120 of 241 measured animals left out: at times between two snapshots" in survey.notes[0]
    assert "1 of 121 measured animals left out: repeated rows" in survey.notes[1]


def test_excluded_animals_and_those_outside_deployments_are_left_out(measured, tmp_path):
    (tmp_path / "react.csv").write_text("media_id,animal_id\nS0/a.mp4,1\n")
    times = [
        "media_id,start",
        *(f"S{n}/a.mp4,2024-05-0{n + 1}T12:00:00" for n in range(1, 6)),
        "S0/a.mp4,2023-01-01T00:00:00",
    ]
    (tmp_path / "times.csv").write_text("\n".join(times))
    survey = measured(distances_rows(), deployments_text(), leave_out=tmp_path / "react.csv")
    assert len(survey.distance_m) == 200
    assert "names in react.csv" not in " ".join(survey.notes)
    survey = measured(distances_rows(), deployments_text(hours="11:00-13:00"), media_times=tmp_path / "times.csv")
    assert len(survey.distance_m) == 200
    with pytest.raises(InputError, match="no measured animal counts \\(240 were measured\\)"):
        measured(distances_rows(), deployments_text(hours="01:00-02:00"), media_times=tmp_path / "times.csv")


def test_a_note_says_that_each_photo_counts(measured):
    rows = distances_rows()
    photos = [{**row, "media_id": f"{number}.jpg", "time_s": "0"} for number, row in enumerate(rows)]
    note = "every medium has one time, as photos have"
    assert note in " ".join(measured(photos, deployments_text()).notes)
    assert note not in " ".join(measured(rows, deployments_text()).notes)


@pytest.mark.parametrize(
    ("times_s", "snapshot_s", "n"),
    [
        ([0.1 * number for number in range(31)], 0.3, 11),
        ([round(number / 3, 6) for number in range(31)], 1, 11),
        # From a table of times: every frame at 30 a second, or single times between snapshots.
        ([round(number / 30, 3) for number in range(61)], 1, 3),
        ([0, 0.7, 2, 4], 2, 3),
    ],
)
def test_times_at_snapshots_count(measured, times_s, snapshot_s, n):
    rows = [{**distances_rows()[0], "time_s": str(time_s)} for time_s in times_s]
    assert len(measured(rows, deployments_text(snapshot_s=snapshot_s)).distance_m) == n


def one_time_each(suffix):
    return [
        {**row, "media_id": f"{number}{suffix}", "time_s": "0", "site_id": f"S{number % 3}"}
        for number, row in enumerate(distances_rows(3))
    ]


@pytest.mark.parametrize(
    ("arguments", "snapshot_s", "message"),
    [
        ({"every_s": 2.0, "times": None}, 1, "times of site 'S0' are 2 s apart, .* every 1 s; .* snapshot_s = 2"),
        ({"every_s": 2.0, "times": None}, 5, "give snapshot_s = 4 or 6"),
    ],
)
def test_the_run_gives_the_interval_of_videos_with_one_time_each(measured, tmp_path, arguments, snapshot_s, message):
    (tmp_path / "run.json").write_text(json.dumps({"run": {"arguments": arguments}}))
    with pytest.raises(InputError, match=message):
        measured(one_time_each(".mp4"), deployments_text(snapshot_s=snapshot_s))
    assert "once" not in " ".join(measured(one_time_each(".mp4"), deployments_text(snapshot_s=4)).notes)
    assert len(measured(one_time_each(".jpg"), deployments_text(snapshot_s=snapshot_s)).distance_m) == 120


@pytest.mark.parametrize("facts", [None, {"arguments": {"every_s": 2.0, "times": "times.csv"}}])
def test_videos_with_one_time_each_are_noted_if_no_run_gives_the_interval(measured, tmp_path, facts):
    if facts is not None:
        (tmp_path / "run.json").write_text(json.dumps(facts))
    notes = " ".join(measured(one_time_each(".mp4"), deployments_text(snapshot_s=1)).notes)
    assert "effort counts a snapshot every 1 s, but each video of site 'S0' and 2 others was measured once" in notes
    assert "as photos have" not in notes


def test_excluded_names_that_match_no_row_are_noted(measured, tmp_path):
    (tmp_path / "react.csv").write_text("media_id,animal_id\nS0/a.mp4,1\nS0/A.mp4,1\nS1/a.mp4,77\n")
    survey = measured(distances_rows(), deployments_text(), leave_out=tmp_path / "react.csv")
    assert len(survey.distance_m) == 200
    assert "2 of 3 names in react.csv match no row of the distances, such as S0/A.mp4, animal 1" in " ".join(
        survey.notes
    )


def test_only_the_requested_species_counts(measured):
    rows = [{**row, "species": "fox" if row["site_id"] == "S1" else "cat"} for row in distances_rows()]
    assert len(measured(rows, deployments_text(), species="fox").distance_m) == 40
    assert len(measured(rows, deployments_text(), species="all").distance_m) == 240
    with pytest.raises(InputError, match="there are 2 species, 'cat', 'fox'; choose one"):
        measured(rows, deployments_text())
    with pytest.raises(InputError, match="no detection of 'cow'"):
        measured(rows, deployments_text(), species="cow")
    with pytest.raises(InputError, match="has no column 'Art' for the species; it has 'media_id', "):
        measured(rows, deployments_text(), species_column="Art")


@pytest.mark.parametrize(
    ("deployments", "message"),
    [
        (deployments_text(n_sites=3), r"S3/a.mp4: .*deployments.csv has no deployment of site 'S3'; it has 'S0'"),
        (deployments_text(snapshot_s=0.5), r"times of site 'S0' are 1 s apart, .* every 0.5 s"),
        (
            deployments_text(snapshot_s=1.5),
            r"are 1 s apart, .* every 1.5 s, .* give snapshot_s = 1 or 2, multiples of 1",
        ),
        (deployments_text(theta=0.73), r"line 2, column 'theta_deg': .*looks like radians"),
        (deployments_text(theta=""), r"line 2: expected a number above 0 in the column 'theta_deg', got nothing"),
        (deployments_text(theta=400), r"up to 360 degrees, got 400"),
        (deployments_text(n_sites=0), r"has no rows"),
        (
            deployments_text() + deployments_text(1).split("\n", 1)[1],
            r"starts before the site's deployment in line 2 ends",
        ),
    ],
)
def test_unsuitable_deployments_are_refused(measured, deployments, message):
    with pytest.raises(InputError, match=message):
        measured(distances_rows(), deployments)


def test_snapshots_of_which_nothing_is_known_are_no_effort(measured):
    rows = distances_rows()
    site = rows[0]["site_id"]
    empty = dict.fromkeys(rows[0], "") | {"media_id": "lost.mp4", "site_id": site}
    lost = [
        {**empty, "time_s": f"{time_s}", "status": status, "reason": "x"}
        for time_s, status in ((0, "unknown"), (1, "unknown"), (2, "failed"), (4, "no_animal"), (6, "past_end"))
    ]
    before = measured(rows, deployments_text(snapshot_s=2))
    after = measured([*rows, *lost], deployments_text(snapshot_s=2))
    differences = [
        a.effort_snapshots - b.effort_snapshots for a, b in zip(before.stations, after.stations, strict=True)
    ]
    assert sorted(differences) == [0] * (len(differences) - 1) + [2]
    assert "2 snapshots are no effort" in " ".join(after.notes)


def test_starts_of_media_may_be_named_on_another_machine(measured, tmp_path):
    rows = distances_rows()
    names = {row["media_id"] for row in rows}
    starts = "".join(f"D:\\card\\{name},2024-05-05T12:00:00\n".replace("/", "\\") for name in names)
    (tmp_path / "times.csv").write_text(f"media_id,start\n{starts}")
    survey = measured(rows, deployments_text(), media_times=tmp_path / "times.csv")
    assert len(survey.distance_m) == len(measured(rows, deployments_text()).distance_m)


def test_an_interval_longer_than_the_deployment_is_refused(measured):
    text = deployments_text(snapshot_s=2).replace(",2,", ",2000000,")
    with pytest.raises(InputError, match=r"snapshot_s = 2e\+06 is longer than the [\d,]+ s that the camera worked"):
        measured(distances_rows(), text)


def test_a_species_has_any_of_its_names_and_people_never_count(measured):
    rows = distances_rows()
    names = ["Vulpes vulpes", "red fox", "human", ""]
    rows = [{**row, "species": names[i % 4]} for i, row in enumerate(rows)]
    survey = measured(rows, deployments_text(), species="Rotfuchs")
    assert len(survey.distance_m) == 120
    assert "60 of 240 measured animals have an unknown species" in survey.notes[0]
    assert len(measured(rows, deployments_text(), species="all").distance_m) == 180
    with pytest.raises(InputError, match="no species is called 'red foxx'; did you mean 'red fox'"):
        measured(rows, deployments_text(), species="red foxx")
    with pytest.raises(InputError, match="'tejón' is ambiguous: it may be Meles meles"):
        measured(rows, deployments_text(), species="tejón")
    with pytest.raises(InputError, match="no detection of 'human'"):
        measured(rows, deployments_text(), species="human")
