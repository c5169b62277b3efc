"""Learns the constants of trapmeter.calibration.gaussian_process from held-out errors of the box model.

    trapmeter boxmodel evaluate --tables deep-chimpact --out DIR
    python benchmarks/learn_covariance.py DIR/oof.csv --tables deep-chimpact

Maximises the marginal likelihood of the errors of all sites (Rasmussen and Williams 2006, chapter 5), at most 60 rows per
site, by L-BFGS in the logarithms of the constants, with a weak prior around the start.
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

MAX_ROWS = 60
PRIOR_WEIGHT = 0.5
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
    """The sites of `trapmeter boxmodel evaluate`, each row with its box and its held-out prediction."""
    observation_at = {
        (s.observation.media_id, s.observation.time_s): s.observation for s in read_labelled_observations(tables)
    }
    by_site = defaultdict(list)
    with oof.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            by_site[row["site_id"]].append(row)
    sites = []
    for name, rows in sorted(by_site.items()):
        observations = [observation_at[row["media_id"], float(row["time_s"])] for row in rows]
        prediction = np.log1p(np.array([float(row["full_distance_m"]) for row in rows]))
        truth = np.log1p(np.array([float(row["truth_m"]) for row in rows]))
        sites.append(
            Site(name, make_site_rows(observations, prediction), truth, np.array([row["media_id"] for row in rows]))
        )
    return sites


def learn(sites: Sequence[Site], seed: int = 0) -> Covariance:
    """The constants with the greatest likelihood of the sites' errors."""
    rng = np.random.default_rng(seed)
    terms = [_SiteTerms.of(site, rng) for site in sites]
    start = _pack(START)

    def loss(logs: Floats) -> tuple[float, Floats]:
        step = logs - start
        value, gradient = 0.5 * PRIOR_WEIGHT * float(step @ step), PRIOR_WEIGHT * step
        for term in terms:
            site_value, site_gradient = term.loss(logs)
            value, gradient = value + site_value, gradient + site_gradient
        return value, gradient

    optimum = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 40}, bounds=[(-9, 3)] * len(start))
    return _unpack(optimum.x)


@dataclass(frozen=True, slots=True, eq=False)
class _SiteTerms:
    """The terms of a site's likelihood that don't depend on the constants. squared: 5 squared differences, n x n each."""

    error: Floats
    squared: Floats
    both_boxed: Floats
    same: Floats
    near: Floats
    no_box: Floats

    @staticmethod
    def of(site: Site, rng: np.random.Generator) -> _SiteTerms:
        n = len(site.truth_log)
        index = np.sort(rng.choice(n, min(MAX_ROWS, n), replace=False))
        rows, truth = site.rows.take(index), site.truth_log[index]
        squared = (rows.coordinates[:, None, :] - rows.coordinates[None, :, :]) ** 2
        same = (rows.video[:, None] == rows.video[None, :]).astype(float)
        return _SiteTerms(
            np.clip(truth - rows.prediction_log, -MAX_ERROR_LOG, MAX_ERROR_LOG),
            np.moveaxis(squared, 2, 0),
            (rows.has_box[:, None] & rows.has_box[None, :]).astype(float),
            same,
            same * np.exp(-0.5 * squared[..., :2].sum(axis=2) / NEAR_IN_VIDEO**2),
            np.diag((~rows.has_box).astype(float)),
        )

    def loss(self, logs: Floats) -> tuple[float, Floats]:
        """The negative log likelihood, and its gradient in the logarithms."""
        amount, length = np.exp(logs[: len(VARIANCES)]), np.exp(-2 * logs[len(VARIANCES) :])
        by_prediction = np.exp(-0.5 * self.squared[0] * length[0])
        box = np.exp(-0.5 * np.tensordot(length[1:], self.squared[1:], 1)) * self.both_boxed
        one, eye = np.ones_like(by_prediction), np.eye(len(self.error))
        kinds = (one, by_prediction, box, by_prediction * box, self.same, self.near, eye, self.no_box)
        inverse = np.linalg.inv(sum(a * kind for a, kind in zip(amount, kinds, strict=True)))
        weights = inverse @ self.error
        value = 0.5 * self.error @ weights - 0.5 * np.linalg.slogdet(inverse)[1]
        derivative = 0.5 * (inverse - np.outer(weights, weights))
        prediction_term = derivative * (amount[1] * by_prediction + amount[3] * by_prediction * box)
        by_box = derivative * (amount[2] * box + amount[3] * by_prediction * box)
        gradient = [a * (derivative * kind).sum() for a, kind in zip(amount, kinds, strict=True)]
        gradient += [(prediction_term * self.squared[0]).sum() * length[0]]
        gradient += [(by_box * d).sum() * q for d, q in zip(self.squared[1:], length[1:], strict=True)]
        return float(value), np.array(gradient)


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
