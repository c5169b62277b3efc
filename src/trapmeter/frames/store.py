"""A folder of shards, one per video, and the specification that all their pictures share.

    store.json      format version and specification
    shards/         the pictures
    failed.csv      what the last fill could not get

A store holds no open file and remembers nothing: any number of processes may read one, also while it is filled.
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
"""Of the store's folder, where it goes to object storage."""

_FORMAT_KEY = "trapmeter_frames"


@dataclass(frozen=True, slots=True)
class FrameStore:
    """Pictures by video and second. Made by `FrameStore.create` or `FrameStore.open`; can be sent to other processes.

    Example:
        >>> store = FrameStore.open(Path("frames"))
        >>> store.window("a.mp4", 3, (-1, 0, 1)).shape
        (3, 270, 480, 3)
    """

    folder: Path
    spec: StoreSpec

    @staticmethod
    def create(folder: Path, spec: StoreSpec) -> FrameStore:
        """A new store in a folder, made if need be; or the store that is there, if it has the same specification.

        Raises:
            RunError: the folder holds a store with another specification, or can't be written.
        """
        # Before anything is made: a store of a codec that can't be written would only be in the way.
        require_codec(spec.codec)
        if (folder / STORE_FILE).exists():
            store = FrameStore.open(folder)
            if differences := store.spec.differences(spec):
                raise RunError(
                    f"{folder} holds a frame store of another kind ({'; '.join(differences)}); "
                    "choose another folder, or ask for what is there"
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
    def open(folder: Path) -> FrameStore:
        """A store that was made before.

        Raises:
            InputError: there is none, it is of another version of trapmeter, or damaged.
        """
        path = folder / STORE_FILE
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            version = data.pop(_FORMAT_KEY)
        except FileNotFoundError:
            raise InputError(
                f"{folder} is no frame store ({STORE_FILE} is missing); make one with `trapmeter frames`"
            ) from None
        except OSError as error:
            raise InputError(f"{path} can't be read: {error.strerror or error}") from error
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise InputError(f"{path} is not one that trapmeter wrote; fill another folder") from error
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
        """The videos in the store, sorted. Opens every shard.

        Raises:
            InputError: a shard is damaged.
        """
        return sorted(self.index_at(path).video_id for path in self.frame_file_paths())

    def times(self, video_id: str) -> tuple[float, ...]:
        """The seconds of a video that have a picture, ascending.

        Raises:
            InputError: the video isn't in the store, or its shard is damaged. So do all the methods below.
        """
        return tuple(self.index(video_id).entries)

    def failed(self, video_id: str) -> dict[float, str]:
        """The seconds inside a video that were wanted and could not be decoded, each with the reason."""
        return dict(self.index(video_id).failed)

    def length_s(self, video_id: str) -> float:
        """How long a video is, in seconds; a photo has its single moment, a microsecond."""
        return self.index(video_id).length_s

    def index(self, video_id: str) -> FrameIndex:
        """All that is known of a video."""
        with self._shard(video_id) as shard:
            return shard.index

    def read(self, video_id: str, time_s: float) -> Pixels:
        """The picture on display at a second of a video: uint8, height x width x 3, RGB.

        Raises:
            InputError: it isn't stored, or it is damaged.
        """
        pixels = np.empty((*self.spec.size_hw, 3), np.uint8)
        with self._shard(video_id) as shard:
            self.decode(shard, time_s, pixels)
        return pixels

    def window(
        self, video_id: str, time_s: float, offsets_s: tuple[float, ...], edge: Edge = Edge.BLACK
    ) -> NDArray[np.uint8]:
        """The pictures around a second in the order of the offsets: uint8, frames x height x width x 3, RGB.

        Seconds before the start and after the end are black or repeat the nearest whole second, as edge says.

        Raises:
            InputError: time_s lies outside the video, or one of the pictures isn't stored or is damaged.
        """
        with self._shard(video_id) as shard:
            try:
                times = window_times(time_s, offsets_s, shard.index.length_s, edge)
            except InputError as error:
                raise InputError(f"{video_id}: {error}") from error
            pictures = np.zeros((len(times), *self.spec.size_hw, 3), np.uint8)
            for number, time in enumerate(times):
                if time is None:
                    continue
                if (earlier := times.index(time)) < number:
                    pictures[number] = pictures[earlier]
                else:
                    self.decode(shard, time, pictures[number])
        return pictures

    def decode(self, shard: FrameFileReader, time_s: float, out: Pixels) -> None:
        """Decodes a picture of an open shard into out."""
        encoded = shard.read_encoded(time_s)
        try:
            decode_picture(out, encoded, self.spec)
        except InputError as error:
            raise damaged_frame_file(shard.path, f"the frame at {time_s:g} s: {error}") from error

    def frame_file_path(self, video_id: str) -> Path:
        """Where a video's pictures are kept, whether there are any or not."""
        return self.folder / FRAMES_FOLDER / frame_file_name(video_id)

    def frame_file_paths(self) -> list[Path]:
        """All shards, in the order of their names."""
        paths = (self.folder / FRAMES_FOLDER).glob(f"*{SUFFIX}")
        return sorted(path for path in paths if not path.name.startswith("."))

    def index_at(self, path: Path) -> FrameIndex:
        """The index of the shard in a file."""
        with open_frame_file(path) as shard:
            _check_name(shard)
            return shard.index

    @contextmanager
    def _shard(self, video_id: str) -> Iterator[FrameFileReader]:
        try:
            with open_frame_file(self.frame_file_path(video_id)) as shard:
                _check_name(shard)
                yield shard
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
    """The store in a folder, which must have all that is given; or a new one, with the defaults for what isn't.

    Raises:
        InputError: there is none, and none may be made; or it is damaged.
        RunError: the store is of another kind, or the folder can't be written.
    """
    exists = (folder / STORE_FILE).exists()
    before = FrameStore.open(folder).spec if exists or not may_create else StoreSpec()
    return FrameStore.create(
        folder,
        StoreSpec(size_hw or before.size_hw, resize or before.resize, codec or before.codec, before.jpeg_quality),
    )


def _check_name(shard: FrameFileReader) -> None:
    """A shard that was renamed, or made to pass for another video's."""
    if frame_file_name(shard.index.video_id) != shard.path.name:
        raise damaged_frame_file(shard.path, f"it holds the frames of another video, {shard.index.video_id}")
