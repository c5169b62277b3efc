"""Whatever the network does, a download ends with the right file or with reasons."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.published_world import Server, serving
from trapmeter.errors import ModelError
from trapmeter.models.download import RetryPolicy, download

CONTENT = hashlib.shake_128(b"weights").digest(300_000)
PATIENCE = RetryPolicy(attempts=4, timeout_s=60.0, pause_s=0.01)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(CONTENT) as server:
        yield server


def is_content(path: Path) -> str | None:
    return None if path.read_bytes() == CONTENT else f"other bytes ({path.stat().st_size})"


def fetch(server: Server, part: Path, *kinds: str, max_bytes: int = 10_000_000, retries: RetryPolicy = PATIENCE) -> str:
    urls = [server.url(kind) for kind in kinds]
    return download(urls, part, check=is_content, max_bytes=max_bytes, retries=retries)


def test_a_file_is_downloaded_in_one_request(server: Server, tmp_path: Path) -> None:
    calls: list[tuple[int, int | None]] = []
    download(
        [server.url("good")],
        tmp_path / "p",
        check=is_content,
        max_bytes=10**7,
        progress=lambda *call: calls.append(call),
    )
    assert is_content(tmp_path / "p") is None
    assert server.requests == [("good", None)]
    assert calls[0] == (0, len(CONTENT))
    assert calls[-1] == (len(CONTENT), len(CONTENT))


def test_an_interrupted_download_resumes(server: Server, tmp_path: Path) -> None:
    fetch(server, tmp_path / "p", "breaks", retries=RetryPolicy(30, 60.0, 0.0))
    assert is_content(tmp_path / "p") is None
    starts = [0 if span is None else int(span[6:-1]) for _, span in server.requests]
    assert starts == sorted(set(starts))
    assert len(starts) > 5


def test_a_later_call_resumes_the_part_of_an_earlier_one(server: Server, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"the connection ended after [\d,]+ of 300,000 bytes(.|\n)*bytes are kept"):
        fetch(server, tmp_path / "p", "breaks", retries=RetryPolicy(1, 60.0, 0.0))
    assert (tmp_path / "p").stat().st_size == 150_000
    fetch(server, tmp_path / "p", "good")
    assert server.requests[-1] == ("good", "bytes=150000-")
    assert is_content(tmp_path / "p") is None


def test_a_server_without_ranges_starts_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "p").write_bytes(CONTENT[:1000])
    fetch(server, tmp_path / "p", "noranges")
    assert server.requests == [("noranges", "bytes=1000-")]
    assert is_content(tmp_path / "p") is None


def test_a_stated_length_that_is_too_short_is_detected(server: Server, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="other bytes"):
        fetch(server, tmp_path / "p", "short")


def test_a_stated_length_that_is_too_long_does_no_harm(server: Server, tmp_path: Path) -> None:
    # The part is complete, but shorter than stated; the server has no more bytes to send.
    fetch(server, tmp_path / "p", "long")
    assert is_content(tmp_path / "p") is None


def test_wrong_bytes_are_deleted_and_the_next_mirror_is_tried(server: Server, tmp_path: Path) -> None:
    assert fetch(server, tmp_path / "p", "wrong", "good") == server.url("good")
    assert server.requests == [("wrong", None), ("good", None)]
    (tmp_path / "p").unlink()
    with pytest.raises(ModelError, match="other bytes"):
        fetch(server, tmp_path / "p", "wrong")
    assert not (tmp_path / "p").exists()


def test_a_part_of_another_file_does_not_spoil_the_download(server: Server, tmp_path: Path) -> None:
    for foreign in (b"x" * 5000, b"x" * 300_000, b"x" * 400_000):
        (tmp_path / "p").write_bytes(foreign)
        fetch(server, tmp_path / "p", "good")
        assert is_content(tmp_path / "p") is None


def test_a_mirror_without_the_file_is_tried_once(server: Server, tmp_path: Path) -> None:
    fetch(server, tmp_path / "p", "missing", "good")
    assert [kind for kind, _ in server.requests] == ["missing", "good"]


def test_a_busy_server_is_tried_again_and_all_reasons_are_reported(server: Server, tmp_path: Path) -> None:
    with pytest.raises(ModelError) as error:
        fetch(server, tmp_path / "p", "busy", "missing")
    assert [kind for kind, _ in server.requests] == ["busy"] * 4 + ["missing"]
    for part in ("/busy: the server responds 503", "/missing: the server responds 404", "trapmeter models import"):
        assert part in str(error.value)


def test_a_file_larger_than_expected_is_refused(server: Server, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="offers 300,000 bytes, expected at most 1,000"):
        fetch(server, tmp_path / "p", "good", max_bytes=1000)
    assert len(server.requests) == 1


def test_redirects_to_local_files_are_refused(server: Server, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"Redirection to url .file:"):
        fetch(server, tmp_path / "p", "elsewhere")
    assert not (tmp_path / "p").exists()


def test_a_refused_connection_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="refused"):
        download(
            ["http://127.0.0.1:9/x"],
            tmp_path / "p",
            check=is_content,
            max_bytes=10,
            retries=RetryPolicy(2, 1.0, 0.0),
        )


def test_a_file_url_can_be_a_mirror(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(CONTENT)
    (tmp_path / "p").write_bytes(CONTENT[:10])
    download([(tmp_path / "source").as_uri()], tmp_path / "p", check=is_content, max_bytes=10**7, retries=PATIENCE)
    assert is_content(tmp_path / "p") is None


@pytest.mark.skipif(not Path("/dev/full").exists() or os.name != "posix", reason="needs /dev/full")
def test_a_full_disk_is_reported_without_another_attempt(server: Server, tmp_path: Path) -> None:
    from trapmeter.errors import RunError

    (tmp_path / "p").symlink_to("/dev/full")
    with pytest.raises(RunError, match="No space left"):
        fetch(server, tmp_path / "p", "good", "good")
    assert len(server.requests) == 1
