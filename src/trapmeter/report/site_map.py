"""A map of the sites as SVG, with the number and the median of their distances; nothing is downloaded.

The projection is equirectangular around the middle of the sites: right within 1 % for surveys of some hundred kilometres.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from trapmeter.report.annotations import overlap
from trapmeter.report.distance_statistics import SiteFigures
from trapmeter.report.html_page import printable
from trapmeter.tables.site_locations import SiteLocation

EARTH_M = 6_371_000.0
WIDTH, MIN_HEIGHT, MAX_HEIGHT = 480.0, 200.0, 480.0
MARGIN, FOOT = 34.0, 58.0
MIN_RADIUS, MAX_RADIUS = 4.0, 17.0
MIN_EXTENT_M = 100.0
"""The map covers at least this, so that a single site or close ones aren't enlarged without end."""
CLASSES = ((0.0, "#ffffcc"), (3.0, "#a1dab4"), (5.0, "#41b6c4"), (8.0, "#2c7fb8"), (12.0, "#253494"))
"""Lowest median distance (metres) of each colour, the same for all surveys. The colours are ColorBrewer's YlGnBu, which
print well and suit colour-blind readers."""
EMPTY_COLOUR = "#ffffff"
_FONT = 11.0


@dataclass(frozen=True, slots=True)
class SiteMap:
    """The drawing, the number of sites in it, the sites without a location, and names and colours of the classes."""

    svg: str
    n_shown: int
    unplaced: tuple[str, ...]
    classes: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class _SiteCircle:
    site: SiteFigures
    x: float
    y: float
    radius: float


def site_map(sites: Sequence[SiteFigures], places: Mapping[str, SiteLocation]) -> SiteMap | None:
    """The map of the sites with a location; None if no site has one."""
    shown = [site for site in sites if site.site_id in places]
    if not shown:
        return None
    metres = project([places[site.site_id] for site in shown])
    spots, height, scale = _layout(shown, metres)
    unplaced = tuple(site.site_id for site in sites if site.site_id and site.site_id not in places)
    names = [f"{low:g}–{high:g} m" for (low, _), (high, _) in pairwise(CLASSES)]
    classes = tuple(zip([*names, f"{CLASSES[-1][0]:g} m and more"], [colour for _, colour in CLASSES], strict=True))
    return SiteMap(_svg(spots, height, scale), len(shown), unplaced, classes)


def project(places: Sequence[SiteLocation]) -> list[tuple[float, float]]:
    """Metres east and north of the middle of the locations, also on both sides of the date line."""
    longitudes = [place.longitude for place in places]
    if max(longitudes) - min(longitudes) > 180:
        longitudes = [longitude % 360 for longitude in longitudes]
    latitude_0 = (min(p.latitude for p in places) + max(p.latitude for p in places)) / 2
    longitude_0 = (min(longitudes) + max(longitudes)) / 2
    return [
        (
            EARTH_M * math.radians(longitude - longitude_0) * math.cos(math.radians(latitude_0)),
            EARTH_M * math.radians(place.latitude - latitude_0),
        )
        for place, longitude in zip(places, longitudes, strict=True)
    ]


def scale_bar_m(metres_per_unit: float) -> float:
    """The largest of 1, 2, 5, 10, 20, ... metres that fits in a third of the map's width."""
    most = metres_per_unit * WIDTH / 3
    power = 10.0 ** math.floor(math.log10(most))
    return max(factor * power for factor in (1, 2, 5) if factor * power <= most)


def colour_of(median_m: float | None) -> str:
    """The colour of a median distance (metres); EMPTY_COLOUR for None, if nothing was measured."""
    if median_m is None:
        return EMPTY_COLOUR
    return [colour for low, colour in CLASSES if low <= median_m][-1]


