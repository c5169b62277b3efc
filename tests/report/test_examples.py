"""Which seconds the report shows."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from report.conftest import make_row
from trapmeter.records import Status
from trapmeter.report.examples import (
    MAX_PER_MEDIUM,
    choose_examples,
    doubt_key,
    measured_seconds,
    most_doubtful,
    pick_varied,
)

SHEET = 24

estimates_of_runs = st.lists(
    st.builds(
        make_row,
        st.floats(0.1, 30),
        st.sampled_from([f"{i}.mp4" for i in range(9)]),
        st.integers(0, 5),
        st.integers(1, 3),
    ),
    max_size=60,
    unique_by=lambda e: (e.observation.media_id, e.observation.time_s, e.observation.animal_id),
)


def varied(rows, n=SHEET):
    return pick_varied(measured_seconds(rows), n)


@given(estimates_of_runs, st.integers(1, SHEET), st.randoms())
def test_varied_seconds_are_distinct_sorted_and_from_as_many_media_as_possible(rows, n, random):
    picked, seconds = varied(rows, n), measured_seconds(rows)
    keys = [second.key for second in picked]
    assert len(keys) == len(set(keys)) <= n
    assert set(keys) <= {second.key for second in seconds}
    assert [second.nearest_m for second in picked] == sorted(second.nearest_m for second in picked)
    n_of_medium = Counter(second.media_id for second in picked)
    n_media = len({second.media_id for second in seconds})
    assert len(n_of_medium) == min(n, n_media), "every medium comes up before any comes up twice"
    if n_media:
        assert max(n_of_medium.values()) <= max(MAX_PER_MEDIUM, -(-n // n_media))
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert varied(shuffled, n) == picked, "the order of the rows doesn't matter"


def test_without_measurements_no_second_is_picked():
    assert varied([]) == []
    assert varied([make_row(status=Status.NO_ANIMAL), make_row(status=Status.FAILED)]) == []


def test_varied_distances_include_the_nearest_and_the_farthest():
    rows = [make_row(5.0 + i / 1000, f"{i}.jpg") for i in range(100)]
    rows += [make_row(0.5, "near.jpg"), make_row(20.0, "far.jpg")]
    names = [second.media_id for second in varied(rows, 3)]
    assert (names[0], names[-1]) == ("near.jpg", "far.jpg")


def test_varied_seconds_take_turns_between_sites():
    rows = [make_row(i + 1.0, f"A/{i}.jpg", site_id="A") for i in range(50)]
    rows += [make_row(5.0, f"{site}/0.jpg", site_id=site) for site in "BCD"]
    assert Counter(second.site_id for second in varied(rows, 4)) == Counter("ABCD")


def test_one_long_video_fills_the_sheet_only_if_it_is_alone():
    rows = [make_row(1.0 + i, "long.mp4", i) for i in range(100)]
    others = [make_row(5.0, f"{i}.jpg") for i in range(10)]
    assert len(varied([*rows, *others])) == 10 + MAX_PER_MEDIUM
    assert len(varied(rows)) == SHEET


def test_a_second_has_all_its_animals_nearest_first():
    (second,) = measured_seconds([make_row(9.0, animal_id=1), make_row(3.0, animal_id=2)])
    assert [animal.observation.animal_id for animal in second.animals] == [2, 1]
    assert second.nearest_m == 3.0


def test_reasons_come_before_wide_intervals_and_those_before_narrow_ones():
    rows = [
        make_row(4.5, "narrow.jpg", low_m=4, high_m=5),
        make_row(4.5, "odd.jpg", low_m=4, high_m=5, reason="unlike the boxes"),
        make_row(10.5, "wide.jpg", low_m=1, high_m=20),
    ]
    picked = most_doubtful(measured_seconds(rows), SHEET)
    assert [second.media_id for second in picked] == ["odd.jpg", "wide.jpg", "narrow.jpg"]
    assert [second.doubt_reason for second in picked] == ["unlike the boxes", "wide interval", "wide interval"]


def test_doubt_grows_with_a_reason_and_with_the_relative_width_of_the_interval():
    plain = make_row(5.0, low_m=4, high_m=6)
    assert doubt_key([plain]) < doubt_key([make_row(5.0, low_m=3, high_m=7)])
    assert doubt_key([make_row(20.0, low_m=19, high_m=21)]) < doubt_key([plain]), "2 m are less at 20 m than at 5 m"
    assert doubt_key([make_row(5.0, low_m=1, high_m=30)]) < doubt_key([make_row(5.0, low_m=4, high_m=6, reason="odd")])
    assert doubt_key([make_row(5.0, low_m=4, high_m=6, reason="review: accepted")]) == doubt_key([plain])
    assert doubt_key([plain, make_row(5.0, low_m=3, high_m=7)]) == doubt_key([make_row(5.0, low_m=3, high_m=7)])


def test_one_doubtful_video_does_not_fill_the_sheet():
    rows = [make_row(15.0, "long.mp4", i, low_m=0.1, high_m=30) for i in range(50)]
    rows += [make_row(4.5, f"{i}.jpg", low_m=4, high_m=5) for i in range(40)]
    n_of_medium = Counter(second.media_id for second in most_doubtful(measured_seconds(rows), SHEET))
    assert n_of_medium["long.mp4"] == MAX_PER_MEDIUM
    assert sum(n_of_medium.values()) == SHEET


@given(estimates_of_runs)
def test_no_second_is_in_both_sheets(rows):
    doubtful, others = choose_examples(rows)
    keys = [second.key for second in (*doubtful, *others)]
    assert len(keys) == len(set(keys))
    assert bool(doubtful) == bool(rows)
    assert len(doubtful) <= 24
    assert len(others) <= 12


def test_a_caption_of_a_herd_is_cut_short():
    (second,) = measured_seconds([make_row(float(i), animal_id=i) for i in range(1, 8)])
    assert second.caption == "1.0 m (0.7–1.5), 2.0 m (1.4–3.0), 3.0 m (2.1–4.5), 4.0 m (2.8–6.0) and 3 more"
    assert second.alt_text.startswith("a.jpg at 0 s with 7 animals marked: 1.0 m (0.7–1.5), ")
