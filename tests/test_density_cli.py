"""`trapmeter density` as a user meets it: figures of R, files that it writes, and errors that say what to do."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from tables.test_camtrapdp import package, zipped

from density.simulated import half_normal, seen_distances
from density.surveys import deployments_text, distances_rows, flat_text, true_density, write_distances_rows
from trapmeter.cli import main

FIELDS = {"key", "adjustments", "lnl", "aic", "qaic", "pa", "edr_m", "density_km2", "se", "cv", "low", "high", "df"}
DUIKER = ["--format", "r-flat", "--cutpoints", "2,3,4,5,6,7,8,10,12,15"]


@pytest.fixture
def density(capsys):
    def call(*arguments):
        with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
            patch.setattr(sys, "argv", ["trapmeter", "density", *map(str, arguments)])
            main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return call


@pytest.fixture
def flat(tmp_path):
    path = tmp_path / "flat.csv"
    path.write_text(flat_text())
    return path


def test_the_duikers_of_howe_et_al(shared, density, tmp_path):
    path = shared / "ctds/duiker_peak.csv"
    if not path.exists():
        pytest.skip("no distance sampling data")
    out = tmp_path / "peak.json"
    status, said, _ = density(path, *DUIKER, "--key", "hazard-rate", "--adjust", "none", "--json", out)
    assert status == 0
    (fit,) = json.loads(out.read_text())["fits"]
    assert set(fit) >= FIELDS
    assert (fit["key"], fit["adjustments"]) == ("hazard-rate", "none")
    assert fit["density_km2"] == pytest.approx(14.5105542, rel=5e-5)
    assert fit["se"] == pytest.approx(4.384, abs=0.001)
    assert (fit["low"], fit["high"]) == pytest.approx((7.835, 26.873), abs=0.001)
    assert "density: 14.5106 animals per km2, se 4.384" in said


def test_all_eight_models_with_every_file(flat, density, tmp_path):
    out = tmp_path / "out"
    status, said, _ = density(flat, "--cutpoints", "0,2,4,6,8,10", "--bootstrap", 20, "--jobs", 1, "--out", out)
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
    assert [one["model"] for one in found["fits"] if one["selected"]] == [found["selected"]]
    assert found["low"] < true_density() < found["high"]
    assert found["n_stations_without_detections"] >= 1
    assert found["bootstrap"]["replicates"] == 20
    assert len(found["bootstrap"]["densities"]) == 20 - found["bootstrap"]["failed"]
    with (out / "density.csv").open() as file:
        assert [row["model"] for row in csv.DictReader(file)] == [one["model"] for one in found["fits"]]
    assert "bootstrap over cameras: median" in said
    ends = [found["bootstrap"][name] for name in ("low", "percentile_low", "median", "percentile_high", "high")]
    assert ends == sorted(ends)
    percentiles = np.quantile(found["bootstrap"]["densities"], (0.025, 0.975))
    assert ends[1:4:2] == pytest.approx(percentiles.tolist())
    page = (out / "density.html").read_text()
    assert all(f"bootstrap, {name}" in page for name in ("lognormal", "percentiles", "expanded percentiles"))
    # What the keys are chosen by stands beside each model.
    best = next(one for one in found["fits"] if one["selected"])
    per_df = f"{best['chi_square']['statistic'] / best['chi_square']['df']:.2f}"
    assert per_df in next(line for line in said.splitlines() if line.startswith("* "))
    assert per_df in page
    assert "* selected by QAIC within each key, and chi-square / df between keys" in said
    assert "note: 20 bootstrap replicates are few" in said
    assert "bootstrap replicates are few" in found["warnings"][-1]
    # What was written is read again to the same.
    status, _, _ = density(out / "flatfile.csv", "--cutpoints", "0,2,4,6,8,10", "--json", tmp_path / "again.json")
    assert json.loads((tmp_path / "again.json").read_text())["density_km2"] == pytest.approx(found["density_km2"])
    script = (out / "density.R").read_text()
    assert '"half-normal + cosine(2, 3)" = fit("hn", "cos", c(2, 3))' in script
    assert str(tmp_path) not in script


def test_the_report_has_its_plots_and_no_foreign_html(tmp_path, density):
    path = tmp_path / "<b>flat.csv"
    path.write_text(flat_text().replace("s0", "<script>alert(1)</script>").replace("s1,", "=1+1,"))
    times = tmp_path / "times.csv"
    times.write_text("time\n" + "\n".join(f"{hour % 24:02d}:15" for hour in range(30)))
    arguments = ["--cutpoints", "0,2,4,6,8,10", "--key", "half-normal", "--adjust", "none", "--activity", times]
    status, said, _ = density(path, *arguments, "--bootstrap", 20, "--jobs", 1, "--out", tmp_path / "out")
    assert status == 0
    page = (tmp_path / "out/density.html").read_text()
    assert page.count("<svg") == 5
    assert "<script" not in page
    assert "<b>flat" not in page
    assert "&lt;script&gt;" in page
    assert str(tmp_path) not in page
    assert not re.search(r'(src|href)="(?!#)', page)
    assert "'=1+1" in (tmp_path / "out/flatfile.csv").read_text()
    assert "active" in said


def test_exact_distances_with_left_and_right_truncation(flat, density, tmp_path):
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
def test_a_configuration_file_from_distances_and_deployments(tmp_path, density):
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
    # What is given on the command line replaces what the file says.
    assert density("--config", folder / "survey.toml", "--points", "--key", "hazard-rate", "--json", out)[0] == 0
    again = json.loads(out.read_text())
    assert (again["draws"], again["fits"][0]["key"]) == (1, "hazard-rate")


def test_several_strata(tmp_path, density):
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
    parts = {one["stratum"]: one["density_km2"] for one in fit["strata"]}
    assert fit["density_km2"] == pytest.approx(0.75 * parts["north"] + 0.25 * parts["=S"])
    with (out / "density.csv").open() as file:
        assert [row["stratum"] for row in csv.DictReader(file)] == ["", "north", "'=S"]
    status, said, _ = density(path, "--cutpoints", "0,2,4,6,8,10", "--no-strata")
    assert status == 0
    assert "stratum" not in said


def edited(path, old, new):
    path.write_text(path.read_text().replace(old, new, 1))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--key", "normal"], ["expected the key half-normal, hazard-rate, uniform, got 'normal'"]),
        (["--adjust", "sine"], ["expected the adjustment none, cosine"]),
        (["--cutpoints", "a,b"], ["--cutpoints: expected numbers separated by commas"]),
        (["--cutpoints", "5,3"], ["two rising cutpoints"]),
        (["--cutpoints", "0,2,4,8", "--truncation", "0,10"], ["let the first and the last cutpoint be the truncation"]),
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
            ["flat.csv has no column 'Art' for the species; there are 'Region.Label', 'Area'"],
        ),
        (["--bootstrap", "3"], ["20 or more bootstrap replicates"]),
        (["--bootstrap", "100", "--scale-error", "5"], ["such as 0.1 for 10 %"]),
        (["--format", "distances"], ["tells nothing of effort; give --deployments"]),
        (
            ["--points"],
            ["points belongs to distances, and", "is read as r-flat; leave it out, or give --format distances"],
        ),
        (["--snapshot", "2"], ["snapshot_s belongs to distances and camtrap-dp"]),
        (["--leave-out-tags", "odd"], ["leave_out_tags belongs to camtrap-dp"]),
        (["--errors", "deep-chimpact"], ["errors of distances are allowed for in bins; give cutpoints"]),
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
def test_wrong_arguments_say_what_is_expected(flat, density, arguments, words):
    status, _, said = density(flat, *arguments)
    assert status == 2
    for word in words:
        assert word in said
    assert "Traceback" not in said


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
def test_wrong_configurations_say_what_is_expected(tmp_path, flat, density, content, message):
    (tmp_path / "survey.toml").write_text(content)
    status, _, said = density(flat, "--config", tmp_path / "survey.toml")
    assert status == 2
    assert message in said


def test_a_configuration_with_a_byte_order_mark(tmp_path, flat, density):
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
def test_no_input_is_written_over(tmp_path, density, option, name):
    (tmp_path / "out").mkdir()
    file = name if name.startswith("out") else "flat.csv"
    texts = {
        file: flat_text(),
        "times.csv": "time\n06:15\n",
        "errors.csv": "truth_m,distance_m\n2,3\n",
        "survey.toml": f'file = "{file}"\nactivity = "times.csv"\nerrors = "errors.csv"\n',
    }
    for one, text in texts.items():
        (tmp_path / one).write_text(text)
    # A way round to the same file.
    target = tmp_path / "out" / ".." / ("out" if option == "--out" else name)
    status, _, error = density("--config", tmp_path / "survey.toml", option, target)
    assert status == 2
    assert f"{name.removeprefix('out/')} is an input and would be overwritten" in error
    assert error.rstrip().endswith(f"choose another {option}")
    assert {one: (tmp_path / one).read_text() for one in texts} == texts
    assert {one.name for one in (tmp_path / "out").iterdir()} <= {name.removeprefix("out/")}


def test_no_table_at_all(density, tmp_path):
    status, _, said = density()
    assert status == 2
    assert "no table of distances was given" in said
    assert density(tmp_path / "gone.csv")[0] == 2


def test_what_cannot_be_written_is_said_before_the_work(flat, density, tmp_path):
    (tmp_path / "taken").write_text("")
    status, said, error = density(flat, "--bootstrap", 1000, "--out", tmp_path / "taken" / "out")
    assert (status, said) == (2, "")
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
            "at least 2 are needed, got 1",
        ),
        (flat_rows("a,10,4", "b,10,4", "b,10,4", "a,10,4"), ["--key", "half-normal"], "have the same distance"),
        (
            flat_rows("a,10,4", "b,10,4", "b,10,4"),
            ["--cutpoints", "0,3,6,9,12", "--key", "half-normal", "--adjust", "none"],
            "the same bin",
        ),
        (flat_rows("a,10,0", "b,10,0"), [], "all distances are 0 m"),
        (flat_rows(*TWENTY, "s1,10,-3"), [], "line 22, column 'distance': expected metres >= 0"),
        (flat_rows(*TWENTY), ["--truncation", "20,30"], "no detection between 20 and 30 m (20 beyond)"),
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
def test_bad_tables_say_what_is_wrong(tmp_path, density, table, arguments, words):
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
def test_flat_files_are_known_by_names_like_theirs(tmp_path, density, head, words):
    path = tmp_path / "flat.csv"
    path.write_text(flat_rows(*TWENTY, head=head))
    status, _, error = density(path)
    assert status == 2
    assert words in error


def test_distances_told_by_the_ends_of_bins_are_refused_with_what_to_do(tmp_path, density):
    path = tmp_path / "flat.csv"
    path.write_text(flat_rows("a,10,2,4", "b,10,4,6", head="Sample.Label,Effort,distbegin,distend"))
    status, _, error = density(path)
    assert status == 2
    assert "write the middle of each bin there, and give the ends by --cutpoints" in error


def test_columns_that_may_be_misspelt_are_said(tmp_path, density):
    path = tmp_path / "flat.csv"
    rows = [row + ",0.1,x" for row in TWENTY]
    path.write_text(flat_rows(*rows, head="Sample.Label,Effort,distance,Multiplier,Study.Area"))
    status, said, _ = density(path, "--key", "half-normal", "--adjust", "none", "--cutpoints", "0,2,4,6,9")
    assert status == 0
    assert "the column 'Multiplier' is ignored; rename it 'multiplier'" in said
    assert "Study.Area" not in said


def test_an_angle_that_is_not_used_is_said(tmp_path, density):
    path = tmp_path / "flat.csv"
    rows = [row + ",0.1" for row in TWENTY]
    path.write_text(flat_rows(*rows, head="Sample.Label,Effort,distance,multiplier"))
    arguments = ["--key", "half-normal", "--adjust", "none", "--cutpoints", "0,2,4,6,9"]
    assert "the angle of view that was given (42 degrees) was not used" in density(path, *arguments, "--theta", 42)[1]
    assert "was not used" not in density(path, *arguments, "--theta", 36)[1]


def test_errors_of_distances_are_allowed_for(flat, density, tmp_path):
    arguments = [
        "--cutpoints",
        "0,2,4,6,8,10",
        "--key",
        "half-normal",
        "--adjust",
        "none",
        "--bootstrap",
        20,
        "--jobs",
        1,
    ]
    found = {}
    for name, errors in (("plain", []), ("random", ["--distance-cv", "0.3"]), ("pairs", ["--errors", "deep-chimpact"])):
        status, said, _ = density(flat, *arguments, *errors, "--out", tmp_path / name)
        assert status == 0
        found[name] = json.loads((tmp_path / name / "density.json").read_text())
        assert ("take the bootstrap's" in said) == (name != "plain")
    assert [found[name]["errors"] for name in found] == [None, "random error of 0.3 of the distance", "deep-chimpact"]
    assert len({round(found[name]["density_km2"]) for name in found}) == 3
    assert "Error of distances" in (tmp_path / "pairs/density.html").read_text()
    assert "is not allowed for here" in (tmp_path / "pairs/density.R").read_text()


def test_functions_that_may_rise_may_do_so_in_r_too(flat, density, tmp_path):
    config = tmp_path / "survey.toml"
    config.write_text(f'file = "{flat}"\nmonotone = false\nkey = "hn"\ncutpoints = [0, 2, 4, 6, 8, 10]\n')
    assert density("--config", config, "--out", tmp_path / "out")[0] == 0
    assert 'er_var = "P2", monotonicity = "none")' in (tmp_path / "out/density.R").read_text()


def test_a_camtrap_dp(tmp_path, density):
    rng = np.random.default_rng(0)
    rows, places = [], []
    for site in range(6):
        places.append(f"d{site},S{site},2024-05-01T00:00:00,2024-05-11T00:00:00\n")
        for second, metres in enumerate(seen_distances(rng, 200, 10.0, half_normal(4.0))):
            time = f"2024-05-02T06:{second // 60:02d}:{second % 60:02d}"
            rows.append(f"o{site}-{second},d{site},m,{time},media,animal,fox,{metres:.2f}\n")
    head = "observationID,deploymentID,mediaID,eventStart,observationLevel,observationType,scientificName,"
    head += "individualPositionRadius\n"
    folder = package(
        tmp_path / "dp",
        deployments="deploymentID,locationID,deploymentStart,deploymentEnd\n" + "".join(places),
        media="mediaID,deploymentID,timestamp,filePath\n",
        observations=head + "".join(rows),
    )
    out = tmp_path / "out.json"
    arguments = ["--theta", 42, "--snapshot", 1, "--cutpoints", "0,2,4,6,8,10", "--json", out]
    for path in (folder, folder / "datapackage.json", zipped(folder, tmp_path / "dp.zip")):
        assert density(path, *arguments)[0] == 0
        found = json.loads(out.read_text())
        assert (found["n"], found["n_stations"]) == (len(rows), 6)
    assert found["effort_snapshots"] == 6 * 10 * 86400
    status, _, error = density(folder, "--theta", 42, "--points")
    assert status == 2
    assert "points belongs to distances, and" in error
    status, _, error = density(folder, *arguments, "--csv", folder / "observations.csv")
    assert status == 2
    assert "observations.csv is an input and would be overwritten" in error


def test_the_r_script_is_r(flat, density, tmp_path):
    if shutil.which("Rscript") is None:
        pytest.skip("no R here")
    assert density(flat, "--cutpoints", "0,2,4,6,8,10", "--out", tmp_path / "out")[0] == 0
    code = 'parse("density.R"); stopifnot(sum(!is.na(as.numeric(read.csv("flatfile.csv")$distance))) > 10)'
    subprocess.run(["Rscript", "-e", code], cwd=tmp_path / "out", check=True, capture_output=True)
