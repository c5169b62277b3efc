import unicodedata
from pathlib import Path

import pytest

from trapmeter.errors import InputError
from trapmeter.records import Medium, MediumKind
from trapmeter.tables.site_rules import (
    CsvSite,
    FolderSite,
    NoSite,
    RegexSite,
    assign_sites,
    format_site_rule,
    parse_site_rule,
)


def media(*names: str) -> list[Medium]:
    return [Medium(name, Path(name), MediumKind.VIDEO) for name in names]


def sites(rule, *names: str) -> list[str]:
    return [medium.site_id for medium in assign_sites(media(*names), rule)]


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("none", NoSite()),
        ("folder:1", FolderSite(1)),
        ("folder:-2", FolderSite(-2)),
        ("regex:a:(b)", RegexSite("a:(b)")),
        ("csv:sites.txt", CsvSite(Path("sites.txt"))),
        ("my sites.CSV", CsvSite(Path("my sites.CSV"))),
        ("C:\\data\\sites.csv", CsvSite(Path("C:\\data\\sites.csv"))),
    ],
)
def test_texts_are_parsed_into_rules(text, rule):
    assert parse_site_rule(text) == rule


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"'' is not a rule for sites; write one of\n  none"),
        ("folder", r"folder:-1 "),
        ("folder:x", r"regex:\(S"),
        ("folder:1.5", r"csv:sites.csv"),
        ("csv:", r"write one of"),
        ("folder:0", r"counted from 1 \(the top\) or from -1"),
        ("regex:(S", r"not a regular expression: .* at position 0"),
        ("regex:S1", r"has no group"),
    ],
)
def test_bad_rules_are_refused(text, message):
    with pytest.raises(InputError, match=message):
        parse_site_rule(text)


def test_no_media_give_no_sites():
    assert assign_sites([], FolderSite(1)) == []


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (NoSite(), ["", "", ""]),
        (FolderSite(1), ["", "S1", "S2"]),
        (FolderSite(2), ["", "", "x"]),
        (FolderSite(3), ["", "", ""]),
        (FolderSite(-1), ["", "S1", "x"]),
        (FolderSite(-2), ["", "", "S2"]),
        (FolderSite(-3), ["", "", ""]),
        (RegexSite(r"(S\d)/"), ["", "S1", "S2"]),
        (RegexSite(r"S(\d)/(?P<site>x)?"), ["", "", "x"]),
    ],
)
def test_sites_come_from_names(rule, expected):
    assert sites(rule, "a.mp4", "S1/b.mp4", "S2/x/c.mp4") == expected


def test_a_medium_keeps_its_site_if_the_rule_gives_none():
    (medium,) = assign_sites([Medium("a.mp4", Path("a.mp4"), MediumKind.VIDEO, "known")], FolderSite(1))
    assert medium.site_id == "known"


@pytest.mark.parametrize("column", ["media_id", "video_id", "file"])
def test_sites_come_from_a_table(write, column):
    path = write(f"site_id,{column}\nS1,a.mp4\nS1,a.mp4\nS2,D:\\cards\\x\\b.mp4\n")
    assert sites(CsvSite(path), "q/a.mp4", "x/b.mp4", "c.mp4") == ["S1", "S2", ""]


def test_the_longest_folder_counts(write):
    path = write("folder,site_id\nS1/,one\nS1\\x,two\nS,no\n")
    assert sites(CsvSite(path), "S1/a.mp4", "S1/x/y/b.mp4", "S1x/c.mp4", "S1") == ["one", "two", "", ""]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("site_id,name\nS1,a\n", r"expected the columns media_id, site_id, but media_id is missing"),
        ("file,site_id\na.mp4,S1\nb.mp4,S1\na.mp4,S2\n", r"lines 2 and 4: a.mp4 has the sites 'S1' and 'S2'"),
        ("file,site_id\nv.mp4,S1\n", r"column file: v.mp4 could be any of a/v.mp4, b/v.mp4"),
        ("file,site_id\nx/a/v.mp4,S1\ny/a/v.mp4,S2\n", r"a/v.mp4 could be any of x/a/v.mp4, y/a/v.mp4"),
    ],
)
def test_bad_tables_are_refused(write, text, message):
    with pytest.raises(InputError, match=message):
        sites(CsvSite(write(text)), "a/v.mp4", "b/v.mp4")


def test_the_competition_metadata_is_a_site_table(shared_file):
    path = shared_file("simtrap/train_metadata.csv")
    assert sites(CsvSite(path), "train_videos/abxu1122.mp4", "other.mp4") == ["S0076", ""]


@pytest.mark.parametrize("text", ["none", "folder:1", "folder:-2", "regex:(S[0-9]+)_", "csv:sites.csv"])
def test_a_rule_formats_as_the_text_that_made_it(text: str) -> None:
    assert format_site_rule(parse_site_rule(text)) == text


def test_a_name_with_separate_accents_gives_the_site_as_people_type_it() -> None:
    decomposed = unicodedata.normalize("NFD", "Höhle/v.mp4")
    assert sites(RegexSite("^([^/]+)/"), decomposed) == [unicodedata.normalize("NFC", "Höhle")]
