"""The reference photographs to mark: photos, and single seconds of videos, with their sites, dates and sizes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from trapmeter.errors import InputError, MediaError
from trapmeter.media.discovery import find_media
from trapmeter.media.opening import open_medium
from trapmeter.parallel.workers import TaskFailure, Work, run_tasks
from trapmeter.records import Medium, MediumKind
from trapmeter.settings import worker_count
from trapmeter.tables.csvfile import read_columns
from trapmeter.tables.reference_marks import MarkedDeployment, photo_name
from trapmeter.tables.site_rules import RULE_FORMS, CsvSite, assign_sites, look_up_column, parse_site_rule
from trapmeter.tables.times import to_instant

N_SPREAD = 6
"""Seconds of a video that are shown if none are given."""
PROBE_LIMIT_S = 60.0
MOST_WORKERS = 4
_RULE = re.compile(r"none$|(?:folder|regex|csv):|.*\.csv$", re.IGNORECASE | re.DOTALL)

Dates = tuple[datetime | None, datetime | None]
"""Start and end of a deployment, None for an open one."""


@dataclass(frozen=True, slots=True)
class Photograph:
    """A picture to mark.

    number: its place in the list. name: for the table's column photo: the file's name below the common folder, for a video
    with its second, such as S01/setup.mp4#t=3. width, height: in pixels, 0 if unknown. problem: why it can't be marked, ""
    if it can.
    """

    number: int
    name: str
    medium: Medium
    time_s: float
    dates: Dates
    width: int = 0
    height: int = 0
    problem: str = ""

    @property
    def site_id(self) -> str:
        """The site, "" if unknown."""
        return self.medium.site_id

    @property
    def aspect_ratio(self) -> float:
        """Width over height."""
        return self.width / self.height


@dataclass(frozen=True, slots=True)
class _Facts:
    """Size and length of a medium, or the reason why it can't be read."""

    width: int = 0
    height: int = 0
    length_s: float = 0.0
    problem: str = ""


def find_photographs(
    paths: Sequence[Path], site: str, times_s: Sequence[float] = (), dates: Dates = (None, None)
) -> list[Photograph]:
    """The photographs among files and folders, sorted by site and name.

    site: the name of the site of all, or a rule as `parse_site_rule` reads; a CSV file may have both start and end too.
    times_s: seconds of each video; () takes some that are spread over it. dates: of the deployment, where a table gives none.

    Raises:
        InputError: nothing was found, no photograph has a site, or a table or date is wrong.
    """
    found = find_media(paths)
    media = _with_sites(found.media, site)
    if not any(medium.site_id for medium in media):
        raise InputError(
            f"--site {site} gives none of the {len(media)} photographs a site; the first is {media[0].media_id} below "
            f"{found.root}. Write the name of the site, or one of\n{RULE_FORMS}"
        )
    dates_of = _dates_by_medium(media, site, dates)
    facts = _probe(media)
    photographs = [
        photograph
        for medium in sorted(
            media,
            key=lambda medium: (medium.site_id == "", medium.site_id, str(dates_of[medium.media_id]), medium.media_id),
        )
        for photograph in _photographs(medium, facts[medium.media_id], times_s, dates_of[medium.media_id], site)
    ]
    return [replace(photograph, number=number) for number, photograph in enumerate(photographs)]


def parse_date(text: str, where: str) -> datetime | None:
    """A date and time (ISO 8601), None for "". where: what it was given as, for the message.

    Raises:
        InputError: it is something else.
    """
    if not text:
        return None
    try:
        time = datetime.fromisoformat(text)
        return to_instant(time, None) if time.tzinfo else time
    except ValueError:
        raise InputError(f"{where}: expected a date such as 2024-05-01 or 2024-05-01T09:30, got {text!r}") from None


