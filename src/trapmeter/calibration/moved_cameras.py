"""Which media still show the view of their site's reference photograph, and where its positions lie in them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path, PurePosixPath

import numpy as np

from trapmeter.camera.background import SIZE, find_backgrounds
from trapmeter.camera.homography import Homography, carry_points, inverse
from trapmeter.camera.moved import Placement, place_backgrounds, placement_by_medium
from trapmeter.errors import MediaError
from trapmeter.media.discovery import medium_kind
from trapmeter.media.opening import open_medium
from trapmeter.media.reader import MissingFrame
from trapmeter.progress import Progress, no_progress
from trapmeter.records import Box, Medium, Observation, Pixels
from trapmeter.tables.file_names import leaves_root
from trapmeter.tables.reference_marks import MarkedDeployment, split_photo_name

MOVED_PREFIX = "camera moved: "
"""Starts the part of a reason that says why a row's reference photograph doesn't show its view."""
MIN_SIDE = 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A background that was compared with its site's reference photograph."""

    site_id: str
    photo: str
    reference: Pixels
    background: Pixels
    media_ids: tuple[str, ...]
    placement: Placement


@dataclass(frozen=True, slots=True, eq=False)
class CheckedViews:
    """What came of comparing reference photographs with the media. notes: for the user."""

    views: tuple[View, ...] = ()
    notes: tuple[str, ...] = ()
    placements: Mapping[str, Placement] = field(default_factory=dict)

    def moved_reason(self, media_id: str) -> str:
        """Why the reference photograph doesn't show a medium's view; "" if it does or nobody compared them."""
        placement = self.placements.get(media_id)
        return "" if placement is None or placement.is_usable else MOVED_PREFIX + placement.reason

    def in_reference(self, observation: Observation) -> Observation:
        """The observation with its box where the reference photograph would show it."""
        placement = self.placements.get(observation.media_id)
        # Of an unchanged view, the homography holds nothing but the error of its estimate.
        if observation.box is None or placement is None or placement.homography is None or not placement.reason:
            return observation
        return replace(observation, box=carry_box(observation.box, inverse(placement.homography)))


def check_views(
    deployments: Sequence[MarkedDeployment],
    media_of: Mapping[int, Sequence[str]],
    starts: Mapping[str, datetime],
    root: Path | None,
    photo_folders: Sequence[Path],
    progress: Progress = no_progress,
) -> CheckedViews:
    """Compares each deployment's reference photograph with the media of its site.

    Args:
        deployments: with the names of their photographs.
        media_of: the media_ids of each deployment, by its position.
        starts: when media were taken, where it is known.
        root: the folder that media_ids start from; None if it is unknown.
        photo_folders: where photographs are looked for, in this order.
        progress: called with the stage "view", the deployments done, their number and 0.
    """
    views: list[View] = []
    notes: list[str] = []
    placements: dict[str, Placement] = {}
    with_photos = [i for i, deployment in enumerate(deployments) if deployment.photos and media_of.get(i)]
    for done, i in enumerate(with_photos, 1):
        deployment, media_ids = deployments[i], media_of[i]
        found = _read_reference(deployment.photos, photo_folders)
        if root is None or found is None:
            missing = "the media" if found is not None else f"its reference photograph {deployment.photos[0]!r}"
            notes.append(
                f"site {deployment.site_id}: {missing} can't be read, so nobody checked whether the camera moved"
            )
            continue
        photo, reference = found
        backgrounds = find_backgrounds(_media(root, media_ids), _comparable(starts, media_ids))
        placed = place_backgrounds(reference, backgrounds.backgrounds)
        placements |= placement_by_medium(backgrounds.backgrounds, placed)
        for background, placement in zip(backgrounds.backgrounds, placed, strict=True):
            views.append(View(deployment.site_id, photo, reference, background.pixels, background.media_ids, placement))
        unread = sorted(set(media_ids) - placements.keys())
        if unread:
            notes.append(
                f"site {deployment.site_id}: {len(unread):,} of {len(media_ids):,} media can't be compared with the "
                f"reference photograph (such as {unread[0]}); its ground is used there all the same"
            )
        progress("view", done, len(with_photos), 0)
    return CheckedViews(tuple(views), tuple(notes), placements)


def carry_box(box: Box, homography: Homography) -> Box:
    """The box around the carried corners of a box; inside the picture, since boxes have no place beyond it."""
    corners = carry_points([(x, y) for x in (box.x1, box.x2) for y in (box.y1, box.y2)], homography)
    if not np.isfinite(corners).all():
        return box
    x1, y1 = np.clip(corners.min(axis=0), 0.0, 1.0 - MIN_SIDE).tolist()
    x2, y2 = np.clip(corners.max(axis=0), MIN_SIDE, 1.0).tolist()
    return replace(box, x1=x1, y1=y1, x2=max(x2, x1 + MIN_SIDE), y2=max(y2, y1 + MIN_SIDE))


def media_by_deployment(
    observations: Iterable[Observation], position_of: Mapping[str, int]
) -> dict[int, tuple[str, ...]]:
    """The media_ids of each deployment's position, in the order of the rows."""
    found: dict[int, dict[str, None]] = defaultdict(dict)
    for observation in observations:
        if observation.media_id in position_of:
            found[position_of[observation.media_id]][observation.media_id] = None
    return {position: tuple(media) for position, media in found.items()}


def _comparable(starts: Mapping[str, datetime], media_ids: Sequence[str]) -> dict[str, datetime]:
    return {media_id: starts[media_id] for media_id in media_ids if media_id in starts}


def _media(root: Path, media_ids: Sequence[str]) -> list[Medium]:
    """The media whose names stay within the folder."""
    found = []
    for media_id in media_ids:
        kind = medium_kind(PurePosixPath(media_id))
        if kind is not None and not leaves_root(media_id):
            found.append(Medium(media_id, root / media_id, kind))
    return found


def _read_reference(photos: Sequence[str], folders: Sequence[Path]) -> tuple[str, Pixels] | None:
    """The first photograph that can be read, with its name."""
    for photo in photos:
        file, time_s = split_photo_name(photo)
        kind = medium_kind(PurePosixPath(file))
        for folder in folders if kind is not None and not leaves_root(file) else ():
            try:
                assert kind is not None
                with open_medium(Medium(file, folder / file, kind), SIZE) as reader:
                    frame = next(iter(reader.frames([time_s])))
            except (MediaError, OSError):
                continue
            if not isinstance(frame, MissingFrame):
                return photo, frame.pixels
    return None
