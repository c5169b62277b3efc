"""Compares frames with those of `ffmpeg -vf fps=1:round=up`, on every shared clip that FFmpeg opens."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from conftest import SHARED
from trapmeter.errors import MediaError
from trapmeter.media.discovery import VIDEO_SUFFIXES
from trapmeter.media.video import open_video
from trapmeter.records import Frame

CLIPS = sorted(path for path in (SHARED / "clips").rglob("*") if path.suffix.lower() in VIDEO_SUFFIXES)
# To convert ten bits to eight, newer FFmpeg versions round and older ones drop bits.
TOLERANCE = {"h264_10bits.mp4": 3.0, "h265_10bits.mp4": 3.0}


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
@pytest.mark.skipif(not CLIPS, reason="no shared clips next to the checkout")
@pytest.mark.parametrize("path", CLIPS, ids=lambda path: path.name)
def test_frames_are_those_of_ffmpeg(path: Path) -> None:
    output = subprocess.run(
        [
            "ffmpeg",
            "-v",
            "error",
            "-i",
            path,
            "-an",
            "-vf",
            "fps=1:round=up",
            "-f",
            "rawvideo",
            "-pix_fmt",
            "rgb24",
            "-",
        ],
        capture_output=True,
        check=False,
    ).stdout
    try:
        with open_video(path) as video:
            frames = list(video.frames(video.regular_times(1.0)))
    except MediaError:
        assert not output, "FFmpeg can read it"
        return
    shape = next(frame.pixels.shape for frame in frames if isinstance(frame, Frame))
    pictures = np.frombuffer(output, np.uint8).reshape(-1, *shape)
    assert len(frames) == len(pictures)
    for second, (frame, picture) in enumerate(zip(frames, pictures, strict=True)):
        assert isinstance(frame, Frame)
        difference = np.abs(frame.pixels.astype(int) - picture).mean()
        assert difference <= TOLERANCE.get(path.name, 0.05), f"second {second}"
