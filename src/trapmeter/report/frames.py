"""The contact sheet: which moments are shown, and their pictures with the boxes drawn in."""

from __future__ import annotations

import base64
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from trapmeter.frames.store import FrameStore
from trapmeter.media.find import PHOTO_SUFFIXES
from trapmeter.media.reading import Absence, FitWithin, open_medium
from trapmeter.records import Estimate, Medium, MediumKind, Pixels
from trapmeter.report.drawing import MIN_SIDE, draw_animals

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_FRAMES = 24
MAX_OF_A_MEDIUM = 3
"""More of one medium are shown only where there are too few media to fill the sheet."""

FIT = FitWithin(MIN_SIDE, MIN_SIDE)
JPEG_QUALITY = 80


@dataclass(frozen=True, slots=True)
class Moment:
    """A second of a medium and all animals that were measured in it, the nearest first."""

    media_id: str
    time_s: float
    site_id: str
    animals: tuple[Estimate, ...]

    @property
    def nearest_m(self) -> float:
        """The distance of the nearest animal (metres)."""
        return _nearest_first(self.animals[0])[0]


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """The picture of a moment with its animals marked; jpeg_uri is a data URI, width and height are in pixels."""

    moment: Moment
    jpeg_uri: str
    width: int
    height: int


def moments(estimates: Sequence[Estimate]) -> list[Moment]:
    """All seconds with measured animals, in the order of media_id and time, whatever the order of the rows."""
    found: dict[tuple[str, float], list[Estimate]] = defaultdict(list)
    for estimate in estimates:
        if estimate.distance is not None:
            found[estimate.observation.media_id, estimate.observation.time_s].append(estimate)
    return [
        Moment(media_id, time_s, rows[0].observation.site_id, tuple(sorted(rows, key=_nearest_first)))
        for (media_id, time_s), rows in sorted(found.items())
    ]


def choose_frames(estimates: Sequence[Estimate], n: int = MAX_FRAMES) -> list[Moment]:
    """Up to n moments that show many media, sites and distances; from near to far.

    Each next one is of the medium that was chosen least often, then of the site chosen least often, then as far as possible
    in distance from those chosen. No medium gives more than MAX_OF_A_MEDIUM, or than its share of n where media are few.
    """
    left = moments(estimates)
    if not left:
        return []
    media, medium_of = np.unique([moment.media_id for moment in left], return_inverse=True)
    sites, site_of = np.unique([moment.site_id for moment in left], return_inverse=True)
    limit = max(MAX_OF_A_MEDIUM, math.ceil(n / len(media)))
    n_of_medium, n_of_site = np.zeros(len(media), dtype=int), np.zeros(len(sites), dtype=int)
    nearest_m = np.array([moment.nearest_m for moment in left])
    gap_m = np.full(len(left), np.inf)
    is_free = np.ones(len(left), dtype=bool)
    chosen: list[Moment] = []
    while len(chosen) < n and is_free.any():
        free = np.flatnonzero(is_free)
        free = free[n_of_medium[medium_of[free]] == n_of_medium[medium_of[free]].min()]
        free = free[n_of_site[site_of[free]] == n_of_site[site_of[free]].min()]
        best = int(free[np.argmax(gap_m[free])])
        if n_of_medium[medium_of[best]] >= limit:
            break
        chosen.append(left[best])
        n_of_medium[medium_of[best]] += 1
        n_of_site[site_of[best]] += 1
        is_free[best] = False
        gap_m = np.minimum(gap_m, np.abs(nearest_m - nearest_m[best]))
    return sorted(chosen, key=lambda moment: (moment.nearest_m, moment.media_id, moment.time_s))


def thumbnails(
    root: Path,
    chosen: Sequence[Moment],
    progress: Callable[[int], None] = lambda _: None,
    store: FrameStore | None = None,
) -> tuple[list[Thumbnail], dict[str, str]]:
    """Pictures of the chosen moments in their order, and why media could not be read again.

    Each medium is opened once. progress: called with the number of moments that were done. store: where the pictures are
    taken from in place of the media below root.
    """
    by_medium: dict[str, list[Moment]] = defaultdict(list)
    for moment in sorted(chosen, key=lambda moment: (moment.media_id, moment.time_s)):
        by_medium[moment.media_id].append(moment)
    done: dict[tuple[str, float], Thumbnail] = {}
    unread: dict[str, str] = {}
    for media_id, wanted in by_medium.items():
        try:
            shown = _of_medium(_medium(root, media_id), wanted) if store is None else _of_store(store, media_id, wanted)
            for thumbnail in shown:
                done[media_id, thumbnail.moment.time_s] = thumbnail
        except OSError as error:
            unread[media_id] = error.strerror or str(error)
        except Exception as error:  # a picture less must not cost the report of a run that is done
            unread[media_id] = str(error) or type(error).__name__
        if media_id not in unread and any((media_id, moment.time_s) not in done for moment in wanted):
            unread[media_id] = "some seconds can't be read any more"
        progress(len(wanted))
    kept = [done[key] for moment in chosen if (key := (moment.media_id, moment.time_s)) in done]
    return kept, unread


def _of_medium(medium: Medium, wanted: Sequence[Moment]) -> list[Thumbnail]:
    with open_medium(medium, FIT) as reader:
        frames = reader.frames([moment.time_s for moment in wanted])
        return [
            _thumbnail(moment, frame.pixels)
            for moment, frame in zip(wanted, frames, strict=True)
            if not isinstance(frame, Absence)
        ]


def _of_store(store: FrameStore, media_id: str, wanted: Sequence[Moment]) -> list[Thumbnail]:
    return [_thumbnail(moment, store.read(media_id, moment.time_s)) for moment in wanted]


def _thumbnail(moment: Moment, pixels: Pixels) -> Thumbnail:
    image = draw_animals(pixels, moment.animals)
    return Thumbnail(moment, jpeg_uri(image), image.width, image.height)


def jpeg_uri(image: Image) -> str:
    """A picture as a data URI, to stand in the page itself."""
    file = BytesIO()
    image.save(file, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"


def _medium(root: Path, media_id: str) -> Medium:
    path = root / media_id
    kind = MediumKind.PHOTO if path.suffix.lower() in PHOTO_SUFFIXES else MediumKind.VIDEO
    return Medium(media_id, path, kind)


def _nearest_first(estimate: Estimate) -> tuple[float, int]:
    assert estimate.distance is not None, "moments hold measured rows"
    return estimate.distance.distance_m, estimate.observation.animal_id
