"""The R script of an analysis. R isn't needed: what `dht2` computes from the script's numbers is repeated here."""

from __future__ import annotations

import csv
import math
import re

import numpy as np
import pytest

from trapmeter.density.analysis import run_analysis
from trapmeter.density.candidates import AnalysisSettings
from trapmeter.density.detection.selection import candidate_functions
from trapmeter.density.r_script import make_r_script
from trapmeter.density.run import run_density
from trapmeter.density.survey.flat_file import rows_from_survey
from trapmeter.density.survey.survey import Availability, Station, Survey
from trapmeter.tables.flatfile import write_flat_file

FUNCTIONS = candidate_functions(["half-normal", "hazard-rate"], ["none"])


def make_survey(strata=("",), multipliers=(0.1,), areas=None):
    stations = tuple(
        Station(f"{stratum}{n}", 1000 * (1 + n), multipliers[n % len(multipliers)], stratum)
        for stratum in strata
        for n in range(8)
    )
    rng = np.random.default_rng(0)
    station = np.repeat(np.arange(len(stations)), rng.integers(0, 30, len(stations)))
    metres = 4 * np.sqrt(-2 * np.log(rng.random(len(station))))
    return Survey(stations, station, metres[:, None], areas or {})


CASES = {
    "bins": (make_survey(), {"cutpoints_m": (0.0, 2, 4, 6, 8, 10)}, None),
    "exact distances": (make_survey(), {"right_m": 10.0}, None),
    "left truncation": (make_survey(), {"cutpoints_m": (2.0, 4, 6, 8, 10)}, None),
    "exact distances, left truncation": (make_survey(), {"left_m": 2.5, "right_m": 11.0}, None),
    "availability": (make_survey(), {"cutpoints_m": (0.0, 2, 4, 6, 8, 10)}, Availability(0.4, 0.05)),
    "angles": (make_survey(multipliers=(0.1, 0.15, 0.2)), {"cutpoints_m": (0.0, 2, 4, 6, 8, 10)}, None),
    "strata by area": (make_survey("ns", areas={"n": 30.0, "s": 12.5}), {"cutpoints_m": (1.0, 3, 5, 8, 10)}, None),
    "strata by effort": (make_survey("ns", (0.1, 0.2)), {"right_m": 10.0}, Availability(0.5)),
}


def number(script, pattern):
    return float(re.search(pattern, script)[1])


def density_of_dht2(script, rows, pa):
    """Abundance in an area of 1 km2 as `dht2` computes it: of each stratum Area / (covered area) * n / Pa, over the rate."""
    share = number(script, r"share <- ([\d.e+-]+)")
    left, right = (number(script, rf"truncation <- .*{side} = ([\d.]+)") for side in ("left", "right"))
    areas = {name: float(value) for name, value in re.findall(r'"(\w+)" = ([\d.]+)[,)]', script.split("data$Area")[1])}
    rate = number(script, r"rate = ([\d.]+)") if "rate =" in script else 1.0
    total = 0.0
    for name, area in areas.items():
        own = [row for row in rows if row["Region.Label"] == name]
        effort = {row["Sample.Label"]: float(row["Effort"]) * float(row["multiplier"]) / share for row in own}
        n = sum(left <= float(row["distance"]) <= right for row in own if row["distance"] != "NA")
        covered_km2 = sum(effort.values()) * math.pi * (right / 1000) ** 2 * share
        total += area / covered_km2 * n / pa / rate
    return total


@pytest.mark.parametrize("case", CASES)
def test_dht2_gives_the_same_density(case, tmp_path):
    survey, choices, availability = CASES[case]
    analysis = run_analysis(survey, AnalysisSettings(FUNCTIONS, **choices), availability)
    share = None if availability is None else availability.share
    write_flat_file(tmp_path / "flat.csv", rows_from_survey(survey, share))
    with (tmp_path / "flat.csv").open() as file:
        rows = list(csv.DictReader(file))
    script = make_r_script(analysis, "flat.csv")
    for model in analysis.models:
        assert density_of_dht2(script, rows, model.fit.pa) == pytest.approx(model.density.density_km2, rel=1e-6)


def test_the_arguments_of_dht2():
    survey, choices, availability = CASES["strata by effort"]
    script = make_r_script(
        run_analysis(survey, AnalysisSettings(FUNCTIONS, **choices, level=0.9), availability), "f.csv"
    )
    assert "dht2(model, flatfile = data, strat_formula = ~Region.Label, sample_fraction = share" in script
    assert 'er_est = "P2"' in script
    assert "multipliers <- list(creation = data.frame(rate = 0.5, SE = 0))" in script
    assert "ci_width = 0.9," in script
    assert "dht$" not in script
    survey, choices, _ = CASES["bins"]
    script = make_r_script(run_analysis(survey, AnalysisSettings(FUNCTIONS, **choices)), "f.csv")
    assert "strat_formula = ~1" in script
    assert "multipliers <- NULL" in script
    assert 'c("all" = 1)' in script
    assert script.count("(") == script.count(")")


def test_covariates_groups_and_levels_are_in_the_script(tmp_path):
    lines = [
        f"s{number % 9},100,0.1,{1 + number % 6},{'cow' if number % 4 else 'ant'},{number % 7},{1 + number % 3}"
        for number in range(120)
    ]
    (tmp_path / "flat.csv").write_text("Sample.Label,Effort,multiplier,distance,species,hour,size\n" + "\n".join(lines))
    run = run_density(
        tmp_path / "flat.csv",
        key="hn",
        adjust="none",
        formula="species + hour",
        by="species",
        truncation=8,
        bootstrap=0,
    )
    write_flat_file(tmp_path / "again.csv", rows_from_survey(run.analysis.survey))
    with (tmp_path / "again.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [rows[0][name] for name in ("species", "hour", "size")] == ["ant", "0", "1"]
    script = make_r_script(run.analysis, "again.csv")
    assert 'data[["species"]] <- factor(data[["species"]], levels = c("ant", "cow"))' in script
    assert '"half-normal ~ species + hour" = fit("hn", NULL, NULL, formula = ~`species` + `hour`)' in script
    assert "innes <- TRUE" in script
    assert 'strat_formula = ~`species`, stratification = "object"' in script
    assert script.count("(") == script.count(")")
