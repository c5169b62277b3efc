"""What `trapmeter density` refuses or notes: arguments, configurations and tables that are not as expected."""

from __future__ import annotations

from functools import partial

import pytest

from density.surveys import flat_text, write_flat
from terminal import call


@pytest.fixture
def density(capsys):
    return partial(call, capsys, "density")


@pytest.fixture
def flat(tmp_path):
    return write_flat(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--key", "normal"], ["expected the key half-normal, hazard-rate, uniform, got 'normal'"]),
        (["--adjust", "sine"], ["expected the adjustment none, cosine"]),
        (["--cutpoints", "a,b"], ["--cutpoints: expected numbers separated by commas"]),
        (["--cutpoints", "5,3"], ["two rising cutpoints"]),
        (["--cutpoints", "0,2,4,8", "--truncation", "0,10"], ["make the first and the last cutpoint the truncation"]),
        (["--truncation", "10,2"], ["0 <= left < right"]),
        (["--truncation", "1,2,3"], ["the right, or the left and right"]),
        (["--truncation", "100,200"], ["no detection between 100 and 200 m"]),
        (["--format", "xls"], ['Invalid value "xls" for --format. Choose from: "r-flat", "distances", "camtrap-dp"']),
        (["--select", "bic"], ['Invalid value "bic" for --select']),
        (["--key", "half-normal,hazard-rate", "--select", "qaic"], ["QAIC needs a chi-square by bin"]),
        (["--theta", "0.73"], ["looks like radians; give 41.83"]),
        (["--availability", "0"], ["--availability: expected more than 0"]),
        (["--formula", "season * site"], ["interactions and functions of columns aren't supported; write columns"]),
        (["--formula", "season"], ["has no column 'season', which --formula or --by names; there are 'Region.Label'"]),
        (["--by", "species"], ["has no column 'species', which --formula or --by names"]),
        (["--activity-by", "stratum"], ["--activity-by needs --activity"]),
        (["--activity", "times.csv", "--activity-by", "species"], ["--activity-by species needs --by species"]),
        (["--availability-se", "0.1"], ["--availability-se needs --availability"]),
        (["--species", "fox"], ["species is missing"]),
        (
            ["--species-column", "Art"],
            ["flat.csv has no column 'Art' for the species; it has 'Region.Label', 'Area'"],
        ),
        (["--bootstrap", "3"], ["20 or more bootstrap replicates"]),
        (["--bootstrap", "100", "--scale-error", "5"], ["such as 0.1 for 10 %"]),
        (["--scale-error", "0.1", "--bootstrap", "0"], ["--scale-error", "leave out --bootstrap 0"]),
        (["--cutpoints", "-2,5"], ["expected a truncation with 0 <= left < right metres, got left -2 and right 5"]),
        (["--areas", "5"], ["such as --areas.north 12.5, got '5'"]),
        (["--areas.north", "large"], ["--areas.north: expected a number, got 'large'"]),
        (["more.csv"], ["trapmeter density takes no further argument, got 'more.csv'"]),
        (["--format", "distances"], ["contains no effort; give --deployments"]),
        (
            ["--points"],
            ["--points is for distances only, but", "is read as r-flat; leave it out, or give --format distances"],
        ),
        (["--snapshot", "2"], ["--snapshot is for distances and camtrap-dp only"]),
        (["--leave-out-tags", "odd"], ["--leave-out-tags is for camtrap-dp only"]),
        (["--errors", "deep-chimpact"], ["measurement error needs binned distances; give cutpoints"]),
        (["--errors", "deep-chimpact", "--distance-cv", "0.2"], ["exclude each other"]),
        (["--distance-cv", "20"], ["such as 0.2 for 20 %, got 20"]),
        (["--errors", "gone.csv"], ["gone.csv does not exist"]),
        (["--json", "/no/such/x.json"], ["x.json can't be written: there is no folder /no/such"]),
        (["--csv", "/"], ["/ is a folder, expected the name of a file"]),
        (["--level", "95"], ["--level: expected more than 0 and less than 1"]),
        (["--config", "nowhere.toml"], ["nowhere.toml: No such file"]),
        (["--jobs", "0"], ["--jobs: expected at least 1"]),
    ],
)
def test_invalid_arguments_are_refused_with_what_is_expected(flat, density, arguments, words):
    status, _, error = density(flat, *arguments)
    assert status == 2
    for word in words:
        assert word in error
    assert "Traceback" not in error


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("nonsense", "not TOML"),
        ('file = "flat.csv"\ncolour = 1\n', "unknown settings colour; known are file, format"),
        ("key = 3\n", "key: expected text, got 3"),
        ('cutpoints = ["a"]\n', "cutpoints: expected a number, got 'a'"),
        ("areas = 3\n", "areas: expected a table of names and values"),
        ("areas = {north = 3.0}\n", "there is no stratum 'north'; there are 'all'"),
        ("areas = {all = -3}\n", "areas: expected an area above 0 of stratum 'all', got -3"),
        ("areas = {all = 0}\n", "of stratum 'all', got 0"),
        ("key = hn\n", "put texts into double quotes"),
        ('# \\\nfile = "C:\\data\\flat.csv"\n', "put the text into single quotes, or write / in place of \\"),
        ('file = "C:\\table\\new.csv"\n', "put the text into single quotes, or write / in place of \\"),
        ("file = 3\n", "file: expected the name of a file, got 3"),
        ("bootstrap = 1.5\n", "bootstrap: expected a whole number, got 1.5"),
        ("strata = 1\n", "strata: expected true or false"),
    ],
)
def test_invalid_configurations_are_refused_with_what_is_expected(tmp_path, flat, density, content, message):
    (tmp_path / "survey.toml").write_text(content)
    status, _, error = density(flat, "--config", tmp_path / "survey.toml")
    assert status == 2
    assert message in error


