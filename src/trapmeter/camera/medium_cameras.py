"""Which fitted camera saw a video or photo: by its site, and by its time where the site's camera was moved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from trapmeter.camera.fit import CameraFit
from trapmeter.camera.fitted_cameras import FittedCamera, read_fitted_cameras, read_other_views
from trapmeter.tables.distances import find_distances
from trapmeter.tables.medium_times import read_medium_times


@dataclass(frozen=True, slots=True)
class MediumCameras:
    """The fitted cameras of a folder of results.

    times: when a medium was recorded, by media_id, as far as it is known. other_views: why media show another view than the
    reference photograph, by media_id.
    """

    cameras: tuple[FittedCamera, ...] = ()
    times: Mapping[str, datetime] = field(default_factory=dict)
    other_views: Mapping[str, str] = field(default_factory=dict)

    def find(self, media_id: str, site_id: str) -> FittedCamera | None:
        """The camera that saw a medium; None if it isn't known, see `why_none`."""
        found = self._search(media_id, site_id)
        return None if isinstance(found, str) else found

    def why_none(self, media_id: str, site_id: str) -> str:
        """Why no camera is known to have seen a medium; "" if one is, or if no camera of its site was fitted."""
        found = self._search(media_id, site_id)
        return found if isinstance(found, str) else ""

    def fits(self, media: Iterable[tuple[str, str]]) -> tuple[dict[str, CameraFit], tuple[str, ...]]:
        """The fit for each medium (media_id, site_id) whose camera is known, and `why_none` of the others without ""."""
        fits, notes = {}, dict[str, None]()
        for media_id, site_id in dict.fromkeys(media):
            camera = self.find(media_id, site_id)
            if camera is not None:
                fits[media_id] = camera.fit
            elif note := self.why_none(media_id, site_id):
                notes[note] = None
        return fits, tuple(notes)

    def _search(self, media_id: str, site_id: str) -> FittedCamera | str:
        of_site = [camera for camera in self.cameras if site_id and camera.site_id == site_id]
        if not of_site:
            return ""
        if media_id in self.other_views:
            return self.other_views[media_id]
        time = self.times.get(media_id)
        if time is None:
            if len(of_site) == 1:
                return of_site[0]
            return f"site {site_id} has {len(of_site)} fitted cameras, and nothing says when {media_id} was recorded"
        bounds = [bound for camera in of_site for bound in (camera.start, camera.end) if bound is not None]
        if any((bound.tzinfo is None) != (time.tzinfo is None) for bound in bounds):
            has, lacks = ("has a zone", "have none") if time.tzinfo else ("has no zone", "have one")
            return f"the time of {media_id} {has}, and start and end of the cameras of site {site_id} {lacks}"
        spanning = [camera for camera in of_site if _spans(camera, time)]
        return spanning[0] if spanning else f"no fitted camera of site {site_id} stood there at {time.isoformat(' ')}"


def read_medium_cameras(results: str | Path) -> MediumCameras:
    """The fitted cameras of a folder of results, or of its distances.csv, with the times of its media.

    Raises:
        InputError: there are no results, or a table is damaged.
    """
    source = find_distances(results)
    cameras = read_fitted_cameras(source.parent)
    if not cameras:
        return MediumCameras()
    return MediumCameras(tuple(cameras), read_medium_times(source), read_other_views(source.parent))


def _spans(camera: FittedCamera, time: datetime) -> bool:
    return (camera.start is None or camera.start <= time) and (camera.end is None or time <= camera.end)
