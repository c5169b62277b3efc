"""Observations as arrays, grouped by animal, medium and site.

Everything is vectorised over the observations of a run. Results depend only on the set of observations, to the last bit:
rows are sorted before anything is added up, so neither the order of the input nor another site's boxes can change a rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from trapmeter.facts import NO_FACTS, Facts
from trapmeter.records import Observation

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Floats32 = NDArray[np.float32]

NO_BOX = -1.0  # replaces NaN while rows are sorted: NaN has no order
NO_FACT = -999.0  # and an unknown fact: none can have this value
FACT_NAMES = tuple(field.name for field in fields(Facts))


@dataclass(frozen=True, slots=True)
class Columns:
    """Distinct observations as arrays of length n, in an order that depends only on their contents.

    medium, animal, site_index: whole numbers. Animal 0 means that nothing was found or tracked. If the site is unknown,
    site_index is the number of the medium's own site.
    """

    medium: Ints
    animal: Ints
    site_index: Ints
    time_s: Floats
    box: Floats  # n x 5: x1, y1, x2, y2, score; NaN where there is none
    facts: Floats  # n x len(FACT_NAMES); NaN where unknown

    def fact(self, name: str) -> Floats:
        """One of the facts of each row (n); NaN where unknown."""
        return self.facts[:, FACT_NAMES.index(name)]

    @property
    def is_boxed(self) -> Flags:
        """Whether each row has a box (n)."""
        return ~np.isnan(self.box[:, 0])

    @property
    def n_sites(self) -> int:
        """The number of sites."""
        return int(self.site_index.max()) + 1


def build_columns(observations: Sequence[Observation], facts: Sequence[Facts] = ()) -> tuple[Columns, Ints]:
    """Columns of the distinct observations, and the row of each observation. facts: of each observation, or none at all."""
    media: dict[str, int] = {}
    sites: dict[tuple[bool, str], int] = {}
    table = np.full((len(observations), 9 + len(FACT_NAMES)), NO_BOX)
    table[:, 9:] = NO_FACT
    for i, observation in enumerate(observations):
        table[i, 0] = observation.time_s
        if observation.box is not None:
            table[i, 1:6] = (*observation.box.xyxy, observation.box.score)
        table[i, 6] = media.setdefault(observation.media_id, len(media))
        table[i, 7] = observation.animal_id
        table[i, 8] = sites.setdefault(observation.site_key, len(sites))
        if facts and facts[i] is not NO_FACTS:
            table[i, 9:] = [NO_FACT if value is None else value for value in _values(facts[i])]
    distinct, row = np.unique(table, axis=0, return_inverse=True)
    box = np.where(distinct[:, 1:2] == NO_BOX, np.nan, distinct[:, 1:6])
    medium, animal, site_index = (distinct[:, j].astype(np.int64) for j in (6, 7, 8))
    known = np.where(distinct[:, 9:] == NO_FACT, np.nan, distinct[:, 9:])
    return Columns(medium, animal, site_index, distinct[:, 0], box, known), row.reshape(-1).astype(np.int64)


def _values(facts: Facts) -> tuple[float | None, ...]:
    return tuple(getattr(facts, name) for name in FACT_NAMES)


@dataclass(frozen=True, slots=True)
class BoxGroups:
    """For each row, the boxes that are its context in time: its animal's, or for animal 0 all boxes of its medium.

    of_row (n): the group of each row. member (m): rows with a box, sorted by group and time; a row may be a member of its
    animal's group and of its medium's. member_group (m): their groups. before, after (n): position in `member` of the nearest
    earlier and later member, with further ones following outward; valid only if its group is the row's.
    """

    of_row: Ints
    member: Ints
    member_group: Ints
    before: Ints
    after: Ints
    count: int

    def outward_member(self, first: Ints, steps: int) -> tuple[Flags, Ints]:
        """The member `steps` further out than `first` (n): whether it belongs to the row's group (n), and its row (n)."""
        position = first + steps
        inside = (position >= 0) & (position < len(self.member))
        if not len(self.member):
            return inside, np.zeros_like(position)
        position = np.where(inside, position, 0)
        return inside & (self.member_group[position] == self.of_row), self.member[position]


def build_groups(columns: Columns) -> BoxGroups:
    """The groups of all rows."""
    n = len(columns.time_s)
    rows = np.arange(n)
    pairs = np.stack([columns.medium, columns.animal], axis=1)
    _, track = np.unique(pairs, axis=0, return_inverse=True)
    track = track.reshape(-1).astype(np.int64)
    n_tracks = int(track.max()) + 1
    is_untracked = columns.animal == 0
    of_row = np.where(is_untracked, n_tracks + columns.medium, track)
    count = n_tracks + int(columns.medium.max()) + 1

    boxed = columns.is_boxed
    in_medium_group = np.isin(columns.medium, columns.medium[is_untracked]) & boxed
    in_track = boxed & ~is_untracked
    member = np.concatenate([rows[in_track], rows[in_medium_group]])
    member_group = np.concatenate([track[in_track], n_tracks + columns.medium[in_medium_group]])
    order = np.lexsort((member, columns.time_s[member], member_group))
    member, member_group = member[order], member_group[order]

    # The position of each row among the members: sort both together and count the members before it.
    entry_row = np.concatenate([member, rows])
    entry_group = np.concatenate([member_group, of_row])
    is_member = np.concatenate([np.ones(len(member), bool), np.zeros(n, bool)])
    order = np.lexsort((~is_member, entry_row, columns.time_s[entry_row], entry_group))
    members_so_far = np.cumsum(is_member[order])
    position = np.empty(n, dtype=np.int64)
    is_row = ~is_member[order]
    position[entry_row[order][is_row]] = members_so_far[is_row]
    # A row with a box was counted as a member itself.
    return BoxGroups(of_row, member, member_group, position - 1 - boxed, position, count)
