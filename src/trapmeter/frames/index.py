"""The index of a frame file: which pictures of which video it holds, and where. All of it is checked when it is read."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from trapmeter.errors import InputError, error_text
from trapmeter.storage.address import FileState
from trapmeter.windows import Edge, window_times

FORMAT = 1


@dataclass(frozen=True, slots=True)
class PictureEntry:
    """A picture's position in the file (offset and size in bytes), its own time (pts_s), and its checksum."""

    offset: int
    size: int
    pts_s: float
    crc32: int


@dataclass(frozen=True, slots=True)
class FrameIndex:
    """The pictures of one video.

    entries: by time_s, ascending; several may share a picture. failed: why a second inside the video has no picture.
    length_s: of the video. doubts: defects of a video file that can still be read.
    """

    video_id: str
    source: FileState
    length_s: float
    doubts: tuple[str, ...] = ()
    entries: dict[float, PictureEntry] = field(default_factory=dict)
    failed: dict[float, str] = field(default_factory=dict)

    def missing_times(self, time_s: float, offsets_s: tuple[float, ...], edge: Edge) -> list[float]:
        """The seconds of the window around time_s that have no picture.

        Raises:
            InputError: time_s is outside the video.
        """
        times_s = window_times(time_s, offsets_s, self.length_s, edge)
        return [time_s for time_s in times_s if time_s is not None and time_s not in self.entries]

    def to_bytes(self) -> bytes:
        """As JSON, always the same bytes for the same index."""
        data = {
            "format": FORMAT,
            "video_id": self.video_id,
            "source_bytes": self.source.size_bytes,
            "source_modified_ns": self.source.modified_ns,
            "length_s": self.length_s,
            "doubts": list(self.doubts),
            "failed": [[time_s, reason] for time_s, reason in sorted(self.failed.items())],
            "frames": [
                [time_s, entry.offset, entry.size, entry.pts_s, entry.crc32]
                for time_s, entry in sorted(self.entries.items())
            ],
        }
        return json.dumps(data, separators=(",", ":"), allow_nan=False).encode("ascii")

    @staticmethod
    def from_bytes(raw: bytes, first: int, end: int) -> FrameIndex:
        """The inverse of `to_bytes`. Pictures must be within the bytes first..end (exclusive) of the file.

        Raises:
            InputError: `to_bytes` could not have written this.
        """
        try:
            data = json.loads(raw)
            if data["format"] != FORMAT:
                raise InputError(f"written by another version of trapmeter (format {data['format']}, here {FORMAT})")
            return FrameIndex(
                _text(data["video_id"]),
                FileState(_integer(data["source_bytes"]), _integer(data["source_modified_ns"], least=-(2**63))),
                _seconds(data["length_s"]),
                tuple(_text(doubt) for doubt in data["doubts"]),
                {
                    time_s: PictureEntry(
                        _integer(offset, first),
                        _integer(size, 1, end - offset),
                        _seconds(pts_s),
                        _integer(crc32, 0, 2**32 - 1),
                    )
                    for time_s, offset, size, pts_s, crc32 in _check_ascending(data["frames"])
                },
                {time_s: _text(reason) for time_s, reason in _check_ascending(data["failed"])},
            )
        except (ValueError, KeyError, IndexError, TypeError, OverflowError, RecursionError) as error:
            raise InputError(
                f"its index is not one that trapmeter wrote ({type(error).__name__}: {error_text(error)})"
            ) from error


def time_key(time_s: float) -> float:
    """A time as a key of the index: seconds, rounded to microseconds."""
    return round(float(time_s), 6)


def _check_ascending(rows: Any) -> Any:
    """Returns rows that start with a time, after a check that these are keys in ascending order."""
    times = [_seconds(row[0]) for row in rows]
    if any(time_key(time_s) != time_s for time_s in times) or any(a >= b for a, b in pairwise(times)):
        raise ValueError("times are not whole microseconds in ascending order")
    return rows


def _seconds(value: Any) -> float:
    if not isinstance(value, float) or not 0 <= value < math.inf:
        raise ValueError(f"a number of seconds >= 0 was expected, got {value!r}")
    return value


def _integer(value: Any, least: int = 0, most: int = 2**63) -> int:
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"a whole number from {least} to {most} was expected, got {value!r}")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a text was expected, got {value!r}")
    return value
