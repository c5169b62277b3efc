"""A small neural network on the same features as the trees, trained in numpy."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from trapmeter.boxmodel.box_groups import Ints
from trapmeter.boxmodel.intervals import Flags, Floats
from trapmeter.boxmodel.settings import BoxModelSettings
from trapmeter.boxmodel.training_data import TrainingTable, View, view_weights
from trapmeter.errors import MissingExtraError

Floats32 = NDArray[np.float32]

CLIP = 3.0
"""Scaled values stay within -CLIP..CLIP: what lies far outside the training must not be multiplied on."""
TAILS = (0.05, 0.95)
SD_BETWEEN_TAILS = 3.3
"""Standard deviations between the TAILS of a bell curve."""
MIN_SCALE = 1e-3


@dataclass(frozen=True, slots=True)
class FeatureScaler:
    """How features become a network's inputs: (x - centre) / scale, clipped, 0 where unknown; then the marks.

    centre, scale: length F. marked: numbers of the features whose NaN is marked by an input of its own, one for each
    way in which features are unknown together.
    """

    centre: Floats32
    scale: Floats32
    marked: NDArray[np.int64]

    def __call__(self, rows: Floats32) -> Floats32:
        """From n x F, NaN where unknown, to n x (F + len(marked))."""
        unknown = np.isnan(rows)
        scaled = np.clip(np.where(unknown, np.float32(0), (rows - self.centre) / self.scale), -CLIP, CLIP)
        return np.concatenate([scaled, unknown[:, self.marked]], axis=1, dtype=np.float32)


def fit_feature_scaler(full: Floats32, all_views: Floats32) -> FeatureScaler:
    """Centre and scale of features as they are with all context (full), marks of what any view leaves out."""
    centre, scale = np.zeros(full.shape[1]), np.ones(full.shape[1])
    known = ~np.isnan(full).all(axis=0)
    if known.any():
        low, centre[known], high = np.nanquantile(full[:, known], [TAILS[0], 0.5, TAILS[1]], axis=0)
        scale[known] = np.maximum((high - low) / SD_BETWEEN_TAILS, MIN_SCALE)
    unknown = np.isnan(all_views)
    first: dict[bytes, int] = {}
    for feature, column in enumerate(unknown.T):
        if column.any() and not column.all():
            first.setdefault(column.tobytes(), feature)
    marked = np.array(list(first.values()), dtype=np.int64)
    return FeatureScaler(centre.astype(np.float32), scale.astype(np.float32), marked)


@dataclass(frozen=True, slots=True)
class BoxNetwork:
    """Layers with x sigmoid(x) between them (SiLU; Elfwing et al. 2018).

    weights[i]: inputs x outputs of layer i; biases[i]: its outputs.
    """

    inputs: FeatureScaler
    weights: tuple[Floats32, ...]
    biases: tuple[Floats32, ...]

    def predict(self, rows: Floats32) -> Floats:
        """The target of n rows of features (n x F). Reckoned in float64, as the file on disk does."""
        values = self.inputs(rows).astype(np.float64)
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            values = values @ weight.astype(np.float64) + bias
            values = values * expit(values)
        answer: Floats = (values @ self.weights[-1].astype(np.float64) + self.biases[-1])[:, 0]
        return answer


LAYERS = 2
"""Hidden ones."""
BATCH = 256
PEAK_LEARNING_RATE = 2e-3
WARM_UP_SHARE = 0.15
"""Share of the steps in which the rate rises."""
WEIGHT_DECAY = 0.3
HUBER_DELTA = 0.2
"""Errors below this count squared, larger ones by their size (log(1 + metres); Huber 1964)."""
MEAN_DECAY, SQUARE_DECAY, EPSILON = 0.9, 0.999, 1e-8
"""AdamW's usual constants."""


def limit_blas_threads() -> AbstractContextManager[object]:
    """Keeps numpy's matrix products to the thread that asks for them, for the whole process while it lasts.

    The products are small: threads of their own spin while they wait, and on a busy machine took four times the CPU.

    Raises:
        MissingExtraError: threadpoolctl is not installed.
    """
    try:
        from threadpoolctl import threadpool_limits
    except ImportError as error:
        raise MissingExtraError("threadpoolctl", "boxmodel") from error
    limits: AbstractContextManager[object] = threadpool_limits(1)
    return limits


def fit_networks(table: TrainingTable, rows: Flags, settings: BoxModelSettings) -> tuple[BoxNetwork, ...]:
    """settings.networks networks, each fitted to its own draw of the sites among the marked rows (n) of the table."""
    weights = view_weights(settings)
    seen = {view: table.features[view][rows] for view in weights}
    inputs = fit_feature_scaler(seen[View.FULL], np.concatenate(list(seen.values())))
    prepared = np.stack([inputs(values) for values in seen.values()])
    shares = np.array(list(weights.values())) / sum(weights.values())
    target, site_index = table.target[rows], table.site_index[rows]
    networks = []
    for index in range(settings.networks):
        rng = np.random.default_rng(settings.seed + index)
        drawn = _draw_rows(site_index, settings.network_site_share, rng)
        learner = _fit(prepared[:, drawn], shares, target[drawn], settings, rng)
        networks.append(BoxNetwork(inputs, tuple(learner.weights), tuple(learner.biases)))
    return tuple(networks)


