from pathlib import Path

import pytest

from conftest import MakeClip
from media.remux import remux
from trapmeter.media.container_index import read_container_index


def has_index(content: bytes) -> bool:
    return read_container_index(len(content), lambda start, end: content[start:end]) is not None


@pytest.fixture(params=["clip.mp4", "clip.avi"])
def clip(request: pytest.FixtureRequest, make_clip: MakeClip) -> Path:
    avi = {"codec": "mjpeg", "pix_fmt": "yuvj420p"}
    return make_clip(request.param, **(avi if request.param.endswith("avi") else {}))


def test_a_complete_file_has_an_index(clip: Path) -> None:
    assert has_index(clip.read_bytes())


def test_a_damaged_file_has_no_index(clip: Path) -> None:
    content = clip.read_bytes()
    half = content[: len(content) // 2]
    for number, damaged in enumerate((b"", content[:7], content[:-100], half, content + b"more", bytes(500))):
        assert not has_index(damaged), number


def test_an_mp4_may_start_with_its_index_but_not_be_in_fragments(make_clip: MakeClip, tmp_path: Path) -> None:
    clip = make_clip("clip.mp4")
    assert has_index(remux(clip, tmp_path / "faststart.mp4", movflags="faststart").read_bytes())
    fragments = remux(clip, tmp_path / "fragments.mp4", movflags="frag_keyframe+empty_moov")
    assert not has_index(fragments.read_bytes())


def test_an_avi_index_must_cover_every_picture(make_clip: MakeClip) -> None:
    content = make_clip("clip.avi", codec="mjpeg", pix_fmt="yuvj420p").read_bytes()
    start = content.rindex(b"idx1")
    assert not has_index(content[: start + 8 + 32] + b"JUNK" + content[start + 8 + 36 :])


def test_other_containers_have_no_index(make_clip: MakeClip) -> None:
    assert not has_index(make_clip("clip.mkv").read_bytes())
