"""gs:// with a small imitation of Google's JSON API: lists, ranges, sizes, and an object that only one can create."""

from __future__ import annotations

import functools
import http.server
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from conftest import MakeClip
from storage_servers import environment
from trapmeter.errors import InputError, RunError
from trapmeter.media.discovery import find_media
from trapmeter.media.opening import open_medium
from trapmeter.records import Frame
from trapmeter.storage import filesystems
from trapmeter.storage.address import RemotePath, parse_path
from trapmeter.storage.publish import FolderLayout, publish_folder

PAGE = 2
"""Objects on a page of a list; few enough for several pages."""


class _Google(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, objects: dict[str, bytes], *rest: Any) -> None:
        self.objects = objects
        super().__init__(*rest)

    def log_message(self, *_: Any) -> None: ...

    def respond(self, content: object, status: int = 200) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)

    def facts(self, name: str) -> dict[str, str]:
        size, when = str(len(self.objects[name])), "2026-05-01T10:00:00.123Z"
        return {"name": name, "bucket": "traps", "size": size, "updated": when, "timeCreated": when, "etag": f"e{size}"}

    def parsed(self) -> tuple[str, str | None, dict[str, str]]:
        """Bucket, name of the object, and parameters of the request."""
        split = urlsplit(self.path)
        match = re.search(r"/b/([^/]+)(?:/o(?:/(.*))?)?$", split.path)
        assert match is not None, self.path
        name = None if match[2] is None else unquote(match[2])
        return match[1], name, {key: values[0] for key, values in parse_qs(split.query).items()}

    def do_GET(self) -> None:
        bucket, name, options = self.parsed()
        if bucket != "traps" or (name is not None and name not in self.objects):
            self.respond({"error": {"code": 404, "message": "Not Found"}}, 404)
        elif name is None and "/o" not in self.path:
            self.respond({"name": bucket})
        elif name is None:
            names = sorted(key for key in self.objects if key.startswith(options.get("prefix", "")))
            start = int(options.get("pageToken", 0))
            more = {"nextPageToken": str(start + PAGE)} if len(names) > start + PAGE else {}
            self.respond(
                {"kind": "storage#objects", "items": [self.facts(key) for key in names[start : start + PAGE]], **more}
            )
        elif options.get("alt") == "media":
            wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
            first, last = map(int, wanted.groups()) if wanted else (0, len(self.objects[name]))
            self.respond(self.objects[name][first : last + 1], 206 if wanted else 200)
        else:
            self.respond(self.facts(name))

    def do_POST(self) -> None:
        bucket, _, options = self.parsed()
        body = self.rfile.read(int(self.headers["Content-Length"]))
        boundary = self.headers["Content-Type"].split("boundary=")[1].strip("\"'").encode()
        _, card, content, *_ = re.split(rb"\r?\n?--" + re.escape(boundary) + rb"(?:--)?\r?\n?", body)
        name = json.loads(re.split(rb"\r?\n\r?\n", card, maxsplit=1)[1])["name"]
        if bucket != "traps" or (options.get("ifGenerationMatch") == "0" and name in self.objects):
            self.respond({"error": {"code": 412, "message": "conditionNotMet"}}, 412)
            return
        self.objects[name] = re.split(rb"\r?\n\r?\n", content, maxsplit=1)[1]
        self.respond(self.facts(name))

    def do_DELETE(self) -> None:
        _, name, _ = self.parsed()
        self.objects.pop(str(name), None)
        self.respond(b"", 204)


@pytest.fixture
def objects(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[dict[str, bytes]]:
    pytest.importorskip("gcsfs", reason="gcsfs is not installed")
    objects: dict[str, bytes] = {}
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Google, objects))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environment(monkeypatch, tmp_path, "http://127.0.0.1:9")
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", address)
    monkeypatch.setenv("TRAPMETER_WORK", str(tmp_path / "work"))
    yield objects
    server.shutdown()
    server.server_close()
    filesystems.forget()


def test_media_are_found_and_read_in_a_bucket_of_google(objects: dict[str, bytes], make_clip: MakeClip) -> None:
    clip = make_clip("google.mp4", n=30, rate=10).read_bytes()
    objects.update(
        {f"survey/S1/{number} a.mp4": clip for number in range(3)} | {"survey/notes.txt": b"x", "other": b"x"}
    )
    found = find_media([parse_path("gs://traps/survey")])
    assert ([medium.media_id for medium in found.media], found.n_other) == (
        [f"S1/{number} a.mp4" for number in range(3)],
        {".txt": 1},
    )
    with open_medium(found.media[0]) as reader:
        assert isinstance(next(iter(reader.frames([1.0]))), Frame)
    assert len(find_media([parse_path("gs://traps/survey/S1/1 a.mp4")]).media) == 1
    for text in ("gs://traps/none", "gs://none/survey"):
        with pytest.raises(InputError, match="nothing at"):
            find_media([parse_path(text)])


def test_results_are_published_to_a_bucket_of_google(
    objects: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    out = RemotePath("gs://traps", "results")
    layout = FolderLayout("seen.jsonl", ("run.json",))
    with publish_folder(out, layout) as folder:
        (folder / "run.json").write_text("{}")
        monkeypatch.setenv("TRAPMETER_WORK", str(tmp_path / "other"))
        with pytest.raises(RunError, match="another run is writing"), publish_folder(out, layout):
            pytest.fail("a second run got the lock")
    assert objects == {"results/run.json": b"{}"}