def _draw_rows(place: Ints, share: float, rng: np.random.Generator) -> Ints:
    """The rows of this share of the sites, at least one."""
    sites = np.unique(place)
    drawn = rng.permutation(sites)[: max(1, round(share * len(sites)))]
    return np.flatnonzero(np.isin(place, drawn))


def _fit(
    prepared: Floats32, shares: Floats, target: Floats, settings: BoxModelSettings, rng: np.random.Generator
) -> _Trainer:
    """prepared: views x rows x inputs; shares: how often a row is shown under each view."""
    n, batch = len(target), min(BATCH, len(target))
    learner = _Trainer(prepared.shape[2], settings, float(np.median(target)), rng)
    steps = settings.network_epochs * (n // batch)
    done = 0
    for _ in range(settings.network_epochs):
        order, view = rng.permutation(n), rng.choice(len(shares), n, p=shares)
        for start in range(0, n - batch + 1, batch):
            chosen = order[start : start + batch]
            learner.step(prepared[view[chosen], chosen], target[chosen], _learning_rate(done / steps))
            done += 1
    return learner


def _learning_rate(done: float) -> float:
    """The learning rate after this share of all steps."""
    if done < WARM_UP_SHARE:
        return PEAK_LEARNING_RATE * done / WARM_UP_SHARE
    return PEAK_LEARNING_RATE * 0.5 * (1 + float(np.cos(np.pi * (done - WARM_UP_SHARE) / (1 - WARM_UP_SHARE))))


class _Trainer:
    """Weights on their way, and AdamW's memory of their slopes. Weights and biases are parts of one array, `_values`."""

    def __init__(self, width_in: int, settings: BoxModelSettings, usual: float, rng: np.random.Generator) -> None:
        widths = [width_in, *[settings.network_width] * LAYERS, 1]
        shapes = [*pairwise(widths), *((width,) for width in widths[1:])]
        ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
        self._values = np.zeros(int(ends[-1]), np.float32)
        self._decay = np.zeros_like(self._values)
        parts = [part.reshape(shape) for part, shape in zip(np.split(self._values, ends[:-1]), shapes, strict=True)]
        self.weights, self.biases = parts[: LAYERS + 1], parts[LAYERS + 1 :]
        self._decay[: ends[LAYERS]] = WEIGHT_DECAY
        # He et al. 2015. The last layer starts at 0, so that the first answer is the median.
        for weight in self.weights[:-1]:
            weight[:] = rng.standard_normal(weight.shape) * np.sqrt(2 / len(weight))
        self.biases[-1][:] = usual
        self._drop = settings.network_dropout
        self._rng = rng
        self._mean, self._square = np.zeros_like(self._values), np.zeros_like(self._values)
        self._steps = 0

    def step(self, inputs: Floats32, target: Floats, rate: float) -> None:
        """One step on a batch: inputs (b x i), target (b)."""
        reached, gates = [inputs], []
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            here = reached[-1] @ weight + bias
            open_, kept = expit(here), self._mask(here.shape)
            gates.append(open_ * (1 + here * (1 - open_)) * kept)
            reached.append(here * open_ * kept)
        answer = reached[-1] @ self.weights[-1] + self.biases[-1]
        error = answer - target[:, None].astype(np.float32)
        slope = np.clip(error / np.float32(HUBER_DELTA), -1, 1) / np.float32(len(target))
        of_weights, of_biases = [], []
        for layer in range(LAYERS, -1, -1):
            of_weights.append((reached[layer].T @ slope).reshape(-1))
            of_biases.append(slope.sum(axis=0))
            if layer:
                slope = (slope @ self.weights[layer].T) * gates[layer - 1]
        self._descend(np.concatenate([*of_weights[::-1], *of_biases[::-1]]), rate)

    def _descend(self, slope: Floats32, rate: float) -> None:
        self._steps += 1
        self._mean += (1 - MEAN_DECAY) * (slope - self._mean)
        self._square += (1 - SQUARE_DECAY) * (slope * slope - self._square)
        mean, square = self._mean / (1 - MEAN_DECAY**self._steps), self._square / (1 - SQUARE_DECAY**self._steps)
        self._values -= rate * (mean / (np.sqrt(square) + EPSILON) + self._decay * self._values)

    def _mask(self, shape: tuple[int, ...]) -> Floats32:
        """Dropout: 0 with the probability of dropout, else what keeps the mean (Srivastava et al. 2014)."""
        kept = self._rng.random(shape, dtype=np.float32) >= self._drop
        return kept.astype(np.float32) / np.float32(1 - self._drop)
