"""Texts become paths or addresses, and an address contains no secret."""

import pickle
from pathlib import Path

import pytest

from trapmeter.errors import InputError
from trapmeter.storage.address import FileState, RemotePath, parse_path
from trapmeter.storage.remote import file_state, file_state_or_zeros, path_exists


@pytest.mark.parametrize(
    ("text", "shown", "name", "inner"),
    [
        ("s3://traps", "s3://traps", "traps", ""),
        ("S3://traps/survey/", "s3://traps/survey", "survey", "survey"),
        ("s3://traps/a b/50% #1?.mp4", "s3://traps/a b/50% #1?.mp4", "50% #1?.mp4", "a b/50% #1?.mp4"),
        ("gs://traps/a.jpg", "gs://traps/a.jpg", "a.jpg", "a.jpg"),
        ("https://host:8080/my%20card/a.mp4", "https://host:8080/my%20card/a.mp4", "a.mp4", "my card/a.mp4"),
        ("http://localhost:80/x", "http://localhost:80/x", "x", "x"),
        ("http://[::1]:80/x", "http://[::1]:80/x", "x", "x"),
    ],
)
def test_an_address_is_parsed_and_shown(text: str, shown: str, name: str, inner: str) -> None:
    address = parse_path(text)
    assert isinstance(address, RemotePath)
    assert (str(address), address.name, address.inner) == (shown, name, inner)
    assert parse_path(shown) == address
    assert pickle.loads(pickle.dumps(address)) == address


@pytest.mark.parametrize("text", ["card1", "/media/card1", "C:/card", "s3:/x", "../x", "a:b//c"])
def test_a_path_stays_a_path(text: str) -> None:
    assert parse_path(text) == Path(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("s3://KEY:SECRET@traps/survey", "user name or password"),
        ("https://me:SECRET@host/card", "user name or password"),
        ("https://host/a.mp4?X-Amz-Signature=SECRET", "part after"),
        ("https://host/a.mp4#SECRET", "part after"),
        ("http://host/card", "not encrypted"),
        ("ftp://host/card", "not a known kind of address"),
        ("file:///etc", "not a known kind of address"),
        ("s3:///survey", "no bucket"),
    ],
)
def test_an_unsafe_or_unknown_address_is_refused_without_showing_its_secret(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as refused:
        parse_path(text)
    assert "SECRET" not in str(refused.value)


def test_an_address_has_names_like_a_path() -> None:
    file = parse_path("s3://traps/survey") / "S1/a.MP4"
    assert isinstance(file, RemotePath)
    assert (file.suffix, file.parent.name, file.parts) == (".MP4", "S1", ("traps", "survey", "S1", "a.MP4"))
    assert file.absolute() is file


def test_the_state_of_a_listed_address_needs_no_request() -> None:
    file = RemotePath("s3://traps", "survey/a.mp4")
    listed = file.with_state(FileState(5, 7))
    assert file_state(listed) == (5, 7)
    assert listed == file


def test_the_state_of_a_local_file_is_its_size_and_time(tmp_path: Path) -> None:
    file = tmp_path / "a.mp4"
    assert file_state_or_zeros(file) == (0, 0)
    assert not path_exists(file)
    file.write_bytes(b"12345")
    assert file_state(file) == file_state_or_zeros(file) == (5, file.stat().st_mtime_ns)
    assert path_exists(file)
