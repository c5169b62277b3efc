"""Selects the seconds to label: those whose labels reduce the variance of the site's errors most.

The choice is greedy: each time the second whose label lowers that variance most, summed over all rows and in metres. It
depends on predictions and boxes alone, so it needs no label.
"""

from __future__ import annotations

import numpy as np

from trapmeter.calibration.gaussian_process import Covariance, SiteRows

MAX_ROWS = 400
"""The most rows of a site that are considered; of a larger site, evenly spaced ones."""


def select_labels(rows: SiteRows, count: int, covariance: Covariance) -> list[int]:
    """The positions of the rows to label, best first; fewer than count if the site has fewer.

    Each video is used once before any is used a second time: seconds of one video are much alike.
    """
    considered = np.unique(np.linspace(0, len(rows.has_box) - 1, min(MAX_ROWS, len(rows.has_box))).round().astype(int))
    candidates = rows.take(considered)
    of_site = covariance.between(candidates, candidates)
    of_labels = of_site + covariance.within_videos(candidates)
    # An error of e in log(1 + metres) is (1 + metres) e in metres.
    weight = np.exp(2 * candidates.prediction_log)
    selected: list[int] = []
    n_selected = np.zeros(int(candidates.video.max(initial=-1)) + 1, np.int64)
    left = np.ones(len(considered), bool)
    for _ in range(min(count, len(considered))):
        turn = n_selected[candidates.video]
        eligible = np.flatnonzero(left & (turn == turn[left].min()))
        gain = (weight[:, None] * of_site[:, eligible] ** 2).sum(axis=0) / np.diag(of_labels)[eligible]
        best = int(eligible[int(gain.argmax())])
        selected.append(int(considered[best]))
        left[best] = False
        n_selected[candidates.video[best]] += 1
        # What remains once this label is known.
        site_column, label_column = of_site[:, best].copy(), of_labels[:, best].copy()
        of_site = of_site - np.outer(site_column, label_column) / label_column[best]
        of_labels = of_labels - np.outer(label_column, label_column) / label_column[best]
        of_labels += 1e-12 * np.eye(len(considered))
    return selected
