"""Reads pictures at given seconds from a video, decoding as little as it can.

The file is read once without decoding, for the times and keyframe flags of its packets. `timeline.py` then tells which
packets lead to the wanted pictures; all others are read over, which costs next to nothing, so no seek position needs to be
trusted. Pictures that no other one depends on are skipped by the decoder, each wanted one is scaled in the step that turns
it into RGB and handed on before the next is decoded: memory does not grow with the video. Where a picture does not come out
that way, the rest is decoded in sequence.

Of a remote file the first reading takes its skeleton alone, and the second what the plan needs; a packet that isn't what the
skeleton told makes it be read whole.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from fractions import Fraction
from typing import Any

import av.error
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from trapmeter.errors import MediaError
from trapmeter.media.demuxer import (
    MAX_PIXELS,
    PLACED_PACKET,
    container_recording_time,
    declared_length_s,
    ffmpeg_message,
    open_container,
    packet_facts,
    video_packets,
    video_stream,
)
from trapmeter.media.medium_file import MediumFile, open_medium_file
from trapmeter.media.reader import MediumFacts, MissingFrame, Scale, scaled_size, transpose_scale
from trapmeter.media.timeline import DecodeRun, Timeline, make_timeline, plan_decoding, pts_shown_at, regular_times
from trapmeter.records import Frame, Pixels, Status
from trapmeter.storage.address import AnyPath

MAX_STALE_S = 2.0
MAX_STALE_STEPS = 10
"""How long the last good picture may stand in for lost ones: two seconds, or ten of the video's usual steps if that is more
(a video of a picture each ten seconds is not full of holes)."""


@contextmanager
def open_video(path: AnyPath, *scales: Scale) -> Iterator[VideoReader]:
    """Opens a video and reads its timeline. scales: as for `trapmeter.media.opening.open_medium`.

    Raises:
        MediaError: FFmpeg can't open it, or there is no picture in it.
    """
    with open_medium_file(path, sparsely=True) as file:
        if file.size == 0:
            raise MediaError("the file is empty (0 bytes)")
        yield VideoReader(file, scales or (None,))


class VideoReader:
    """A video whose timeline is known. Satisfies `trapmeter.media.reader.MediumReader`."""

    def __init__(self, file: MediumFile, scales: tuple[Scale, ...]) -> None:
        self._file = file
        # A scaler keeps its tables for one pair of sizes.
        self._scalers = [(scale, VideoReformatter()) for scale in scales]
        self._doubts: dict[str, None] = {}
        with open_container(file) as container:
            stream = video_stream(container)
            codec = stream.codec_context
            self._codec, self._width, self._height = codec.name, codec.width, codec.height
            self._declared_s = declared_length_s(container, stream)
            self._recorded = container_recording_time(container)
            self._time_base = stream.time_base or Fraction(1, 1000)
            self._rate = stream.average_rate or stream.guessed_rate or Fraction(25)
            # AVI has no presentation times. With pictures sent out of order, what FFmpeg puts in their place is wrong.
            self._is_exact = not (container.format.name == "avi" and codec.has_b_frames)
            if not self._is_exact:
                file.complete()
            table = None if file.has_gaps else self._packet_table(container)
        # Where it was read off the skeleton, what is fetched later must agree with it.
        self._indexed_packets = self._packets_from_index() if table is None else None
        if table is None:
            table = self._packet_table_of_whole_file() if self._indexed_packets is None else self._indexed_packets
        self._timeline = timeline = self._timeline_of(table)
        self._max_stale_s = max(MAX_STALE_S, MAX_STALE_STEPS * float(timeline.usual_step))
        if timeline.n_implausible:
            self._doubt(f"damaged: {timeline.n_implausible} pictures have times far from all others and are left out")
        if self._declared_s is not None and self._declared_s > float(timeline.length) * 1.02 + 1.0:
            self._doubt(f"breaks off: declares {self._declared_s:.1f} s, holds {float(timeline.length):.1f} s")

    def _packet_table(self, container: InputContainer) -> NDArray[np.void]:
        with closing(video_packets(container, self._file)) as packets:
            return np.fromiter((packet_facts(packet, is_exact=self._is_exact) for packet in packets), PLACED_PACKET)

    def _packet_table_of_whole_file(self) -> NDArray[np.void]:
        self._file.complete()
        with open_container(self._file) as container:
            return self._packet_table(container)

    def _packets_from_index(self) -> NDArray[np.void] | None:
        """What the skeleton tells of the packets; None where it leaves something open."""
        skeleton = self._file.container_index
        assert skeleton is not None, "a file with gaps has one"
        # A parser would look for keyframes in pictures that are not there.
        with open_container(self._file, {"fflags": "noparse"}) as container:
            table = self._packet_table(container)
        is_sound = len(table) in skeleton.n_packets and bool((table["at"] >= 0).all())
        return table if is_sound else None

    def _timeline_of(self, table: NDArray[np.void]) -> Timeline:
        timeline = make_timeline(table, self._time_base, self._rate, is_exact=self._is_exact)
        if timeline is None:
            raise MediaError("no picture in the video stream")
        return timeline

    @property
    def facts(self) -> MediumFacts:
        """What is known of the video; its doubts are complete once all frames have been read."""
        length = self._timeline.length
        return MediumFacts(
            codec=self._codec,
            width=self._width,
            height=self._height,
            frame_rate=float(1 / self._timeline.usual_step),
            declared_s=self._declared_s,
            length_s=float(length),
            doubts=tuple(self._doubts),
            recorded=self._recorded,
        )

    def regular_times(self, every_s: float) -> list[float]:
        """0, every_s, 2 every_s ... before the end of what the file really holds."""
        return regular_times(self._timeline.length, every_s)

    def frames(self, times_s: Sequence[float]) -> Iterator[Frame | MissingFrame]:
        """The picture shown at each time (ascending), decoded when it is asked for.

        Seconds that show the same picture get the same Frame object.
        """
        targets = pts_shown_at(self._timeline, times_s)
        pictures = self._sparse(sorted({target for target in targets if target is not None}))
        current: int | None = None
        frame: Frame | MissingFrame = MissingFrame(Status.FAILED, "no picture can be decoded")
        for time_s, target in zip(times_s, targets, strict=True):
            if target is None:
                yield MissingFrame(Status.PAST_END, f"the video ends at {float(self._timeline.length):.2f} s")
                continue
            if target != current:
                frame, current = next(pictures), target
            shown_s = frame.time_s if isinstance(frame, Frame) else time_s
            if time_s - shown_s > self._max_stale_s:
                self._doubt("damaged: there are holes without any picture")
                yield MissingFrame(Status.FAILED, f"no picture between {shown_s:.2f} s and {time_s:g} s")
            else:
                yield frame

    def _sparse(self, targets: Sequence[int]) -> Iterator[Frame | MissingFrame]:
        """The pictures with the given pts (ascending), with the least decoding."""
        waiting = deque(targets)
        try:
            yield from self._planned(waiting)
        except _IndexMismatchError:
            self._read_whole()
            yield from self._planned(waiting)
        if waiting:
            yield from self._sequential(waiting)

    def _planned(self, waiting: deque[int]) -> Iterator[Frame]:
        """The pictures with the given pts as far as decoding shows them; what is left has not been yielded."""
        if not (self._timeline.is_exact and waiting):
            return
        for picture in self._decode(plan_decoding(self._timeline, tuple(waiting)), keep_all=False):
            if picture.pts == waiting[0]:
                yield self._frame(picture, waiting.popleft())
                if not waiting:
                    return
            elif picture.pts is None or picture.pts > waiting[0]:
                return

    def _read_whole(self) -> None:
        """The timeline once more, from all of the file.

        Raises:
            MediaError: the pictures are shown at other times than the skeleton had told.
        """
        before = self._timeline
        self._indexed_packets = None
        self._timeline = self._timeline_of(self._packet_table_of_whole_file())
        if not np.array_equal(before.pts, self._timeline.pts) or before.end_pts != self._timeline.end_pts:
            raise MediaError(
                "its index contradicts its pictures; copy the file to this machine, where it is read in full"
            )

    def _sequential(self, targets: deque[int]) -> Iterator[Frame | MissingFrame]:
        """The last picture at or before each pts (ascending), decoding everything from the start on."""
        shown: tuple[int, VideoFrame] | None = None
        for pts, picture in self._timed(self._decode([DecodeRun(0, len(self._timeline.pts) - 1, ())], keep_all=True)):
            while targets and pts > targets[0]:
                yield self._shown_for(targets.popleft(), shown)
            if not targets:
                return
            shown = pts, picture
        while targets:
            yield self._shown_for(targets.popleft(), shown)

    def _timed(self, pictures: Iterator[VideoFrame]) -> Iterator[tuple[int, VideoFrame]]:
        """Pictures decoded in sequence with their pts; where packets have none, the first one decoded is the start."""
        known = np.unique(self._timeline.pts)
        delay: int | None = None
        pts = self._timeline.start_pts
        for picture in pictures:
            if self._timeline.is_exact:
                if picture.pts is not None and picture.pts < self._timeline.end_pts:
                    yield picture.pts, picture
                continue
            if picture.dts is None:  # the decoder's last ones: each comes after the one before
                pts = int(known[min(int(np.searchsorted(known, pts, side="right")), len(known) - 1)])
            else:
                delay = picture.dts - self._timeline.start_pts if delay is None else delay
                pts = picture.dts - delay
            yield pts, picture

    def _shown_for(self, target: int, shown: tuple[int, VideoFrame] | None) -> Frame | MissingFrame:
        if shown is None or self._time_s(target) - self._time_s(shown[0]) > self._max_stale_s:
            self._doubt("damaged: some seconds can't be decoded")
            return MissingFrame(Status.FAILED, f"FFmpeg decodes no picture for {self._time_s(target):.2f} s")
        if shown[0] != target and self._timeline.is_exact:
            self._doubt("damaged: some pictures can't be decoded; the one before stands in")
        return self._frame(shown[1], shown[0])

    def _decode(self, runs: Sequence[DecodeRun], *, keep_all: bool) -> Iterator[VideoFrame]:
        """Feeds the packets of each run to the decoder; unless keep_all, skips pictures that nothing depends on."""
        if self._indexed_packets is not None:
            for run in runs:
                packets_of_run = self._indexed_packets[run.first : run.last + 1]
                self._file.want(
                    int(packets_of_run["at"].min()), int((packets_of_run["at"] + packets_of_run["size"]).max())
                )
        with open_container(self._file) as container, closing(video_packets(container, self._file)) as packets:
            codec = video_stream(container).codec_context
            numbered = enumerate(packets)
            for run in runs:
                wanted = frozenset(run.targets)
                for number, packet in numbered:
                    if number < run.first:
                        continue
                    if (
                        self._indexed_packets is not None
                        and packet_facts(packet, is_exact=self._is_exact) != self._indexed_packets[number].item()
                    ):
                        raise _IndexMismatchError
                    codec.skip_frame = "DEFAULT" if keep_all or packet.pts in wanted else "NONREF"
                    yield from self._pictures(codec.decode, packet)
                    if number >= run.last:
                        break
                codec.skip_frame = "DEFAULT"
                yield from self._pictures(codec.decode, None)
                codec.flush_buffers()

    def _pictures(
        self, decode: Callable[[Packet[Any] | None], list[VideoFrame]], packet: Packet[Any] | None
    ) -> list[VideoFrame]:
        try:
            return decode(packet)
        except av.error.FFmpegError as error:
            if not isinstance(error, av.error.EOFError):
                self._doubt(f"damaged: {ffmpeg_message(error)}")
            return []

    def _frame(self, picture: VideoFrame, pts: int) -> Frame:
        if picture.width * picture.height > MAX_PIXELS:
            raise MediaError(f"{picture.width} x {picture.height} pixels; at most {MAX_PIXELS:,} are decoded")
        is_corrupt = bool(picture.is_corrupt)
        if is_corrupt:
            self._doubt("damaged: the decoder calls some pictures corrupt")
        pixels, *others = (_pixels(picture, scale, scaler) for scale, scaler in self._scalers)
        return Frame(pixels, max(0.0, self._time_s(pts)), is_corrupt, tuple(others))

    def _time_s(self, pts: int) -> float:
        return float((pts - self._timeline.start_pts) * self._timeline.time_base)

    def _doubt(self, sentence: str) -> None:
        self._doubts[sentence] = None


_SCALING = Interpolation.AREA
_FULL_SIZE = Interpolation.BICUBIC  # the same bytes as FFmpeg's own conversion


def _pixels(picture: VideoFrame, scale: Scale, scaler: VideoReformatter) -> Pixels:
    """RGB, scaled in the same step, turned as the file's display matrix says."""
    turns = round(picture.rotation / 90) % 4
    stored = transpose_scale(scale) if turns % 2 else scale
    width, height = scaled_size(picture.width, picture.height, stored)
    rgb = scaler.reformat(
        picture, width, height, format="rgb24", interpolation=_SCALING if stored else _FULL_SIZE, threads=1
    )
    pixels = np.asarray(rgb.to_ndarray(), dtype=np.uint8)
    return np.ascontiguousarray(np.rot90(pixels, turns)) if turns else pixels


class _IndexMismatchError(Exception):
    """A packet is not what the skeleton had told."""
