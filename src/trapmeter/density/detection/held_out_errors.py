"""Measurement error taken from a model's predictions at held-out sites: pairs of prediction and true distance.

At each true distance the predictions of the pairs around it are used unchanged, whatever their bias and spread. Pairs of one
site are alike, so the bootstrap resamples sites: it adds the uncertainty of an error known from so many sites only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trapmeter.density.detection.measurement_error import ErrorMatrix, MeasurementError, PartlyKnownError, nodes_up_to
from trapmeter.density.detection.quadrature import Floats
from trapmeter.errors import InputError
from trapmeter.tables.csvfile import read_columns, read_rows
from trapmeter.uncertainty import spread_rounded_labels

DEEP_CHIMPACT = "deep-chimpact"
EMBEDDED_PAIRS = Path(__file__).with_name("deep_chimpact.npz")
"""(c) Max Planck Institute for Evolutionary Anthropology and Wild Chimpanzee Foundation (distances), MIT: the embedded box
model's predictions for the 15,229 labelled seconds of the public tables, each by a model trained without the site."""
PREDICTION_COLUMNS = ("distance_m", "full_distance_m")
MIN_PAIRS = 100
BANDWIDTH = 0.06
"""Standard deviation of the Gaussian kernel over log(1 + true metres): 0.36 m at 5 m, less than the rounding of labels."""
TRUTH_STEP_M = 0.05
"""Resolution of true distances."""
MIN_KERNEL_WEIGHT = 1e-6
"""Weight of pairs far from a node: at distances without pairs, the nearest ones count."""


@dataclass(frozen=True, slots=True, eq=False)
class HeldOutErrors:
    """Pairs of true and predicted distance (n, metres), and the index of the site (n; 0, 1, ...).

    Satisfies `MeasurementError`.
    """

    name: str
    truth_m: Floats
    predicted_m: Floats
    site: NDArray[np.intp]

    def matrices_for_bins(self, edges_m: Floats) -> HeldOutErrorMatrices:
        """The error matrices for the bins between edges (bins + 1, metres).

        Raises:
            InputError: the true distances end before the last edge.
        """
        # A rounded label stands for all distances around it: several copies of each pair.
        truth_m = spread_rounded_labels(self.truth_m)
        farthest_m, right_m = float(truth_m.max()), float(edges_m[-1])
        if farthest_m <= right_m:
            raise InputError(
                f"{self.name}: the true distances of the held-out predictions end at {farthest_m:g} m, so the error is "
                f"unknown up to the last cutpoint, {right_m:g} m; give cutpoints that end nearer"
            )
        copies = len(truth_m) // len(self.truth_m)
        values, value_index = np.unique(np.round(truth_m / TRUTH_STEP_M), return_inverse=True)
        # One extra bin on either side takes all other predictions.
        predicted_bin = np.searchsorted(edges_m, self.predicted_m, side="left")
        predicted_bin = np.tile(np.where(self.predicted_m == edges_m[0], 1, predicted_bin), copies)
        nodes, weights = nodes_up_to(farthest_m)
        z = (np.log1p(nodes)[:, None] - np.log1p(values * TRUTH_STEP_M)) / BANDWIDTH
        return HeldOutErrorMatrices(
            kernel=np.exp(-0.5 * z**2) + MIN_KERNEL_WEIGHT / (1 + z**4),
            cell=value_index * (len(edges_m) + 1) + predicted_bin,
            site=np.tile(self.site, copies),
            n_sites=int(self.site.max()) + 1,
            n_bins=len(edges_m) - 1,
            nodes_m=nodes,
            weights_m=weights,
            farthest_m=farthest_m,
        )


@dataclass(frozen=True, slots=True, eq=False)
class HeldOutErrorMatrices:
    """The error matrices of held-out pairs.

    kernel: weight of each different true distance at each node (nodes, values). cell: the true distance and predicted bin of
    each pair, as one index (pairs). site: of each pair (pairs).
    """

    kernel: Floats
    cell: NDArray[np.intp]
    site: NDArray[np.intp]
    n_sites: int
    n_bins: int
    nodes_m: Floats
    weights_m: Floats
    farthest_m: float

    def mean(self) -> ErrorMatrix:
        """The error matrix of all sites."""
        return self._error_matrix(np.ones(self.n_sites))

    def draw(self, rng: np.random.Generator) -> ErrorMatrix:
        """The error matrix of a resample of the sites. A single site, as without site_id, is not resampled."""
        if self.n_sites == 1:
            return self.mean()
        times_drawn = rng.multinomial(self.n_sites, np.full(self.n_sites, 1 / self.n_sites))
        return self._error_matrix(times_drawn.astype(np.float64))

    def _error_matrix(self, site_weights: Floats) -> ErrorMatrix:
        n_values = self.kernel.shape[1]
        counts = np.bincount(self.cell, site_weights[self.site], minlength=n_values * (self.n_bins + 2))
        smoothed = self.kernel @ counts.reshape(n_values, self.n_bins + 2)
        shares = smoothed[:, 1:-1] / smoothed.sum(axis=1, keepdims=True)
        return ErrorMatrix(self.nodes_m, self.weights_m, np.ascontiguousarray(shares.T), self.farthest_m)


def exempt_known_distances(
    errors: MeasurementError | None, is_by_person: Sequence[bool]
) -> tuple[MeasurementError | None, tuple[str, ...]]:
    """The measurement error when people measured some of the distances, and notes.

    Held-out predictions describe the error of the model only, so distances measured by people count as true. A random error
    was given for all distances and stays as it is.
    """
    n_known, n = sum(is_by_person), len(is_by_person)
    if not isinstance(errors, HeldOutErrors) or not n_known:
        return errors, ()
    note = f"people measured {n_known:,} of {n:,} distances, which count as true; the error applies to the others"
    return PartlyKnownError(errors, n_known / n) if n_known < n else None, (note,)


def read_held_out(source: str | Path) -> HeldOutErrors:
    """Reads held-out pairs: `deep-chimpact` for the embedded ones, or a CSV file.

    The file has the columns truth_m, distance_m (or full_distance_m) and optionally site_id, like the oof.csv of `boxmodel
    evaluate`. Each prediction must come from a model trained without the site.

    Raises:
        InputError: the file can't be read, lacks a column, or has fewer than 100 pairs.
    """
    if str(source) == DEEP_CHIMPACT:
        return _read_embedded()
    path = Path(source)
    columns = read_columns(path)
    predicted = next((name for name in PREDICTION_COLUMNS if name in columns), PREDICTION_COLUMNS[0])
    rows = [
        row
        for row in read_rows(path, required=["truth_m", predicted])
        if row.optional_text(predicted) and row.text("truth_m")
    ]
    if len(rows) < MIN_PAIRS:
        raise InputError(
            f"{path} has {len(rows)} predictions with a true distance, expected {MIN_PAIRS} or more, made at held-out sites"
        )
    sites = [row.optional_text("site_id") for row in rows]
    return HeldOutErrors(
        path.name,
        np.array([row.non_negative_number("truth_m", "metres") for row in rows]),
        np.array([row.non_negative_number(predicted, "metres") for row in rows]),
        np.unique(sites, return_inverse=True)[1].astype(np.intp),
    )


@cache
def _read_embedded() -> HeldOutErrors:
    with np.load(EMBEDDED_PAIRS, allow_pickle=False) as pairs:
        return HeldOutErrors(
            DEEP_CHIMPACT,
            pairs["truth_cm"].astype(np.float64) / 100,
            pairs["answer_cm"].astype(np.float64) / 100,
            pairs["site"].astype(np.intp),
        )
