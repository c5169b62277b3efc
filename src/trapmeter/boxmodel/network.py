"""A small neural network on the same features as the trees: scaled numbers and marks of unknown ones in, one number out.

Alone it is worse than the trees at new sites; averaged with them it makes them better, since it errs elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from trapmeter.boxmodel.intervals import Floats

Singles = NDArray[np.float32]

CLIP = 3.0
"""Scaled values stay within -CLIP..CLIP: what lies far outside the training must not be multiplied on."""
TAILS = (0.05, 0.95)
TAILS_APART = 3.3
"""Standard deviations between the TAILS of a bell curve."""
MIN_SCALE = 1e-3


@dataclass(frozen=True, slots=True)
class Inputs:
    """How features become a network's inputs: (x - centre) / scale, clipped, 0 where unknown; then the marks.

    centre, scale: length F. marked: numbers of the features whose NaN is marked by an input of its own, one for each
    way in which features are unknown together.
    """

    centre: Singles
    scale: Singles
    marked: NDArray[np.int64]

    def __call__(self, rows: Singles) -> Singles:
        """From n x F, NaN where unknown, to n x (F + len(marked))."""
        unknown = np.isnan(rows)
        scaled = np.clip(np.where(unknown, np.float32(0), (rows - self.centre) / self.scale), -CLIP, CLIP)
        return np.concatenate([scaled, unknown[:, self.marked]], axis=1, dtype=np.float32)


def learn_inputs(full: Singles, all_views: Singles) -> Inputs:
    """Centre and scale of features as they are with all context (full), marks of what any view leaves out."""
    centre, scale = np.zeros(full.shape[1]), np.ones(full.shape[1])
    known = ~np.isnan(full).all(axis=0)
    if known.any():
        low, centre[known], high = np.nanquantile(full[:, known], [TAILS[0], 0.5, TAILS[1]], axis=0)
        scale[known] = np.maximum((high - low) / TAILS_APART, MIN_SCALE)
    unknown = np.isnan(all_views)
    first: dict[bytes, int] = {}
    for feature, column in enumerate(unknown.T):
        if column.any() and not column.all():
            first.setdefault(column.tobytes(), feature)
    marked = np.array(list(first.values()), dtype=np.int64)
    return Inputs(centre.astype(np.float32), scale.astype(np.float32), marked)


@dataclass(frozen=True, slots=True)
class Network:
    """Layers with x sigmoid(x) between them (SiLU; Elfwing et al. 2018).

    weights[i]: inputs x outputs of layer i; biases[i]: its outputs.
    """

    inputs: Inputs
    weights: tuple[Singles, ...]
    biases: tuple[Singles, ...]

    def predict(self, rows: Singles) -> Floats:
        """The target of n rows of features (n x F). Reckoned in float64, as the file on disk does."""
        values = self.inputs(rows).astype(np.float64)
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            values = values @ weight.astype(np.float64) + bias
            values = values * expit(values)
        answer: Floats = (values @ self.weights[-1].astype(np.float64) + self.biases[-1])[:, 0]
        return answer
