"""Measurement error taken from a model's predictions at held-out sites.

At each true distance the answers of the pairs around it are taken as they are, whatever their bias and spread. Pairs of one
site are alike, so that the bootstrap draws sites anew: what it adds is what so many sites can't tell of the error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trapmeter.density.detection.measurement_error import ErrorMatrix, MeasurementError, PartlyKnownError, nodes_up_to
from trapmeter.errors import InputError
from trapmeter.tables.csvfile import read_columns, read_rows
from trapmeter.uncertainty import spread_rounded_labels

Floats = NDArray[np.float64]

DEEP_CHIMPACT = "deep-chimpact"
EMBEDDED_PAIRS = Path(__file__).with_name("deep_chimpact.npz")
"""(c) Max Planck Institute for Evolutionary Anthropology and Wild Chimpanzee Foundation (distances), MIT: the embedded box
model's answers to the 15,229 labelled seconds of the public tables, each by a model that never saw the site."""
PREDICTION_COLUMNS = ("distance_m", "full_distance_m")
MIN_PAIRS = 100
BANDWIDTH = 0.06
"""Of the bell curve over log(1 + true metres) by which pairs are gathered: 0.36 m at 5 m, less than labels are rounded."""
TRUTH_STEP_M = 0.05
"""True distances are told apart by so much."""
MIN_KERNEL_WEIGHT = 1e-6
"""Weight of pairs out of reach: where nobody stood, the nearest speak."""


@dataclass(frozen=True, slots=True, eq=False)
class HeldOutErrors:
    """Pairs: true distance and answer (n, metres), and the number of the site (n; 0, 1, ...)."""

    name: str
    truth_m: Floats
    predicted_m: Floats
    site: NDArray[np.intp]

    def matrices_for_bins(self, edges_m: Floats) -> HeldOutErrorMatrices:
        """The blur over bins between these edges (bins + 1, metres).

        Raises:
            InputError: the pairs end before the last edge.
        """
        # Labels that are rounded stand for all distances around: several copies of each pair.
        truth_m = spread_rounded_labels(self.truth_m)
        farthest_m, right_m = float(truth_m.max()), float(edges_m[-1])
        if farthest_m <= right_m:
            raise InputError(
                f"{self.name}: the truths of the held-out answers end at {farthest_m:g} m, so that nothing is known of "
                f"errors up to the last cutpoint, {right_m:g} m; give cutpoints that end before"
            )
        copies = len(truth_m) // len(self.truth_m)
        values, number = np.unique(np.round(truth_m / TRUTH_STEP_M), return_inverse=True)
        # One bin more on either side holds all other answers.
        answered = np.tile(np.searchsorted(edges_m, self.predicted_m, side="right"), copies)
        answered = np.where(np.tile(self.predicted_m, copies) == right_m, len(edges_m) - 1, answered)
        nodes, weights, farthest_m = nodes_up_to(farthest_m)
        z = (np.log1p(nodes)[:, None] - np.log1p(values * TRUTH_STEP_M)) / BANDWIDTH
        return HeldOutErrorMatrices(
            kernel=np.exp(-0.5 * z**2) + MIN_KERNEL_WEIGHT / (1 + z**4),
            cell=number * (len(edges_m) + 1) + answered,
            site=np.tile(self.site, copies),
            n_sites=int(self.site.max()) + 1,
            n_bins=len(edges_m) - 1,
            nodes_m=nodes,
            weights_m=weights,
            farthest_m=farthest_m,
        )


@dataclass(frozen=True, slots=True, eq=False)
class HeldOutErrorMatrices:
    """The blur of held-out pairs. kernel: how much true distances (nodes, values) count for a node; cell: value and bin."""

    kernel: Floats
    cell: NDArray[np.intp]
    site: NDArray[np.intp]
    n_sites: int
    n_bins: int
    nodes_m: Floats
    weights_m: Floats
    farthest_m: float

    def mean(self) -> ErrorMatrix:
        """Of all sites."""
        return self._blur(np.ones(self.n_sites))

    def draw(self, rng: np.random.Generator) -> ErrorMatrix:
        """Of as many sites, drawn with replacement; all pairs are one where sites are not told."""
        if self.n_sites == 1:
            return self.mean()
        return self._blur(rng.multinomial(self.n_sites, np.full(self.n_sites, 1 / self.n_sites)).astype(np.float64))

    def _blur(self, times: Floats) -> ErrorMatrix:
        n_values = self.kernel.shape[1]
        counts = np.bincount(self.cell, times[self.site], minlength=n_values * (self.n_bins + 2))
        gathered = self.kernel @ counts.reshape(n_values, self.n_bins + 2)
        shares = gathered[:, 1:-1] / gathered.sum(axis=1, keepdims=True)
        return ErrorMatrix(self.nodes_m, self.weights_m, np.ascontiguousarray(shares.T), self.farthest_m)


def exempt_known_distances(
    errors: MeasurementError | None, is_by_person: Sequence[bool], notes: list[str]
) -> MeasurementError | None:
    """The errors of distances some of which a person measured: held-out answers speak of the model's alone.

    notes: gains a line where there are such. A random error is said of all distances, and stays.
    """
    n_known, n = sum(is_by_person), len(is_by_person)
    if not isinstance(errors, HeldOutErrors) or not n_known:
        return errors
    notes.append(
        f"{n_known:,} of {n:,} distances were measured by people and are taken as true; errors are of the others"
    )
    return PartlyKnownError(errors, n_known / n) if n_known < n else None


def read_held_out(text: str | Path) -> HeldOutErrors:
    """`deep-chimpact`, or a CSV file of truth_m, distance_m (or full_distance_m) and perhaps site_id, as `boxmodel evaluate`
    writes it (oof.csv). Each answer must come from a model that has not seen the site.

    Raises:
        InputError: the file can't be read, lacks a column, or has fewer than 100 pairs.
    """  # noqa: D205
    if str(text) == DEEP_CHIMPACT:
        return _read_embedded()
    path = Path(text)
    columns = read_columns(path)
    answer = next((name for name in PREDICTION_COLUMNS if name in columns), PREDICTION_COLUMNS[0])
    rows = [
        row
        for row in read_rows(path, required=["truth_m", answer])
        if row.optional_text(answer) and row.text("truth_m")
    ]
    if len(rows) < MIN_PAIRS:
        raise InputError(
            f"{path} has {len(rows)} predictions with a truth, expected {MIN_PAIRS} or more: predictions at sites that "
            "it had not seen"
        )
    sites = [row.optional_text("site_id") for row in rows]
    return HeldOutErrors(
        path.name,
        np.array([row.non_negative_number("truth_m", "metres") for row in rows]),
        np.array([row.non_negative_number(answer, "metres") for row in rows]),
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