def check_dates(dates: Dates, where: str) -> Dates:
    """The dates, if the end is after the start.

    Raises:
        InputError: it is not, or only one of them has a time zone.
    """
    start, end = dates
    if start is not None and end is not None:
        if (start.tzinfo is None) != (end.tzinfo is None):
            raise InputError(f"{where}: one of start and end has a time zone and the other has none; add it")
        if start >= end:
            raise InputError(f"{where}: expected an end after the start, got {start.isoformat()} to {end.isoformat()}")
    return dates


def with_known_dates(photograph: Photograph, deployments: Sequence[MarkedDeployment]) -> Photograph:
    """The photograph with the dates that a table has for its site, if none were given."""
    known = [deployment for deployment in deployments if deployment.site_id == photograph.site_id]
    if photograph.dates != (None, None) or not known:
        return photograph
    own = [deployment for deployment in known if photograph.name in deployment.photos]
    chosen = own[:1] or known
    if len(chosen) > 1:
        problem = (
            f"the table has {len(known)} deployments of site {photograph.site_id}: say with --start and --end to which one "
            "this photograph belongs"
        )
        return replace(photograph, problem=photograph.problem or problem)
    return replace(photograph, dates=(chosen[0].start, chosen[0].end))


def _with_sites(media: Sequence[Medium], site: str) -> list[Medium]:
    name = site.strip()
    if not name:
        raise InputError("--site needs the name of the site, exactly as in the results, or a rule such as folder:1")
    if _RULE.match(name):
        return assign_sites(media, parse_site_rule(name))
    return [replace(medium, site_id=name) for medium in media]


def _dates_by_medium(media: Sequence[Medium], site: str, dates: Dates) -> dict[str, Dates]:
    names = [medium.media_id for medium in media]
    found = dict.fromkeys(names, dates)
    rule = parse_site_rule(site.strip()) if _RULE.match(site.strip()) else None
    if not isinstance(rule, CsvSite):
        return found
    # A column start alone may be the time at which a video begins.
    if not {"start", "end"} <= set(read_columns(rule.path)):
        return found
    starts, ends = (look_up_column(rule.path, column, names) for column in ("start", "end"))
    for name in names:
        if starts[name] or ends[name]:
            where = f"{rule.path}, {name}"
            found[name] = check_dates((parse_date(starts[name], where), parse_date(ends[name], where)), where)
    return found


def _probe(media: Sequence[Medium]) -> dict[str, _Facts]:
    """Size and length of each medium, read in worker processes: a file may crash the decoder."""
    work = Work(_facts, lambda _: PROBE_LIMIT_S)
    jobs = min(MOST_WORKERS, worker_count(None), len(media))
    return {
        medium.media_id: _Facts(problem=facts.reason) if isinstance(facts, TaskFailure) else facts
        for medium, facts in run_tasks(media, work, jobs=jobs)
    }


def _facts(medium: Medium) -> _Facts:
    try:
        with open_medium(medium) as reader:
            facts = reader.facts
            return _Facts(facts.width, facts.height, facts.length_s)
    except (MediaError, InputError) as error:
        return _Facts(problem=str(error))
    except OSError as error:
        return _Facts(problem=error.strerror or str(error))


def _photographs(medium: Medium, facts: _Facts, times_s: Sequence[float], dates: Dates, site: str) -> list[Photograph]:
    problem = facts.problem or ("" if medium.site_id else f"no site: --site {site} gives this photograph none")
    if medium.kind is MediumKind.PHOTO or (facts.problem and not times_s):
        return [Photograph(0, medium.media_id, medium, 0.0, dates, facts.width, facts.height, problem)]
    return [
        Photograph(
            0,
            photo_name(medium.media_id, time_s),
            medium,
            time_s,
            dates,
            facts.width,
            facts.height,
            problem or (f"the video ends at {facts.length_s:.2f} s" if time_s >= facts.length_s else ""),
        )
        for time_s in sorted(set(times_s)) or _spread(facts.length_s)
    ]


def _spread(length_s: float) -> list[float]:
    """Seconds in the middle of equal parts of a video."""
    n = max(1, min(N_SPREAD, int(length_s)))
    return sorted({round((i + 0.5) * length_s / n, 1 if length_s > 1 else 3) for i in range(n)})
