import pytest
from hypothesis import given
from hypothesis import strategies as st

from trapmeter.errors import InputError
from trapmeter.tables.file_names import NameIndex, leaves_root, match_below_other_root, name_parts

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
def test_the_best_matching_names_are_found(names, wanted, found):
    assert NameIndex(names).find(wanted) == found


def find_by_comparing(names: list[str], wanted: str) -> set[str]:
    """The rule word by word, over all names."""
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
def test_the_index_agrees_with_comparing_all_names(names, wanted):
    found = NameIndex(names).find(wanted)
    assert set(found) == find_by_comparing(names, wanted)
    assert len(found) == len(set(found))


@given(st.lists(st.text(), unique=True, max_size=8))
def test_any_name_finds_itself(names):
    index = NameIndex(names)
    assert all(name in index.find(name) for name in names)


def test_an_entry_that_matches_two_names_is_a_clash():
    index = NameIndex(["IMG_1.JPG", "b/IMG_2.JPG"])
    assert index.clashes([]) == {}
    assert index.clashes(["a/IMG_1.JPG", "b/IMG_1.JPG", "b/IMG_2.JPG", "c/IMG_2.JPG"]) == {
        "IMG_1.JPG": ["a/IMG_1.JPG", "b/IMG_1.JPG"]
    }


def test_the_folder_finds_one_among_100000_photos_of_the_same_name():
    names = [f"D:\\cards\\site{number}\\DCIM\\IMG_0001.JPG" for number in range(100_000)]
    wanted = [f"site{number}/DCIM/IMG_0001.JPG" for number in range(100_000)]
    index = NameIndex(names)
    assert [index.find(name) for name in wanted] == [[name] for name in names]


def test_each_name_is_matched_with_one_entry():
    index = NameIndex(["IMG_1.JPG", "b/IMG_2.JPG", "a\\c.jpg", "a/c.jpg"])
    assert index.match(["x/IMG_1.JPG", "y/z.JPG", "a/c.jpg"], "t.csv") == {
        "x/IMG_1.JPG": "IMG_1.JPG",
        "a/c.jpg": "a/c.jpg",
    }
    with pytest.raises(
        InputError, match=r"^t\.csv: IMG_1\.JPG could be any of x/IMG_1\.JPG, y/IMG_1\.JPG; put the folder"
    ):
        index.match(["x/IMG_1.JPG", "y/IMG_1.JPG"], "t.csv")
    with pytest.raises(InputError, match=r"^t\.csv: c\.jpg could be any of a\\c\.jpg, a/c\.jpg; add folders"):
        index.match(["c.jpg"], "t.csv", "add folders")


@pytest.mark.parametrize("name", ["", ".", "/a.jpg", "../a.jpg", "a/../../b.jpg", "..\\a.jpg", "C:/a.jpg", "\\a.jpg"])
def test_paths_out_of_the_folder_are_recognised(name):
    assert leaves_root(name)


@pytest.mark.parametrize("name", ["a.jpg", "a/b.jpg", "a..jpg", "2024-05-01 10:30.jpg", "10:30/a.jpg", "./a.jpg"])
def test_paths_within_the_folder_are_not(name):
    assert not leaves_root(name)


MEDIA = ["S01/DCIM/1.jpg", "S01/DCIM/2.jpg", "S02/DCIM/1.jpg"]


@pytest.mark.parametrize("root", ["D:\\survey 2024", "/data/x", "renamed", "a/b/c"])
def test_names_below_another_root_match(root):
    names = [f"{root}/{name}".replace("/", "\\" if "\\" in root else "/") for name in MEDIA]
    assert match_below_other_root(names, MEDIA) == (
        dict(zip(MEDIA, names, strict=True)),
        root.replace("\\", "/").strip("/"),
    )


def test_folders_above_may_be_renamed_on_this_machine_as_well():
    here = [f"new/card/{name}" for name in MEDIA]
    names = [f"E:/old/{name}" for name in MEDIA]
    assert match_below_other_root(names, here) == (dict(zip(here, names, strict=True)), "E:/old")
    assert match_below_other_root(names[:2], here) is None, "a folder is only left out if all match"


@pytest.mark.parametrize(
    "names",
    [
        # Two roots serve some media each, or all.
        ["x/S01/DCIM/1.jpg", "y/S01/DCIM/2.jpg", "y/S02/DCIM/1.jpg"],
        [f"{root}/{name}" for root in "xy" for name in MEDIA],
        [],
        ["other.jpg"],
    ],
)
def test_names_below_several_roots_do_not_match(names):
    assert match_below_other_root(names, MEDIA) is None


def test_a_file_name_alone_is_not_enough():
    assert match_below_other_root(["S02/IMG_0001.JPG"], ["IMG_0001.JPG"]) is None


def test_media_that_the_table_lacks_stay_without_a_name():
    found = match_below_other_root(["x/S01/DCIM/1.jpg"], MEDIA)
    assert found == ({"S01/DCIM/1.jpg": "x/S01/DCIM/1.jpg"}, "x")
