"""A picture of what was corrected: a panel a site, distances after against those before, and the labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trapmeter.files import whole_path

MOST_PANELS = 12
COLUMNS = 4


@dataclass(frozen=True, slots=True)
class SitePanel:
    """before_m, after_m: a site's distances; labels: pairs of the distance before and the true one."""

    site_id: str
    before_m: tuple[float, ...]
    after_m: tuple[float, ...]
    labels: tuple[tuple[float, float], ...]


def draw_sites(panels: Sequence[SitePanel], path: Path) -> None:
    """Draws the sites with the most rows into a PNG file; the others are in the table."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    shown = sorted(panels, key=lambda panel: (-len(panel.before_m), panel.site_id))[:MOST_PANELS]
    n_rows = max(1, math.ceil(len(shown) / COLUMNS))
    n_columns = max(1, min(COLUMNS, len(shown)))
    with mpl.rc_context():
        mpl.rcdefaults()
        # A site's name may hold a dollar sign, which is no formula.
        mpl.rcParams.update({"text.parse_math": False, "font.size": 9})
        figure = Figure(figsize=(3.2 * n_columns, 3.0 * n_rows), layout="constrained")
        axes_of = figure.subplots(n_rows, n_columns, squeeze=False)
        for axes in axes_of.flat[len(shown) :]:
            axes.set_axis_off()
        for axes, panel in zip(axes_of.flat, shown, strict=False):
            end = 1.05 * max(
                *panel.before_m, *panel.after_m, *(metres for pair in panel.labels for metres in pair), 1.0
            )
            axes.plot([0, end], [0, end], color="#8a8f98", linewidth=1, linestyle=(0, (4, 3)))
            axes.plot(panel.before_m, panel.after_m, ".", color="#2f6f8f", alpha=0.5, markersize=4, label="after")
            if panel.labels:
                axes.plot(*zip(*panel.labels, strict=True), "x", color="#b3432f", markersize=6, label="labels")
            axes.set(title=panel.site_id, xlim=(0, end), ylim=(0, end), xlabel="before (m)", ylabel="after (m)")
            axes.legend(fontsize=8, frameon=False)
        with whole_path(path) as partial:
            figure.savefig(partial, format="png", dpi=110)
