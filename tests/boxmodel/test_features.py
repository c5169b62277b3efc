from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boxmodel.pinhole_world import make_samples
from trapmeter.boxmodel.features import FEATURES, MAX_NEIGHBOURS, MAX_OTHER_MEDIA, features
from trapmeter.records import Box, Observation


def same(a, b) -> bool:
    return np.array_equal(a, b, equal_nan=True)


def column(observations, name: str) -> list[float]:
    return features(observations)[:, FEATURES.index(name)].tolist()


@st.composite
def boxes(draw) -> Box:
    x1, y1 = draw(st.floats(0, 0.9)), draw(st.floats(0, 0.9))
    w, h = draw(st.floats(0.01, 0.1)), draw(st.floats(0.01, 0.1))
    return Box(x1, y1, min(x1 + w, 1.0), min(y1 + h, 1.0), draw(st.floats(0, 1)))


def observations(sites=("", "a", "b"), media=("1", "2", "3")):
    # With few media, times and animals, ties and duplicates are frequent. A medium belongs to one site.
    observation = st.builds(
        lambda medium, time_s, box, animal: Observation(medium, time_s, box, animal, sites[int(medium) % len(sites)]),
        st.sampled_from(media),
        st.sampled_from([0.0, 1.0, 2.0, 3.5, 40.0]),
        st.none() | boxes(),
        st.sampled_from([0, 1, 2]),
    )
    return st.lists(observation, min_size=1, max_size=14)


def box(y2: float = 0.5, h: float = 0.2, score: float = 0.9) -> Box:
    return Box(0.4, y2 - h, 0.6, y2, score)


class TestShape:
    def test_no_observations_give_no_rows(self):
        assert features([]).shape == (0, len(FEATURES))

    def test_names_are_distinct_and_exclude_park_time_and_row_counts(self):
        assert len(set(FEATURES)) == len(FEATURES)
        assert not {"park", "time_s", "rows", "count"} & set(FEATURES)

    def test_a_single_observation_without_a_box_has_only_unknown_features(self):
        values = dict(zip(FEATURES, features([Observation("a", 3.0)])[0].tolist(), strict=True))
        assert values.pop("site_other_media") == 0.0
        assert np.isnan(list(values.values())).all()

    def test_a_run_without_boxes_has_only_unknown_features(self):
        rows = features([Observation("a", 3.0), Observation("b", 1.0, site_id="s")])
        assert np.isnan(rows).sum() == 2 * (len(FEATURES) - 1)

    def test_a_single_box_is_its_own_track_and_site(self):
        rows = features([Observation("a", 0.0, box(0.5, 0.2), 1)])
        values = dict(zip(FEATURES, rows[0].tolist(), strict=True))
        assert values["h"] == pytest.approx(0.2)
        assert values["site_q50_y2"] == pytest.approx(0.5)
        assert values["from_track_y2"] == 0.0
        assert np.isnan(values["before_y2"])


class TestNeighbours:
    def test_neighbours_are_the_nearest_boxes_in_time_of_the_same_animal(self):
        rows = [
            Observation("a", 0.0, box(0.3), 1),
            Observation("a", 4.0, box(0.5), 1),
            Observation("a", 5.0, box(0.9), 2),
            Observation("a", 10.0, box(0.7), 1),
        ]
        assert column(rows, "before_y2")[1] == pytest.approx(0.3)
        assert column(rows, "after_y2")[1] == pytest.approx(0.7)
        assert column(rows, "before_gap_s")[1] == pytest.approx(4.0)
        assert column(rows, "after_gap_s")[1] == pytest.approx(6.0)
        assert column(rows, "track_q100_y2")[1] == pytest.approx(0.7)

    def test_a_row_without_a_box_has_its_animals_boxes_as_neighbours(self):
        rows = [Observation("a", 0.0, box(0.3), 1), Observation("a", 1.0, None, 1), Observation("a", 2.0, box(0.4), 1)]
        assert column(rows, "before_y2")[1] == pytest.approx(0.3)
        assert column(rows, "after_y2")[1] == pytest.approx(0.4)
        assert column(rows, "smooth2_y2")[1] == pytest.approx(0.35)

    def test_a_row_without_an_animal_has_all_boxes_of_its_medium_as_neighbours(self):
        rows = [Observation("a", 0.0, box(0.3), 1), Observation("a", 1.0), Observation("a", 2.0, box(0.4), 2)]
        assert column(rows, "before_y2")[1] == pytest.approx(0.3)
        assert column(rows, "after_y2")[1] == pytest.approx(0.4)
        assert np.isnan(column(rows, "after_y2")[0])

    def test_smoothing_counts_seconds_not_rows(self):
        near_then_far = [(t, 0.3 if t < 10 else 0.6) for t in range(20)]
        coarse = [Observation("a", float(t), box(y), 1) for t, y in near_then_far[::2]]
        fine = [Observation("a", float(t), box(y), 1) for t, y in near_then_far]
        assert column(fine, "smooth6_y2")[8] == pytest.approx(column(coarse, "smooth6_y2")[4], abs=0.02)

    def test_boxes_far_away_in_time_leave_smoothing_unknown(self):
        rows = [Observation("a", 0.0, box(), 1), Observation("a", 5000.0, None, 1)]
        assert np.isnan(column(rows, "smooth20_y2")[1])


