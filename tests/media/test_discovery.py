import os
from pathlib import Path

import pytest

from trapmeter.errors import InputError
from trapmeter.media.discovery import PHOTO_SUFFIXES, VIDEO_SUFFIXES, find_media, suffix_text
from trapmeter.records import MediumKind


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def ids(*paths: Path) -> list[str]:
    return [medium.media_id for medium in find_media(paths).media]


def test_paths_without_media_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no path"):
        find_media([])
    with pytest.raises(InputError, match=r"nowhere: No such file"):
        find_media([tmp_path / "nowhere"])
    with pytest.raises(InputError, match="no video or photo found"):
        find_media([tmp_path])
    touch(tmp_path / "notes.txt")
    with pytest.raises(InputError, match=r"other files: 1 .txt; expected one of 3gp asf"):
        find_media([tmp_path])
    with pytest.raises(InputError, match="neither a video nor a photo"):
        find_media([tmp_path / "notes.txt"])


def test_a_path_may_be_text_and_one_or_several(tmp_path: Path) -> None:
    touch(tmp_path / "a/1.mp4", tmp_path / "b/2.jpg")
    assert find_media(str(tmp_path)) == find_media(tmp_path) == find_media([tmp_path])
    both = find_media([str(tmp_path / "a"), tmp_path / "b"])
    assert [medium.media_id for medium in both.media] == ["a/1.mp4", "b/2.jpg"]


def test_local_and_remote_paths_in_one_run_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="s3://bucket/survey is remote but other paths are local"):
        find_media([tmp_path, "s3://bucket/survey"])


def test_every_suffix_is_found_in_any_case_at_any_depth(tmp_path: Path) -> None:
    for suffix in VIDEO_SUFFIXES | PHOTO_SUFFIXES:
        touch(tmp_path / "a" / "b" / f"low{suffix}", tmp_path / f"UP{suffix.upper()}")
    found = find_media([tmp_path])
    assert len(found.media) == 2 * len(VIDEO_SUFFIXES | PHOTO_SUFFIXES)
    kinds = {medium.path.suffix.lower(): medium.kind for medium in found.media}
    assert kinds[".asf"] is MediumKind.VIDEO
    assert kinds[".jpeg"] is MediumKind.PHOTO


def test_ids_are_sorted_paths_below_the_folder(tmp_path: Path) -> None:
    touch(tmp_path / "b/2.mp4", tmp_path / "b/1.mp4", tmp_path / "a/9.jpg", tmp_path / "x.txt")
    assert ids(tmp_path) == ["a/9.jpg", "b/1.mp4", "b/2.mp4"]
    assert ids(tmp_path / "b") == ["1.mp4", "2.mp4"]
    assert ids(tmp_path / "b/1.mp4") == ["1.mp4"]
    assert find_media([tmp_path]).n_other == {".txt": 1}


def test_several_paths_share_a_root_and_count_each_file_once(tmp_path: Path) -> None:
    touch(tmp_path / "c/a/1.mp4", tmp_path / "c/b/1.mp4")
    assert ids(tmp_path / "c/a", tmp_path / "c/b") == ["a/1.mp4", "b/1.mp4"]
    assert ids(tmp_path / "c/a", tmp_path / "c/a/1.mp4", tmp_path / "c/a") == ["1.mp4"]


def test_hidden_files_are_left_out(tmp_path: Path) -> None:
    # macOS puts ._1.mp4 beside 1.mp4 on every card.
    touch(tmp_path / "1.mp4", tmp_path / "._1.mp4", tmp_path / ".trash/2.mp4")
    assert ids(tmp_path) == ["1.mp4"]


def test_pipes_and_links_that_form_a_loop_are_left_out(tmp_path: Path) -> None:
    touch(tmp_path / "a/1.mp4")
    (tmp_path / "a/loop").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "a/pipe.mp4")
    assert ids(tmp_path) == ["a/1.mp4"]


def test_linked_folders_are_followed(tmp_path: Path) -> None:
    touch(tmp_path / "card/1.mp4")
    (tmp_path / "survey").mkdir()
    (tmp_path / "survey/link").symlink_to(tmp_path / "card")
    assert ids(tmp_path / "survey") == ["link/1.mp4"]


def test_a_folder_that_cannot_be_listed_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path / "a/1.mp4", tmp_path / "locked/2.mp4")
    real = os.scandir

    def scandir(folder: Path) -> object:
        # Root can list every folder, so the error is simulated.
        if Path(folder).name == "locked":
            raise PermissionError(13, "Permission denied")
        return real(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    found = find_media([tmp_path])
    assert [medium.media_id for medium in found.media] == ["a/1.mp4"]
    assert found.unreadable == ((tmp_path / "locked", "Permission denied"),)
    with pytest.raises(InputError, match=r"locked: Permission denied"):
        find_media([tmp_path / "locked"])


def test_a_broken_link_does_not_hide_other_files(tmp_path: Path) -> None:
    touch(tmp_path / "a/1.mp4", tmp_path / "a/2.mp4")
    (tmp_path / "a/self").symlink_to("self")
    found = find_media([tmp_path])
    assert [medium.media_id for medium in found.media] == ["a/1.mp4", "a/2.mp4"]


def test_a_file_that_links_lead_to_is_found_once_by_its_own_name(tmp_path: Path) -> None:
    touch(tmp_path / "s/real/1.mp4")
    (tmp_path / "s/alias").symlink_to(tmp_path / "s/real")
    assert ids(tmp_path / "s") == ["real/1.mp4"]
    assert ids(tmp_path / "s/real", tmp_path / "s/alias") == ["real/1.mp4"]


def test_the_parent_of_a_link_is_that_of_its_target(tmp_path: Path) -> None:
    touch(tmp_path / "x/card/0.mp4", tmp_path / "x/y/1.mp4")
    (tmp_path / "link").symlink_to(tmp_path / "x/card")
    assert ids(tmp_path / "link/../y/1.mp4") == ["1.mp4"]


def test_a_name_that_is_too_long_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="too long"):
        find_media([tmp_path / ("a" * 5000)])


def test_files_passed_over_are_counted_by_suffix(tmp_path: Path) -> None:
    touch(*(tmp_path / name for name in ("a.jpg", "1.XYZ", "2.xyz", "b.txt", "README", ".hidden")))
    found = find_media([tmp_path])
    assert list(found.n_other.items()) == [(".xyz", 2), ("", 1), (".txt", 1)]
    assert suffix_text(found.n_other) == "2 .xyz, 1 without suffix, 1 .txt"
    (tmp_path / "a.jpg").unlink()
    with pytest.raises(InputError, match=r"found \(other files: 2 \.xyz, 1 without suffix, 1 \.txt; expected"):
        find_media([tmp_path])
