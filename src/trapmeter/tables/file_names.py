r"""Finds one file under the different names that programs give it.

"a/b/c.jpg", "c.jpg" and "D:\cards\a\b\\c.jpg" may all mean one photo: a name matches another when both are the same or when
one is the end of the other, cut between folders. Backslashes count as slashes. Accents match however a system composes them
(macOS writes e + accent). Capitals matter.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from bisect import bisect_left
from collections.abc import Collection, Iterable
from pathlib import PurePosixPath

from trapmeter.errors import InputError
from trapmeter.storage.address import AnyPath

ADD_FOLDERS = "put the folder before the name in the table"
"""What to do when a name fits several files."""


class NameIndex:
    """A set of names to search: fast for 100,000 of them, also when all end in IMG_0001.JPG.

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
        """The names that match best; several when they match equally well, [] when none does.

        The same name comes first, then longer names that end in this one, then the longest that is the end of this one.
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

    def find_one(self, name: str, where: object, advice: str = ADD_FOLDERS) -> str | None:
        """The name that matches best; None when none does. where and advice begin and end the message.

        Raises:
            InputError: several match equally well, and none of them is spelt the same.
        """
        found = self.find(name)
        if len(found) < 2 or name in found:
            return name if name in found else next(iter(found), None)
        raise InputError(f"{where}: {name} could be any of {list_names(found)}; {advice}")

    def clashes(self, names: Iterable[str]) -> dict[str, list[str]]:
        """The names of the index that match more than one of these names, each with the names that it matches.

        "IMG_0001.JPG" in a table matches the photo of that name in every folder; used for all of them it would be wrong.
        """
        users: dict[str, list[str]] = {}
        for name in dict.fromkeys(names):
            for match in self.find(name):
                users.setdefault(match, []).append(name)
        return {match: found for match, found in users.items() if len(found) > 1}

    def check(self, names: Iterable[str], where: object, advice: str = ADD_FOLDERS) -> None:
        """Refuses names that share an entry of the index. where and advice begin and end the message.

        Raises:
            InputError: one entry matches several of the names.
        """
        for entry, users in self.clashes(names).items():
            raise InputError(f"{where}: {entry} could be any of {list_names(users)}; {advice}")

    def match(self, names: Iterable[str], where: object, advice: str = ADD_FOLDERS) -> dict[str, str]:
        """The entry of the index for each name that has one; no two names share an entry.

        Raises:
            InputError: an entry matches several names, or a name several entries.
        """
        names = list(names)
        self.check(names, where, advice)
        return {name: entry for name in names if (entry := self.find_one(name, where, advice)) is not None}


def match_below_other_root(names: Collection[str], known: Iterable[str]) -> tuple[dict[str, str], str] | None:
    r"""Matches names of a table to known files when the folder above them has another name there, as on another machine.

    names: of the table. known: media_ids. All names that end in a known file's folder and name must begin with the same
    folders. A file name alone is not enough: every camera has its IMG_0001.JPG.

    Returns:
        The name for each known file that has one, and the folders before it in the table; None if that is not so.

    Example:
        >>> match_below_other_root(["D:\\old\\S1\\a.jpg"], ["new/S1/a.jpg"])
        ({'new/S1/a.jpg': 'D:\\old\\S1\\a.jpg'}, 'D:/old')
    """
    known = list(known)
    parts = {name: name_parts(name) for name in known}
    index = NameIndex(names)
    folders = zip(*(own[:-2] for own in parts.values()), strict=False)
    n_shared = sum(1 for _ in itertools.takewhile(lambda level: len(set(level)) == 1, folders))
    for n_left_out in range(n_shared + 1):
        by_root: dict[str, dict[str, str]] = {}
        n_found = 0
        for name, own in parts.items():
            rest = own[n_left_out:]
            candidates = index.find("/".join(rest)) if len(rest) > 1 else []
            below = {candidate: name_parts(candidate) for candidate in candidates}
            below = {candidate: all_parts for candidate, all_parts in below.items() if len(all_parts) >= len(rest)}
            n_found += bool(below)
            for candidate, all_parts in below.items():
                by_root.setdefault("/".join(all_parts[: len(all_parts) - len(rest)]), {})[name] = candidate
        # With folders left out, all files must have a name; otherwise some may be missing from the table.
        whole = [root for root, found in by_root.items() if len(found) == n_found]
        if n_found and len(whole) == 1 and (n_left_out == 0 or n_found == len(known)):
            return by_root[whole[0]], whole[0]
    return None


def list_names(names: list[str]) -> str:
    """The first five names, and how many more there are."""
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"


def name_parts(name: str) -> list[str]:
    r"""The folders and the file name, comparable between systems.

    Example:
        >>> name_parts("D:\\cards\\c.jpg")
        ['D:', 'cards', 'c.jpg']
    """
    if not unicodedata.is_normalized("NFC", name):
        name = unicodedata.normalize("NFC", name)
    return [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]


def leaves_root(name: str) -> bool:
    """Whether a path from a table may end outside the folder that it starts from: any table may name any file."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return not parts or ".." in parts or parts[0].startswith("/") or re.match("[A-Za-z]:", parts[0]) is not None


def names_other_folder(name: str, media_id: str, path: AnyPath) -> bool:
    """Whether a longer name for media_id names a folder other than the one above it on the disk.

    With the folder S01 as input, its a.mp4 is not the "S02/a.mp4" of a table that starts one folder higher.
    """
    named, known = name_parts(name), name_parts(media_id)
    if len(named) <= len(known):
        return False
    folders = path.parts[: len(path.parts) - len(known)]
    return bool(folders) and name_parts(folders[-1]) != named[-len(known) - 1 : -len(known)]


def _key(name: str) -> str:
    """The parts from last to first, each followed by a slash: the end of a name becomes the start of its key."""
    return "".join(f"{part}/" for part in reversed(name_parts(name)))
