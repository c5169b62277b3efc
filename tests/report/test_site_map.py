"""The map of the sites: lengths, sizes and colours."""

import math
import xml.etree.ElementTree as ET

import pytest

from trapmeter.records import Status
from trapmeter.report.distance_statistics import site_figures
from trapmeter.report.site_map import EMPTY_COLOUR, colour_of, project, scale_bar_m, site_map
from trapmeter.tables.site_locations import SiteLocation


def test_the_projection_keeps_lengths_and_crosses_the_date_line():
    (x1, y1), (x2, y2) = project([SiteLocation(60.0, 10.0), SiteLocation(60.0, 11.0)])
    assert math.hypot(x2 - x1, y2 - y1) == pytest.approx(55_600, rel=0.01)
    (x1, _), (x2, _) = project([SiteLocation(0.0, 179.9), SiteLocation(0.0, -179.9)])
    assert x2 - x1 == pytest.approx(22_200, rel=0.01)
    (x1, y1), (x2, y2) = project([SiteLocation(1.0, 5.0), SiteLocation(2.0, 5.0)])
    assert (x1, x2) == (0, 0)
    assert y2 - y1 == pytest.approx(111_200, rel=0.01)


@pytest.mark.parametrize(("metres_per_unit", "bar_m"), [(1.0, 100), (0.7, 100), (0.6, 50), (100.0, 10_000)])
def test_scale_bars_have_round_lengths_that_fit(metres_per_unit, bar_m):
    assert scale_bar_m(metres_per_unit) == bar_m


def test_the_map_shows_the_sites_with_a_location(row):
    rows = [row(4.0, "a.mp4", site_id="<A>"), row(9.0, "b.mp4", site_id="B"), row(9.0, "c.mp4", site_id="B")]
    rows.append(row(media_id="n.mp4", site_id="N", status=Status.NO_ANIMAL))
    sites = site_figures([*rows, row(3.0, "z.mp4", site_id="Z")])
    assert site_map(sites, {}) is None
    found = site_map(
        sites,
        {
            "<A>": SiteLocation(1, 1),
            "B": SiteLocation(1.01, 1.01),
            "N": SiteLocation(1.005, 1),
            "other": SiteLocation(50, 50),
        },
    )
    assert found is not None
    assert (found.n_shown, found.unplaced) == (3, ("Z",))
    circles = [e for e in ET.fromstring(found.svg).iter() if e.tag == "circle"]
    by_name = {circle[0].text.split(":")[0]: circle.attrib for circle in circles}
    assert by_name["B"]["fill"] == colour_of(9.0) != colour_of(4.0) == by_name["<A>"]["fill"]
    assert by_name["N"]["fill"] == EMPTY_COLOUR
    assert float(by_name["B"]["r"]) > float(by_name["<A>"]["r"]) > float(by_name["N"]["r"])
    assert float(by_name["B"]["cx"]) > float(by_name["<A>"]["cx"])
    assert float(by_name["B"]["cy"]) < float(by_name["<A>"]["cy"])
