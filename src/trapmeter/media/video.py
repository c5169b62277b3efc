"""Reads the pictures at given seconds from a video with the least decoding.

The file is demuxed once without decoding, for the times and keyframe flags of its packets. `timeline.py` then finds the
packets that lead to the requested pictures. All others are skipped over, which is nearly free, so no seek position needs to
be trusted. The decoder skips pictures that no other one depends on. Each requested picture is scaled and converted to RGB in
one step and yielded before the next is decoded: memory does not grow with the video. If a picture does not come out that way,
the rest is decoded in sequence.

Of a remote file, only the index is fetched at first, and then what the plan needs. If a packet contradicts the index, the
file is read in full.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from fractions import Fraction
from typing import Any

import av.error
import numpy as np
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from trapmeter.errors import MediaError
from trapmeter.media.demuxer import (
    MAX_VIDEO_PIXELS,
    container_camera,
    container_recording_time,
    declared_length_s,
    ffmpeg_message,
    indexed_packets,
    open_container,
    packet_facts,
    packet_table,
    rgb_pixels,
    timed_pictures,
    video_packets,
    video_stream,
)
from trapmeter.media.medium_file import MediumFile, open_medium_file
from trapmeter.media.reader import MediumFacts, MissingFrame, Scale
from trapmeter.media.timeline import DecodeRun, Timeline, make_timeline, plan_decoding, pts_shown_at, regular_times
from trapmeter.records import Frame, Status
from trapmeter.storage.address import AnyPath

RAW_FORMATS = frozenset({"h264", "hevc"})
"""FFmpeg's names for video without a container."""
MAX_STALE_S = 2.0
MAX_STALE_STEPS = 10
"""How long the last good picture stands in for lost ones: the longer of MAX_STALE_S and MAX_STALE_STEPS usual steps."""


@contextmanager
def open_video(path: AnyPath, *scales: Scale) -> Iterator[VideoReader]:
    """Opens a video and reads its timeline. scales: as in `trapmeter.media.opening.open_medium`.

    Raises:
        MediaError: FFmpeg can't open it, or it has no pictures.
    """
    with open_medium_file(path, sparsely=True) as file:
        if file.size == 0:
            raise MediaError("the file is empty (0 bytes)")
        yield VideoReader(file, scales or (None,))


