"""The local web server behind the review page."""

from __future__ import annotations

import math
from importlib.resources import files
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse, HTMLResponse, PlainTextResponse
from markupsafe import escape

from trapmeter.errors import InputError, MediaError, RunError
from trapmeter.progress import Announce
from trapmeter.report.html_page import printable
from trapmeter.review.decisions import Decision, DecisionKind, open_log
from trapmeter.review.listing import RowFilter, RowOrder
from trapmeter.review.pages import PageRenderer
from trapmeter.review.pictures import PLAYABLE_TYPES, open_pictures, open_references
from trapmeter.review.plausible import DoubtfulDistanceError
from trapmeter.review.requests import BlindRequest, DecisionRequest, read_count, read_filter
from trapmeter.review.results import Results, read_results
from trapmeter.review.session import ReviewSession
from trapmeter.review.state import ReviewState, StaleDecisionError
from trapmeter.web.pictures import Pictures
from trapmeter.web.server import CACHE_HEADERS, listen_on, make_page_app, serve_page

STATIC_FILES = (
    *("review.js", "stage.js", "boxes.js", "ground.js", "reference.js", "svg.js", "zoom.js"),
    "review.css",
)
ASKS_TO_CONFIRM = 428
"""Precondition Required: the page sends the decision again as confirmed once the reviewer has looked at it again."""


def serve(
    results: str | Path,
    videos: str | Path | None = None,
    port: int = 0,
    *,
    only: str | Path | None = None,
    is_blind: bool = False,
    opens_browser: bool = True,
    announce: Announce = print,
) -> None:
    """Serves the review page of a folder of results on this machine, until Ctrl-C.

    results: a folder that `predict` or `calibrate` wrote, or its distances.csv. videos: the folder of the videos and photos,
    if they have moved since the run. port: 0 takes a free one. only: a table of the rows to list. is_blind: hides the model's
    answers until a person has judged. opens_browser: whether to open the page in the browser.
    announce: receives the page's address, which contains the access token.

    Raises:
        InputError: the results can't be read.
        RunError: the port is taken, or the log can't be written or is in use.
    """
    reviewed = read_results(results, videos, only)
    # A damaged cameras.json is better refused now than when a row is shown.
    _ = reviewed.cameras
    with (
        open_log(reviewed.source) as log,
        open_pictures(reviewed) as pictures,
        open_references(reviewed) as references,
        listen_on(port) as listener,
    ):
        session = ReviewSession(reviewed, log, is_blind=is_blind)
        app = make_app(reviewed, session, pictures, references)
        serve_page(app, listener, opens_browser=opens_browser, announce=announce)


def make_app(results: Results, session: ReviewSession, pictures: Pictures, references: Pictures) -> FastAPI:
    """The application behind the `AuthMiddleware`. No part of an address is ever used as a file path.

    pictures: of the media; references: the reference photographs.
    """
    app = make_page_app(files("trapmeter.review").joinpath("static"), STATIC_FILES)
    pages = PageRenderer(results, session.blinding)

    def row_filter_of(request: Request) -> RowFilter:
        # The order by doubt would hint at what is hidden.
        default = RowOrder.TIME if session.blinding.is_on else RowOrder.DOUBT
        return read_filter(request.query_params, results, default)

    @app.get("/")
    def page(request: Request) -> HTMLResponse:
        number = read_count(request.query_params, "row")
        return HTMLResponse(pages.page(session.state, row_filter_of(request), number))

    @app.post("/blind")
    def blind(request: BlindRequest) -> Response:
        session.blinding.is_on = request.on
        return Response(status_code=204)

    @app.get("/rows")
    def rows(request: Request) -> HTMLResponse:
        try:
            row_filter, offset = row_filter_of(request), read_count(request.query_params, "offset") or 0
        except InputError as error:
            return HTMLResponse(f'<li class="none">{escape(str(error))}</li>', 422)
        return HTMLResponse(pages.rows(session.state, row_filter, offset))

    @app.get("/rows/{number}")
    def row(number: int) -> Response:
        try:
            return HTMLResponse(pages.detail(session.state, session.state.row(number)))
        except StaleDecisionError as error:
            return PlainTextResponse(f"{error}\n", 404)

    @app.post("/decisions")
    def decide(request: DecisionRequest) -> Response:
        status, message, decision = 200, "", None
        try:
            decision, state = session.decide(
                request.kind,
                request.row,
                request.base,
                distance_m=request.distance_m,
                xyxy=request.xyxy,
                target=request.target,
                species=request.species,
                confirmed=request.confirmed,
            )
        except DoubtfulDistanceError as error:
            # Plain text: the page keeps what was typed, and the box of an animal that is being added.
            return PlainTextResponse(str(error), ASKS_TO_CONFIRM if error.can_confirm else 422)
        except StaleDecisionError as error:
            status, message = 409, str(error)
        except InputError as error:
            status, message = 422, str(error)
        except RunError as error:
            status, message = 507, f"NOT SAVED: {error}"
        if decision is None:
            state = session.state
        return HTMLResponse(_decision_response(pages, state, request, decision, message), status)

    @app.get("/media/{number}")
    def medium(number: int) -> Response:
        try:
            path = _medium_path(results, number)
        except MediaError as error:
            return PlainTextResponse(f"{error}\n", 404)
        return FileResponse(path, media_type=PLAYABLE_TYPES[path.suffix.lower()], headers=CACHE_HEADERS)

    @app.get("/media/{number}/picture")
    def picture(number: int, time: float) -> Response:
        try:
            if not (0 <= number < len(results.media) and 0 <= time < math.inf):
                raise MediaError("no such picture")
            return Response(pictures.at(number, time), media_type="image/jpeg", headers=CACHE_HEADERS)
        except MediaError as error:
            return PlainTextResponse(f"{printable(str(error))}\n", 404)

    @app.get("/references/{number}")
    def reference(number: int) -> Response:
        try:
            if not 0 <= number < len(results.references):
                raise MediaError("no such photograph")
            return Response(
                references.at(number, results.reference_time_s(number)), media_type="image/jpeg", headers=CACHE_HEADERS
            )
        except MediaError as error:
            return PlainTextResponse(f"{printable(str(error))}\n", 404)

    return app


def _medium_path(results: Results, number: int) -> Path:
    if not 0 <= number < len(results.media) or results.is_store:
        raise MediaError("no such video")
    path = results.medium(number).path
    if not isinstance(path, Path) or path.suffix.lower() not in PLAYABLE_TYPES:
        raise MediaError("browsers can't play this type of video")
    return path


def _decision_response(
    pages: PageRenderer, state: ReviewState, request: DecisionRequest, decision: Decision | None, message: str
) -> str:
    """The parts of the page that a decision changes, or, if it was refused, the current state of its row."""
    touched = [request.row] if decision is None else state.touched_by(decision)
    # Show a row that was just added; after undoing an addition, show a row of its second.
    about = touched[0] if decision is None or decision.kind is DecisionKind.ADD else decision.row
    shown = about if decision is None or request.show is None or not state.has(request.show) else request.show
    return pages.after_decision(
        state,
        state.row(shown if state.has(shown) else 0),
        changed=[state.row(number) for number in touched if state.has(number)],
        gone=[number for number in touched if not state.has(number)],
        anchor=decision.row if decision is not None and decision.kind is DecisionKind.ADD else None,
        message=message,
    )
