"""Histograms by site, by species, and by day and night."""

import xml.etree.ElementTree as ET

from trapmeter.records import Status
from trapmeter.report.groups import MAX_GROUPS, group_by_light, group_by_site, group_by_species, group_histograms


def test_groups_are_ordered_by_size_and_the_others_are_counted(row):
    rows = [row(5.0, f"{i}.mp4", site_id=f"S{i:02}") for i in range(MAX_GROUPS + 3)] + [
        row(7.0, "x.mp4", site_id="S14")
    ]
    groups = group_by_site([*rows, row(media_id="no.mp4", status=Status.NO_ANIMAL, site_id="S99")])
    assert groups is not None
    assert [group.name for group in groups.shown[:2]] == ["S14", "S00"]
    assert groups.shown[0].quartiles_m == (5.5, 6.0, 6.5)
    assert (len(groups.shown), groups.n_omitted, groups.n_rows_omitted) == (MAX_GROUPS, 3, 3)


def test_unknown_facts_make_no_groups(row):
    assert group_by_site([row()]) is None
    assert group_by_species([row()]) is None
    assert group_by_light([row()]) is None
    assert group_by_light([]) is None


def test_rows_without_known_light_are_a_group_of_their_own(row):
    groups = group_by_light([row(is_night=True), row(is_night=False), row(), row()])
    assert groups is not None
    assert [(group.name, group.n) for group in groups.shown] == [("Day", 1), ("Night", 1), ("Unknown", 2)]


def test_histograms_share_their_axes_and_describe_what_they_show(row):
    far = [row(metres, f"{metres}.mp4", species="<far>") for metres in (24.0, 40.0)]
    groups = group_by_species([*far, row(2.0, species="near")])
    assert groups is not None
    drawn = group_histograms(groups)
    labels = [ET.fromstring(svg).attrib["aria-label"] for _, svg in drawn]
    assert labels[0] == "Histogram of 2 distances, <far>: median 32.0 m, half between 28.0 and 36.0 m"
    assert all(">25+<" in svg for _, svg in drawn)
