"""The local web server behind the page on which reference photographs are marked."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from fastapi import FastAPI, Response
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse

from trapmeter.camera.prior import CameraPrior, camera_prior
from trapmeter.errors import InputError, MediaError, RunError
from trapmeter.marking.ground import GroundView, view_ground
from trapmeter.marking.pages import PageRenderer, first_open, ground_values, stage_values
from trapmeter.marking.photographs import Photograph
from trapmeter.marking.requests import FieldError, ObjectRequest, RemovalRequest, UndoRequest, requested_upright
from trapmeter.marking.session import MarkingSession, MarkingState, StaleChangeError, open_session
from trapmeter.media.reader import FitWithin
from trapmeter.progress import Announce
from trapmeter.records import Medium
from trapmeter.report.html_page import printable
from trapmeter.tables.cameras import CameraSetup
from trapmeter.web.pictures import Pictures
from trapmeter.web.server import CACHE_HEADERS, listen_on, make_page_app, serve_page

FIT = FitWithin(4096, 4096)
"""Pictures are sent in nearly full size, so that clicks can be exact."""
CACHED_VIEWS = 64
MOST_DIFFERENT_SHAPES = 1.03
"""Up to this ratio of their widths over heights, photographs count as of one shape."""


class Cameras:
    """What is known of the cameras before any mark: set-ups by site, and a field of view for all others."""

    def __init__(self, setups: Mapping[str, CameraSetup], hfov_deg: float | None) -> None:
        self._setups, self._hfov_deg = setups, hfov_deg

    def prior(self, photograph: Photograph) -> CameraPrior:
        """The prior of a photograph's camera; the photograph itself tells the aspect ratio."""
        setup = self._setups.get(photograph.site_id, CameraSetup())
        hfov_deg = self._hfov_deg if setup.hfov_deg is None else setup.hfov_deg
        return camera_prior(replace(setup, hfov_deg=hfov_deg, aspect=photograph.aspect_ratio))


class Grounds:
    """The ground of each photograph as of the last change, fitted once. It is safe for several threads."""

    def __init__(self, session: MarkingSession, cameras: Cameras) -> None:
        self._session, self._cameras = session, cameras
        self._views: OrderedDict[tuple[object, ...], GroundView] = OrderedDict()
        self._lock = threading.Lock()

    def view(self, number: int) -> tuple[MarkingState, GroundView]:
        """The ground by all marks of a photograph's deployment, and the state that it is of."""
        with self._lock:  # requests wait for a fit that goes on, and then see the newest table
            state = self._session.state
            uprights = self._session.deployment(number, state.table).uprights
            key = (number, uprights)
            if key not in self._views:
                prior = self._cameras.prior(self._session.photographs[number])
                view = view_ground(uprights, prior, tuple(self._session.objects(number, state.table)))
                self._views[key] = replace(view, message=f"{view.message}{self._shape_note(number, state)}")
                while len(self._views) > CACHED_VIEWS:
                    self._views.popitem(last=False)
            return state, self._views[key]

    def _shape_note(self, number: int, state: MarkingState) -> str:
        """That marked photographs of a deployment have different shapes, so that one camera can't fit all; or ""."""
        shown = self._session.photographs[number]
        ratios = [
            other.aspect_ratio
            for other in self._session.photographs
            if (other.site_id, other.dates) == (shown.site_id, shown.dates)
            and not other.problem
            and (other.number == number or self._session.objects(other.number, state.table))
        ]
        if max(ratios) <= MOST_DIFFERENT_SHAPES * min(ratios):
            return ""
        return " The marked photographs of this site have different shapes: mark only those as the camera usually takes them."


