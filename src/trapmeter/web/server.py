"""Serves a page on this machine alone, until Ctrl-C, and sends its style sheets and scripts."""

from __future__ import annotations

import socket
import threading
import webbrowser
from collections.abc import Mapping
from importlib.resources import files
from typing import TYPE_CHECKING

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import PlainTextResponse

from trapmeter.errors import RunError, TrapmeterError
from trapmeter.progress import Announce
from trapmeter.web.auth import LOOPBACK, AuthMiddleware, new_token

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

CACHE_HEADERS = {"Cache-Control": "private, max-age=600"}
_SHARED = {
    "htmx.min.js": ("htmx/htmx.min.js", "text/javascript"),
    "base.css": ("base.css", "text/css"),
    "icon.svg": ("icon.svg", "image/svg+xml"),
}
_TYPES = {".js": "text/javascript", ".css": "text/css"}
_GRACE_S = 2


def serve_page(app: FastAPI, listener: socket.socket, *, opens_browser: bool, announce: Announce) -> None:
    """Serves an application behind the `AuthMiddleware` until Ctrl-C.

    announce: receives the page's address, which contains the access token.
    """
    port, token = listener.getsockname()[1], new_token()
    address = f"http://{LOOPBACK}:{port}/?token={token}"
    announce(address)
    if opens_browser:
        # Some browsers run in the terminal, and come back only when they are closed.
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
    config = uvicorn.Config(
        AuthMiddleware(app, token, port),
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_S,
    )
    try:
        uvicorn.Server(config).run(sockets=[listener])
    except KeyboardInterrupt:
        return


def listen_on(port: int) -> socket.socket:
    """A socket that listens on a port of the loopback address; 0 takes a free port.

    Raises:
        RunError: the port is taken.
    """
    listener = socket.socket()
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((LOOPBACK, port))
        listener.listen()
    except (OSError, OverflowError) as error:
        listener.close()
        raise RunError(f"--port {port} can't be used: {error}; choose another one, or leave it out") from error
    return listener


def make_page_app(static: Traversable, names: tuple[str, ...]) -> FastAPI:
    """An application that sends the named files of a folder and those that all pages share, and explains errors as text.

    No part of an address is ever used as a file path.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    shared = files("trapmeter.web").joinpath("static")
    sent: Mapping[str, tuple[Traversable, str]] = {
        name: (shared.joinpath(file), kind) for name, (file, kind) in _SHARED.items()
    } | {name: (static.joinpath(name), _TYPES[name[name.rindex(".") :]]) for name in names}

    @app.get("/static/{name}")
    def static_file(name: str) -> Response:
        if name not in sent:
            return PlainTextResponse("no such file\n", 404)
        file, kind = sent[name]
        return Response(file.read_bytes(), media_type=kind)

    @app.exception_handler(TrapmeterError)
    def refuse(_: Request, error: Exception) -> Response:
        return PlainTextResponse(f"{error}\n", 422)

    return app
