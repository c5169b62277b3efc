"""Boxes and labels in pictures."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trapmeter.records import Box
from trapmeter.report.annotations import LINE, PLATE, draw_animals, place_label, rectangle

GREY = np.full((360, 480, 3), 128, np.uint8)


def changed(image):
    """First and last row and column of the drawing, as (top, bottom, left, right)."""
    rows, columns = np.nonzero((np.asarray(image) != 128).any(axis=2))
    return rows.min(), rows.max(), columns.min(), columns.max()


def test_a_box_is_drawn_at_its_position(row):
    image = np.asarray(draw_animals(GREY, [row(4.2, xyxy=(0.25, 0.5, 0.75, 0.75))]))
    for y, x in [(180, 120), (180, 359), (269, 120), (269, 359), (225, 120), (225, 359)]:
        assert tuple(image[y, x]) == LINE
    assert (image[190:260, 130:350] == 128).all()  # the animal itself stays visible
    assert (image[:140] == 128).all()
    assert (image[150:175, 125:135] == PLATE).all(axis=2).any()  # the label is above its box


def test_the_label_of_a_box_at_the_top_is_below_it(row):
    image = np.asarray(draw_animals(GREY, [row(4.2, xyxy=(0.25, 0.0, 0.5, 0.25))]))
    assert (image[94:110, 120:140] == PLATE).all(axis=2).any()


def test_animals_without_a_box_are_not_drawn(row):
    animals = [row(2.0, xyxy=(0.1, 0.4, 0.3, 0.6)), row(9.0, xyxy=(0.6, 0.4, 0.8, 0.6)), row(5.0, xyxy=None)]
    image = np.asarray(draw_animals(GREY, animals))
    assert tuple(image[180, 48]) == LINE
    assert tuple(image[180, 288]) == LINE
    assert (np.asarray(draw_animals(GREY, animals[2:])) == 128).all()


def test_the_original_picture_is_unchanged(row):
    before = GREY.copy()
    draw_animals(GREY, [row()])
    assert (before == GREY).all()


@pytest.mark.parametrize("size_hw", [(60, 106), (1, 1), (2, 200), (200, 2), (480, 270)])
def test_small_and_narrow_pictures_are_enlarged(row, size_hw):
    image = draw_animals(np.full((*size_hw, 3), 128, np.uint8), [row(12.3), row(1.0, xyxy=(0.0, 0.0, 1.0, 1.0))])
    assert max(image.size) == 480


def test_a_full_box_covers_the_whole_picture():
    assert rectangle(Box(0, 0, 1, 1, 1), (480, 270)) == (0, 0, 479, 269)
    assert rectangle(Box(0.5, 0.5, 0.5001, 0.5001, 1), (480, 270)) == (240, 135, 240, 135)


sides = st.integers(0, 479)
rectangles = st.tuples(sides, sides, sides, sides).map(
    lambda t: (min(t[0], t[2]), min(t[1], t[3]), max(t[0], t[2]), max(t[1], t[3]))
)


@given(rectangles, st.lists(rectangles, max_size=4), st.lists(rectangles, max_size=4), st.integers(10, 400))
def test_labels_are_inside_the_picture(box, labels, others, width):
    left, top, right, bottom = place_label(box, (480, 480), (width, 27), labels, others)
    assert left >= 0
    assert top >= 0
    assert (right - left + 1, bottom - top + 1) == (width, 27)
    assert right < 480
    assert bottom < 480


def test_labels_avoid_each_other_and_other_animals():
    first = place_label((100, 100, 200, 200), (480, 480), (120, 27), [], [])
    second = place_label((100, 100, 200, 200), (480, 480), (120, 27), [first], [])
    assert second[1] > first[3]
    away = place_label((100, 100, 200, 200), (480, 480), (120, 27), [], [(90, 60, 210, 98)])
    assert away[1] >= 200


def test_a_picture_full_of_labels_still_gets_another():
    everything = [(0, 0, 479, 479)]
    assert place_label((100, 100, 200, 200), (480, 480), (120, 27), everything, everything)[0] == 100


def test_the_drawing_stays_near_the_box(row):
    top, bottom, left, right = changed(draw_animals(GREY, [row(4.2, xyxy=(0.25, 0.5, 0.75, 0.75))]))
    assert (bottom, left, right) == (270, 119, 360)
    assert 140 <= top < 179
