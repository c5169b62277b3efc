"""Observations as arrays, grouped by animal, medium and site.

All is vectorised over the observations of a run. Results depend on the set of observations alone, to the last bit: rows
are put into an order of their own before anything is added up, so neither the order of the input nor another site's
boxes can change a rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trapmeter.records import Observation

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

NO_BOX = -1.0  # stands for NaN while rows are sorted: NaN has no place in an order


@dataclass(frozen=True, slots=True)
class Columns:
    """Distinct observations as arrays of length n, in an order that their contents alone decide.

    A group is a set of boxes: group[i] is the one that row i looks at through time, its own animal's. A row with
    animal 0 (nothing was found, or nothing was tracked) looks at all boxes of its medium. place numbers the site, or
    the medium where the site is unknown.
    """

    medium: Ints
    animal: Ints
    site_index: Ints
    time_s: Floats
    box: Floats  # n x 5: x1, y1, x2, y2, score; NaN where there is none

    @property
    def is_boxed(self) -> Flags:
        """Rows that have a box."""
        return ~np.isnan(self.box[:, 0])


def build_columns(observations: Sequence[Observation]) -> tuple[Columns, Ints]:
    """Columns of the distinct observations, and for each observation the row that holds it."""
    media: dict[str, int] = {}
    places: dict[tuple[bool, str], int] = {}
    table = np.full((len(observations), 9), NO_BOX)
    for i, seen in enumerate(observations):
        # A site that is named like a medium must not be taken for it: the key says which of the two it is.
        place = (bool(seen.site_id), seen.site_id or seen.media_id)
        table[i, 0] = seen.time_s
        if seen.box is not None:
            table[i, 1:6] = (*seen.box.xyxy, seen.box.score)
        table[i, 6] = media.setdefault(seen.media_id, len(media))
        table[i, 7] = seen.animal_id
        table[i, 8] = places.setdefault(place, len(places))
    distinct, row = np.unique(table, axis=0, return_inverse=True)
    box = np.where(distinct[:, 1:2] == NO_BOX, np.nan, distinct[:, 1:6])
    medium, animal, place_of = (distinct[:, j].astype(np.int64) for j in (6, 7, 8))
    return Columns(medium, animal, place_of, distinct[:, 0], box), row.reshape(-1).astype(np.int64)


@dataclass(frozen=True, slots=True)
class BoxGroups:
    """The boxes that rows look at through time.

    of_row (n): the group of each row. member (m): rows with a box, sorted by group and time; a row may stand in its
    animal's group and in its medium's. member_group (m). before, after (n): where the nearest member earlier and
    later than the row stands in `member`, further ones following outward; it counts only if its group is the row's.
    """

    of_row: Ints
    member: Ints
    member_group: Ints
    before: Ints
    after: Ints
    count: int


def build_groups(columns: Columns) -> BoxGroups:
    """Who looks at whom."""
    n = len(columns.time_s)
    rows = np.arange(n)
    pairs = np.stack([columns.medium, columns.animal], axis=1)
    _, track = np.unique(pairs, axis=0, return_inverse=True)
    track = track.reshape(-1).astype(np.int64)
    n_tracks = int(track.max()) + 1
    looks_at_all = columns.animal == 0
    of_row = np.where(looks_at_all, n_tracks + columns.medium, track)
    count = n_tracks + int(columns.medium.max()) + 1

    boxed = columns.is_boxed
    whole = np.isin(columns.medium, columns.medium[looks_at_all]) & boxed
    tracked = boxed & ~looks_at_all
    member = np.concatenate([rows[tracked], rows[whole]])
    member_group = np.concatenate([track[tracked], n_tracks + columns.medium[whole]])
    order = np.lexsort((member, columns.time_s[member], member_group))
    member, member_group = member[order], member_group[order]

    # Where each row would stand among the members: sort both together and count the members before it.
    entry_row = np.concatenate([member, rows])
    entry_group = np.concatenate([member_group, of_row])
    is_member = np.concatenate([np.ones(len(member), bool), np.zeros(n, bool)])
    order = np.lexsort((~is_member, entry_row, columns.time_s[entry_row], entry_group))
    members_so_far = np.cumsum(is_member[order])
    place_of_row = np.empty(n, dtype=np.int64)
    is_row = ~is_member[order]
    place_of_row[entry_row[order][is_row]] = members_so_far[is_row]
    # A row with a box is a member itself and was counted: step over it.
    return BoxGroups(of_row, member, member_group, place_of_row - 1 - boxed, place_of_row, count)
