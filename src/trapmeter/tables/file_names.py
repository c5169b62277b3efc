r"""Finds one file under the different names that programs give it.

"a/b/c.jpg", "c.jpg" and "D:\cards\a\b\\c.jpg" may all mean one photo: a name matches another when it is the same or
when one is the end of the other, cut between folders. Backslashes count as slashes; accents match however the system
that wrote them composes them (macOS writes e + accent). Capitals matter.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_left
from collections.abc import Iterable

from trapmeter.storage.address import AnyPath


class NameIndex:
    """A set of names to look up in: quick for 100,000 of them, also when all end in IMG_0001.JPG.

    Example:
        >>> NameIndex(["b/c.jpg", "x/a/d.jpg"]).find("a/b/c.jpg")
        ['b/c.jpg']
    """

    __slots__ = ("_keys", "_names")

    def __init__(self, names: Iterable[str]) -> None:
        self._names: dict[str, list[str]] = {}
        for name in dict.fromkeys(names):
            self._names.setdefault(_key(name), []).append(name)
        self._keys = sorted(self._names)

    def find(self, name: str) -> list[str]:
        """The names that match best; more than one when they match equally well, [] when none does.

        The same name comes first, then longer names that end in this one, then the longest that is this one's end.
        """
        key = _key(name)
        if key in self._names:
            return list(self._names[key])
        if not key:
            return []
        longer = []
        at = bisect_left(self._keys, key)
        while at < len(self._keys) and self._keys[at].startswith(key):
            longer += self._names[self._keys[at]]
            at += 1
        if longer:
            return longer
        end = key.rfind("/", 0, -1)
        while end != -1:
            if key[: end + 1] in self._names:
                return list(self._names[key[: end + 1]])
            end = key.rfind("/", 0, end)
        return []

    def clashes(self, names: Iterable[str]) -> dict[str, list[str]]:
        """Which names of the index would serve more than one of the names asked for, and which those are.

        "IMG_0001.JPG" in a table matches the photo of that name in every folder; used for all it would be wrong.
        """
        users: dict[str, list[str]] = {}
        for name in dict.fromkeys(names):
            for match in self.find(name):
                users.setdefault(match, []).append(name)
        return {match: found for match, found in users.items() if len(found) > 1}


def name_parts(name: str) -> list[str]:
    r"""Folders and file name, comparable between systems.

    Example:
        >>> name_parts("D:\\cards\\c.jpg")
        ['D:', 'cards', 'c.jpg']
    """
    if not unicodedata.is_normalized("NFC", name):
        name = unicodedata.normalize("NFC", name)
    return [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]


def names_other_folder(name: str, media_id: str, path: AnyPath) -> bool:
    """Whether a longer name for media_id names another folder than the one above it on the disk.

    Given the folder S01, its a.mp4 is not the "S02/a.mp4" of a table that starts one folder higher.
    """
    told, known = name_parts(name), name_parts(media_id)
    if len(told) <= len(known):
        return False
    folders = path.parts[: len(path.parts) - len(known)]
    return bool(folders) and name_parts(folders[-1]) != told[-len(known) - 1 : -len(known)]


def _key(name: str) -> str:
    """The parts from the last to the first, each followed by a slash: the end of a name is the start of its key."""
    return "".join(f"{part}/" for part in reversed(name_parts(name)))