class VideoReader:
    """A video with its timeline. Satisfies `trapmeter.media.reader.MediumReader`."""

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
            self._camera_make, self._camera_model = container_camera(container)
            self._time_base = stream.time_base or Fraction(1, 1000)
            self._rate = stream.average_rate or stream.guessed_rate or Fraction(25)
            if container.format.name in RAW_FORMATS:
                # FFmpeg's average is a default of its own; the guess comes from the stream's header.
                self._rate = stream.guessed_rate or self._rate
                self._doubt(f"a raw stream has no times: {float(self._rate):g} pictures a second are assumed")
            # AVI has no presentation times. If pictures are stored out of order, FFmpeg's substitutes are wrong.
            self._is_exact = not (container.format.name == "avi" and codec.has_b_frames)
            if not self._is_exact:
                file.require_all()
            table = None if file.has_gaps else packet_table(container, file, is_exact=self._is_exact)
        # Packets from an index must agree with what is fetched later.
        self._indexed_packets = indexed_packets(file, is_exact=self._is_exact) if table is None else None
        if table is None:
            table = self._all_packets() if self._indexed_packets is None else self._indexed_packets
        self._timeline = timeline = self._timeline_of(table)
        self._max_stale_s = max(MAX_STALE_S, MAX_STALE_STEPS * float(timeline.usual_step))
        if timeline.n_implausible:
            self._doubt(f"damaged: {timeline.n_implausible} pictures have times far from all others and are left out")
        if self._declared_s is not None and self._declared_s > float(timeline.length) * 1.02 + 1.0:
            self._doubt(f"incomplete: declares {self._declared_s:.1f} s, contains {float(timeline.length):.1f} s")

    def _all_packets(self) -> NDArray[np.void]:
        self._file.require_all()
        with open_container(self._file) as container:
            return packet_table(container, self._file, is_exact=self._is_exact)

    def _timeline_of(self, table: NDArray[np.void]) -> Timeline:
        timeline = make_timeline(table, self._time_base, self._rate, is_exact=self._is_exact)
        if timeline is None:
            raise MediaError("no picture in the video stream")
        return timeline

    @property
    def facts(self) -> MediumFacts:
        """What is known about the video; its doubts are complete once all frames have been read."""
        return MediumFacts(
            codec=self._codec,
            width=self._width,
            height=self._height,
            frame_rate=float(1 / self._timeline.usual_step),
            declared_s=self._declared_s,
            length_s=float(self._timeline.length),
            doubts=tuple(self._doubts),
            recorded=self._recorded,
            camera_make=self._camera_make,
            camera_model=self._camera_model,
        )

    def regular_times(self, every_s: float) -> list[float]:
        """0, every_s, 2 every_s, ... before the end of what the file really contains."""
        return regular_times(self._timeline.length, every_s)

    def frames(self, times_s: Sequence[float]) -> Iterator[Frame | MissingFrame]:
        """The picture shown at each time (ascending), decoded when the iterator reaches it.

        Seconds that show the same picture get the same Frame object.
        """
        targets = pts_shown_at(self._timeline, times_s)
        pictures = self._decode_targets(sorted({target for target in targets if target is not None}))
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
                self._doubt("damaged: some stretches have no picture")
                yield MissingFrame(Status.FAILED, f"no picture between {shown_s:.2f} s and {time_s:g} s")
            else:
                yield frame

    def _decode_targets(self, targets: Sequence[int]) -> Iterator[Frame | MissingFrame]:
        """The pictures with the given pts (ascending), with the least decoding."""
        waiting = deque(targets)
        try:
            yield from self._decode_planned(waiting)
        except _IndexMismatchError:
            self._read_entire_file()
            yield from self._decode_planned(waiting)
        if waiting:
            yield from self._decode_in_sequence(waiting)

    def _decode_planned(self, waiting: deque[int]) -> Iterator[Frame]:
        """The pictures with the given pts as far as they come out; leaves the rest in `waiting`."""
        if not (self._timeline.is_exact and waiting):
            return
        for picture in self._decode(plan_decoding(self._timeline, tuple(waiting)), keep_all=False):
            if picture.pts == waiting[0]:
                yield self._frame(picture, waiting.popleft())
                if not waiting:
                    return
            elif picture.pts is None or picture.pts > waiting[0]:
                return

    def _read_entire_file(self) -> None:
        """Makes the timeline again, from the entire file.

        Raises:
            MediaError: pictures are shown at other times than the index says.
        """
        before = self._timeline
        self._indexed_packets = None
        self._timeline = self._timeline_of(self._all_packets())
        if not np.array_equal(before.pts, self._timeline.pts) or before.end_pts != self._timeline.end_pts:
            raise MediaError(
                "its index contradicts its pictures; copy the file to this machine, where it is read in full"
            )

    def _decode_in_sequence(self, targets: deque[int]) -> Iterator[Frame | MissingFrame]:
        """The last picture at or before each pts (ascending), decoding everything from the start."""
        latest: tuple[int, VideoFrame] | None = None
        everything = self._decode([DecodeRun(0, len(self._timeline.pts) - 1, ())], keep_all=True)
        for pts, picture in timed_pictures(everything, self._timeline):
            while targets and pts > targets[0]:
                yield self._frame_or_missing(targets.popleft(), latest)
            if not targets:
                return
            latest = pts, picture
        while targets:
            yield self._frame_or_missing(targets.popleft(), latest)

    def _frame_or_missing(self, target: int, latest: tuple[int, VideoFrame] | None) -> Frame | MissingFrame:
        if latest is None or self._time_s(target) - self._time_s(latest[0]) > self._max_stale_s:
            self._doubt("damaged: some seconds can't be decoded")
            return MissingFrame(Status.FAILED, f"FFmpeg decodes no picture for {self._time_s(target):.2f} s")
        if latest[0] != target and self._timeline.is_exact:
            self._doubt("damaged: some pictures can't be decoded; the previous one is used instead")
        return self._frame(latest[1], latest[0])

    def _decode(self, runs: Sequence[DecodeRun], *, keep_all: bool) -> Iterator[VideoFrame]:
        """Feeds the packets of each run to the decoder; unless keep_all, skips pictures that nothing depends on."""
        index = self._indexed_packets
        if index is not None:
            for run in runs:
                packets = index[run.first : run.last + 1]
                self._file.require(int(packets["position"].min()), int((packets["position"] + packets["size"]).max()))
        with open_container(self._file) as container, closing(video_packets(container, self._file)) as stream:
            codec = video_stream(container).codec_context
            numbered = enumerate(stream)
            for run in runs:
                targets = frozenset(run.targets)
                for number, packet in numbered:
                    if number < run.first:
                        continue
                    if index is not None and packet_facts(packet, is_exact=self._is_exact) != index[number].item():
                        raise _IndexMismatchError
                    codec.skip_frame = "DEFAULT" if keep_all or packet.pts in targets else "NONREF"
                    yield from self._pictures(codec, packet)
                    if number >= run.last:
                        break
                codec.skip_frame = "DEFAULT"
                yield from self._pictures(codec, None)
                codec.flush_buffers()

    def _pictures(self, codec: VideoCodecContext, packet: Packet[Any] | None) -> list[VideoFrame]:
        try:
            return codec.decode(packet)
        except av.error.FFmpegError as error:
            if not isinstance(error, av.error.EOFError):
                self._doubt(f"damaged: {ffmpeg_message(error)}")
            return []

    def _frame(self, picture: VideoFrame, pts: int) -> Frame:
        if picture.width * picture.height > MAX_VIDEO_PIXELS:
            raise MediaError(f"{picture.width} x {picture.height} pixels; at most {MAX_VIDEO_PIXELS:,} are decoded")
        is_corrupt = bool(picture.is_corrupt)
        if is_corrupt:
            self._doubt("damaged: the decoder marked some pictures as corrupt")
        pixels, *others = (rgb_pixels(picture, scale, scaler) for scale, scaler in self._scalers)
        return Frame(pixels, max(0.0, self._time_s(pts)), is_corrupt, tuple(others))

    def _time_s(self, pts: int) -> float:
        return float((pts - self._timeline.start_pts) * self._timeline.time_base)

    def _doubt(self, sentence: str) -> None:
        self._doubts[sentence] = None


class _IndexMismatchError(Exception):
    """A packet contradicts the file's index."""
