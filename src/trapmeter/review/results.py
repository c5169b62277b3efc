"""The results under review, and where their videos and photos are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from trapmeter.camera.medium_cameras import MediumCameras, read_medium_cameras
from trapmeter.errors import InputError, MediaError
from trapmeter.media.discovery import medium_kind
from trapmeter.records import Estimate, Medium
from trapmeter.review.only import read_only
from trapmeter.tables.distances import find_distances, read_distances, read_run_facts, read_run_json
from trapmeter.tables.file_names import leaves_root
from trapmeter.tables.medium_times import read_medium_times
from trapmeter.tables.reference_marks import split_photo_name


@dataclass(frozen=True)
class Results:
    """A folder of results.

    source: its distances.csv. rows: in the order of the file. root: the folder in which the names of videos and photos start;
    None if unknown. is_store: whether root is a frame store. only: the rows to list, None for all. photo_folders: where
    reference photographs are looked for before root.
    """

    source: Path
    rows: tuple[Estimate, ...]
    root: Path | None
    is_store: bool = False
    only: frozenset[int] | None = None
    photo_folders: tuple[Path, ...] = ()

    @cached_property
    def media(self) -> tuple[str, ...]:
        """The names of all media, sorted; the page refers to a medium by its index here."""
        return tuple(sorted({row.observation.media_id for row in self.rows}))

    @cached_property
    def sites(self) -> tuple[str, ...]:
        """The names of all sites, sorted; "" stands for rows without a site."""
        return tuple(sorted({row.observation.site_id for row in self.rows}))

    @cached_property
    def number_of(self) -> dict[str, int]:
        """The index of each medium in `media`."""
        return {media_id: number for number, media_id in enumerate(self.media)}

    @cached_property
    def rows_of(self) -> dict[str, list[int]]:
        """The rows of each medium, in the order of the file."""
        rows: dict[str, list[int]] = defaultdict(list)
        for number, row in enumerate(self.rows):
            rows[row.observation.media_id].append(number)
        return rows

    @cached_property
    def tracks(self) -> dict[tuple[bool, str, int], list[int]]:
        """The rows of each animal, by `Observation.animal_key`; animals without a number share the animal_id 0."""
        rows: dict[tuple[bool, str, int], list[int]] = defaultdict(list)
        for number, row in enumerate(self.rows):
            if row.distance is not None:
                rows[row.observation.animal_key].append(number)
        return rows

    @cached_property
    def highest_ids(self) -> dict[tuple[bool, str], int]:
        """The highest animal_id in each event, by `Observation.event_key`."""
        highest: dict[tuple[bool, str], int] = defaultdict(int)
        for row in self.rows:
            event = row.observation.event_key
            highest[event] = max(highest[event], row.observation.animal_id)
        return highest

    @cached_property
    def static_rows(self) -> list[int]:
        """The rows of all boxes that are marked static."""
        return [number for number, row in enumerate(self.rows) if row.is_static]

    @cached_property
    def times(self) -> Mapping[str, datetime]:
        """When each medium was recorded, as far as it is known."""
        return read_medium_times(self.source)

    @cached_property
    def cameras(self) -> MediumCameras:
        """The fitted cameras of the sites."""
        return read_medium_cameras(self.source)

    @cached_property
    def references(self) -> tuple[str, ...]:
        """The names of all reference photographs, sorted; the page refers to a photograph by its index here."""
        return tuple(sorted({photo for camera in self.cameras.cameras for photo in camera.photos}))

    def lists(self, number: int) -> bool:
        """Whether the page lists a row."""
        return self.only is None or number in self.only

    def reference(self, number: int) -> Medium:
        """A reference photograph by its index in `references`.

        A cameras.json from elsewhere may name any file, but only photos below these folders are opened, and no links out of
        them.

        Raises:
            MediaError: it can't be shown; the text says why.
        """
        name, _ = split_photo_name(self.references[number])
        kind = medium_kind(Path(name))
        if leaves_root(name) or kind is None:
            raise MediaError("not a photo or video below the folder of the videos or of the reference photographs")
        media_folder = () if self.root is None or self.is_store else (self.root,)
        for folder in (*self.photo_folders, *media_folder):
            path = folder / name
            if path.is_file() and path.resolve().is_relative_to(folder.resolve()):
                return Medium(name, path, kind)
        raise MediaError("not found; if it was moved, restart with --videos FOLDER")

    def reference_time_s(self, number: int) -> float:
        """The second of the video that a reference photograph was taken from, 0 for a photo."""
        return split_photo_name(self.references[number])[1]

    def medium(self, number: int) -> Medium:
        """A medium by its index in `media`.

        A table from elsewhere may name any file, but only videos and photos below root are opened.

        Raises:
            MediaError: it can't be shown; the text says why.
        """
        media_id = self.media[number]
        if self.root is None:
            raise MediaError("no run.json says where the videos are; restart with --videos FOLDER")
        if leaves_root(media_id):
            raise MediaError("its name leads out of the folder of the videos")
        kind = medium_kind(Path(media_id))
        if kind is None:
            raise MediaError("neither a video nor a photo")
        path = self.root / media_id
        if not self.is_store and not path.is_file():
            raise MediaError(f"not found in {self.root}; if it was moved, restart with --videos FOLDER")
        return Medium(media_id, path, kind)


def read_results(results: str | Path, videos: str | Path | None = None, only: str | Path | None = None) -> Results:
    """Reads a folder that `trapmeter predict` wrote, or its distances.csv.

    videos: the folder of the videos and photos, if they have moved since the run. only: a table of the rows to list, such as
    the one that `calibrate --pick` writes.

    Raises:
        InputError: a table is missing, empty or wrong, videos is no folder, or only names a row that the results lack.
    """
    source = find_distances(Path(results))
    rows = read_distances(source)
    if not rows:
        raise InputError(f"{source} has no rows: there is nothing to review")
    if videos is not None and not Path(videos).is_dir():
        raise InputError(f"--videos {videos}: expected the folder in which the names in {source} start")
    facts = read_run_facts(source)
    root = videos or facts.get("root")
    return Results(
        source,
        tuple(rows),
        Path(root) if isinstance(root, (str, Path)) else None,
        is_store=videos is None and _is_store(facts),
        only=None if only is None else read_only(only, rows, source),
        photo_folders=_photo_folders(source),
    )


def _is_store(facts: dict[str, Any]) -> bool:
    arguments = facts.get("arguments")
    return isinstance(arguments, dict) and arguments.get("store") is not None


def _photo_folders(source: Path) -> tuple[Path, ...]:
    """Where `calibrate` found the reference photographs."""
    folders = read_run_json(source).get("photo_folders")
    return tuple(Path(folder) for folder in folders if isinstance(folder, str)) if isinstance(folders, list) else ()
