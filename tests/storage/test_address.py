"""What users write becomes a path or an address, and an address holds no secret."""

import pickle
from pathlib import Path

import pytest

from trapmeter.errors import InputError
from trapmeter.storage.address import RemotePath, RemoteStat, parse_path


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
def test_addresses_read_and_shown(text: str, shown: str, name: str, inner: str) -> None:
    address = parse_path(text)
    assert isinstance(address, RemotePath)
    assert (str(address), address.name, address.inner) == (shown, name, inner)
    assert parse_path(shown) == address
    assert pickle.loads(pickle.dumps(address)) == address


@pytest.mark.parametrize("text", ["card1", "/media/card1", "C:/card", "s3:/x", "../x", "a:b//c"])
def test_paths_stay_paths(text: str) -> None:
    assert parse_path(text) == Path(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("s3://KEY:SECRET@traps/survey", "user name or password"),
        ("https://me:SECRET@host/card", "user name or password"),
        ("https://host/a.mp4?X-Amz-Signature=SECRET", "part after"),
        ("https://host/a.mp4#SECRET", "part after"),
        ("http://host/card", "not encrypted"),
        ("ftp://host/card", "no kind of address"),
        ("file:///etc", "no kind of address"),
        ("s3:///survey", "no bucket"),
    ],
)
def test_addresses_that_are_refused(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as refused:
        parse_path(text)
    assert "SECRET" not in str(refused.value)


def test_an_address_answers_as_a_path_does() -> None:
    file = parse_path("s3://traps/survey") / "S1/a.MP4"
    assert isinstance(file, RemotePath)
    assert (file.suffix, file.parent.name, file.parts) == (".MP4", "S1", ("traps", "survey", "S1", "a.MP4"))
    assert file.absolute() is file
    state = RemoteStat(5, 7)
    assert file.with_stat(state).stat() is state
    assert file.with_stat(state) == file
