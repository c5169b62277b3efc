"""Trains small neural networks in numpy, on the same features as the trees."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.special import expit

from trapmeter.boxmodel.box_groups import Flags, Floats, Floats32, Ints
from trapmeter.boxmodel.settings import BoxModelSettings
from trapmeter.boxmodel.training_data import TrainingTable, View, view_weights
from trapmeter.errors import MissingExtraError

CLIP = 3.0
"""Scaled values are clipped to -CLIP..CLIP: a network must not extrapolate far beyond its training data."""
TAILS = (0.05, 0.95)
SD_BETWEEN_TAILS = 3.3
"""Standard deviations between the TAILS of a normal distribution."""
MIN_SCALE = 1e-3


@dataclass(frozen=True, slots=True)
class FeatureScaler:
    """Turns features into a network's inputs: (x - centre) / scale, clipped, 0 if unknown, followed by marks of NaN.

    centre, scale: length F. marked: indices of the features whose NaN gets an input of its own, one for each group of
    features that are always unknown together.
    """

    centre: Floats32
    scale: Floats32
    marked: Ints

    def __call__(self, rows: Floats32) -> Floats32:
        """Inputs, n x (F + len(marked)). rows: n x F, NaN where unknown."""
        unknown = np.isnan(rows)
        scaled = np.clip(np.where(unknown, np.float32(0), (rows - self.centre) / self.scale), -CLIP, CLIP)
        return np.concatenate([scaled, unknown[:, self.marked]], axis=1, dtype=np.float32)


def fit_feature_scaler(full: Floats32, all_views: Floats32) -> FeatureScaler:
    """A scaler with the centre and scale of the full view (n x F) and marks for what any view (m x F) leaves out."""
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
        """The target of n rows of features (n x F), computed in float64 as in the file on disk."""
        values = self.inputs(rows).astype(np.float64)
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            values = values @ weight.astype(np.float64) + bias
            values = values * expit(values)
        target: Floats = (values @ self.weights[-1].astype(np.float64) + self.biases[-1])[:, 0]
        return target


LAYERS = 2
"""Number of hidden layers."""
BATCH = 256
PEAK_LEARNING_RATE = 2e-3
WARM_UP_SHARE = 0.15
"""Share of the steps during which the learning rate rises."""
WEIGHT_DECAY = 0.3
HUBER_DELTA = 0.2
"""Errors below this count quadratically, larger ones linearly (log(1 + metres); Huber 1964)."""
MEAN_DECAY, SQUARE_DECAY, EPSILON = 0.9, 0.999, 1e-8
"""AdamW's usual constants (Loshchilov and Hutter 2019)."""


