"""Learns the constants of trapmeter.calibration.gaussian_process from held-out errors of the box model.

    trapmeter boxmodel evaluate --tables deep-chimpact --out DIR
    python benchmarks/learn_covariance.py DIR/oof.csv --tables deep-chimpact

Marginal likelihood of the errors of all sites (Rasmussen and Williams 2006, chapter 5), at most 60 rows a site, by
L-BFGS in the logarithms of the constants, with a weak pull towards where it starts.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from trapmeter.boxmodel.training_data import read_labelled_observations
from trapmeter.calibration.gaussian_process import MAX_ERROR_LOG, NEAR_IN_VIDEO, Covariance, SiteRows, make_site_rows

Floats = NDArray[np.float64]

MOST_ROWS = 60
PULL = 0.5
VARIANCES = ("site", "prediction", "box", "prediction_and_box", "video", "video_near", "second", "second_without_box")
START = Covariance(0.03, 0.02, 0.02, 0.02, 1.0, (1.0, 1.0, 2.7, 2.7), 0.05, 0.03, 0.03, 0.03)


@dataclass(frozen=True, slots=True, eq=False)
class Site:
    """A site's rows, their true log(1 + metres), and their media."""

    name: str
    rows: SiteRows
    truth_log: Floats
    media: NDArray[np.str_]


def read_sites(oof: Path, tables: Path) -> list[Site]:
    """The sites of `trapmeter boxmodel evaluate`, each row with its box and its held-out answer."""
    seen = {(s.observation.media_id, s.observation.time_s): s.observation for s in read_labelled_observations(tables)}
    by_site = defaultdict(list)
    with oof.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            by_site[row["site_id"]].append(row)
    sites = []
    for name, found in sorted(by_site.items()):
        observations = [seen[row["media_id"], float(row["time_s"])] for row in found]
        answer = np.log1p(np.array([float(row["full_distance_m"]) for row in found]))
        truth = np.log1p(np.array([float(row["truth_m"]) for row in found]))
        sites.append(
            Site(name, make_site_rows(observations, answer), truth, np.array([row["media_id"] for row in found]))
        )
    return sites


def learn(sites: Sequence[Site], seed: int = 0) -> Covariance:
    """The constants that make the sites' errors most likely."""
    rng = np.random.default_rng(seed)
    parts = [_Parts.of(site, rng) for site in sites]
    start = _pack(START)

    def loss(logs: Floats) -> tuple[float, Floats]:
        off = logs - start
        value, slope = 0.5 * PULL * float(off @ off), PULL * off
        for part in parts:
            more, steeper = part.loss(logs)
            value, slope = value + more, slope + steeper
        return value, slope

    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 40}, bounds=[(-9, 3)] * len(start))
    return _unpack(found.x)


@dataclass(frozen=True, slots=True, eq=False)
class _Parts:
    """What of a site's likelihood doesn't change with the constants. apart: 5 squared differences, each n x n."""

    error: Floats
    apart: Floats
    both_boxed: Floats
    same: Floats
    near: Floats
    no_box: Floats

    @staticmethod
    def of(site: Site, rng: np.random.Generator) -> _Parts:
        n = len(site.truth_log)
        index = np.sort(rng.choice(n, min(MOST_ROWS, n), replace=False))
        rows, truth = site.rows.take(index), site.truth_log[index]
        apart = (rows.coordinates[:, None, :] - rows.coordinates[None, :, :]) ** 2
        same = (rows.video[:, None] == rows.video[None, :]).astype(float)
        return _Parts(
            np.clip(truth - rows.prediction_log, -MAX_ERROR_LOG, MAX_ERROR_LOG),
            np.moveaxis(apart, 2, 0),
            (rows.has_box[:, None] & rows.has_box[None, :]).astype(float),
            same,
            same * np.exp(-0.5 * apart[..., :2].sum(axis=2) / NEAR_IN_VIDEO**2),
            np.diag((~rows.has_box).astype(float)),
        )

    def loss(self, logs: Floats) -> tuple[float, Floats]:
        """Minus the log likelihood, and its slope in the logarithms."""
        amount, length = np.exp(logs[: len(VARIANCES)]), np.exp(-2 * logs[len(VARIANCES) :])
        answer = np.exp(-0.5 * self.apart[0] * length[0])
        box = np.exp(-0.5 * np.tensordot(length[1:], self.apart[1:], 1)) * self.both_boxed
        one, eye = np.ones_like(answer), np.eye(len(self.error))
        kinds = (one, answer, box, answer * box, self.same, self.near, eye, self.no_box)
        inverse = np.linalg.inv(sum(a * kind for a, kind in zip(amount, kinds, strict=True)))
        told = inverse @ self.error
        value = 0.5 * self.error @ told - 0.5 * np.linalg.slogdet(inverse)[1]
        steep = 0.5 * (inverse - np.outer(told, told))
        by_answer = steep * (amount[1] * answer + amount[3] * answer * box)
        by_box = steep * (amount[2] * box + amount[3] * answer * box)
        slope = [a * (steep * kind).sum() for a, kind in zip(amount, kinds, strict=True)]
        slope += [(by_answer * self.apart[0]).sum() * length[0]]
        slope += [(by_box * d).sum() * q for d, q in zip(self.apart[1:], length[1:], strict=True)]
        return float(value), np.array(slope)


def _pack(covariance: Covariance) -> Floats:
    lengths = (covariance.prediction_length, *covariance.box_lengths)
    return np.log([*(getattr(covariance, name) for name in VARIANCES), *lengths])


def _unpack(logs: Floats) -> Covariance:
    numbers = [float(f"{number:.3g}") for number in np.exp(logs)]
    variances = dict(zip(VARIANCES, numbers, strict=False))
    prediction, edge, height, middle, shape = numbers[len(VARIANCES) :]
    return Covariance(**variances, prediction_length=prediction, box_lengths=(edge, height, middle, shape))


def main() -> None:
    """Prints the constants."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("oof", type=Path)
    parser.add_argument("--tables", type=Path, required=True)
    arguments = parser.parse_args()
    print(learn(read_sites(arguments.oof, arguments.tables)))


if __name__ == "__main__":
    main()
