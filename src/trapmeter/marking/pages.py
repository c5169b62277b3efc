"""Renders the page as HTML, and what it draws on a photograph as plain values for its script."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from importlib.resources import files
from itertools import groupby
from typing import Any

from trapmeter.marking.fits import CheckedGround
from trapmeter.marking.ground import MarkCheck, what_is_missing
from trapmeter.marking.photographs import Photograph
from trapmeter.marking.session import MarkingSession, MarkingState
from trapmeter.report.html_page import page_environment, printable
from trapmeter.tables.metres import FARTHEST_KNOWN_M
from trapmeter.tables.reference_marks import MarkedDeployment, Upright, UprightKind

PERSON_M, POLE_M = 1.75, 1.5
"""Heights that the page offers before any were typed."""
PLACE_DECIMALS = 5


@dataclass(frozen=True, slots=True)
class ItemView:
    """A photograph in the list."""

    number: int
    name: str
    n_marks: int
    problem: str


@dataclass(frozen=True, slots=True)
class SiteView:
    """A deployment in the list. n_elsewhere: marks of it that are in none of the photographs."""

    title: str
    dates: str
    status: str
    is_fitted: bool
    n_elsewhere: int
    items: tuple[ItemView, ...]


class PageRenderer:
    """Renders the responses of the server."""

    def __init__(self, session: MarkingSession) -> None:
        self._session = session
        self._environment = page_environment(files("trapmeter.marking").joinpath("templates"))

    def page(self, number: int) -> str:
        """The complete page, which shows a photograph."""
        stage = json.dumps(stage_values(self._session, number))
        table = str(self._session.state.table.path)
        return self._render("page.html", number, stage=stage, table=table)

    def photographs(self, number: int) -> str:
        """The list, in which a photograph is on display."""
        return self._render("list.html", number)

    def _render(self, name: str, number: int, **values: Any) -> str:
        return self._environment.get_template(name).render(sites=_sites(self._session), shown=number, **values)


def stage_values(session: MarkingSession, number: int, state: MarkingState | None = None) -> dict[str, Any]:
    """What the page shows of a photograph: its objects and their marks, the heights to offer, and what undo does."""
    state = state or session.state
    photograph = session.photographs[number]
    return {
        "photograph": number,
        "n": len(session.photographs),
        "version": state.version,
        "name": printable(photograph.name),
        "site": printable(photograph.site_id),
        "width": photograph.width,
        "height": photograph.height,
        "problem": printable(photograph.problem),
        "objects": [_object(upright) for upright in session.objects(number, state.table).values()],
        "heights": _heights(session, state),
        "undo": printable(state.last),
        "farthest": FARTHEST_KNOWN_M,
    }


def ground_values(session: MarkingSession, number: int, ground: CheckedGround) -> dict[str, Any]:
    """The lines, the horizon and the checks of a photograph's marks, by the line of each object."""
    checks = {
        str(upright.line): _check(ground.checks[i])
        for i, upright in session.objects(number, ground.state.table).items()
        if i in ground.checks
    }
    return {
        "version": ground.state.version,
        "isFitted": ground.view.is_fitted,
        "message": ground.view.message,
        "lines": {f"{metres:g}": _places(line) for metres, line in ground.view.lines.items()},
        "horizon": _places(ground.view.horizon),
        "checks": checks,
        "hasAll": ground.has_all,
    }


def _sites(session: MarkingSession) -> list[SiteView]:
    table = session.state.table
    views = []
    for (site_id, _, _), group in groupby(session.photographs, lambda one: (one.site_id, *map(str, one.dates))):
        photographs = list(group)
        deployment = session.deployment(photographs[0].number, table)
        items = tuple(
            ItemView(one.number, one.name, _n_marks(session.objects(one.number, table)), one.problem)
            for one in photographs
        )
        missing = what_is_missing(deployment.uprights)
        n_all = sum(len(upright.marks) for upright in deployment.uprights)
        n_elsewhere = max(0, n_all - sum(item.n_marks for item in items))
        status = "" if not site_id else "fitted" if not missing else "not fitted yet"
        views.append(SiteView(site_id or "no site", _dates(deployment), status, not missing, n_elsewhere, items))
    return views


def _n_marks(objects: Any) -> int:
    return sum(len(upright.marks) for upright in objects.values())


def _dates(deployment: MarkedDeployment) -> str:
    if deployment.start is None and deployment.end is None:
        return ""
    start, end = ("…" if time is None else f"{time:%Y-%m-%d}" for time in (deployment.start, deployment.end))
    return f"{start} to {end}"


def _object(upright: Upright) -> dict[str, Any]:
    return {
        "line": upright.line,
        "kind": upright.kind.value,
        "name": printable(upright.name),
        "distance": None if upright.distance_m is None else round(upright.distance_m, 3),
        "marks": [
            {"x": round(mark.x, 7), "y": round(mark.y, 7), "height": round(mark.height_m, 3)} for mark in upright.marks
        ],
    }


def _heights(session: MarkingSession, state: MarkingState) -> dict[str, list[float]]:
    """The heights of the last pole and the last person in the table, to offer for the next one."""
    heights = {UprightKind.POLE.value: [0.0, POLE_M], UprightKind.PERSON.value: [0.0, PERSON_M]}
    uprights = [upright for deployment in state.table.deployments for upright in deployment.uprights]
    for upright in sorted(uprights, key=lambda one: one.line):
        if upright.kind.value in heights and len(upright.marks) == 2:
            heights[upright.kind.value] = [upright.lowest.height_m, upright.highest.height_m]
    return heights


def _check(check: MarkCheck) -> dict[str, Any]:
    others = check.others_m
    return {
        "agreement": check.agreement.value,
        "others": None if others is None or math.isinf(others) else round(others, 2),
        "misfit": None if check.misfit_m is None else round(check.misfit_m, 2),
        "text": check.text,
    }


def _places(line: list[tuple[float, float]]) -> list[list[float]]:
    return [[round(x, PLACE_DECIMALS), round(y, PLACE_DECIMALS)] for x, y in line]


def first_open(session: MarkingSession) -> Photograph:
    """The first photograph without marks that can be marked, or else the first one."""
    photographs = session.photographs
    can_be_marked = [one for one in photographs if not one.problem]
    return next((one for one in can_be_marked if not session.objects(one.number)), (can_be_marked or photographs)[0])