def test_a_configuration_may_have_a_byte_order_mark_but_must_be_utf_8(tmp_path, flat, density):
    (tmp_path / "survey.toml").write_text('file = "flat.csv"\nkey = "hn"\nadjust = "none"\n', encoding="utf-8-sig")
    assert density("--config", tmp_path / "survey.toml", "--bootstrap", 0)[0] == 0
    (tmp_path / "survey.toml").write_text('file = "fl\u00e4che.csv"\n', encoding="latin-1")
    assert "save it as UTF-8" in density("--config", tmp_path / "survey.toml")[2]


@pytest.mark.parametrize(
    ("option", "name"),
    [
        ("--out", "out/flatfile.csv"),
        ("--out", "out/density.csv"),
        ("--json", "flat.csv"),
        ("--csv", "survey.toml"),
        ("--csv", "times.csv"),
        ("--json", "errors.csv"),
    ],
)
def test_no_input_is_overwritten(tmp_path, density, option, name):
    (tmp_path / "out").mkdir()
    file = name if name.startswith("out") else "flat.csv"
    texts = {
        file: flat_text(),
        "times.csv": "time\n06:15\n",
        "errors.csv": "truth_m,distance_m\n2,3\n",
        "survey.toml": f'file = "{file}"\nactivity = "times.csv"\nerrors = "errors.csv"\n',
    }
    for path, text in texts.items():
        (tmp_path / path).write_text(text)
    # Another path to the same file.
    target = tmp_path / "out" / ".." / ("out" if option == "--out" else name)
    status, _, error = density("--config", tmp_path / "survey.toml", option, target)
    assert status == 2
    assert f"{name.removeprefix('out/')} is an input and would be overwritten" in error
    assert error.rstrip().endswith(f"choose another {option}")
    assert {path: (tmp_path / path).read_text() for path in texts} == texts
    assert {path.name for path in (tmp_path / "out").iterdir()} <= {name.removeprefix("out/")}


def test_a_missing_table_is_refused(density, tmp_path):
    status, _, error = density()
    assert status == 2
    assert "no table of distances was given" in error
    assert density(tmp_path / "gone.csv")[0] == 2


@pytest.mark.parametrize(
    ("content", "found"), [("", "found nothing"), ("video_id,when\na,1\n", "found 'video_id', 'when'")]
)
def test_a_table_of_another_kind_is_refused_by_its_name(density, tmp_path, content, found):
    table = tmp_path / "other.csv"
    table.write_text(content)
    status, _, error = density(table)
    assert status == 2
    assert f"{table}: expected distances.csv of trapmeter" in error
    assert found in error


def test_a_folder_of_results_is_pointed_to_its_table(density, tmp_path):
    (tmp_path / "distances.csv").touch()
    status, _, error = density(tmp_path)
    assert status == 2
    assert f"give {tmp_path / 'distances.csv'}" in error


def test_an_unwritable_folder_is_refused_before_the_bootstrap(flat, density, tmp_path):
    (tmp_path / "taken").write_text("")
    status, output, error = density(flat, "--bootstrap", 1000, "--out", tmp_path / "taken" / "out")
    assert (status, output) == (2, "")
    assert f"{tmp_path / 'taken' / 'out'}: can't be written: Not a directory; choose another --out" in error


