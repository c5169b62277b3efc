"""Reads the index of an MP4, MOV or AVI file: time, size and position of each packet, without the pictures.

MP4 and MOV keep it in one box (`moov`), AVI in a list (`idx1`) and in the header of each chunk. From these alone a demuxer
finds the time, size and position of every packet, whatever the packets contain. An incomplete or ambiguous index
(fragments, several indexes, gaps, a file cut short) is not used: such a file must be read in full.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ReadAt = Callable[[int, int], bytes]
"""Reads the bytes from start to end (exclusive)."""

MAX_INDEX_BYTES = 64_000_000
"""Ten times the index of an hour of video at 60 pictures a second, with sound."""

_HEADER_BYTES = 8


@dataclass(frozen=True, slots=True)
class ContainerIndex:
    """What is needed to demux a file without its pictures.

    n_packets: the number of packets in each stream; a demuxer that counts another number misread the file. header_offsets:
    where chunk headers start, ascending; headers: their contents, 8 bytes each.
    """

    n_packets: frozenset[int]
    header_offsets: NDArray[np.int64]
    headers: NDArray[np.uint8]

    def fill(self, content: bytearray, start: int) -> None:
        """Writes the headers into a piece of the file that begins at start."""
        first, last = np.searchsorted(self.header_offsets, (start - _HEADER_BYTES + 1, start + len(content)))
        for offset, header in zip(self.header_offsets[first:last].tolist(), self.headers[first:last], strict=True):
            a, b = max(offset, start), min(offset + _HEADER_BYTES, start + len(content))
            content[a - start : b - start] = header[a - offset : b - offset].tobytes()


def read_container_index(size: int, read_at: ReadAt) -> ContainerIndex | None:
    """The index of a video file of `size` bytes; None if the file must be read in full."""
    beginning = read_at(0, 12)
    if beginning[:4] == b"RIFF" and beginning[8:] == b"AVI ":
        return _read_avi_index(size, read_at)
    return _read_mp4_index(size, read_at) if beginning[4:8] in _MP4_STARTS else None


_MP4_STARTS = frozenset({b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide"})
_MP4_BOXES = _MP4_STARTS | {b"uuid", b"udta", b"meta", b"pnot", b"PICT"}
_UNSUPPORTED = frozenset({b"mvex", b"cmov"})


def _read_mp4_index(size: int, read_at: ReadAt) -> ContainerIndex | None:
    moov: tuple[int, int] | None = None
    position = 0
    while position < size:
        kind, start, end = _read_box(read_at, position, size)
        if kind not in _MP4_BOXES or end > size or end <= position or (kind == b"moov" and moov is not None):
            return None
        if kind == b"moov":
            moov = start, end
        position = end
    if moov is None or moov[1] - moov[0] > MAX_INDEX_BYTES:
        return None
    content = read_at(*moov)
    counts = set()
    for kind, track in _inner_boxes(content):
        if kind in _UNSUPPORTED:
            return None
        if kind == b"trak":
            counts |= _sample_counts(track)
    return ContainerIndex(frozenset(counts), np.zeros(0, np.int64), np.zeros((0, _HEADER_BYTES), np.uint8))


def _read_box(read_at: ReadAt, position: int, size: int) -> tuple[bytes, int, int]:
    """The kind of the box at a position, and where its content starts and ends."""
    header = read_at(position, position + 16)
    if len(header) < _HEADER_BYTES:
        return b"", size, size
    length, kind = struct.unpack_from(">I4s", header)
    if length == 1 and len(header) == 16:
        return kind, position + 16, position + struct.unpack_from(">Q", header, 8)[0]
    return kind, position + _HEADER_BYTES, size if length == 0 else position + length


def _inner_boxes(content: bytes) -> list[tuple[bytes, bytes]]:
    """Kind and content of the boxes inside a box."""
    found = []
    position = 0
    while position + _HEADER_BYTES <= len(content):
        kind, start, end = _read_box(lambda a, b: content[a:b], position, len(content))
        if end <= position:
            break
        found.append((kind, content[start:end]))
        position = end
    return found


def _sample_counts(track: bytes) -> set[int]:
    """The number of samples in a track (box `stsz` or `stz2`)."""
    boxes = [track]
    for name in (b"mdia", b"minf", b"stbl"):
        boxes = [inner for box in boxes for kind, inner in _inner_boxes(box) if kind == name]
    tables = [inner for box in boxes for kind, inner in _inner_boxes(box) if kind in (b"stsz", b"stz2")]
    return {struct.unpack_from(">I", table, 8)[0] for table in tables if len(table) >= 12}


_INDEX_ENTRY = np.dtype([("kind", "S4"), ("flags", "<u4"), ("offset", "<u4"), ("size", "<u4")])
_PICTURES = frozenset({b"dc", b"db"})
_SOUND = b"wb"


def _read_avi_index(size: int, read_at: ReadAt) -> ContainerIndex | None:
    movi: tuple[int, int] | None = None
    index = b""
    position, end = 12, _HEADER_BYTES + struct.unpack("<I", read_at(4, 8))[0]
    if end != size:  # cut short, or in several pieces, as files of more than a gigabyte are
        return None
    while position + _HEADER_BYTES <= end:
        kind, length = struct.unpack("<4sI", read_at(position, position + _HEADER_BYTES))
        inner = position + _HEADER_BYTES
        if kind == b"LIST" and read_at(inner, inner + 4) == b"movi":
            if movi is not None:
                return None
            movi = inner, inner + length
        elif kind == b"idx1":
            if index or length > MAX_INDEX_BYTES or length % _INDEX_ENTRY.itemsize:
                return None
            index = read_at(inner, inner + length)
        position = inner + length + length % 2
    if movi is None or not index:
        return None
    return _parse_avi_index(np.frombuffer(index, _INDEX_ENTRY), *movi)


def _parse_avi_index(index: NDArray[np.void], start: int, end: int) -> ContainerIndex | None:
    """The index, if its entries cover every byte from start (where the word `movi` stands) to end."""
    kinds = [bytes(kind) for kind in index["kind"]]
    if any(len(kind) < 4 or (kind[2:] not in _PICTURES and kind[2:] != _SOUND) for kind in kinds):
        return None
    sizes = index["size"].astype(np.int64)
    offsets = index["offset"].astype(np.int64)
    # Some files count offsets from the word `movi`, others from the start of the file.
    offsets += start + 4 - offsets.min()
    order = np.argsort(offsets, kind="stable")
    ends = (offsets + _HEADER_BYTES + sizes + sizes % 2)[order]
    is_gapless = bool((ends[:-1] == offsets[order][1:]).all()) and ends[-1] in (end, end + end % 2)
    if not is_gapless:
        return None
    headers = np.empty((len(index), _HEADER_BYTES), np.uint8)
    headers[:, :4] = np.frombuffer(b"".join(kinds), np.uint8).reshape(-1, 4)
    headers[:, 4:] = index["size"].astype("<u4").view(np.uint8).reshape(-1, 4)
    counts = Counter(kind for kind, n in zip(kinds, sizes.tolist(), strict=True) if kind[2:] in _PICTURES and n)
    return ContainerIndex(frozenset(counts.values()), offsets[order], headers[order])
