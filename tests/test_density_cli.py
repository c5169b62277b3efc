"""`trapmeter density` from the command line: numbers of R, the files it writes, and errors with advice."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from density.simulated import detected_distances, half_normal
from density.surveys import deployments_text, distances_rows, flat_text, true_density, write_distances_rows
from packages import packed, write_made_up_package
from trapmeter.cli import main

FIELDS = {"key", "adjustments", "lnl", "aic", "qaic", "pa", "edr_m", "density_km2", "se", "cv", "low", "high", "df"}
DUIKER = ["--format", "r-flat", "--cutpoints", "2,3,4,5,6,7,8,10,12,15"]


@pytest.fixture
def density(capsys):
    def call(*arguments):
        with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
            patch.setattr(sys, "argv", ["trapmeter", "density", *map(str, arguments)])
            main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return call


@pytest.fixture
def flat(tmp_path):
    path = tmp_path / "flat.csv"
    path.write_text(flat_text())
    return path


def test_the_duikers_of_howe_et_al_have_the_density_of_r(shared, density, tmp_path):
    path = shared / "ctds/duiker_peak.csv"
    if not path.exists():
        pytest.skip("no distance sampling data")
    out = tmp_path / "peak.json"
    status, output, _ = density(path, *DUIKER, "--key", "hazard-rate", "--adjust", "none", "--json", out)
    assert status == 0
    (fit,) = json.loads(out.read_text())["fits"]
    assert set(fit) >= FIELDS
    assert (fit["key"], fit["adjustments"]) == ("hazard-rate", "none")
    assert fit["density_km2"] == pytest.approx(14.5105542, rel=5e-5)
    assert fit["se"] == pytest.approx(4.384, abs=0.001)
    assert (fit["low"], fit["high"]) == pytest.approx((7.835, 26.873), abs=0.001)
    assert "density: 14.5106 animals per km2, se 4.384" in output


def test_all_eight_models_are_written_to_every_file(flat, density, tmp_path):
    out = tmp_path / "out"
    status, output, _ = density(flat, "--cutpoints", "0,2,4,6,8,10", "--bootstrap", 20, "--jobs", 1, "--out", out)
    assert status == 0
    assert {path.name for path in out.iterdir() if path.name != ".lock"} == {
        "density.json",
        "density.csv",
        "density.html",
        "density.R",
        "flatfile.csv",
    }
    found = json.loads((out / "density.json").read_text())
    assert len(found["fits"]) == 8
    assert [fit["model"] for fit in found["fits"] if fit["selected"]] == [found["selected"]]
    assert found["low"] < true_density() < found["high"]
    assert found["n_stations_without_detections"] >= 1
    assert found["bootstrap"]["replicates"] == 20
    assert len(found["bootstrap"]["densities"]) == 20 - found["bootstrap"]["failed"]
    with (out / "density.csv").open() as file:
        assert [row["model"] for row in csv.DictReader(file)] == [fit["model"] for fit in found["fits"]]
    assert "bootstrap over cameras: median" in output
    limits = [found["bootstrap"][name] for name in ("low", "percentile_low", "median", "percentile_high", "high")]
    assert limits == sorted(limits)
    percentiles = np.quantile(found["bootstrap"]["densities"], (0.025, 0.975))
    assert limits[1:4:2] == pytest.approx(percentiles.tolist())
    page = (out / "density.html").read_text()
    assert all(f"bootstrap, {name}" in page for name in ("lognormal", "percentiles", "expanded percentiles"))
    # The criterion of selection among keys is shown for each model.
    best = next(fit for fit in found["fits"] if fit["selected"])
    per_df = f"{best['chi_square']['statistic'] / best['chi_square']['df']:.2f}"
    assert per_df in next(line for line in output.splitlines() if line.startswith("* "))
    assert per_df in page
    assert "* selected by QAIC within each key, and chi-square / df between keys" in output
    assert "note: 20 bootstrap replicates are few" in output
    assert "bootstrap replicates are few" in found["warnings"][-1]
    # The written flat file gives the same density.
    status, _, _ = density(out / "flatfile.csv", "--cutpoints", "0,2,4,6,8,10", "--json", tmp_path / "again.json")
    assert json.loads((tmp_path / "again.json").read_text())["density_km2"] == pytest.approx(found["density_km2"])
    script = (out / "density.R").read_text()
    assert '"half-normal + cosine(2, 3)" = fit("hn", "cos", c(2, 3))' in script
    assert str(tmp_path) not in script


def test_the_report_has_its_plots_and_escapes_html(tmp_path, density):
    path = tmp_path / "<b>flat.csv"
    path.write_text(flat_text().replace("s0", "<script>alert(1)</script>").replace("s1,", "=1+1,"))
    times = tmp_path / "times.csv"
    times.write_text("time\n" + "\n".join(f"{hour % 24:02d}:15" for hour in range(30)))
    arguments = ["--cutpoints", "0,2,4,6,8,10", "--key", "half-normal", "--adjust", "none", "--activity", times]
    status, output, _ = density(path, *arguments, "--bootstrap", 20, "--jobs", 1, "--out", tmp_path / "out")
    assert status == 0
    page = (tmp_path / "out/density.html").read_text()
    assert page.count("<svg") == 5
    assert "<script" not in page
    assert "<b>flat" not in page
    assert "&lt;script&gt;" in page
    assert str(tmp_path) not in page
    assert not re.search(r'(src|href)="(?!#)', page)
    assert "'=1+1" in (tmp_path / "out/flatfile.csv").read_text()
    assert "active" in output


def test_exact_distances_are_truncated_and_tested_for_fit(flat, density, tmp_path):
    out = tmp_path / "exact.json"
    arguments = ["--key", "half-normal,hazard-rate", "--adjust", "none", "--truncation", "1,9", "--json", out]
    status, _, _ = density(flat, *arguments, "--out", tmp_path / "out")
    found = json.loads(out.read_text())
    assert status == 0
    assert (found["left_m"], found["right_m"], found["select_by"]) == (1, 9, "aic")
    assert [fit["qaic"] for fit in found["fits"]] == [None, None]
    assert found["fits"][0]["ks"]["p"] > 0.001
    page = (tmp_path / "out/density.html").read_text()
    assert "Kolmogorov-Smirnov" in page
    assert "Quantile-quantile plot of" in page


@pytest.mark.slow
def test_options_replace_values_of_the_configuration_file(tmp_path, density):
    folder = tmp_path / "survey"
    folder.mkdir()
    write_distances_rows(folder / "distances.csv", distances_rows())
    (folder / "deployments.csv").write_text(deployments_text())
    (folder / "survey.toml").write_text(
        'file = "distances.csv"\ndeployments = "deployments.csv"\nkey = "half-normal"\nadjust = ["none"]\n'
        "cutpoints = [0, 2, 4, 6, 8, 10]\navailability = 0.5\navailability_se = 0.05\n"
    )
    out = tmp_path / "out.json"
    assert density("--config", folder / "survey.toml", "--json", out)[0] == 0
    found = json.loads(out.read_text())
    assert (found["draws"], found["availability"]["share"]) == (10, 0.5)
    assert found["cv_parts"]["availability"] == pytest.approx(0.1)
    assert density("--config", folder / "survey.toml", "--points", "--key", "hazard-rate", "--json", out)[0] == 0
    again = json.loads(out.read_text())
    assert (again["draws"], again["fits"][0]["key"]) == (1, "hazard-rate")


def test_strata_are_weighted_by_area(tmp_path, density):
    path = tmp_path / "flat.csv"
    north, south = flat_text(seed=1), flat_text(seed=2)
    path.write_text(
        north.replace("all,1,s", "north,30,n") + "\n".join(south.replace("all,1,s", "=S,10,s").splitlines()[1:])
    )
    out = tmp_path / "out"
    assert (
        density(path, "--cutpoints", "0,2,4,6,8,10", "--key", "half-normal", "--adjust", "none", "--out", out)[0] == 0
    )
    (fit,) = json.loads((out / "density.json").read_text())["fits"]
    parts = {part["stratum"]: part["density_km2"] for part in fit["strata"]}
    assert fit["density_km2"] == pytest.approx(0.75 * parts["north"] + 0.25 * parts["=S"])
    with (out / "density.csv").open() as file:
        assert [row["stratum"] for row in csv.DictReader(file)] == ["", "north", "'=S"]
    status, output, _ = density(path, "--cutpoints", "0,2,4,6,8,10", "--no-strata")
    assert status == 0
    assert "stratum" not in output


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
        (["--availability", "1.4"], ["--availability: expected more than 0 and at most 1"]),
        (["--availability-se", "0.1"], ["--availability-se needs --availability"]),
        (["--species", "fox"], ["species is missing"]),
        (
            ["--species-column", "Art"],
            ["flat.csv has no column 'Art' for the species; it has 'Region.Label', 'Area'"],
        ),
        (["--bootstrap", "3"], ["20 or more bootstrap replicates"]),
        (["--bootstrap", "100", "--scale-error", "5"], ["such as 0.1 for 10 %"]),
        (["--scale-error", "0.1"], ["--scale-error", "give --bootstrap too"]),
        (["--cutpoints", "-2,5"], ["expected a truncation with 0 <= left < right metres, got left -2 and right 5"]),
        (["--areas", "5"], ["such as --areas.north 12.5, got '5'"]),
        (["--areas.north", "large"], ["--areas.north: expected a number, got 'large'"]),
        (["more.csv"], ["trapmeter density takes no further argument, got 'more.csv'"]),
        (["--format", "distances"], ["contains no effort; give --deployments"]),
        (
            ["--points"],
            ["points is for distances only, but", "is read as r-flat; leave it out, or give --format distances"],
        ),
        (["--snapshot", "2"], ["snapshot_s is for distances and camtrap-dp only"]),
        (["--leave-out-tags", "odd"], ["leave_out_tags is for camtrap-dp only"]),
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
        ("areas = 3\n", "areas: expected a table of numbers"),
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
    assert density("--config", tmp_path / "survey.toml")[0] == 0
    (tmp_path / "survey.toml").write_text('file = "fl\u00e4che.csv"\n', encoding="latin-1")
    assert "save it as UTF-8" in density("--config", tmp_path / "survey.toml")[2]


def test_all_species_need_no_column(flat, density):
    assert density(flat, "--species", "all", "--key", "hn", "--adjust", "none")[0] == 0


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
    assert density(tmp_path / "gone.csv")[0] == 2


def test_an_unwritable_folder_is_refused_before_the_bootstrap(flat, density, tmp_path):
    (tmp_path / "taken").write_text("")
    status, output, error = density(flat, "--bootstrap", 1000, "--out", tmp_path / "taken" / "out")
    assert (status, output) == (2, "")
    assert f"{tmp_path / 'taken' / 'out'}: can't be written: Not a directory; choose another --out" in error


def flat_rows(*rows, head="Sample.Label,Effort,distance"):
    return "\n".join((head, *rows)) + "\n"


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
    status, output, _ = density(path, "--key", "half-normal", "--adjust", "none", "--cutpoints", "0,2,4,6,9")
    assert status == 0
    assert "the column 'Multiplier' is ignored; rename it 'multiplier'" in output
    assert "Study.Area" not in output


def test_an_unused_angle_is_noted(tmp_path, density):
    path = tmp_path / "flat.csv"
    rows = [row + ",0.1" for row in TWENTY]
    path.write_text(flat_rows(*rows, head="Sample.Label,Effort,distance,multiplier"))
    arguments = ["--key", "half-normal", "--adjust", "none", "--cutpoints", "0,2,4,6,9"]
    assert "the given angle of view (42 degrees) was not used" in density(path, *arguments, "--theta", 42)[1]
    assert "was not used" not in density(path, *arguments, "--theta", 36)[1]


def test_errors_of_distances_change_density(flat, density, tmp_path):
    arguments = ["--cutpoints", "0,2,4,6,8,10", "--key", "half-normal", "--adjust", "none", "--bootstrap", 20]
    arguments += ["--jobs", 1]
    found = {}
    for name, errors in (("plain", []), ("random", ["--distance-cv", "0.3"]), ("pairs", ["--errors", "deep-chimpact"])):
        status, output, _ = density(flat, *arguments, *errors, "--out", tmp_path / name)
        assert status == 0
        found[name] = json.loads((tmp_path / name / "density.json").read_text())
        assert ("use the interval of the bootstrap" in output) == (name != "plain")
    assert [found[name]["errors"] for name in found] == [None, "random error of 0.3 of the distance", "deep-chimpact"]
    assert len({round(found[name]["density_km2"]) for name in found}) == 3
    assert "Error of distances" in (tmp_path / "pairs/density.html").read_text()
    assert "ignores the error of distances" in (tmp_path / "pairs/density.R").read_text()


def test_the_r_script_allows_rising_functions_too(flat, density, tmp_path):
    config = tmp_path / "survey.toml"
    config.write_text(f'file = "{flat}"\nmonotone = false\nkey = "hn"\ncutpoints = [0, 2, 4, 6, 8, 10]\n')
    assert density("--config", config, "--out", tmp_path / "out")[0] == 0
    assert 'er_var = "P2", monotonicity = "none")' in (tmp_path / "out/density.R").read_text()


def test_a_camtrap_dp_is_read_from_folder_descriptor_and_archive(tmp_path, density):
    rng = np.random.default_rng(0)
    rows, deployments = [], []
    for site in range(6):
        deployments.append(f"d{site},S{site},2024-05-01T00:00:00,2024-05-11T00:00:00\n")
        for second, metres in enumerate(detected_distances(rng, 200, 10.0, half_normal(4.0))):
            time = f"2024-05-02T06:{second // 60:02d}:{second % 60:02d}"
            rows.append(f"o{site}-{second},d{site},m,{time},media,animal,fox,{metres:.2f}\n")
    head = "observationID,deploymentID,mediaID,eventStart,observationLevel,observationType,scientificName,"
    head += "individualPositionRadius\n"
    folder = write_made_up_package(
        tmp_path / "dp",
        deployments="deploymentID,locationID,deploymentStart,deploymentEnd\n" + "".join(deployments),
        media="mediaID,deploymentID,timestamp,filePath\n",
        observations=head + "".join(rows),
    )
    out = tmp_path / "out.json"
    arguments = ["--theta", 42, "--snapshot", 1, "--cutpoints", "0,2,4,6,8,10", "--json", out]
    for path in (folder, folder / "datapackage.json", packed(folder, tmp_path / "dp.zip")):
        assert density(path, *arguments)[0] == 0
        found = json.loads(out.read_text())
        assert (found["n"], found["n_stations"]) == (len(rows), 6)
    assert found["effort_snapshots"] == 6 * 10 * 86400
    status, _, error = density(folder, "--theta", 42, "--points")
    assert status == 2
    assert "points is for distances only, but" in error
    status, _, error = density(folder, *arguments, "--csv", folder / "observations.csv")
    assert status == 2
    assert "observations.csv is an input and would be overwritten" in error


def test_r_parses_the_script_and_reads_the_flat_file(flat, density, tmp_path):
    if shutil.which("Rscript") is None:
        pytest.skip("no R here")
    assert density(flat, "--cutpoints", "0,2,4,6,8,10", "--out", tmp_path / "out")[0] == 0
    code = 'parse("density.R"); stopifnot(sum(!is.na(as.numeric(read.csv("flatfile.csv")$distance))) > 10)'
    subprocess.run(["Rscript", "-e", code], cwd=tmp_path / "out", check=True, capture_output=True)
