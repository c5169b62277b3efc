"""Small histograms as SVG, many of which stand beside each other: their letters stay legible however narrow they get."""

from __future__ import annotations

from html import escape

from trapmeter.report.groups import Group, Groups
from trapmeter.report.numbers import LAST_BIN_M
from trapmeter.report.plots import BLUE, GREY, INK
from trapmeter.report.words import printable

WIDTH, HEIGHT = 176, 92
_LEFT, _RIGHT, _TOP, _BASE = 6.0, 170.0, 6.0, 76.0
LEAST_BINS = 5


def panels(groups: Groups) -> list[tuple[Group, str]]:
    """Each group with its histogram; all have the same axes, so that they compare."""
    n_bins = max(groups.n_bins, LEAST_BINS)
    return [(group, panel_svg(group, n_bins, groups.top)) for group in groups.shown]


def panel_svg(group: Group, n_bins: int, top: float) -> str:
    """The shares of a group's measurements by metre, with a line at the median. top: the share that reaches the top."""
    step = (_RIGHT - _LEFT) / n_bins
    low, middle, high = group.quartiles_m
    bars = "".join(
        f'<rect x="{_LEFT + i * step + 0.05 * step:.1f}" y="{_y(share, top):.1f}" width="{0.9 * step:.1f}" '
        f'height="{_BASE - _y(share, top):.1f}"/>'
        for i, share in enumerate(group.shares)
        if share
    )
    at = _LEFT + min(middle, n_bins) * step
    ticks = "".join(
        f'<text x="{_LEFT + (metres + (0.5 if metres == LAST_BIN_M else 0)) * step:.1f}" y="{HEIGHT - 4}">'
        f"{metres}{'+' if metres == LAST_BIN_M else ''}</text>"
        for metres in range(0, n_bins + 1, 5)
        if metres < n_bins or n_bins <= LAST_BIN_M
    )
    label = (
        f"Histogram of {group.n:,} distances, {group.name}: median {middle:.1f} m, half of them between {low:.1f} and "
        f"{high:.1f} m"
    )
    return (
        f'<svg role="img" aria-label="{escape(printable(label))}" viewBox="0 0 {WIDTH} {HEIGHT}">'
        f'<g fill="{BLUE}">{bars}</g>'
        f'<path d="M{_LEFT} {_BASE}H{_RIGHT}" stroke="{GREY}" fill="none"/>'
        f'<path d="M{at:.1f} {_TOP}V{_BASE}" stroke="{INK}" stroke-dasharray="3 2" fill="none"/>'
        f'<g fill="{INK}" font-size="10" text-anchor="middle">{ticks}</g></svg>'
    )


def _y(share: float, top: float) -> float:
    return _BASE - (_BASE - _TOP) * share / top
