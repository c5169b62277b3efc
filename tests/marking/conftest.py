"""Drawn reference photographs whose camera is known, and the server of the page: in this process, or in its own to kill."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from marking_world import draw_photo
from trapmeter.marking.photographs import Photograph, find_photographs

TOKEN = "the-token"


@pytest.fixture(scope="session")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two sites: three photos, one of them damaged."""
    root = tmp_path_factory.mktemp("setup")
    for name in ("S01/a.png", "S01/b.png", "S02/c.png"):
        draw_photo(root / name)
    (root / "S02/bad.jpg").write_bytes(b"bad")
    return root


@pytest.fixture(scope="session")
def photographs(setup: Path) -> list[Photograph]:
    """S01/a.png, S01/b.png, S02/bad.jpg, S02/c.png."""
    return find_photographs([setup], "folder:1")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Where the marks go; the file doesn't exist yet."""
    return tmp_path / "points.csv"


@dataclass
class Server:
    """`trapmeter points` in a process of its own; url holds the token."""

    process: subprocess.Popen[str]
    url: str

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Ctrl-C; returns the exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(3000)


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Starts servers, and stops those that still run in the end."""
    started: list[Server] = []

    def start(*arguments: object) -> Server:
        command = [sys.executable, "-m", "trapmeter.cli", "points", *map(str, arguments), "--no-open"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        url = next((line.strip() for line in process.stdout if line.startswith("http://127.0.0.1:")), "")
        assert url, "the server didn't start"
        server = Server(process, url)
        started.append(server)
        return server

    yield start
    for server in started:
        if server.process.poll() is None:
            server.kill()


@contextmanager
def serving(photographs: list[Photograph], table: Path) -> Iterator[str]:
    """A server in this process; yields its address with the token."""
    import uvicorn

    from trapmeter.marking.fits import Cameras, Grounds
    from trapmeter.marking.server import make_app, medium_finder
    from trapmeter.marking.session import open_session
    from trapmeter.web.auth import AuthMiddleware
    from trapmeter.web.pictures import Pictures
    from trapmeter.web.server import listen_on

    with ExitStack() as stack:
        session = stack.enter_context(open_session(table, photographs))
        pictures = stack.enter_context(Pictures(medium_finder(session.photographs), workers=1))
        listener = stack.enter_context(listen_on(0))
        port = listener.getsockname()[1]
        app = AuthMiddleware(make_app(session, Grounds(session, Cameras({}, None)), pictures), TOKEN, port)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield f"http://127.0.0.1:{port}/?token={TOKEN}"
        server.should_exit = True
        thread.join()


@pytest.fixture
def live(photographs: list[Photograph], table: Path) -> Iterator[str]:
    """The address of a server in this process, with its token."""
    with serving(photographs, table) as address:
        yield address
