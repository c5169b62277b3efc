"""Access control of a local page: token, cookie, Host and Origin.

Other users of the machine lack the token. Three checks stop other sites in the same browser: the cookie (SameSite=Strict),
the Origin of changes and, against sites that point their own name to 127.0.0.1 (DNS rebinding), the Host.
"""

from __future__ import annotations

import html
import secrets
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = "127.0.0.1"

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def new_token() -> str:
    """A token of 256 random bits."""
    return secrets.token_urlsafe(32)


class AuthMiddleware:
    """Passes requests with the right token, Host and Origin; adds headers that restrict browsers to every response."""

    def __init__(self, app: ASGIApp, token: str, port: int) -> None:
        self._app, self._token = app, token
        # Browsers store cookies by host, not by port: two pages at once need two names.
        self._cookie = f"trapmeter-{port}"
        self._hosts = frozenset({f"{LOOPBACK}:{port}", f"localhost:{port}"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Responds to a rejected request itself, and passes on the others."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return

        async def send_restricted(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await (self._rejection_or_login(Request(scope)) or self._app)(scope, receive, send_restricted)

    def _rejection_or_login(self, request: Request) -> Response | None:
        if request.headers.get("host", "") not in self._hosts:
            return _forbidden("this page is available at 127.0.0.1 and localhost only")
        token = parse_qs(request.url.query).get("token", [""])[0] if request.url.path == "/" else ""
        if token and self._is_token(token):
            return self._log_in(request)
        if token or not self._is_token(request.cookies.get(self._cookie, "")):
            return _forbidden("open the address that trapmeter printed: it contains the access token of this page")
        if request.method not in ("GET", "HEAD"):
            origin = request.headers.get("origin", "")
            if origin.removeprefix("http://") != request.headers["host"] or not origin.startswith("http://"):
                return _forbidden("changes are accepted from this page only")
        return None

    def _is_token(self, text: str) -> bool:
        return secrets.compare_digest(text.encode(), self._token.encode())

    def _log_in(self, request: Request) -> Response:
        """Moves the token from the address into a cookie that no script can read, and opens the page.

        This is no redirect: after a click on another site, browsers withhold the cookie until this site sends a request.
        """
        query = urlencode([(name, value) for name, value in request.query_params.multi_items() if name != "token"])
        response = HTMLResponse(
            f'<!DOCTYPE html><meta http-equiv="refresh" content="0; url=/?{html.escape(query)}">'
            '<link rel="icon" href="/static/icon.svg">'
        )
        response.set_cookie(self._cookie, self._token, httponly=True, samesite="strict", path="/")
        return response


def _forbidden(reason: str) -> Response:
    return PlainTextResponse(f"403: {reason}\n", status_code=403)
