"""`trapmeter density` from the command line: numbers of R, and the files it writes."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from density.surveys import flat_text, true_density, write_camtrap_dp, write_distances_survey, write_flat
from packages import packed
from terminal import call

FIELDS = {"key", "adjustments", "lnl", "aic", "qaic", "pa", "edr_m", "density_km2", "se", "cv", "low", "high", "df"}
DUIKER = ["--format", "r-flat", "--cutpoints", "2,3,4,5,6,7,8,10,12,15"]


@pytest.fixture
def density(capsys):
    """`trapmeter density`, without its bootstrap, which takes most of the time, unless the arguments ask for one."""

    def run(*arguments):
        return call(capsys, "density", *arguments, *(() if "--bootstrap" in arguments else ("--bootstrap", 0)))

    return run


@pytest.fixture
def flat(tmp_path):
    return write_flat(tmp_path)


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
    # Terminal, report and JSON have the interval that the report recommends.
    assert (found["low"], found["high"]) == (found["bootstrap"]["log_low"], found["bootstrap"]["log_high"])
    assert found["interval"] == "bootstrap, lognormal"
    assert found["se"] == pytest.approx(found["density_km2"] * found["cv"])
    assert found["cv"] == found["bootstrap"]["cv"]
    headline = f"{found['low']:.4g} to {found['high']:.4g} (95 % interval, bootstrap, lognormal)"
    assert headline in next(line for line in output.splitlines() if line.startswith("density: "))
    assert (
        f"between {found['low']:.4g} and {found['high']:.4g} (bootstrap, lognormal)"
        in (out / "density.html").read_text()
    )
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
    write_distances_survey(folder)
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


def test_all_species_need_no_column(flat, density):
    assert density(flat, "--species", "all", "--key", "hn", "--adjust", "none")[0] == 0


def test_errors_of_distances_change_density(flat, density, tmp_path):
    arguments = ["--cutpoints", "0,2,4,6,8,10", "--key", "half-normal", "--adjust", "none", "--bootstrap", 20]
    arguments += ["--jobs", 1]
    found = {}
    for name, errors in (("plain", []), ("random", ["--distance-cv", "0.3"]), ("pairs", ["--errors", "deep-chimpact"])):
        status, output, _ = density(flat, *arguments, *errors, "--out", tmp_path / name)
        assert status == 0
        found[name] = json.loads((tmp_path / name / "density.json").read_text())
        assert "by formula assumes" not in output
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
    folder = write_camtrap_dp(tmp_path / "dp", n_sites=6, n_seconds=200)
    n_observations = len((folder / "observations.csv").read_text().splitlines()) - 1
    out = tmp_path / "out.json"
    arguments = ["--theta", 42, "--snapshot", 1, "--cutpoints", "0,2,4,6,8,10", "--json", out]
    for path in (folder, folder / "datapackage.json", packed(folder, tmp_path / "dp.zip")):
        assert density(path, *arguments)[0] == 0
        found = json.loads(out.read_text())
        assert (found["n"], found["n_stations"]) == (n_observations, 6)
    assert found["effort_snapshots"] == 6 * 10 * 86400
    status, _, error = density(folder, "--theta", 42, "--points")
    assert status == 2
    assert "--points is for distances only, but" in error
    status, _, error = density(folder, *arguments, "--csv", folder / "observations.csv")
    assert status == 2
    assert "observations.csv is an input and would be overwritten" in error


def test_r_parses_the_script_and_reads_the_flat_file(flat, density, tmp_path):
    if shutil.which("Rscript") is None:
        pytest.skip("no R here")
    assert density(flat, "--cutpoints", "0,2,4,6,8,10", "--out", tmp_path / "out")[0] == 0
    code = 'parse("density.R"); stopifnot(sum(!is.na(as.numeric(read.csv("flatfile.csv")$distance))) > 10)'
    subprocess.run(["Rscript", "-e", code], cwd=tmp_path / "out", check=True, capture_output=True)