def serve(
    photographs: Sequence[Photograph],
    table: Path,
    cameras: Cameras,
    port: int = 0,
    *,
    opens_browser: bool = True,
    announce: Announce = print,
) -> None:
    """Serves the page on this machine, until Ctrl-C. port: 0 takes a free one; announce: receives the page's address.

    Raises:
        InputError: the table can't be read, or contradicts the dates of the photographs.
        RunError: the port is taken, or the table is in use or can't be written.
    """
    with (
        open_session(table, photographs) as session,
        Pictures(medium_finder(session.photographs), fit=FIT) as pictures,
        listen_on(port) as listener,
    ):
        serve_page(
            make_app(session, Grounds(session, cameras), pictures),
            listener,
            opens_browser=opens_browser,
            announce=announce,
        )


def medium_finder(photographs: Sequence[Photograph]) -> Callable[[int], Medium]:
    """A function from the number of a photograph to its medium, for `Pictures`."""

    def find(number: int) -> Medium:
        if not 0 <= number < len(photographs):
            raise MediaError("no such photograph")
        return photographs[number].medium

    return find


def make_app(session: MarkingSession, grounds: Grounds, pictures: Pictures) -> FastAPI:
    """The application behind the `AuthMiddleware`. Photographs are named by number: no part of an address is a path."""
    names = ("marking.js", "editor.js", "view.js", "drawing.js", "server.js", "marking.css")
    app = make_page_app(files("trapmeter.marking").joinpath("static"), names)
    pages = PageRenderer(session)

    def checked(number: int) -> int:
        if not 0 <= number < len(session.photographs):
            raise InputError("no such photograph")
        return number

    @app.get("/")
    def page(photograph: int | None = None) -> HTMLResponse:
        if photograph is None or not 0 <= photograph < len(session.photographs):
            photograph = first_open(session).number
        return HTMLResponse(pages.page(photograph))

    @app.get("/photographs")
    def photographs(shown: int = -1) -> HTMLResponse:
        return HTMLResponse(pages.photographs(shown))

    @app.get("/photographs/{number}")
    def stage(number: int) -> Response:
        return JSONResponse(stage_values(session, checked(number)))

    @app.get("/photographs/{number}/picture")
    def picture(number: int) -> Response:
        photograph = session.photographs[checked(number)]
        try:
            jpeg = pictures.at(number, photograph.time_s)
        except MediaError as error:
            return PlainTextResponse(f"{printable(str(error))}\n", 404)
        return Response(jpeg, media_type="image/jpeg", headers=CACHE_HEADERS)

    @app.get("/photographs/{number}/ground")
    def ground(number: int) -> Response:
        photograph = session.photographs[checked(number)]
        if photograph.problem:
            return PlainTextResponse(f"{printable(photograph.problem)}\n", 404)
        return JSONResponse(ground_values(session, number, *grounds.view(number)))

    def answer(number: int, change: Callable[[], int]) -> Response:
        """The photograph after a change, or the reason why there was none, with the field that it is about.

        change: returns the number of the photograph that it changed.
        """
        status, message, field = 200, "", ""
        try:
            number = change()
        except StaleChangeError as error:
            status, message = 409, str(error)
        except InputError as error:
            status, message, field = 422, str(error), error.field if isinstance(error, FieldError) else ""
        except RunError as error:
            status, message = 507, str(error)
        values = {"message": printable(message), "field": field, **stage_values(session, number)}
        return JSONResponse(values, status)

    @app.post("/objects")
    def put(request: ObjectRequest) -> Response:
        number = checked(request.photograph)

        def change() -> int:
            photograph = session.photographs[number]
            if photograph.problem:
                raise InputError(f"this photograph can't be marked: {photograph.problem}")
            session.put(number, request.base, requested_upright(request, photograph), request.line)
            return number

        return answer(number, change)

    @app.post("/removals")
    def remove(request: RemovalRequest) -> Response:
        number = checked(request.photograph)

        def change() -> int:
            session.remove(number, request.base, request.line)
            return number

        return answer(number, change)

    @app.post("/undo")
    def undo(request: UndoRequest) -> Response:
        return answer(checked(request.photograph), lambda: session.undo(request.base)[1])

    return app
