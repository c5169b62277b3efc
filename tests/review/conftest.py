"""A small folder of results to review, and the page's server in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from review_rows import results_of
from trapmeter.review.results import Results


@pytest.fixture
def results(tmp_path: Path) -> Results:
    """ROWS as a folder of results whose media are nowhere."""
    return results_of(tmp_path / "results")


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
        return self.process.wait(60)


@pytest.fixture(scope="session")
def serve() -> Iterator[Callable[[Path], Server]]:
    """Starts servers, and ends those that are left."""
    started: list[Server] = []

    def start(folder: Path) -> Server:
        command = [sys.executable, "-m", "trapmeter.cli", "review", str(folder), "--no-open"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "COLUMNS": "200"})
        assert process.stdout is not None
        server = Server(process, process.stdout.readline().strip())
        started.append(server)
        assert server.url.startswith("http://127.0.0.1:"), server.url
        return server

    yield start
    for server in started:
        if server.process.poll() is None:
            server.kill()
