from __future__ import annotations

from datetime import datetime

import pytest

from trapmeter.errors import InputError
from trapmeter.tables.density_inputs import read_activity_times, read_excluded_animals, read_media_starts


def test_times_of_day_are_read_as_hours(write):
    times = read_activity_times(write("time,site_id\n06:30,a\n23:59:30,b\n2024-05-01T14:15:00,a\n"))
    assert [time.hour for time in times] == pytest.approx([6.5, 23 + 59.5 / 60, 14.25])
    assert [time.site_id for time in times] == ["a", "b", "a"]
    chosen = read_activity_times(write("time,species\n06:30,fox\n07:30,cat\n"), species="fox", species_column="species")
    assert [time.hour for time in chosen] == [6.5]


@pytest.mark.parametrize("text", ["24:00", "12:60", "noon", "2024-05-01", "-1:00"])
def test_other_texts_are_not_times_of_day(write, text):
    with pytest.raises(InputError, match="line 2, column 'time': expected a time of day"):
        read_activity_times(write(f"time\n{text}\n"))


def test_starts_of_media_and_excluded_animals_are_read(write):
    assert read_media_starts(write("media_id,start\na.mp4,2024-05-01 06:00:00\n")) == {"a.mp4": datetime(2024, 5, 1, 6)}
    assert read_excluded_animals(write("media_id,animal_id\na.mp4,2\nb.mp4,\n")) == {("a.mp4", 2), ("b.mp4", None)}
    with pytest.raises(InputError, match="column 'animal_id': expected a whole number"):
        read_excluded_animals(write("media_id,animal_id\na.mp4,0\n"))
    with pytest.raises(InputError, match=r"lines 2 and 3: a\.mp4 appears twice"):
        read_media_starts(write("media_id,start\na.mp4,2024-05-01\na.mp4,2024-05-02\n"))
