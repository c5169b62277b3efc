"""Selects the seconds to label: those whose labels reduce the variance of the site's errors most.

Greedy: each next second is the one whose label would lower the variance of the site's errors most, summed over all rows
and in metres. Which that is depends on the answers and boxes alone, so that no label is needed to choose.
"""

from __future__ import annotations

import numpy as np

from trapmeter.calibration.gaussian_process import Covariance, SiteRows

MAX_ROWS = 400
"""Rows of a site that are weighed; of more, as many evenly spread ones."""


def select_labels(rows: SiteRows, count: int, covariance: Covariance) -> list[int]:
    """The positions of the rows to label, best first; fewer than count where the site has fewer.

    Videos come once each before one comes a second time: seconds of one video tell much the same.
    """
    considered = np.unique(np.linspace(0, len(rows.has_box) - 1, min(MAX_ROWS, len(rows.has_box))).round().astype(int))
    some = rows.take(considered)
    alike = covariance.between(some, some)
    seen = alike + covariance.within_videos(some)
    # An error of so much in log(1 + metres) is (1 + metres) times as much in metres.
    weight = np.exp(2 * some.prediction_log)
    picked: list[int] = []
    times = np.zeros(int(some.video.max(initial=-1)) + 1, np.int64)
    left = np.ones(len(considered), bool)
    for _ in range(min(count, len(considered))):
        turn = times[some.video]
        may = np.flatnonzero(left & (turn == turn[left].min()))
        gain = (weight[:, None] * alike[:, may] ** 2).sum(axis=0) / np.diag(seen)[may]
        best = int(may[int(gain.argmax())])
        picked.append(int(considered[best]))
        left[best] = False
        times[some.video[best]] += 1
        told, own = alike[:, best].copy(), seen[:, best].copy()
        alike = alike - np.outer(told, own) / own[best]
        seen = seen - np.outer(own, own) / own[best] + 1e-12 * np.eye(len(considered))
    return picked
