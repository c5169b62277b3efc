"""An S3 server on this machine behind a proxy that can misbehave, and a web server that supports ranges."""

from __future__ import annotations

import functools
import http.client
import http.server
import logging
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from trapmeter.parallel.workers import Engine, Work
from trapmeter.storage import filesystems, remote

SECRET = "must-not-be-written-anywhere"


def one_by_one(tasks: Iterable[Any], work: Work[Any, Any], **_: Any) -> Iterator[Any]:
    assert work.start is not None
    work.start()
    yield from ((task, work.do(task)) for task in tasks)


IN_PROCESS = Engine(one_by_one)
"""Runs tasks in this process, where tests can shorten the waits between tries."""


@dataclass
class Proxy:
    """A proxy of an S3 server: it records requests and whether they were signed, and can misbehave.

    misbehave: called with each request's method and path; returns None, an HTTP status and S3's code for it, or the number
    of bytes of the response to send before the connection breaks.
    """

    address: str = ""
    requests: list[tuple[str, str]] = field(default_factory=list)
    signed: list[bool] = field(default_factory=list)
    misbehave: Callable[[str, str], tuple[int, str] | int | None] = lambda *_: None

    def gets(self, name: str) -> int:
        return sum(method == "GET" and path.partition("?")[0].endswith(name) for method, path in self.requests)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    server = pytest.importorskip("moto.server", reason="moto is not installed")
    pytest.importorskip("s3fs", reason="s3fs is not installed")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    moto = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    yield f"http://{host}:{port}"
    moto.stop()


def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, endpoint: str) -> None:
    """Sets the environment as a user would, without this machine's own settings."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "someone")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr(remote, "FIRST_RETRY_S", 0.001)
    filesystems.forget()


@pytest.fixture
def proxy(s3_server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Proxy]:
    """S3 through a proxy, with an empty bucket named `traps`."""
    proxy = Proxy()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Forward, proxy, s3_server))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    proxy.address = f"http://127.0.0.1:{server.server_port}"
    _request(s3_server, "POST", "/moto-api/reset")
    _request(s3_server, "PUT", "/traps")
    environment(monkeypatch, tmp_path, proxy.address)
    yield proxy
    server.shutdown()
    server.server_close()
    filesystems.forget()


@pytest.fixture
def upload(s3_server: str) -> Callable[..., None]:
    """upload(path or bytes, name): into the bucket `traps`."""

    def put(content: Path | bytes, name: str) -> None:
        content = content.read_bytes() if isinstance(content, Path) else content
        assert _request(s3_server, "PUT", f"/traps/{name}", content) == 200

    return put


def _request(server: str, method: str, path: str, content: bytes = b"") -> int:
    connection = http.client.HTTPConnection(urlsplit(server).netloc)
    # The server accepts any signature.
    connection.request(
        method, path, content, {"Authorization": "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/s3/x"}
    )
    return connection.getresponse().status


class _Quiet(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None: ...


class _Forward(_Quiet):
    def __init__(self, proxy: Proxy, server: str, *rest: Any) -> None:
        self.proxy, self.host = proxy, urlsplit(server).netloc
        super().__init__(*rest)

    def forward(self) -> None:
        proxy = self.proxy
        proxy.requests.append((self.command, self.path))
        proxy.signed.append("Authorization" in self.headers)
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        wrong = proxy.misbehave(self.command, self.path)
        if isinstance(wrong, tuple):
            status, code = wrong
            self.respond(status, [], f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode())
            return
        connection = http.client.HTTPConnection(self.host)
        connection.request(self.command, self.path, content, dict(self.headers))
        response = connection.getresponse()
        body = response.read()
        headers = [(name, value) for name, value in response.getheaders() if name.lower() not in _OWN]
        length = response.getheader("Content-Length") if self.command == "HEAD" else None
        self.respond(response.status, headers, body, length, wrong)
        connection.close()

    def respond(
        self,
        status: int,
        headers: list[tuple[str, str]],
        body: bytes,
        length: str | None = None,
        cut: int | None = None,
    ) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", length or str(len(body)))
        self.end_headers()
        self.wfile.write(body if cut is None else body[:cut])
        self.close_connection = self.close_connection or cut is not None

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = forward


_OWN = {"content-length", "connection", "transfer-encoding", "server", "date"}


class _WithRanges(_Quiet):
    """Serves folders as pages of links, and files completely or in ranges."""

    def do_GET(self) -> None:
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        path = Path(self.translate_path(self.path))
        if wanted is None or not path.is_file():
            super().do_GET()
            return
        first, last = map(int, wanted.groups())
        content = path.read_bytes()[first : last + 1]
        self.server.n_bytes += len(content)  # type: ignore[attr-defined]
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{first + len(content) - 1}/{path.stat().st_size}")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@dataclass
class Web:
    address: str
    server: Any


@pytest.fixture(params=["ranges", "no ranges"])
def web(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Callable[[Path], Web]]:
    """web(folder): serves a folder, with a server that supports ranges and with one that doesn't."""
    pytest.importorskip("aiohttp", reason="aiohttp is not installed")
    environment(monkeypatch, tmp_path, "http://127.0.0.1:9")
    servers = []

    def serve(folder: Path) -> Web:
        handler = _WithRanges if request.param == "ranges" else _Quiet
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=str(folder)))
        server.daemon_threads, server.n_bytes = True, 0  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return Web(f"http://127.0.0.1:{server.server_port}", server)

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()
    filesystems.forget()
