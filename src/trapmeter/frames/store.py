"""A frame store: a folder of frame files, one per video, with one specification.

    store.json      format version and specification
    shards/         the frame files
    failed.csv      the failures of the last fill

A `FrameStore` keeps no file open and caches nothing, so that any number of processes can read one, even during a fill.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trapmeter.errors import InputError, RunError
from trapmeter.files import atomic_file
from trapmeter.frames.frame_file import SUFFIX, FrameFileReader, damaged_frame_file, frame_file_name, open_frame_file
from trapmeter.frames.index import FrameIndex
from trapmeter.frames.pictures import decode_picture, require_codec
from trapmeter.frames.spec import Codec, StoreSpec
from trapmeter.models.input_spec import Resize
from trapmeter.records import Pixels
from trapmeter.storage.publish import FolderLayout
from trapmeter.windows import Edge, window_times

FORMAT = 1
STORE_FILE = "store.json"
FRAMES_FOLDER = "shards"
LAYOUT = FolderLayout(journal=STORE_FILE, last=("failed.csv", STORE_FILE))
"""Layout of the store's folder in object storage."""

_FORMAT_KEY = "trapmeter_frames"


@dataclass(frozen=True, slots=True)
class FrameStore:
    """Pictures by video and second, from `FrameStore.create` or `FrameStore.open`. It can be sent to other processes.

    Example:
        >>> store = FrameStore.open(Path("frames"))
        >>> store.window("a.mp4", 3, (-1, 0, 1)).shape
        (3, 270, 480, 3)
    """

    folder: Path
    spec: StoreSpec

    @staticmethod
    def create(folder: str | Path, spec: StoreSpec) -> FrameStore:
        """A new store in a folder, which is created if missing; or the store that is there, if its specification is equal.

        Raises:
            RunError: the folder holds a store with another specification, or can't be written.
        """
        folder = Path(folder)
        # Checked first, since an empty store with an unusable codec would only be in the way.
        require_codec(spec.codec)
        if (folder / STORE_FILE).exists():
            store = FrameStore.open(folder)
            if differences := store.spec.differences(spec):
                raise RunError(
                    f"{folder} holds a frame store of another kind ({'; '.join(differences)}); "
                    "choose another folder, or use its specification"
                )
            return store
        try:
            (folder / FRAMES_FOLDER).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"{folder}: can't be written: {error.strerror or error}; choose another folder") from error
        with atomic_file(folder / STORE_FILE) as file:
            json.dump({_FORMAT_KEY: FORMAT, **spec.to_json()}, file, indent=2)
            file.write("\n")
        return FrameStore(folder, spec)

    @staticmethod
    def open(folder: str | Path) -> FrameStore:
        """An existing store.

        Raises:
            InputError: there is none, it is damaged, or another version of trapmeter filled it.
        """
        folder = Path(folder)
        path = folder / STORE_FILE
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            version = data.pop(_FORMAT_KEY)
        except FileNotFoundError:
            raise InputError(
                f"{folder} is not a frame store ({STORE_FILE} is missing); fill one with `trapmeter frames`"
            ) from None
        except OSError as error:
            raise InputError(f"{path} can't be read: {error.strerror or error}") from error
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise InputError(f"{path} was not written by trapmeter; fill another folder") from error
        if version != FORMAT:
            raise InputError(
                f"{folder} was filled by another version of trapmeter (format {version}, here {FORMAT}); "
                "fill another folder"
            )
        try:
            return FrameStore(folder, StoreSpec.from_json(data))
        except InputError as error:
            raise InputError(f"{path}: {error}") from error

    def video_ids(self) -> list[str]:
        """The videos in the store, sorted. This opens every frame file.

        Raises:
            InputError: a frame file is damaged.
        """
        return sorted(self.index_at(path).video_id for path in self.frame_file_paths())

    def times(self, video_id: str) -> tuple[float, ...]:
        """The seconds of a video that have a picture, ascending.

        Raises:
            InputError: the video isn't in the store, or its frame file is damaged. So do all methods below.
        """
        return tuple(self.index(video_id).entries)

    def failed(self, video_id: str) -> dict[float, str]:
        """The requested seconds inside a video that could not be decoded, with the reasons."""
        return dict(self.index(video_id).failed)

    def length_s(self, video_id: str) -> float:
        """The length of a video in seconds; a photo's is a microsecond."""
        return self.index(video_id).length_s

    def index(self, video_id: str) -> FrameIndex:
        """The index of a video's frame file."""
        with self._open(video_id) as reader:
            return reader.index

    def read(self, video_id: str, time_s: float) -> Pixels:
        """The picture shown at a second of a video: uint8, height x width x 3, RGB.

        Raises:
            InputError: it isn't stored, or it is damaged.
        """
        pixels = np.empty((*self.spec.size_hw, 3), np.uint8)
        with self._open(video_id) as reader:
            self.decode(reader, time_s, pixels)
        return pixels

    def window(
        self, video_id: str, time_s: float, offsets_s: tuple[float, ...], edge: Edge = Edge.BLACK
    ) -> NDArray[np.uint8]:
        """The pictures around a second in the order of the offsets: uint8, frames x height x width x 3, RGB.

        Seconds before the start and after the end are black or repeat the nearest whole second, depending on edge.

        Raises:
            InputError: time_s is outside the video, or a picture isn't stored or is damaged.
        """
        with self._open(video_id) as reader:
            try:
                times = window_times(time_s, offsets_s, reader.index.length_s, edge)
            except InputError as error:
                raise InputError(f"{video_id}: {error}") from error
            pictures = np.zeros((len(times), *self.spec.size_hw, 3), np.uint8)
            for number, time in enumerate(times):
                if time is None:
                    continue
                if (earlier := times.index(time)) < number:
                    pictures[number] = pictures[earlier]
                else:
                    self.decode(reader, time, pictures[number])
        return pictures

    def decode(self, reader: FrameFileReader, time_s: float, out: Pixels) -> None:
        """Decodes a picture of an open frame file into out."""
        encoded = reader.read_encoded(time_s)
        try:
            decode_picture(out, encoded, self.spec)
        except InputError as error:
            raise damaged_frame_file(reader.path, f"the frame at {time_s:g} s: {error}") from error

    def frame_file_path(self, video_id: str) -> Path:
        """The path of a video's frame file, whether it exists or not."""
        return self.folder / FRAMES_FOLDER / frame_file_name(video_id)

    def frame_file_paths(self) -> list[Path]:
        """The frame files, ordered by name."""
        paths = (self.folder / FRAMES_FOLDER).glob(f"*{SUFFIX}")
        return sorted(path for path in paths if not path.name.startswith("."))

    def index_at(self, path: Path) -> FrameIndex:
        """The index of a frame file."""
        with open_frame_file(path) as reader:
            _check_name(reader)
            return reader.index

    @contextmanager
    def _open(self, video_id: str) -> Iterator[FrameFileReader]:
        try:
            with open_frame_file(self.frame_file_path(video_id)) as reader:
                _check_name(reader)
                yield reader
        except FileNotFoundError:
            raise InputError(
                f"{video_id}: not in the frame store {self.folder}; run `trapmeter frames` with its labels, "
                "and see failed.csv there if it was among them"
            ) from None


def open_or_create_store(
    folder: Path,
    *,
    size_hw: tuple[int, int] | None = None,
    resize: Resize | None = None,
    codec: Codec | None = None,
    may_create: bool = True,
) -> FrameStore:
    """The store in a folder, which must have the given settings; or a new one, with defaults for those not given.

    Raises:
        InputError: there is no store, and none may be created; or it is damaged.
        RunError: the store has other settings, or the folder can't be written.
    """
    exists = (folder / STORE_FILE).exists()
    before = FrameStore.open(folder).spec if exists or not may_create else StoreSpec()
    return FrameStore.create(
        folder,
        StoreSpec(size_hw or before.size_hw, resize or before.resize, codec or before.codec, before.jpeg_quality),
    )


def _check_name(reader: FrameFileReader) -> None:
    """Refuses a frame file that was renamed, or forged for another video."""
    if frame_file_name(reader.index.video_id) != reader.path.name:
        raise damaged_frame_file(reader.path, f"it holds the frames of another video, {reader.index.video_id}")