def limit_blas_threads() -> AbstractContextManager[object]:
    """Runs numpy's matrix products in the calling thread, in the entire process for as long as the context lasts.

    The products are small: BLAS's own threads spin while they wait, and took four times the CPU on a busy machine.

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
    """Fits settings.networks networks, each to its own sample of the sites among the rows marked True (n)."""
    weights = view_weights(settings)
    features = {view: table.features[view][rows] for view in weights}
    scaler = fit_feature_scaler(features[View.FULL], np.concatenate(list(features.values())))
    inputs = np.stack([scaler(values) for values in features.values()])
    shares = np.array(list(weights.values())) / sum(weights.values())
    target, weight, site_index = table.target[rows], table.weight[rows], table.site_index[rows]
    networks = []
    for index in range(settings.networks):
        rng = np.random.default_rng(settings.seed + index)
        sampled = _sample_sites(site_index, settings.network_site_share, rng)
        trainer = _fit(inputs, shares, target, sampled, weight[sampled], settings, rng)
        networks.append(BoxNetwork(scaler, tuple(trainer.weights), tuple(trainer.biases)))
    return tuple(networks)


def _sample_sites(site_index: Ints, share: float, rng: np.random.Generator) -> Ints:
    """The rows of a random share of the sites, at least one site."""
    sites = np.unique(site_index)
    sampled = rng.permutation(sites)[: max(1, round(share * len(sites)))]
    return np.flatnonzero(np.isin(site_index, sampled))


def _fit(  # noqa: PLR0917
    inputs: Floats32,
    shares: Floats,
    target: Floats,
    sampled: Ints,
    weight: Floats,
    settings: BoxModelSettings,
    rng: np.random.Generator,
) -> _Trainer:
    """inputs: views x rows x inputs. shares: how often each view is used. sampled, weight: the rows, and how often."""
    n = max(1, round(float(weight.sum())))
    batch = min(BATCH, n)
    trainer = _Trainer(inputs.shape[2], settings, float(np.median(target[sampled])), rng)
    steps = settings.network_epochs * (n // batch)
    done = 0
    chance = weight / weight.sum()
    for _ in range(settings.network_epochs):
        order = rng.permutation(sampled) if (weight == 1).all() else rng.choice(sampled, n, p=chance)
        view = rng.choice(len(shares), n, p=shares)
        for start in range(0, n - batch + 1, batch):
            rows = order[start : start + batch]
            trainer.step(inputs[view[start : start + batch], rows], target[rows], _learning_rate(done / steps))
            done += 1
    return trainer


def _learning_rate(done: float) -> float:
    """The learning rate when this share of all steps is done: a linear warm-up, then a cosine decay."""
    if done < WARM_UP_SHARE:
        return PEAK_LEARNING_RATE * done / WARM_UP_SHARE
    return PEAK_LEARNING_RATE * 0.5 * (1 + float(np.cos(np.pi * (done - WARM_UP_SHARE) / (1 - WARM_UP_SHARE))))


class _Trainer:
    """Weights in training, with AdamW's moments. Weights and biases are views of one array, `_values`."""

    def __init__(self, n_inputs: int, settings: BoxModelSettings, median: float, rng: np.random.Generator) -> None:
        widths = [n_inputs, *[settings.network_width] * LAYERS, 1]
        shapes = [*pairwise(widths), *((width,) for width in widths[1:])]
        ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
        self._values = np.zeros(int(ends[-1]), np.float32)
        self._decay = np.zeros_like(self._values)
        parts = [part.reshape(shape) for part, shape in zip(np.split(self._values, ends[:-1]), shapes, strict=True)]
        self.weights, self.biases = parts[: LAYERS + 1], parts[LAYERS + 1 :]
        self._decay[: ends[LAYERS]] = WEIGHT_DECAY
        # He et al. 2015. The last layer starts at 0, so the first prediction is the median.
        for weight in self.weights[:-1]:
            weight[:] = rng.standard_normal(weight.shape) * np.sqrt(2 / len(weight))
        self.biases[-1][:] = median
        self._dropout = settings.network_dropout
        self._rng = rng
        self._mean, self._square = np.zeros_like(self._values), np.zeros_like(self._values)
        self._steps = 0

    def step(self, inputs: Floats32, target: Floats, rate: float) -> None:
        """One step on a batch: inputs (batch x inputs), target (batch)."""
        activations, derivatives = [inputs], []
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            linear = activations[-1] @ weight + bias
            sigmoid, kept = expit(linear), self._dropout_mask(linear.shape)
            derivatives.append(sigmoid * (1 + linear * (1 - sigmoid)) * kept)
            activations.append(linear * sigmoid * kept)
        prediction = activations[-1] @ self.weights[-1] + self.biases[-1]
        error = prediction - target[:, None].astype(np.float32)
        gradient = np.clip(error / np.float32(HUBER_DELTA), -1, 1) / np.float32(len(target))
        of_weights, of_biases = [], []
        for layer in range(LAYERS, -1, -1):
            of_weights.append((activations[layer].T @ gradient).reshape(-1))
            of_biases.append(gradient.sum(axis=0))
            if layer:
                gradient = (gradient @ self.weights[layer].T) * derivatives[layer - 1]
        self._descend(np.concatenate([*of_weights[::-1], *of_biases[::-1]]), rate)

    def _descend(self, gradient: Floats32, rate: float) -> None:
        self._steps += 1
        self._mean += (1 - MEAN_DECAY) * (gradient - self._mean)
        self._square += (1 - SQUARE_DECAY) * (gradient * gradient - self._square)
        mean, square = self._mean / (1 - MEAN_DECAY**self._steps), self._square / (1 - SQUARE_DECAY**self._steps)
        self._values -= rate * (mean / (np.sqrt(square) + EPSILON) + self._decay * self._values)

    def _dropout_mask(self, shape: tuple[int, ...]) -> Floats32:
        """0 with the probability of dropout, otherwise the factor that preserves the mean (Srivastava et al. 2014)."""
        kept = self._rng.random(shape, dtype=np.float32) >= self._dropout
        return kept.astype(np.float32) / np.float32(1 - self._dropout)
