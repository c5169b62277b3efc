"""Frame files: names, indexes, and damaged or malicious files."""

import hashlib
import json
import re
import zlib
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st

from trapmeter.errors import InputError
from trapmeter.frames.fill import verify_store
from trapmeter.frames.frame_file import COMPLETE, HEAD, TAIL, frame_file_name, new_frame_file, open_frame_file
from trapmeter.frames.index import FrameIndex, PictureEntry
from trapmeter.frames.spec import Codec
from trapmeter.frames.store import FrameStore
from trapmeter.storage.address import FileState

# Any text that Python can hold, including lone surrogates.
NAMES = st.text(st.characters(codec=None, exclude_categories=()), max_size=400)


@given(NAMES)
def test_every_name_is_a_safe_file_name(video_id: str) -> None:
    name = frame_file_name(video_id)
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name)


@given(NAMES, NAMES)
def test_different_names_differ_even_if_case_is_ignored(one: str, other: str) -> None:
    assert (frame_file_name(one).lower() == frame_file_name(other).lower()) == (one == other)


def test_similar_names_differ() -> None:
    similar = ["a/b.mp4", "a_b.mp4", "A/B.mp4", "a\\b.mp4", "a//b.mp4", "Taï.avi", "Tai\u0308.avi", "", " "]
    assert len({frame_file_name(video_id).lower() for video_id in similar}) == len(similar)


TIMES = st.integers(0, 10**11).map(lambda microseconds: microseconds / 1e6)
SECONDS = st.floats(0, 1e6)
ENTRIES = st.builds(PictureEntry, st.integers(19, 10**6), st.integers(1, 10**6), SECONDS, st.integers(0, 2**32 - 1))
INDEXES = st.builds(
    FrameIndex,
    NAMES,
    st.builds(FileState, st.integers(0, 2**62), st.integers(0, 2**62)),
    SECONDS,
    st.lists(NAMES).map(tuple),
    st.dictionaries(TIMES, ENTRIES, max_size=5),
    st.dictionaries(TIMES, NAMES, max_size=5),
)


@given(INDEXES)
def test_an_index_survives_a_round_trip(index: FrameIndex) -> None:
    raw = index.to_bytes()
    found = FrameIndex.from_bytes(raw, 19, 2 * 10**6)
    assert found == index
    assert found.to_bytes() == raw
    assert list(found.entries) == sorted(found.entries)


@settings(max_examples=20)
@given(st.dictionaries(TIMES, st.binary(min_size=1, max_size=50), min_size=1, max_size=6), NAMES)
def test_a_frame_file_survives_a_round_trip(tmp_path_factory: pytest.TempPathFactory, pictures, video_id: str) -> None:
    path = tmp_path_factory.mktemp("frames") / frame_file_name(video_id)
    with new_frame_file(path) as writer:
        for time_s, encoded in sorted(pictures.items()):
            writer.add(time_s, time_s, encoded)
        writer.finish(video_id, FileState(1, 2), 3.0, ("a doubt",))
    with open_frame_file(path) as found:
        assert {time_s: found.read_encoded(time_s) for time_s in found.index.entries} == pictures
        assert (found.index.video_id, found.index.doubts) == (video_id, ("a doubt",))


@given(st.binary(max_size=300))
def test_random_bytes_are_refused_as_an_index(raw: bytes) -> None:
    with pytest.raises(InputError):
        FrameIndex.from_bytes(raw, 19, 100)


JPEG = simplejpeg.encode_jpeg(np.full((48, 80, 3), 120, np.uint8), 95, "RGB", "444")


def crafted(store: FrameStore, payload: bytes = JPEG, /, tail: bytes = b"", **fields: object) -> Path:
    """Writes a frame file of a.mp4 with one picture at second 0, as an attacker could."""
    data = {
        "format": 1,
        "video_id": "a.mp4",
        "source_bytes": 1,
        "source_modified_ns": 1,
        "length_s": 4.0,
        "doubts": [],
        "failed": [],
        "frames": [[0.0, len(HEAD), len(payload), 0.0, zlib.crc32(payload)]],
        **fields,
    }
    raw = json.dumps(data).encode()
    path = store.frame_file_path("a.mp4")
    path.write_bytes(HEAD + payload + raw + (tail or TAIL.pack(len(raw), hashlib.sha256(raw).digest(), COMPLETE)))
    return path


def test_the_crafted_frame_file_is_valid_without_changes(make_store) -> None:
    store = make_store()
    crafted(store)
    assert abs(int(store.read("a.mp4", 0).mean()) - 120) <= 1
    assert verify_store(store) == []


N = len(JPEG)