class TestIndependence:
    @settings(deadline=None, max_examples=60)
    @given(observations(), st.randoms(use_true_random=False))
    def test_permuting_the_input_permutes_the_rows(self, rows, random):
        order = list(range(len(rows)))
        random.shuffle(order)
        assert same(features([rows[i] for i in order]), features(rows)[order])

    @settings(deadline=None, max_examples=60)
    @given(observations(sites=("a",)), observations(sites=("b",), media=("7", "8")))
    def test_boxes_of_another_site_change_nothing(self, rows, others):
        assert same(features(others + rows)[len(others) :], features(rows))

    @settings(deadline=None, max_examples=60)
    @given(observations(sites=("",), media=("1",)), observations(sites=("",), media=("2", "3")))
    def test_boxes_of_another_video_change_nothing_if_the_site_is_unknown(self, rows, others):
        assert same(features(others + rows)[len(others) :], features(rows))

    @settings(deadline=None, max_examples=30)
    @given(observations())
    def test_duplicate_observations_change_nothing(self, rows):
        assert same(features(rows + rows)[: len(rows)], features(rows))

    def test_names_of_media_do_not_matter(self):
        rows = [sample.observation for sample in make_samples(3, 3, 4)]
        renamed = [replace(row, media_id=row.media_id[::-1], site_id="x" + row.site_id) for row in rows]
        assert same(features(renamed), features(rows))

    def test_a_site_with_the_name_of_a_medium_is_not_that_medium(self):
        alone = [Observation("a", 0.0, box(0.3), 1)]
        other = [Observation("b", 0.0, box(0.8), 1, site_id="a")]
        assert same(features(alone + other)[:1], features(alone))


class TestSite:
    def test_other_videos_of_the_site_change_its_statistics(self):
        alone = [Observation("a", 0.0, box(0.5), 1)]
        others = [Observation(f"v{i}", 0.0, box(0.3 + i / 20), 1, "s") for i in range(9)]
        together = [replace(alone[0], site_id="s"), *others]
        assert column(together, "site_q95_y2")[0] > column(alone, "site_q95_y2")[0]

    def test_other_media_with_boxes_are_counted_up_to_a_limit(self):
        rows = [Observation(f"v{i}", 0.0, box(), 1, "s") for i in range(3)]
        assert column([*rows, Observation("empty", 0.0, site_id="s")], "site_other_media") == [2.0, 2.0, 2.0, 3.0]
        many = [Observation(f"v{i}", 0.0, box(), 1, "s") for i in range(30)]
        assert column(many, "site_other_media") == [MAX_OTHER_MEDIA] * 30

    def test_the_horizon_is_found_on_flat_ground(self):
        rows = [Observation(f"v{i}", 0.0, box(0.4 + h, h), 1, "s") for i, h in enumerate(np.linspace(0.1, 0.5, 30))]
        assert column(rows, "horizon")[0] == pytest.approx(0.4, abs=0.03)

    def test_the_even_statistics_weight_short_and_long_videos_equally(self):
        long = [Observation("long", float(t), box(0.9), 1, "s") for t in range(90)]
        short = [Observation(f"v{i}", 0.0, box(0.4), 1, "s") for i in range(9)]
        assert column(long + short, "site_q50_y2")[0] == pytest.approx(0.9)
        assert column(long + short, "site_even_q50_y2")[0] == pytest.approx(0.4)


def test_thirty_rows_a_second_are_handled():
    rows = [Observation("a", i / 30, box(0.3 + i % 50 / 100), 1) for i in range(20 * MAX_NEIGHBOURS)]
    assert features(rows).shape == (len(rows), len(FEATURES))
