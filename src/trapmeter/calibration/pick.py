"""Selects the seconds whose distances help most when a person labels them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trapmeter.calibration.gaussian_process import make_site_rows
from trapmeter.calibration.inputs import measured_sites
from trapmeter.calibration.label_selection import select_labels
from trapmeter.calibration.run import make_output_folder
from trapmeter.calibration.site_correction import COVARIANCE, log_distances
from trapmeter.errors import InputError
from trapmeter.records import Estimate
from trapmeter.tables.distances import find_distances, read_distances
from trapmeter.tables.truth import write_seconds_to_label

TO_LABEL = "to-label.csv"


@dataclass(frozen=True, slots=True)
class LabelSelection:
    """The table of seconds to label, its rows in their order, the number of sites, and notes for the user.

    source: the table of results from which they were selected.
    """

    path: Path
    source: Path
    estimates: tuple[Estimate, ...]
    n_sites: int
    notes: tuple[str, ...] = ()

    @property
    def n_rows(self) -> int:
        """How many seconds of animals there are to label."""
        return len(self.estimates)


def select_seconds(results: str | Path, out: str | Path, n_seconds: int, **settings: Any) -> LabelSelection:
    """Writes to-label.csv: the n_seconds seconds of each site whose labels help most.

    Raises:
        InputError: the results hold no measured animal, n_seconds is less than 1, or other settings are given.
        RunError: the output folder can't be used.
    """
    if n_seconds < 1:
        raise InputError(f"--pick needs a number of seconds of 1 or more for each site, got {n_seconds}")
    if settings:
        raise InputError("--pick selects seconds from the results alone: leave out everything but --out")
    source, path = find_distances(Path(results)), Path(out) / TO_LABEL
    estimates = read_distances(source)
    sites = measured_sites(estimates)
    selected = []
    for site in sites:
        rows = make_site_rows(site.observations, log_distances(site.distances))
        selected += [estimates[site.positions[i]] for i in select_labels(rows, n_seconds, COVARIANCE)]
    make_output_folder(path.parent, source)
    write_seconds_to_label(path, (estimate.observation for estimate in selected))
    note = (
        f"some rows have no site, so each of their videos counts as a site ({len(sites)} in all); run `predict` with --site "
        "to select seconds by camera"
    )
    return LabelSelection(
        path, source, tuple(selected), len(sites), () if all(site.site_id for site in sites) else (note,)
    )