@pytest.mark.parametrize(
    "fields",
    [
        {"frames": [[0.0, len(HEAD), 10**18, 0.0, 0]]},
        {"frames": [[0.0, len(HEAD), N + 1, 0.0, 0]]},
        {"frames": [[0.0, 10**15, 10, 0.0, 0]]},
        {"frames": [[0.0, -5, 10, 0.0, 0]]},
        {"frames": [[0.0, 0, 10, 0.0, 0]]},
        {"frames": [[0.0, len(HEAD), 0, 0.0, 0]]},
        {"frames": [[0.0, True, N, 0.0, 0]]},
        {"frames": [[0.0, len(HEAD), N, float("nan"), 0]]},
        {"frames": [[float("inf"), len(HEAD), N, 0.0, 0]]},
        {"frames": [[-1.0, len(HEAD), N, 0.0, 0]]},
        {"frames": [[0.1234567, len(HEAD), N, 0.0, 0]]},
        {"frames": [[1.0, len(HEAD), N, 0.0, 0], [0.0, len(HEAD), N, 0.0, 0]]},
        {"frames": [[0.0, len(HEAD), N, 0.0, 0], [0.0, len(HEAD), N, 0.0, 0]]},
        {"frames": [[0.0, len(HEAD), N, 0.0]]},
        {"frames": [[]]},
        {"frames": {"0": 1}},
        {"frames": None},
        {"failed": [[0.0, 5]]},
        {"length_s": -1.0},
        {"length_s": "4"},
        {"doubts": [1]},
        {"format": 2},
        {"video_id": 7},
        {"video_id": "b.mp4"},
        {"tail": TAIL.pack(2**63, b"x" * 32, COMPLETE)},
        {"tail": TAIL.pack(10, b"x" * 32, COMPLETE)},
        {"tail": TAIL.pack(0, hashlib.sha256(b"").digest(), COMPLETE)},
        {"tail": TAIL.pack(10, b"x" * 32, b"whatever")},
    ],
    ids=str,
)
def test_a_malicious_frame_file_is_refused(make_store, fields) -> None:
    store = make_store()
    path = crafted(store, **fields)
    with pytest.raises(InputError, match=r"is damaged: .*delete it and run `trapmeter frames` again"):
        store.read("a.mp4", 0)
    (problem,) = verify_store(store)
    assert (problem.file_name, problem.time_s) == (path.name, None)


def huge_jpeg() -> bytes:
    """A header that claims 65,500 x 65,500 pixels."""
    data = bytearray(JPEG)
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = b"\xff\xdc\xff\xdc"
    return bytes(data)


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (simplejpeg.encode_jpeg(np.zeros((50, 80, 3), np.uint8)), "expected 48 x 80 pixels, got 50 x 80"),
        (huge_jpeg(), "expected 48 x 80 pixels, got 65500 x 65500"),
        (b"no picture", "not a JPEG picture"),
        (JPEG[: len(JPEG) // 2], "not a JPEG picture"),
    ],
)
def test_a_picture_of_another_size_or_format_is_refused(make_store, payload, words) -> None:
    store = make_store()
    crafted(store, payload)
    with pytest.raises(InputError, match=f"is damaged: the frame at 0 s: .*{words}"):
        store.window("a.mp4", 0, (0.0,))
    assert [problem.time_s for problem in verify_store(store)] == [0]


@pytest.mark.parametrize(
    "payload", [b"", b"\x89PNG\r\n\x1a\n", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x50\0\0\0\x30" + b"x" * 50]
)
def test_bytes_that_are_not_png_are_refused(make_store, payload) -> None:
    store = make_store(codec=Codec.PNG)
    crafted(store, payload or b"x")
    with pytest.raises(InputError, match="not a PNG picture"):
        store.read("a.mp4", 0)


def test_flipped_bits_are_detected_anywhere_in_the_file(make_clip, make_store, put) -> None:
    store = make_store()
    put(store, make_clip("plain.mp4", n=60, rate=15), [0, 1, 2])
    put(store, make_clip("other.mp4", n=60, rate=15), [0])
    path = store.frame_file_path("plain.mp4")
    intact = path.read_bytes()
    entries = store.index("plain.mp4").entries
    steps: list[tuple[str, int, int, int]] = []
    assert verify_store(store, lambda *step: steps.append(step)) == []
    assert steps == [("check", 1, 2, 0), ("check", 2, 2, 0)]
    rng = np.random.default_rng(0)
    for at in rng.integers(0, len(intact), 60).tolist():
        data = bytearray(intact)
        data[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(data)
        (problem,) = verify_store(store)
        hit = [time_s for time_s, entry in entries.items() if entry.offset <= at < entry.offset + entry.size]
        assert (problem.file_name, problem.time_s) == (path.name, hit[0] if hit else None)
        with pytest.raises(InputError, match="is damaged"):
            store.read("plain.mp4", hit[0] if hit else 0)
    for length in (0, 10, len(HEAD), len(intact) // 2, len(intact) - 1):
        path.write_bytes(intact[:length])
        with pytest.raises(InputError, match="is damaged"):
            store.read("plain.mp4", 0)
        assert len(verify_store(store)) == 1


def test_a_renamed_frame_file_is_refused(make_clip, make_store, put) -> None:
    store = make_store()
    put(store, make_clip("plain.mp4", n=60, rate=15), [0])
    store.frame_file_path("plain.mp4").rename(store.frame_file_path("victim.mp4"))
    with pytest.raises(InputError, match=r"holds the frames of another video, plain\.mp4"):
        store.read("victim.mp4", 0)
    assert len(verify_store(store)) == 1
