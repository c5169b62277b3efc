"""Trains the networks in numpy: they are small, and PyTorch would be 0.7 GB more to install.

Huber's loss, AdamW (Loshchilov and Hutter 2019), dropout, a rate that rises and falls by a cosine. In each epoch a row is
shown under a view drawn by the views' weights, where the trees learn from a copy under each. The networks may learn their
sites by heart, as long as each learns others: their mean is far better than any of them.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from itertools import pairwise

import numpy as np
from scipy.special import expit

from trapmeter.boxmodel.context import Ints
from trapmeter.boxmodel.intervals import Flags, Floats
from trapmeter.boxmodel.network import Network, Singles, learn_inputs
from trapmeter.boxmodel.settings import BoxModelSettings
from trapmeter.boxmodel.table import Table, view_weights
from trapmeter.boxmodel.views import View
from trapmeter.errors import MissingExtraError

LAYERS = 2
"""Hidden ones."""
BATCH = 256
PEAK_RATE = 2e-3
WARM_UP = 0.15
"""Share of the steps in which the rate rises."""
WEIGHT_DECAY = 0.3
BEND = 0.2
"""Errors below this count squared, larger ones by their size (log(1 + metres); Huber 1964)."""
MEAN_DECAY, SQUARE_DECAY, EPSILON = 0.9, 0.999, 1e-8
"""AdamW's usual constants."""


def one_thread_each() -> AbstractContextManager[object]:
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


def fit_networks(table: Table, rows: Flags, settings: BoxModelSettings) -> tuple[Network, ...]:
    """settings.networks networks, each fitted to its own draw of the sites among the marked rows (n) of the table."""
    weights = view_weights(settings)
    seen = {view: table.features[view][rows] for view in weights}
    inputs = learn_inputs(seen[View.FULL], np.concatenate(list(seen.values())))
    prepared = np.stack([inputs(values) for values in seen.values()])
    shares = np.array(list(weights.values())) / sum(weights.values())
    target, place = table.target[rows], table.place[rows]
    networks = []
    for index in range(settings.networks):
        rng = np.random.default_rng(settings.seed + index)
        drawn = _draw_rows(place, settings.network_site_share, rng)
        learner = _fit(prepared[:, drawn], shares, target[drawn], settings, rng)
        networks.append(Network(inputs, tuple(learner.weights), tuple(learner.biases)))
    return tuple(networks)


def _draw_rows(place: Ints, share: float, rng: np.random.Generator) -> Ints:
    """The rows of this share of the sites, at least one."""
    sites = np.unique(place)
    drawn = rng.permutation(sites)[: max(1, round(share * len(sites)))]
    return np.flatnonzero(np.isin(place, drawn))


def _fit(
    prepared: Singles, shares: Floats, target: Floats, settings: BoxModelSettings, rng: np.random.Generator
) -> _Learner:
    """prepared: views x rows x inputs; shares: how often a row is shown under each view."""
    n, batch = len(target), min(BATCH, len(target))
    learner = _Learner(prepared.shape[2], settings, float(np.median(target)), rng)
    steps = settings.network_epochs * (n // batch)
    done = 0
    for _ in range(settings.network_epochs):
        order, view = rng.permutation(n), rng.choice(len(shares), n, p=shares)
        for start in range(0, n - batch + 1, batch):
            chosen = order[start : start + batch]
            learner.step(prepared[view[chosen], chosen], target[chosen], _rate(done / steps))
            done += 1
    return learner


def _rate(done: float) -> float:
    """The learning rate after this share of all steps."""
    if done < WARM_UP:
        return PEAK_RATE * done / WARM_UP
    return PEAK_RATE * 0.5 * (1 + float(np.cos(np.pi * (done - WARM_UP) / (1 - WARM_UP))))


class _Learner:
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

    def step(self, inputs: Singles, target: Floats, rate: float) -> None:
        """One step on a batch: inputs (b x i), target (b)."""
        reached, gates = [inputs], []
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            here = reached[-1] @ weight + bias
            open_, kept = expit(here), self._mask(here.shape)
            gates.append(open_ * (1 + here * (1 - open_)) * kept)
            reached.append(here * open_ * kept)
        answer = reached[-1] @ self.weights[-1] + self.biases[-1]
        error = answer - target[:, None].astype(np.float32)
        slope = np.clip(error / np.float32(BEND), -1, 1) / np.float32(len(target))
        of_weights, of_biases = [], []
        for layer in range(LAYERS, -1, -1):
            of_weights.append((reached[layer].T @ slope).reshape(-1))
            of_biases.append(slope.sum(axis=0))
            if layer:
                slope = (slope @ self.weights[layer].T) * gates[layer - 1]
        self._descend(np.concatenate([*of_weights[::-1], *of_biases[::-1]]), rate)

    def _descend(self, slope: Singles, rate: float) -> None:
        self._steps += 1
        self._mean += (1 - MEAN_DECAY) * (slope - self._mean)
        self._square += (1 - SQUARE_DECAY) * (slope * slope - self._square)
        mean, square = self._mean / (1 - MEAN_DECAY**self._steps), self._square / (1 - SQUARE_DECAY**self._steps)
        self._values -= rate * (mean / (np.sqrt(square) + EPSILON) + self._decay * self._values)

    def _mask(self, shape: tuple[int, ...]) -> Singles:
        """Dropout: 0 with the probability of dropout, else what keeps the mean (Srivastava et al. 2014)."""
        kept = self._rng.random(shape, dtype=np.float32) >= self._drop
        return kept.astype(np.float32) / np.float32(1 - self._drop)