def flat_rows(*rows, head="Sample.Label,Effort,distance"):
    return "\n".join((head, *rows)) + "\n"


EDGES = ["--cutpoints", "0,2,4,6,9", "--bootstrap", 0]
TWENTY = [f"s{number % 5},10,{1 + number * 0.37:.2f}" for number in range(20)]


@pytest.mark.parametrize(
    ("table", "arguments", "words"),
    [
        (flat_rows("a,10,NA", "b,10,NA"), [], "has no detection in 2 rows"),
        (
            flat_rows(*(row.replace("s1", "s0") for row in TWENTY if row[:2] in "s0s1")),
            [],
            "needs at least 2 of them, got 1",
        ),
        (flat_rows("a,10,4", "b,10,4", "b,10,4", "a,10,4"), ["--key", "half-normal"], "are in the same distance"),
        (
            flat_rows("a,10,4", "b,10,4", "b,10,4"),
            ["--cutpoints", "0,3,6,9,12", "--key", "half-normal", "--adjust", "none"],
            "the same bin",
        ),
        (flat_rows("a,10,0", "b,10,0"), [], "all distances are 0 m"),
        (flat_rows(*TWENTY, "s1,10,-3"), [], "line 22, column 'distance': expected metres >= 0"),
        (flat_rows(*TWENTY), ["--truncation", "20,30"], "no detection between 20 and 30 m (20 outside)"),
        (flat_rows(*TWENTY, "s9,0,NA"), [], "line 22, column 'Effort'"),
        (flat_rows(*TWENTY), ["--theta", "361"], "more than 0 and at most 360 degrees, got 361"),
        (flat_rows(*TWENTY), ["--theta", "0"], "more than 0 and at most 360 degrees, got 0"),
        (flat_rows(*TWENTY), ["--theta", "1.05"], "looks like radians; give 60.16 if so"),
        (flat_rows(*TWENTY), ["--cutpoints", "2,4,6", "--truncation", "0,8"], "the truncation is at 0 and 8 m"),
        (flat_rows("a,10,3,42", head="Sample.Label,Effort,distance,multiplier"), [], "divide degrees by 360"),
        (flat_rows(), [], "has no rows"),
        ("", [], "is empty"),
    ],
)
def test_invalid_tables_are_refused_with_what_is_wrong(tmp_path, density, table, arguments, words):
    path = tmp_path / "bad.csv"
    path.write_text(table)
    status, _, error = density(path, "--format", "r-flat", *arguments)
    assert status == 2
    assert words in error
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("head", "words"),
    [
        ("sample.label,effort,distance", "expected the columns Sample.Label, Effort, distance"),
        ("Sample_Label,Effort,distance", "but Sample.Label is missing; found 'Sample_Label'"),
        ("Sample.Label,Effort,distance_m", "but distance is missing"),
    ],
)
def test_flat_files_are_recognised_by_misspelt_columns_too(tmp_path, density, head, words):
    path = tmp_path / "flat.csv"
    path.write_text(flat_rows(*TWENTY, head=head))
    status, _, error = density(path)
    assert status == 2
    assert words in error


def test_distances_given_as_bins_are_refused_with_advice(tmp_path, density):
    path = tmp_path / "flat.csv"
    path.write_text(flat_rows("a,10,2,4", "b,10,4,6", head="Sample.Label,Effort,distbegin,distend"))
    status, _, error = density(path)
    assert status == 2
    assert "add it with the middle of each bin, and give the ends with --cutpoints" in error


def test_columns_that_may_be_misspelt_are_noted(tmp_path, density):
    path = tmp_path / "flat.csv"
    rows = [row + ",0.1,x" for row in TWENTY]
    path.write_text(flat_rows(*rows, head="Sample.Label,Effort,distance,Multiplier,Study.Area"))
    status, output, _ = density(path, "--key", "half-normal", "--adjust", "none", *EDGES)
    assert status == 0
    assert "the column 'Multiplier' is ignored; rename it 'multiplier'" in output
    assert "Study.Area" not in output


def test_an_unused_angle_is_noted(tmp_path, density):
    path = tmp_path / "flat.csv"
    rows = [row + ",0.1" for row in TWENTY]
    path.write_text(flat_rows(*rows, head="Sample.Label,Effort,distance,multiplier"))
    arguments = ["--key", "half-normal", "--adjust", "none", *EDGES]
    assert "the given angle of view (42 degrees) was not used" in density(path, *arguments, "--theta", 42)[1]
    assert "was not used" not in density(path, *arguments, "--theta", 36)[1]
