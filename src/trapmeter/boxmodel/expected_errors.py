"""How much smaller errors become at new sites when a model is told more."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean
from typing import Any

from trapmeter.boxmodel.knowledge import Knowledge
from trapmeter.boxmodel.training_data import Case, View


def error_ratio(held_out: Mapping[str, Any], before: Knowledge, after: Knowledge) -> float | None:
    """The mean error when told `after` over that when told `before`, as the mean over the parks with figures for both.

    held_out: of a bundle's card. None if no park has both figures.
    """
    names = [str(Case(View.FULL, knowledge)) for knowledge in (before, after)]
    told = str(Case(View.FULL, Knowledge.SIZE))
    ratios = [
        figures[names[1]]["mae_m"] / figures[names[0]]["mae_m"]
        for figures in held_out.get("by_park", {}).values()
        # Parks without facts have figures for nothing told alone.
        if told in figures and all(name in figures for name in names)
    ]
    return fmean(ratios) if ratios else None
