"""camera-moved.png: reference photographs beside views of cameras that moved, with the reference marks in both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from trapmeter.calibration.moved_cameras import View
from trapmeter.camera.homography import carry_points
from trapmeter.files import atomic_path
from trapmeter.tables.reference_marks import Upright

MOVED_CHART = "camera-moved.png"
MAX_VIEWS = 20
MARK = "#e8590c"


def draw_views(views: Sequence[View], uprights: Mapping[tuple[str, str], Sequence[Upright]], path: Path) -> None:
    """Draws the first MAX_VIEWS views as a PNG file, a row for each.

    uprights: reference marks by site and photograph, drawn in both pictures; in the second where they were carried to.

    Raises:
        RunError: the file can't be written.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    shown = views[:MAX_VIEWS]
    with mpl.rc_context():
        mpl.rcdefaults()
        # Dollar signs in a site's name are no formula.
        mpl.rcParams.update({"text.parse_math": False, "font.size": 8})
        figure = Figure(figsize=(9.0, 3.0 * len(shown)), layout="constrained")
        grid = figure.subplots(len(shown), 2, squeeze=False)
        for (left, right), view in zip(grid, shown, strict=True):
            marks = [(mark.x, mark.y) for one in uprights.get((view.site_id, view.photo), ()) for mark in one.marks]
            homography = view.placement.homography
            carried = [] if homography is None else carry_points(marks, homography).tolist()
            media = view.media_ids[0] + (f" and {len(view.media_ids) - 1:,} more" if len(view.media_ids) > 1 else "")
            for axes, pixels, title, points in (
                (left, view.reference, f"{view.site_id}: reference {view.photo}", marks),
                (right, view.background, f"{media}\n{view.placement.reason}", carried),
            ):
                height, width = pixels.shape[:2]
                axes.imshow(pixels)
                inside = np.array([(x * width, y * height) for x, y in points if 0 <= x <= 1 and 0 <= y <= 1])
                if inside.size:
                    axes.plot(inside[:, 0], inside[:, 1], "+", color=MARK, markersize=10)
                axes.set_title(title, loc="left", wrap=True)
                axes.set_axis_off()
        with atomic_path(path) as partial_file:
            figure.savefig(partial_file, format="png", dpi=100)
