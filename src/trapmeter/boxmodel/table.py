"""What a box model learns from, as arrays: features of all samples under all views, and what the views weigh."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trapmeter.boxmodel.context import Ints
from trapmeter.boxmodel.features import features
from trapmeter.boxmodel.intervals import Flags, Floats, to_target
from trapmeter.boxmodel.samples import LabelledObservation
from trapmeter.boxmodel.settings import BoxModelSettings
from trapmeter.boxmodel.views import View, see


@dataclass(frozen=True, slots=True)
class Table:
    """Rows to learn from: features under each view (n x len(FEATURES)), target (n) and whether there is a box (n).

    place (n): 0..k-1, the number of the row's site, or of its medium where the site is unknown.
    """

    features: Mapping[View, NDArray[np.float32]]
    target: Floats
    is_boxed: Flags
    place: Ints


def build_table(samples: Sequence[LabelledObservation]) -> Table:
    """Features of all samples under all views."""
    observations = [sample.observation for sample in samples]
    return Table(
        {view: features(see(observations, view)) for view in View},
        to_target(np.array([sample.distance_m for sample in samples])),
        np.array([seen.box is not None for seen in observations]),
        np.unique([sample.place for sample in samples], return_inverse=True)[1].astype(np.int64),
    )


def view_weights(settings: BoxModelSettings) -> dict[View, float]:
    """How much a row counts under each view; views that count nothing are left out."""
    weights = {
        View.FULL: 1.0,
        View.OTHER_DETECTOR: settings.other_detector_weight,
        View.SITE_UNKNOWN: settings.site_unknown_weight,
        View.SINGLE: settings.single_weight,
    }
    return {view: weight for view, weight in weights.items() if weight > 0}
