from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from crashing import crash_at_b
from trapmeter.records import Box, Distance, Estimate, Observation, Status
from trapmeter.report import thumbnails as frames
from trapmeter.report.examples import (
    MAX_PER_MEDIUM,
    choose_examples,
    doubt_reason,
    measured_seconds,
    most_doubtful,
    pick_varied,
)
from trapmeter.report.thumbnails import make_thumbnails


def measured(media: str, second: int, distance_m: float, animal_id: int = 1, site: str = "") -> Estimate:
    distance = Distance(distance_m, distance_m / 2, distance_m * 2)
    return Estimate(Observation(media, second, Box(0, 0, 1, 1, 1), animal_id, site), Status.MEASURED, distance)


def choose_frames(rows, n=24):
    return pick_varied(measured_seconds(rows), n)


rows_of_runs = st.lists(
    st.builds(
        measured,
        st.sampled_from([f"{i}.mp4" for i in range(9)]),
        st.integers(0, 5),
        st.floats(0.1, 30),
        st.integers(1, 3),
    ),
    max_size=60,
    unique_by=lambda e: (e.observation.media_id, e.observation.time_s, e.observation.animal_id),
)


@given(rows_of_runs, st.integers(1, 24), st.randoms())
def test_chosen_frames(rows, n, random):
    chosen = choose_frames(rows, n)
    every = measured_seconds(rows)
    keys = [(moment.media_id, moment.time_s) for moment in chosen]
    assert len(keys) == len(set(keys)) <= n
    assert set(keys) <= {(moment.media_id, moment.time_s) for moment in every}
    assert [moment.nearest_m for moment in chosen] == sorted(moment.nearest_m for moment in chosen)
    # every medium shows up before any is shown a second time
    n_of = Counter(moment.media_id for moment in chosen)
    n_media = len({moment.media_id for moment in every})
    assert len(n_of) == min(n, n_media)
    if n_media:
        assert max(n_of.values()) <= max(MAX_PER_MEDIUM, -(-n // n_media))
    # the order of the rows tells nothing
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert choose_frames(shuffled, n) == chosen


def test_nothing_measured_nothing_chosen(row):
    assert choose_frames([], 24) == []
    assert choose_frames([row(status=Status.NO_ANIMAL), row(status=Status.FAILED)], 24) == []


def test_distances_are_spread():
    rows = [measured(f"{i}.jpg", 0, 5.0 + i / 1000) for i in range(100)] + [
        measured("near.jpg", 0, 0.5),
        measured("far.jpg", 0, 20.0),
    ]
    names = [moment.media_id for moment in choose_frames(rows, 3)]
    assert names[0] == "near.jpg"
    assert names[-1] == "far.jpg"


def test_sites_take_turns():
    rows = [measured(f"A/{i}.jpg", 0, i + 1.0, site="A") for i in range(50)]
    rows += [measured(f"{site}/0.jpg", 0, 5.0, site=site) for site in "BCD"]
    assert Counter(moment.site_id for moment in choose_frames(rows, 4)) == Counter("ABCD")


def test_one_long_video_does_not_fill_the_sheet_among_others():
    rows = [measured("long.mp4", i, 1.0 + i) for i in range(100)]
    rows += [measured(f"{i}.jpg", 0, 5.0) for i in range(10)]
    assert len(choose_frames(rows, 24)) == 10 + MAX_PER_MEDIUM
    assert len(choose_frames(rows[:100], 24)) == 24


def test_a_moment_holds_all_its_animals_nearest_first():
    (moment,) = measured_seconds([measured("a.jpg", 0, 9.0, 1), measured("a.jpg", 0, 3.0, 2)])
    assert [animal.observation.animal_id for animal in moment.animals] == [2, 1]
    assert moment.nearest_m == 3.0


def test_each_medium_is_opened_once(photos, row, monkeypatch):
    opened = []
    real = frames.open_medium
    monkeypatch.setattr(frames, "open_medium", lambda medium, fit: opened.append(medium.media_id) or real(medium, fit))
    done = []
    chosen = choose_frames([row(3.0, "a.jpg"), row(4.0, "a.jpg", animal_id=2), row(5.0, "b.jpg")])
    pictures, failure = make_thumbnails(photos, chosen, done.append)
    assert opened == ["a.jpg", "b.jpg"]
    assert [picture.moment for picture in pictures] == chosen
    assert failure == {}
    assert done == [1, 1]


def test_vanished_damaged_and_too_short_media_are_named(photos, row):
    (photos / "b.jpg").write_bytes(b"no picture")
    rows = [row(1.0, "gone.mp4"), row(2.0, "b.jpg"), row(3.0, "a.jpg"), row(4.0, "c.jpg", time_s=7.0)]
    pictures, failure = make_thumbnails(photos, choose_frames(rows))
    assert [picture.moment.media_id for picture in pictures] == ["a.jpg"]
    assert failure == {
        "b.jpg": "not a picture that can be read",
        "c.jpg": "some seconds can't be read any more",
        "gone.mp4": "No such file or directory",
    }


def test_large_pictures_become_small(tmp_path, row):
    Image.fromarray(np.zeros((1500, 2000, 3), np.uint8)).save(tmp_path / "a.jpg")
    ((picture,), _) = make_thumbnails(tmp_path, choose_frames([row()]))
    assert (picture.width, picture.height) == (480, 360)
    assert picture.jpeg_uri.startswith("data:image/jpeg;base64,")


def doubtful(media: str, low_m: float, high_m: float, reason: str = "", second: int = 0) -> Estimate:
    distance = Distance((low_m + high_m) / 2, low_m, high_m)
    seen = Observation(media, second, Box(0, 0, 1, 1, 1), 1)
    return Estimate(seen, Status.MEASURED, distance, reason=reason)


def test_reasons_come_before_wide_intervals_and_those_before_narrow_ones():
    rows = [doubtful("narrow.jpg", 4, 5), doubtful("odd.jpg", 4, 5, "unlike the boxes"), doubtful("wide.jpg", 1, 20)]
    chosen = most_doubtful(measured_seconds(rows), 24)
    assert [moment.media_id for moment in chosen] == ["odd.jpg", "wide.jpg", "narrow.jpg"]
    assert [doubt_reason(moment) for moment in chosen][:2] == ["unlike the boxes", "wide interval"]


def test_one_doubtful_video_does_not_fill_the_sheet():
    rows = [doubtful("long.mp4", 0.1, 30, second=i) for i in range(50)]
    rows += [doubtful(f"{i}.jpg", 4, 5) for i in range(40)]
    n_of = Counter(moment.media_id for moment in most_doubtful(measured_seconds(rows), 24))
    assert n_of["long.mp4"] == MAX_PER_MEDIUM
    assert sum(n_of.values()) == 24


@given(rows_of_runs)
def test_no_moment_stands_in_both_sheets(rows):
    first, others = choose_examples(rows)
    keys = [(moment.media_id, moment.time_s) for moment in (*first, *others)]
    assert len(keys) == len(set(keys))
    assert bool(first) == bool(rows)
    assert len(first) <= 24
    assert len(others) <= 12


def test_names_that_lead_out_of_the_folder_are_not_opened(photos, row):
    inside = photos / "inside"
    inside.mkdir()
    for name in ("../a.jpg", str(photos / "a.jpg")):
        _, failure = make_thumbnails(inside, choose_frames([row(3.0, name)]))
        assert failure == {name: "its name leads out of the folder that was measured"}


def test_workers_give_the_same_pictures_and_survive_a_crash(photos, row, monkeypatch):
    chosen = choose_frames([row(3.0, "a.jpg"), row(5.0, "b.jpg"), row(7.0, "gone.jpg")])
    assert make_thumbnails(photos, chosen, jobs=2) == make_thumbnails(photos, chosen)
    monkeypatch.setattr(frames, "make_medium_thumbnails", crash_at_b)
    pictures, failure = make_thumbnails(photos, chosen[:2], jobs=1)
    assert [picture.moment.media_id for picture in pictures] == ["a.jpg"]
    assert failure == {"b.jpg": "the decoder crashed (SIGSEGV)"}
