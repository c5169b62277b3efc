"""Errors of the estimates against known distances, overall and by distance; pure, and in metres."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trapmeter import metrics
from trapmeter.records import Estimate
from trapmeter.tables.truth import TruthRow, match_truth
from trapmeter.uncertainty import DRAW_LEVELS


@dataclass(frozen=True, slots=True)
class ErrorSummary:
    """Errors of n estimates.

    bias_m: mean of estimate minus truth, positive if estimates are too far. coverage: share (0..1) of truths inside their
    90 % interval.
    """

    n: int
    mae_m: float
    bias_m: float
    coverage: float


@dataclass(frozen=True, slots=True)
class BandErrors:
    """Errors for true distances of low_m up to, but not including, high_m; None if there is no such truth."""

    low_m: float
    high_m: float
    errors: ErrorSummary | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Estimates against known distances.

    n_hidden: truths without an animal in the picture. errors: None if nothing matched. mae_interval_m: 95 % bootstrap
    interval over n_groups groups, None if there is only one. is_by_site: whether groups are sites; otherwise they are media.
    baseline_mae_m: the error of estimating every distance as the median of the matched truths. pairs_m: (truth, estimate).
    levels: for each of a row's draws, the share of truths that should lie below it and the share that does, both 0..1; ()
    if rows have no draws.
    """

    n_truth: int
    n_hidden: int
    n_matched: int
    n_groups: int
    is_by_site: bool
    errors: ErrorSummary | None
    mae_interval_m: tuple[float, float] | None
    baseline_mae_m: float | None
    mean_width_m: float | None
    bands: tuple[BandErrors, ...]
    pairs_m: tuple[tuple[float, float], ...]
    levels: tuple[tuple[float, float], ...] = ()

    @property
    def n_unmatched(self) -> int:
        """Known distances without an estimate; n_hidden of them show no animal in the picture."""
        return self.n_truth - self.n_matched


def compare(estimates: Sequence[Estimate], truth: Sequence[TruthRow]) -> Comparison:
    """Compares each known distance with its estimate.

    Raises:
        InputError: a name is ambiguous between estimates and truth.
    """
    pairs = match_truth(estimates, truth)
    has_boxes = any(row.box is not None for row in truth)
    n_hidden = sum(row.box is None for row in truth) if has_boxes else 0
    is_by_site = any(estimate.observation.site_id for estimate, _ in pairs)
    groups = [_group(estimate, is_by_site=is_by_site) for estimate, _ in pairs]
    n_groups = len(set(groups))
    if not pairs:
        return Comparison(len(truth), n_hidden, 0, 0, is_by_site, None, None, None, None, (), ())
    # Columns: low, estimate, high, truth.
    table = np.array(
        [(d.low_m, d.distance_m, d.high_m, row.distance_m) for estimate, row in pairs if (d := estimate.distance)]
    )
    low, estimate_m, high, truth_m = table.T
    absolute = np.abs(estimate_m - truth_m)
    return Comparison(
        len(truth),
        n_hidden,
        len(pairs),
        n_groups,
        is_by_site,
        _errors(table),
        metrics.bootstrap_interval(absolute, groups) if n_groups > 1 else None,
        metrics.median_baseline_mae(truth_m),
        metrics.mean_width(low, high),
        tuple(
            BandErrors(band.low_m, band.high_m, _errors(table[band.index]) if len(band.index) else None)
            for band in metrics.by_band(truth_m, metrics.BANDS_M)
        ),
        tuple(zip(truth_m.tolist(), estimate_m.tolist(), strict=True)),
        _quantile_levels([(estimate.distance.draws_m, row.distance_m) for estimate, row in pairs if estimate.distance]),
    )


def _errors(table: metrics.Numbers) -> ErrorSummary:
    low, estimate_m, high, truth_m = table.T
    return ErrorSummary(
        len(table),
        metrics.mae(estimate_m, truth_m),
        metrics.bias(estimate_m, truth_m),
        metrics.coverage(low, high, truth_m),
    )


def _quantile_levels(rows: Sequence[tuple[tuple[float, ...], float]]) -> tuple[tuple[float, float], ...]:
    with_draws = [(draws, truth) for draws, truth in rows if draws]
    if not with_draws:
        return ()
    # A truth equal to a draw, as happens with rounded ones, counts half.
    draws, truth = np.array([draws for draws, _ in with_draws]), np.array([truth for _, truth in with_draws])[:, None]
    shares = ((truth < draws).mean(axis=0) + (truth <= draws).mean(axis=0)) / 2
    return tuple(zip(DRAW_LEVELS, shares.tolist(), strict=True))


def _group(estimate: Estimate, *, is_by_site: bool) -> tuple[str, str]:
    """The site, or the medium if groups are media or it has no site."""
    observation = estimate.observation
    if is_by_site and observation.site_id:
        return observation.site_id, ""
    return "", observation.media_id
