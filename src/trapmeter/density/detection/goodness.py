"""Goodness of fit: chi-square by bin, Kolmogorov-Smirnov and Cramer-von Mises tests.

All of them assume independent observations. Camera traps detect an animal several times in a row, so p-values are far too
small; use the ratio of chi-square to its degrees of freedom instead, as selection.py does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from trapmeter.density.detection.quadrature import Floats


@dataclass(frozen=True, slots=True)
class BinCount:
    """Detections in low_m < r <= high_m: observed, and expected from the fit."""

    low_m: float
    high_m: float
    observed: float
    expected: float


@dataclass(frozen=True, slots=True)
class ChiSquare:
    """Pearson's chi-square over bins; p (0..1) is None if df is 0, because then any data agree."""

    bins: tuple[BinCount, ...]
    statistic: float
    df: int
    p: float | None

    @property
    def per_df(self) -> float | None:
        """The overdispersion factor c-hat of Howe et al. (2019): 1 for independent observations and the right model."""
        return self.statistic / self.df if self.df else None


@dataclass(frozen=True, slots=True)
class ExactGoodness:
    """Statistics of the difference between fitted and empirical distribution; p-values (0..1) take parameters as known.

    If the parameters were fitted to the same distances, true p-values are smaller (Buckland et al. 2004, section 11.11).
    """

    ks: float
    ks_p: float
    cvm: float
    cvm_p: float


def chi_square(edges_m: Floats, counts: Floats, shares: Floats, n_parameters: int) -> ChiSquare:
    """Compares counts by bin with the expected shares (0..1) of a fit; df = bins - 1 - n_parameters, at least 0."""
    from scipy.special import chdtrc

    expected = np.maximum(counts.sum() * shares, 1e-300)
    statistic = float(((counts - expected) ** 2 / expected).sum())
    df = max(len(counts) - 1 - n_parameters, 0)
    bins = zip(edges_m[:-1].tolist(), edges_m[1:].tolist(), counts.tolist(), expected.tolist(), strict=True)
    return ChiSquare(tuple(BinCount(*row) for row in bins), statistic, df, float(chdtrc(df, statistic)) if df else None)


def exact_goodness(probability: Floats, weights: Floats) -> ExactGoodness:
    """Compares fitted cumulative probabilities of the observations (n, 0..1) with the uniform distribution.

    weights: of the observations (n, > 0); their sum is the sample size. With weights of 1 these are the usual statistics
    (Buckland et al. 2004, section 11.11).
    """
    from scipy.special import kolmogorov

    order = np.argsort(probability, kind="stable")
    fitted, weight = probability[order], weights[order]
    n = float(weight.sum())
    empirical = np.concatenate([[0.0], np.cumsum(weight) / n])
    ks = float(max((empirical[1:] - fitted).max(), (fitted - empirical[:-1]).max()))
    # The integral of (F_n(u) - u)^2 over u, between neighbouring observations, where F_n is constant.
    low, high = np.concatenate([[0.0], fitted]), np.concatenate([fitted, [1.0]])
    cvm = n * float((((high - empirical) ** 3 - (low - empirical) ** 3) / 3).sum())
    return ExactGoodness(ks, float(kolmogorov(math.sqrt(n) * ks)), cvm, _cvm_p(cvm))


def _cvm_p(statistic: float) -> float:
    """The tail of the limiting distribution of the Cramer-von Mises statistic (Csorgo & Faraway 1996, equation 1.2)."""
    from scipy.special import gamma, kve

    if statistic < 1e-3:
        return 1.0
    k = np.arange(40)
    exponent = (4 * k + 1) ** 2 / (16 * statistic)
    # kve is scaled by exp(+exponent), so the exponents add up to -2 exponent.
    terms = gamma(k + 0.5) / (gamma(k + 1.0) * math.pi) * np.sqrt(4 * k + 1) * np.exp(-2 * exponent)
    return float(np.clip(1.0 - (terms * kve(0.25, exponent)).sum() / math.sqrt(math.pi * statistic), 0.0, 1.0))
