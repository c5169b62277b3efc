"""Reads the index of an MP4, MOV or AVI file: time, size and position of each packet, without the pictures.

MP4 and MOV keep it in one box (`moov`), AVI in an index (`idx1`) and in the head of each chunk. With these alone a demuxer
tells the time, size and place of every packet, whatever the packets themselves hold. A file whose index leaves anything open
(fragments, several indexes, gaps, a cut end) has no skeleton: it is to be read whole.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ReadAt = Callable[[int, int], bytes]
"""The bytes from start to end (exclusive)."""

MAX_INDEX_BYTES = 64_000_000
"""An hour at 60 pictures a second with sound needs a tenth of this."""

_HEADER_BYTES = 8


@dataclass(frozen=True, slots=True)
class ContainerIndex:
    """How a file reads without its pictures.

    n_packets: how many packets each of its streams has; a demuxer that finds another number was misled. heads_at: where the
    heads of chunks lie, ascending; heads: what they are, 8 bytes each. Elsewhere are zeros.
    """

    n_packets: frozenset[int]
    header_offsets: NDArray[np.int64]
    headers: NDArray[np.uint8]

    def fill(self, shown: bytearray, start: int) -> None:
        """Writes the heads into the bytes of the file that begin at start."""
        first, last = np.searchsorted(self.header_offsets, (start - _HEADER_BYTES + 1, start + len(shown)))
        for at, head in zip(self.header_offsets[first:last].tolist(), self.headers[first:last], strict=True):
            a, b = max(at, start), min(at + _HEADER_BYTES, start + len(shown))
            shown[a - start : b - start] = head[a - at : b - at].tobytes()


def read_container_index(size: int, read_at: ReadAt) -> ContainerIndex | None:
    """The skeleton of a video file of so many bytes; None for one that is to be read whole."""
    head = read_at(0, 12)
    if head[:4] == b"RIFF" and head[8:] == b"AVI ":
        return _read_avi_index(size, read_at)
    return _read_mp4_index(size, read_at) if head[4:8] in _MP4_STARTS else None


_MP4_STARTS = frozenset({b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide"})
_MP4_BOXES = _MP4_STARTS | {b"uuid", b"udta", b"meta", b"pnot", b"PICT"}
_IN_FRAGMENTS = frozenset({b"mvex", b"cmov"})


def _read_mp4_index(size: int, read_at: ReadAt) -> ContainerIndex | None:
    moov: tuple[int, int] | None = None
    at = 0
    while at < size:
        kind, start, end = _box(read_at, at, size)
        if kind not in _MP4_BOXES or end > size or end <= at or (kind == b"moov" and moov is not None):
            return None
        if kind == b"moov":
            moov = start, end
        at = end
    if moov is None or moov[1] - moov[0] > MAX_INDEX_BYTES:
        return None
    content = read_at(*moov)
    counts = set()
    for kind, trak in _inside(content):
        if kind in _IN_FRAGMENTS:
            return None
        if kind == b"trak":
            counts |= _samples(trak)
    return ContainerIndex(frozenset(counts), np.zeros(0, np.int64), np.zeros((0, _HEADER_BYTES), np.uint8))


def _box(read_at: ReadAt, at: int, size: int) -> tuple[bytes, int, int]:
    """Kind of a box, where its content starts, and where it ends."""
    head = read_at(at, at + 16)
    if len(head) < _HEADER_BYTES:
        return b"", size, size
    length, kind = struct.unpack_from(">I4s", head)
    if length == 1 and len(head) == 16:
        return kind, at + 16, at + struct.unpack_from(">Q", head, 8)[0]
    return kind, at + _HEADER_BYTES, size if length == 0 else at + length


def _inside(content: bytes) -> list[tuple[bytes, bytes]]:
    """The boxes within a box, each with its kind."""
    found = []
    at = 0
    while at + _HEADER_BYTES <= len(content):
        kind, start, end = _box(lambda a, b: content[a:b], at, len(content))
        if end <= at:
            break
        found.append((kind, content[start:end]))
        at = end
    return found


def _samples(trak: bytes) -> set[int]:
    """How many samples a track has (box `stsz` or `stz2`)."""
    boxes = [trak]
    for name in (b"mdia", b"minf", b"stbl"):
        boxes = [inner for box in boxes for kind, inner in _inside(box) if kind == name]
    tables = [inner for box in boxes for kind, inner in _inside(box) if kind in (b"stsz", b"stz2")]
    return {struct.unpack_from(">I", table, 8)[0] for table in tables if len(table) >= 12}


_INDEX = np.dtype([("kind", "S4"), ("flags", "<u4"), ("offset", "<u4"), ("size", "<u4")])
_PICTURES = frozenset({b"dc", b"db"})
_SOUND = b"wb"


def _read_avi_index(size: int, read_at: ReadAt) -> ContainerIndex | None:
    movi: tuple[int, int] | None = None
    index = b""
    at, end = 12, _HEADER_BYTES + struct.unpack("<I", read_at(4, 8))[0]
    if end != size:  # cut off, or of several parts as those of more than a gigabyte are
        return None
    while at + _HEADER_BYTES <= end:
        kind, length = struct.unpack("<4sI", read_at(at, at + _HEADER_BYTES))
        inner = at + _HEADER_BYTES
        if kind == b"LIST" and read_at(inner, inner + 4) == b"movi":
            if movi is not None:
                return None
            movi = inner, inner + length
        elif kind == b"idx1":
            if index or length > MAX_INDEX_BYTES or length % _INDEX.itemsize:
                return None
            index = read_at(inner, inner + length)
        at = inner + length + length % 2
    if movi is None or not index:
        return None
    return _parse_avi_index(np.frombuffer(index, _INDEX), *movi)


def _parse_avi_index(index: NDArray[np.void], start: int, end: int) -> ContainerIndex | None:
    """The skeleton where the index tells of every byte between start, which is that of the word movi, and end."""
    kinds = [bytes(kind) for kind in index["kind"]]
    if any(len(kind) < 4 or (kind[2:] not in _PICTURES and kind[2:] != _SOUND) for kind in kinds):
        return None
    sizes = index["size"].astype(np.int64)
    places = index["offset"].astype(np.int64)
    # Counted from the word movi, or from the start of the file.
    places += start + 4 - places.min()
    order = np.argsort(places, kind="stable")
    ends = (places + _HEADER_BYTES + sizes + sizes % 2)[order]
    is_whole = bool((ends[:-1] == places[order][1:]).all()) and ends[-1] in (end, end + end % 2)
    if not is_whole:
        return None
    heads = np.empty((len(index), _HEADER_BYTES), np.uint8)
    heads[:, :4] = np.frombuffer(b"".join(kinds), np.uint8).reshape(-1, 4)
    heads[:, 4:] = index["size"].astype("<u4").view(np.uint8).reshape(-1, 4)
    counts = Counter(kind for kind, n in zip(kinds, sizes.tolist(), strict=True) if kind[2:] in _PICTURES and n)
    return ContainerIndex(frozenset(counts.values()), places[order], heads[order])
