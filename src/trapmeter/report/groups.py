"""Distances by site, by species, and by day and night: figures of small histograms. Pure functions of the rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from trapmeter.records import Estimate
from trapmeter.report.numbers import distances_m, histogram

MOST = 12
"""More groups than this are not drawn: those with the most measurements are, and the rest is told."""
DAY, NIGHT, UNSEEN = "Day", "Night", "Not told"


@dataclass(frozen=True, slots=True)
class Group:
    """The distances of a part of the rows: n of them, of n_media, with their quartiles (metres).

    counts: as `numbers.histogram` gives them.
    """

    name: str
    n: int
    n_media: int
    quartiles_m: tuple[float, float, float]
    counts: tuple[int, ...]

    @property
    def shares(self) -> list[float]:
        """The share (0..1) of the measurements in each bin."""
        return [count / self.n for count in self.counts]


@dataclass(frozen=True, slots=True)
class Groups:
    """Groups that are drawn beside each other, and how many were left out with how many measurements."""

    shown: tuple[Group, ...]
    n_left: int = 0
    n_rows_left: int = 0

    @property
    def n_bins(self) -> int:
        """How many bins the longest histogram has."""
        return max(len(group.counts) for group in self.shown)

    @property
    def top(self) -> float:
        """The highest share of any bin, by which all are drawn."""
        return max(max(group.shares) for group in self.shown)


def quartiles(values_m: Sequence[float]) -> tuple[float, float, float]:
    """The 25 %, 50 % and 75 % quantiles of at least one distance."""
    low, middle, high = np.quantile(np.asarray(values_m, np.float64), [0.25, 0.5, 0.75]).tolist()
    return low, middle, high


def by_site(estimates: Sequence[Estimate]) -> Groups | None:
    """The sites with the most measurements, those first; None where no site is known. Rows without one are a group."""
    groups = _grouped(estimates, lambda estimate: estimate.observation.site_id)
    if set(groups) <= {""}:
        return None
    return _most({str(name or "(no site)"): rows for name, rows in groups.items()})


def by_species(estimates: Sequence[Estimate]) -> Groups | None:
    """The species with the most measurements, those first; None where none is known."""
    groups = _grouped(estimates, lambda estimate: estimate.observation.species)
    if set(groups) <= {""}:
        return None
    return _most({str(name or "(not told)"): rows for name, rows in groups.items()})


def by_light(estimates: Sequence[Estimate]) -> Groups | None:
    """Day, night, and rows of which neither is known, in this order; None where nothing is known."""
    names = {False: DAY, True: NIGHT, None: UNSEEN}
    groups = _grouped(estimates, lambda estimate: estimate.observation.is_night)
    if set(groups) <= {None}:
        return None
    return Groups(tuple(_group(name, groups[light]) for light, name in names.items() if light in groups))


Key = Callable[[Estimate], Hashable]


def _grouped(estimates: Sequence[Estimate], key: Key) -> dict[Hashable, list[Estimate]]:
    groups: dict[Hashable, list[Estimate]] = defaultdict(list)
    for estimate in estimates:
        if estimate.distance is not None:
            groups[key(estimate)].append(estimate)
    return groups


def _most(groups: dict[str, list[Estimate]]) -> Groups:
    ordered = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    left = ordered[MOST:]
    shown = tuple(_group(name, rows) for name, rows in ordered[:MOST])
    return Groups(shown, len(left), sum(len(rows) for _, rows in left))


def _group(name: str, rows: Sequence[Estimate]) -> Group:
    metres = distances_m(rows)
    n_media = len({estimate.observation.media_id for estimate in rows})
    return Group(name, len(metres), n_media, quartiles(metres), tuple(histogram(metres)))
