"""Plots of the report as SVG."""

import xml.etree.ElementTree as ET

import pytest

from trapmeter.report.comparison import BandErrors, ErrorSummary
from trapmeter.report.distance_statistics import IntervalBin
from trapmeter.report.plots import (
    RASTERISED_ABOVE,
    coverage_svg,
    distances_svg,
    errors_svg,
    intervals_svg,
    levels_svg,
    truth_svg,
)

BINS = [IntervalBin(3, 2.4, 1.7, 3.6), IntervalBin(1, 7.0, 4.9, 10.5)]
PLOTS = [
    lambda: distances_svg([1, 4, 2]),
    lambda: distances_svg([0] * 25 + [3]),
    lambda: intervals_svg(BINS),
    lambda: intervals_svg([IntervalBin(1, 0.0, 0.0, 0.0)]),
    lambda: truth_svg([(3.5, 3.0), (7.0, 8.0)]),
    lambda: truth_svg([(0.0, 0.0)]),
    lambda: errors_svg([(3.5, 3.0), (7.0, 8.0)], [0.0, 5.0, 100.0]),
    lambda: errors_svg([(0.0, 0.0)], [0.0, 5.0]),
    lambda: coverage_svg([BandErrors(0, 5, ErrorSummary(3, 1.0, 0.5, 0.67)), BandErrors(5, 9, None)]),
    lambda: levels_svg([(0.05, 0.1), (0.95, 0.9)]),
]


@pytest.mark.parametrize("plot", PLOTS)
@pytest.mark.filterwarnings("error")
def test_plots_are_reproducible_svg_elements(plot):
    svg = plot()
    assert svg == plot()
    assert svg.startswith("<svg ")
    assert "<style" not in svg
    root = ET.fromstring(svg)
    assert root.attrib["aria-label"]


def test_two_plots_have_different_ids():
    def ids(svg):
        return {element.attrib["id"] for element in ET.fromstring(svg).iter() if "id" in element.attrib}

    histogram, intervals = distances_svg([1, 4, 2]), intervals_svg(BINS)
    assert ids(histogram)
    assert not ids(histogram) & ids(intervals)


def test_references_point_to_ids():
    root = ET.fromstring(intervals_svg(BINS))
    ids = {element.attrib["id"] for element in root.iter() if "id" in element.attrib}
    links = {value[1:] for e in root.iter() for name, value in e.attrib.items() if name.endswith("href")}
    clips = {e.attrib["clip-path"][5:-1] for e in root.iter() if "clip-path" in e.attrib}
    assert links
    assert clips
    assert links | clips <= ids


def test_matplotlib_settings_are_restored():
    import matplotlib as mpl

    with mpl.rc_context({"font.size": 33.0}):
        distances_svg([1])
        assert mpl.rcParams["font.size"] == 33.0


def test_many_points_make_a_small_file():
    pairs = [(float(i % 20), float(i % 17)) for i in range(20 * RASTERISED_ABOVE)]
    svg = truth_svg(pairs)
    assert "data:image/png;base64," in svg
    assert len(svg) < 300_000
