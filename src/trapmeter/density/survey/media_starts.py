"""When the media of a survey start: by a table that the user gives, or else by the media.csv of their results."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from trapmeter.density.settings import DensitySettings
from trapmeter.errors import InputError
from trapmeter.records import Estimate
from trapmeter.tables.density_inputs import read_media_starts
from trapmeter.tables.deployments import Deployment
from trapmeter.tables.file_names import NameIndex
from trapmeter.tables.medium_times import MEDIA_CSV, read_media
from trapmeter.tables.times import TimeReader, to_instant


@dataclass(frozen=True, slots=True)
class MediaStarts:
    """The starts of media by media_id.

    all: as clocks show them, which tells the order and the gaps. dated: those that can be compared with the deployments.
    notes: what the user should know about the others.
    """

    all: Mapping[str, datetime] = field(default_factory=dict)
    dated: Mapping[str, datetime] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def by_site(self, estimates: Iterable[Estimate]) -> dict[str, dict[str, datetime]]:
        """The dated starts of the media of each site."""
        found: dict[str, dict[str, datetime]] = defaultdict(dict)
        for estimate in estimates:
            observation = estimate.observation
            if observation.media_id in self.dated:
                found[observation.site_id][observation.media_id] = self.dated[observation.media_id]
        return dict(found)

    def check_triggers(self, measured: Iterable[Estimate], path: Path) -> None:
        """Raises InputError unless all media with animals are dated, as the effort of triggers needs. path: the table."""
        name = next((row.observation.media_id for row in measured if row.observation.media_id not in self.dated), None)
        if name is not None:
            raise InputError(
                f"{path}: the effort of motion-triggered photographs follows from their times, and when {name} was taken "
                "isn't known, or can't be compared with the deployments (name the zone of times without one with "
                "--timezone). Give --media-times, a CSV file of media_id, start; or a snapshot interval (--snapshot), if "
                "photographs were taken at regular times"
            )


def find_media_starts(
    settings: DensitySettings,
    estimates: Iterable[Estimate],
    measured: Iterable[Estimate],
    deployments: Sequence[Deployment],
    times: TimeReader,
) -> MediaStarts:
    """The starts of the media of all estimates. measured: those with animals. times: has read the deployments.

    Raises:
        InputError: a table is damaged; or the user's own lacks a medium with animals, or can't be compared with the
            deployments.
    """
    every = list(dict.fromkeys(row.observation.media_id for row in estimates))
    names = list(dict.fromkeys(row.observation.media_id for row in measured))
    if settings.media_times is not None:
        by_name = read_media_starts(settings.media_times, times)
        found = {name: by_name[entry] for name, entry in NameIndex(by_name).match(every, settings.media_times).items()}
        for name in names:
            if name not in found:
                raise InputError(
                    f"{settings.media_times} has no row for {name}; give the start of every medium with animals"
                )
        return MediaStarts(found, found)
    path = settings.file.with_name(MEDIA_CSV)
    if not path.is_file():
        return MediaStarts()
    media_rows = read_media(path)
    known = {
        name: to_instant(row.taken_at, settings.timezone) if settings.timezone or row.taken_at.tzinfo else row.taken_at
        for name in every
        if (row := media_rows.get(name)) is not None and row.taken_at is not None
    }
    if not known or not deployments:
        return MediaStarts()
    has_zone = deployments[0].start.tzinfo is not None
    set_clocks = {name: time for name, time in known.items() if media_rows[name].is_date_known}
    dated = {name: time for name, time in set_clocks.items() if (time.tzinfo is not None) == has_zone}
    n_known, n_set, n_dated = (sum(name in found for name in names) for found in (known, set_clocks, dated))
    counts = [
        (len(names) - n_known, "have no known time: each counts, however soon after another"),
        (n_known - n_set, "are from a clock that was not set: none is left out as outside of deployments"),
        (
            n_set - n_dated,
            f"have {'no zone' if has_zone else 'a zone'}, but deployments have {'one' if has_zone else 'none'}: none is left "
            "out as outside of deployments; name the zone of times without one with --timezone",
        ),
    ]
    notes = tuple(f"{n:,} of {len(names):,} media with animals {text} ({MEDIA_CSV})" for n, text in counts if n)
    return MediaStarts(known, dated, notes)
