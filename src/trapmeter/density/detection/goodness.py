"""Goodness of fit: chi-square by bin, Kolmogorov-Smirnov and Cramer-von Mises tests.

All are for independent observations. Camera traps see an animal several times in a row, so that p-values are far too small
there: use the ratio of chi-square to its degrees of freedom, as selection.py does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class BinCount:
    """Detections in low_m <= r < high_m: observed, and expected from the fit."""

    low_m: float
    high_m: float
    observed: float
    expected: float


@dataclass(frozen=True, slots=True)
class ChiSquare:
    """Pearson's chi-square over bins; p (0..1) is None where df is 0, for then any data agree."""

    bins: tuple[BinCount, ...]
    statistic: float
    df: int
    p: float | None

    @property
    def per_df(self) -> float | None:
        """The overdispersion factor c-hat of Howe et al. (2019); 1 where observations are independent and the model right."""
        return self.statistic / self.df if self.df else None


@dataclass(frozen=True, slots=True)
class ExactGoodness:
    """Distances between the fitted and the empirical distribution; p-values (0..1) take the parameters as known.

    Parameters that were fitted to the same distances make true p-values smaller (Buckland et al. 2004, section 11.11).
    """

    ks: float
    ks_p: float
    cvm: float
    cvm_p: float


def chi_square(edges_m: Floats, counts: Floats, shares: Floats, n_parameters: int) -> ChiSquare:
    """Compares counts by bin with the shares (0..1) that a fit expects; df = bins - 1 - n_parameters, at least 0."""
    from scipy.special import chdtrc

    expected = np.maximum(counts.sum() * shares, 1e-300)
    statistic = float(((counts - expected) ** 2 / expected).sum())
    df = max(len(counts) - 1 - n_parameters, 0)
    bins = zip(edges_m[:-1].tolist(), edges_m[1:].tolist(), counts.tolist(), expected.tolist(), strict=True)
    return ChiSquare(tuple(BinCount(*row) for row in bins), statistic, df, float(chdtrc(df, statistic)) if df else None)


def exact_goodness(probability: Floats, weights: Floats) -> ExactGoodness:
    """Compares fitted cumulative probabilities of the observations (n, 0..1) with the uniform distribution.

    Observations count by their weights (n, > 0), and n in the statistics is the sum of weights. With weights of 1 these are
    the usual statistics (Buckland et al. 2004, section 11.11).
    """
    from scipy.special import kolmogorov

    order = np.argsort(probability, kind="stable")
    at, weight = probability[order], weights[order]
    n = float(weight.sum())
    reached = np.concatenate([[0.0], np.cumsum(weight) / n])
    ks = float(max((reached[1:] - at).max(), (at - reached[:-1]).max()))
    # The integral of (F_n(u) - u)^2 over u, between neighbouring observations where F_n is constant.
    low, high = np.concatenate([[0.0], at]), np.concatenate([at, [1.0]])
    cvm = n * float((((high - reached) ** 3 - (low - reached) ** 3) / 3).sum())
    return ExactGoodness(ks, float(kolmogorov(math.sqrt(n) * ks)), cvm, _cvm_p(cvm))


def _cvm_p(statistic: float) -> float:
    """The tail of the limiting distribution of the Cramer-von Mises statistic (Csorgo & Faraway 1996, equation 1.2)."""
    from scipy.special import gamma, kve

    if statistic < 1e-3:
        return 1.0
    number = np.arange(40)
    odd = (4 * number + 1) ** 2 / (16 * statistic)
    # kve is scaled by exp(+odd), so that the exponents add up to -2 odd.
    terms = gamma(number + 0.5) / (gamma(number + 1.0) * math.pi) * np.sqrt(4 * number + 1) * np.exp(-2 * odd)
    return float(np.clip(1.0 - (terms * kve(0.25, odd)).sum() / math.sqrt(math.pi * statistic), 0.0, 1.0))
