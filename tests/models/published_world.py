"""A small TorchScript network, and a server that delivers files with all the faults of a network."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from trapmeter.models.input_spec import InputSpec, Resize
from trapmeter.windows import SECOND_PLACE_OFFSETS_S

SPEC = InputSpec((32, 48), SECOND_PLACE_OFFSETS_S, Resize.OPENCV_LINEAR)


def save_torchscript(path: Path, seed: int = 0, *, by_script: bool = False) -> Path:
    """Saves a scripted or traced network for 15 channels that predicts about 1 to 20 m."""
    import torch
    from torch import nn

    torch.manual_seed(seed)
    network = nn.Sequential(
        nn.Conv2d(15, 4, 3, stride=2),
        nn.BatchNorm2d(4),
        nn.SiLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 1),
    ).eval()
    nn.init.constant_(network[-1].bias, 5.0)
    made = torch.jit.script(network) if by_script else torch.jit.trace(network, torch.rand(1, 15, *SPEC.size_hw))
    torch.jit.save(made, str(path))
    return path


@dataclass
class Server:
    """Serves `content` at any path; the path selects a fault.

    /good: none. /breaks: the connection ends after half of the requested bytes. /short, /long: a wrong length. /wrong: other
    bytes. /noranges: no ranges. /missing, /busy: 404, 503. /elsewhere: a redirect to a file URL.
    """

    content: bytes
    port: int = 0
    requests: list[tuple[str, str | None]] = field(default_factory=list)

    def url(self, kind: str) -> str:
        """The URL for a kind of delivery."""
        return f"http://127.0.0.1:{self.port}/{kind}"


@contextmanager
def serving(content: bytes) -> Iterator[Server]:
    """Runs a server during the block."""
    server = Server(content)

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            kind, span = self.path.split("/")[1], self.headers.get("Range")
            server.requests.append((kind, span))
            if kind in ("missing", "busy"):
                self.send_error(404 if kind == "missing" else 503)
                return
            if kind == "elsewhere":
                self.send_response(302)
                self.send_header("Location", "file:///etc/hostname")
                self.end_headers()
                return
            body = bytes(len(server.content)) if kind == "wrong" else server.content
            start = int(span.removeprefix("bytes=").rstrip("-")) if span and kind != "noranges" else 0
            if start >= len(body) > 0 and start:
                self.send_error(416)
                return
            rest = body[start:]
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            length = len(rest) // 2 if kind == "short" else len(rest) + 999 if kind == "long" else len(rest)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(rest[: max(1, len(rest) // 2)] if kind == "breaks" else rest)

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.port = http.server_address[1]
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
