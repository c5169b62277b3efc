import pytest
from hypothesis import given
from hypothesis import strategies as st

from trapmeter.tables.file_names import NameIndex, name_parts

parts = st.lists(st.sampled_from(["a", "b", "c.jpg", "ab", "é"]), min_size=1, max_size=4)
paths = parts.map("/".join)


@pytest.mark.parametrize(
    ("names", "wanted", "found"),
    [
        ([], "a.jpg", []),
        (["a.jpg"], "", []),
        ([""], "a.jpg", []),
        (["c.jpg"], "a/b/c.jpg", ["c.jpg"]),
        (["c.jpg", "b/c.jpg"], "a/b/c.jpg", ["b/c.jpg"]),
        (["x/a/b/c.jpg"], "a/b/c.jpg", ["x/a/b/c.jpg"]),
        (["D:\\cards\\a\\b\\c.jpg"], "a/b/c.jpg", ["D:\\cards\\a\\b\\c.jpg"]),
        (["/data/a/b/c.jpg"], "a/b/c.jpg", ["/data/a/b/c.jpg"]),
        (["./a/c.jpg"], "a/c.jpg", ["./a/c.jpg"]),
        (["a/c.jpg", "x/a/c.jpg"], "a/c.jpg", ["a/c.jpg"]),
        (["x/a/c.jpg", "c.jpg"], "a/c.jpg", ["x/a/c.jpg"]),
        (["x/c.jpg", "y/c.jpg"], "c.jpg", ["x/c.jpg", "y/c.jpg"]),
        (["a\\c.jpg", "a/c.jpg"], "a/c.jpg", ["a\\c.jpg", "a/c.jpg"]),
        (["bc.jpg", "x/bc.jpg"], "c.jpg", []),
        (["other/c.jpg"], "a/c.jpg", []),
        (["C.JPG"], "c.jpg", []),
        (["Fore\u0302t/c.jpg"], "For\u00eat/c.jpg", ["Fore\u0302t/c.jpg"]),
        (["\udcff.mp4"], "x/\udcff.mp4", ["\udcff.mp4"]),
    ],
)
def test_find(names, wanted, found):
    assert NameIndex(names).find(wanted) == found


def slow_find(names: list[str], wanted: str) -> set[str]:
    """The rule by its words, over all names."""
    query = name_parts(wanted)
    best: dict[int, set[str]] = {}
    for name in names:
        other = name_parts(name)
        shorter = min(len(query), len(other))
        if query[-shorter:] == other[-shorter:]:
            rank = 100 if query == other else shorter
            best.setdefault(rank, set()).add(name)
    return best[max(best)] if best else set()


@given(st.lists(paths, max_size=12), paths)
def test_find_agrees_with_comparing_all(names, wanted):
    found = NameIndex(names).find(wanted)
    assert set(found) == slow_find(names, wanted)
    assert len(found) == len(set(found))


@given(st.lists(st.text(), unique=True, max_size=8))
def test_any_name_finds_itself(names):
    index = NameIndex(names)
    assert all(name in index.find(name) for name in names)


def test_an_entry_that_serves_two_is_a_clash():
    index = NameIndex(["IMG_1.JPG", "b/IMG_2.JPG"])
    assert index.clashes([]) == {}
    assert index.clashes(["a/IMG_1.JPG", "b/IMG_1.JPG", "b/IMG_2.JPG", "c/IMG_2.JPG"]) == {
        "IMG_1.JPG": ["a/IMG_1.JPG", "b/IMG_1.JPG"]
    }


def test_100000_photos_of_one_name_are_told_apart_by_their_folders():
    names = [f"D:\\cards\\site{number}\\DCIM\\IMG_0001.JPG" for number in range(100_000)]
    wanted = [f"site{number}/DCIM/IMG_0001.JPG" for number in range(100_000)]
    index = NameIndex(names)
    assert [index.find(name) for name in wanted] == [[name] for name in names]
