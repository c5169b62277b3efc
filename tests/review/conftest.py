"""A small folder of results to review, and the server of the page: in this process, or in its own one to kill."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conftest import MakeClip
from review_rows import AVI, MP4, ODD, ODD_NAME, ROWS, results_of
from trapmeter.review.results import Results

if TYPE_CHECKING:
    pass

TOKEN = "the-token"


@pytest.fixture(scope="session")
def media(make_clip: MakeClip, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the videos that ROWS name: ten numbered pictures a second, three or four seconds long."""
    root = tmp_path_factory.mktemp("media")
    clips = {
        MP4: make_clip("review.mp4", n=30, rate=10, size=(320, 192)),
        AVI: make_clip("review.avi", n=40, rate=10, codec="mjpeg", pix_fmt="yuvj420p", size=(320, 192)),
        # MPEG-4 part 2, which browsers don't play, in a file type that they usually do.
        ODD: make_clip("odd.mp4", n=30, rate=10, codec="mpeg4", size=(320, 192)),
        ODD_NAME: make_clip("odd.asf", n=30, rate=10, codec="msmpeg4", size=(320, 192)),
    }
    for name, clip in clips.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(clip, root / name)
    return root


@pytest.fixture
def results(tmp_path: Path, media: Path, request: pytest.FixtureRequest) -> Results:
    """A folder of results without a review; a test may give other rows as the parameter."""
    return results_of(tmp_path / "results", getattr(request, "param", ROWS), root=media)


@dataclass
class Server:
    """`trapmeter review DIR` in a process of its own; url holds the token."""

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
def serve() -> Iterator[Callable[[Path], Server]]:
    """Starts servers, and stops those that still run in the end."""
    started: list[Server] = []

    def start(folder: Path) -> Server:
        command = [sys.executable, "-m", "trapmeter.cli", "review", str(folder), "--no-open"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        server = Server(process, process.stdout.readline().strip())
        started.append(server)
        assert server.url.startswith("http://127.0.0.1:"), server.url
        return server

    yield start
    for server in started:
        if server.process.poll() is None:
            server.kill()


@pytest.fixture
def start_live() -> Iterator[Callable[..., str]]:
    """Starts a server in this process for some results, and returns its address with its token."""
    import uvicorn

    from trapmeter.review.decisions import open_log
    from trapmeter.review.pictures import open_pictures, open_references
    from trapmeter.review.server import make_app
    from trapmeter.review.session import ReviewSession
    from trapmeter.web.auth import AuthMiddleware
    from trapmeter.web.server import listen_on

    with ExitStack() as stack:

        def start(results: Results, *, is_blind: bool = False) -> str:
            log = stack.enter_context(open_log(results.source))
            pictures = stack.enter_context(open_pictures(results, workers=1))
            references = stack.enter_context(open_references(results))
            listener = stack.enter_context(listen_on(0))
            port = listener.getsockname()[1]
            session = ReviewSession(results, log, is_blind=is_blind)
            app = AuthMiddleware(make_app(results, session, pictures, references), TOKEN, port)
            server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
            thread.start()
            stack.callback(thread.join)
            stack.callback(setattr, server, "should_exit", True)
            return f"http://127.0.0.1:{port}/?token={TOKEN}"

        yield start


@pytest.fixture
def live(results: Results, start_live: Callable[..., str]) -> str:
    """The address of a server in this process, with its token."""
    return start_live(results)
