"""The local web server behind the page on which reference photographs are marked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path

from fastapi import FastAPI, Response
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse

from trapmeter.errors import InputError, MediaError, RunError
from trapmeter.marking.fits import Cameras, Grounds
from trapmeter.marking.pages import PageRenderer, first_open, ground_values, stage_values
from trapmeter.marking.photographs import Photograph
from trapmeter.marking.requests import FieldError, ObjectRequest, RemovalRequest, UndoRequest, requested_upright
from trapmeter.marking.session import MarkingSession, StaleChangeError, open_session
from trapmeter.media.reader import FitWithin
from trapmeter.progress import Announce
from trapmeter.records import Medium
from trapmeter.report.html_page import printable
from trapmeter.web.pictures import Pictures
from trapmeter.web.server import CACHE_HEADERS, listen_on, make_page_app, serve_page

FIT = FitWithin(4096, 4096)
"""Pictures are sent in nearly full size, so that clicks can be exact."""


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
    def ground(number: int, checks: bool = False) -> Response:
        photograph = session.photographs[checked(number)]
        if photograph.problem:
            return PlainTextResponse(f"{printable(photograph.problem)}\n", 404)
        return JSONResponse(ground_values(session, number, grounds.view(number, waits_for_checks=checks)))

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