def _layout(
    sites: Sequence[SiteFigures], metres: Sequence[tuple[float, float]]
) -> tuple[list[_SiteCircle], float, float]:
    """Circles, the largest first since later ones lie on top; the drawing's height; and its metres per unit."""
    east, north = [x for x, _ in metres], [y for _, y in metres]
    wide = max(max(east) - min(east), MIN_EXTENT_M)
    high = max(max(north) - min(north), MIN_EXTENT_M)
    scale = max(wide / (WIDTH - 2 * MARGIN), high / (MAX_HEIGHT - 2 * MARGIN))
    height = min(max(high / scale + 2 * MARGIN, MIN_HEIGHT), MAX_HEIGHT)
    most = max((site.spread.n for site in sites if site.spread), default=1)
    spots = []
    for site, (x, y) in zip(sites, metres, strict=True):
        n = site.spread.n if site.spread else 0
        radius = MIN_RADIUS + (MAX_RADIUS - MIN_RADIUS) * math.sqrt(n / most)
        spots.append(_SiteCircle(site, WIDTH / 2 + x / scale, height / 2 - y / scale, radius))
    return sorted(spots, key=lambda spot: (-spot.radius, spot.site.site_id)), height, scale


def _svg(spots: Sequence[_SiteCircle], height: float, scale: float) -> str:
    bar_m = scale_bar_m(scale)
    bar = bar_m / scale
    bar_text = f"{bar_m / 1000:g} km" if bar_m >= 1000 else f"{bar_m:g} m"
    foot = height + FOOT - 22
    label = f"Map of {len(spots)} {'site' if len(spots) == 1 else 'sites'}; the table of sites has the same figures"
    return (
        f'<svg role="img" aria-label="{label}" viewBox="0 0 {WIDTH:g} {height + FOOT:.1f}">'
        f'<rect x="0.5" y="0.5" width="{WIDTH - 1:g}" height="{height - 1:.1f}" fill="#f4f5f3" stroke="#dcdfe3"/>'
        f"{''.join(map(_circle, spots))}"
        f'<g fill="#22272e" font-size="{_FONT:g}">{"".join(_labels(spots, height))}</g>'
        f'<path d="M12 {foot - 5:.1f}v5h{bar:.1f}v-5" stroke="#22272e" fill="none"/>'
        f'<text x="12" y="{foot + 14:.1f}" font-size="{_FONT:g}" fill="#22272e">{bar_text}</text>'
        f'<path d="M{WIDTH - 20:g} {foot:.1f}v-20l-5 8m5-8l5 8" stroke="#22272e" fill="none"/>'
        f'<text x="{WIDTH - 20:g}" y="{foot + 14:.1f}" font-size="{_FONT:g}" fill="#22272e" text-anchor="middle">N</text>'
        "</svg>"
    )


def _circle(spot: _SiteCircle) -> str:
    spread = spot.site.spread
    text = f"{spread.n:,} measurements, median {spread.median_m:.1f} m" if spread else "nothing measured"
    return (
        f'<circle cx="{spot.x:.1f}" cy="{spot.y:.1f}" r="{spot.radius:.1f}" '
        f'fill="{colour_of(spread.median_m if spread else None)}" fill-opacity="0.88" stroke="#22272e">'
        f"<title>{escape(printable(spot.site.site_id))}: {text}</title></circle>"
    )


def _labels(spots: Sequence[_SiteCircle], height: float) -> list[str]:
    """Names beside their circles, as far as there is room; all names are in the circles' titles and in the table."""
    taken = [(spot.x - spot.radius, spot.y - spot.radius, spot.x + spot.radius, spot.y + spot.radius) for spot in spots]
    labels = []
    for spot in spots:
        name = printable(spot.site.site_id)
        name = name if len(name) <= 14 else f"{name[:13]}…"
        width = 0.62 * _FONT * len(name)
        for x, y in (
            (spot.x + spot.radius + 2, spot.y + 4),
            (spot.x - spot.radius - 2 - width, spot.y + 4),
            (spot.x - width / 2, spot.y - spot.radius - 3),
            (spot.x - width / 2, spot.y + spot.radius + _FONT),
        ):
            area = (x, y - _FONT + 2, x + width, y + 2)
            is_inside = area[0] >= 2 and area[1] >= 2 and area[2] <= WIDTH - 2 and area[3] <= height - 2
            if is_inside and not any(overlap(area, other) for other in taken):
                taken.append(area)
                labels.append(f'<text x="{x:.1f}" y="{y:.1f}">{escape(name)}</text>')
                break
    return labels
