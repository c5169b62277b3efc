"""Covariates and group sizes: agreement with every model of R's mrds, and what is refused."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from density.simulated import detected_distances, half_normal, hazard_rate
from terminal import call
from trapmeter.density.run import run_density
from trapmeter.errors import InputError

MODELS = {
    "hn": ("half-normal", "~1"),
    "hr": ("hazard-rate", "~1"),
    "hn+OBs": ("half-normal", "~OBs"),
    "hr+OBs": ("hazard-rate", "~OBs"),
    "hn+MAS": ("half-normal", "~MAS"),
    "hr+MAS": ("hazard-rate", "~MAS"),
    "hr+OBs+MAS": ("hazard-rate", "~OBs + MAS"),
    "hn size": ("half-normal", "~1"),
    "hr size": ("hazard-rate", "~1"),
    "hr+OBs size": ("hazard-rate", "~OBs"),
}
HECTARES_IN_KM2 = 100
RIGHT_M = 10.0
PER_VISIT = 60.0
CHOICES = {"adjust": "none", "bootstrap": 0}


@pytest.fixture(scope="session")
def without_sizes(ctds, tmp_path_factory):
    path = tmp_path_factory.mktemp("amakihi") / "clusters.csv"
    with (ctds / "amakihi_covariates.csv").open(newline="") as source, path.open("w", newline="") as target:
        csv.writer(target).writerows(row[:-1] for row in csv.reader(source))
    return path


def test_every_model_of_r_is_compared(covariate_models):
    assert set(MODELS) == set(covariate_models)


@pytest.mark.parametrize("model", MODELS)
def test_covariates_and_sizes_agree_with_r(ctds, without_sizes, covariate_models, model):
    key, formula = MODELS[model]
    r = {
        name: float(text)
        for name, text in covariate_models[model].items()
        if text[-1:].isdigit() and not set(" ~") & set(text)
    }
    path = ctds / "amakihi_covariates.csv" if "size" in model else without_sizes
    run = run_density(path, key=key, formula=formula, truncation=82.5, **CHOICES)
    name = key if formula == "~1" else f"{key} ~ {formula.removeprefix('~')}"
    found = next(found for found in run.analysis.models if found.fit.function.name == name)
    fit = found.fit
    assert (fit.n, fit.is_converged, fit.at_bound) == (r["n"], True, ())
    assert fit.lnl >= r["lnl"] - 1e-3
    assert fit.aic == pytest.approx(r["aic"], abs=0.002)
    assert fit.pa == pytest.approx(r["pa"], rel=5e-5)
    assert fit.pa_se == pytest.approx(r["pa_se"], rel=1e-4)
    size = found.group_size
    groups = found.density if size is None else size.density
    assert groups.density_km2 == pytest.approx(HECTARES_IN_KM2 * r["d_clusters_ha"], rel=5e-5)
    assert groups.se_km2 == pytest.approx(HECTARES_IN_KM2 * r["d_clusters_se"], rel=1e-4)
    assert found.density.density_km2 == pytest.approx(HECTARES_IN_KM2 * r["d_individuals_ha"], rel=5e-5)
    assert found.density.se_km2 == pytest.approx(HECTARES_IN_KM2 * r["d_individuals_se"], rel=1e-4)
    assert found.density.low_km2 == pytest.approx(HECTARES_IN_KM2 * r["d_individuals_lcl"], rel=1e-4)
    assert found.density.high_km2 == pytest.approx(HECTARES_IN_KM2 * r["d_individuals_ucl"], rel=1e-4)
    assert found.density.df == pytest.approx(r["df"], rel=1e-4)
    assert (size is not None) == ("size" in model)
    if size is not None:
        assert size.mean == pytest.approx(r["expected_size"], rel=1e-6)
        assert size.se == pytest.approx(r["expected_size_se"], rel=1e-4)


def test_parameters_are_those_of_r(ctds, without_sizes, covariate_models):
    """R's first level is TKP, here it is SGF."""
    run = run_density(without_sizes, key="hr", formula="OBs + MAS", truncation=82.5, **CHOICES)
    found = run.analysis.models[-1].fit.reported_parameters
    shape, intercept, sgf, tjs, mas = map(float, covariate_models["hr+OBs+MAS"]["pars"].split())
    expected = {"log_sigma": intercept + sgf, "log_shape": shape, "OBsTJS": tjs - sgf, "OBsTKP": -sgf, "MAS": mas}
    assert found == pytest.approx(expected, abs=1e-4)


def test_aic_selects_the_observer_and_levels_add_up(without_sizes):
    run = run_density(without_sizes, key="hr", formula=["OBs", "MAS", "OBs + MAS"], truncation=82.5, **CHOICES)
    best = run.analysis.best
    assert best.fit.function.name == "hazard-rate ~ OBs + MAS"
    assert [level.level for level in best.by_level] == ["SGF", "TJS", "TKP"]
    assert sum(level.density.density_km2 for level in best.by_level) == pytest.approx(best.density.density_km2)


def write_survey(path, *, columns=("species",), n_stations=24, effort=10, rows=None):
    """A flat file in which two species are seen up to different distances, with the same density."""
    rng = np.random.default_rng(4)
    lines = [",".join(("Sample.Label", "Effort", "distance", *columns))]
    for station in range(n_stations):
        for species, sigma in (("duiker", 2.0), ("elephant", 5.0)):
            for metres in detected_distances(rng, rng.poisson(PER_VISIT), RIGHT_M, half_normal(sigma)):
                cells = {
                    "species": species,
                    "size": "3" if species == "elephant" else "1",
                    "habitat": "forest" if station % 2 else "open",
                    "only": "yes" if station == 3 else "no",
                    "same": "1",
                    "gap": "" if station == 5 else "a",
                    "mixed": "x" if station == 5 else "7",
                    "twin": {"duiker": "a", "elephant": "b"}[species],
                    "height": f"{station / 10:g}",
                }
                lines.append(
                    ",".join((f"s{station}", str(effort), f"{metres:.3f}", *(cells[name] for name in columns)))
                )
    path.write_text("\n".join([*lines, *(rows or [])]) + "\n")
    return path


def true_km2(n_stations=24, effort=10):
    return PER_VISIT / effort / (np.pi * RIGHT_M**2) * 1e6


@pytest.mark.parametrize("choices", [{"truncation": RIGHT_M}, {"cutpoints": [0, 1, 2, 3, 4, 5, 6, 8, 10]}])
def test_a_species_that_is_seen_farther_has_its_own_scale(tmp_path, choices):
    path = write_survey(tmp_path / "flat.csv")
    run = run_density(path, key="half-normal", formula="species", by="species", **choices, **CHOICES)
    best = run.analysis.best
    assert best.fit.function.name == "half-normal ~ species"
    duiker, elephant = best.by_level
    assert (duiker.level, elephant.level) == ("duiker", "elephant")
    assert duiker.pa == pytest.approx(2 * 2.0**2 / RIGHT_M**2, rel=0.15)
    for level in best.by_level:
        assert level.density.low_km2 < true_km2() < level.density.high_km2
    shared = next(found for found in run.analysis.models if found.fit.function.scale is None)
    assert shared.by_level[0].density.density_km2 < 0.7 * true_km2()


def test_left_truncation_and_exact_or_binned_distances_agree(tmp_path):
    path = write_survey(tmp_path / "flat.csv")
    choices = {"key": "half-normal", "formula": "species", **CHOICES}
    exact = run_density(path, truncation=[1.5, RIGHT_M], **choices).analysis.best
    binned = run_density(path, cutpoints=np.linspace(1.5, RIGHT_M, 60).tolist(), select="aic", **choices).analysis.best
    assert binned.density.density_km2 == pytest.approx(exact.density.density_km2, rel=0.01)
    assert exact.density.low_km2 < 2 * true_km2() < exact.density.high_km2


def test_an_error_of_distances_widens_the_scales_of_each_level(tmp_path):
    rng = np.random.default_rng(2)
    path = write_survey(tmp_path / "flat.csv", n_stations=40)
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    rows = [[*row[:2], f"{float(row[2]) * np.exp(rng.normal(-0.02, 0.2)):.3f}", row[3]] for row in rows]
    path.write_text("\n".join(",".join(row) for row in [header, *rows]) + "\n")
    choices = {"key": "half-normal", "formula": "species", "cutpoints": [0, 1, 2, 3, 4, 5], **CHOICES}
    best = run_density(path, distance_cv=0.2, **choices).analysis.best
    assert best.fit.function.name == "half-normal ~ species"
    assert best.density.low_km2 < 2 * true_km2() < best.density.high_km2


def test_sizes_count_animals_and_groups(tmp_path):
    path = write_survey(tmp_path / "flat.csv", columns=("species", "size"))
    run = run_density(path, key="half-normal", formula="size", by="species", truncation=RIGHT_M, **CHOICES)
    best = run.analysis.best
    assert best.fit.function.name == "half-normal ~ size"
    # A group of elephants is seen more often, so a plain mean of the sizes is too large: as many groups of 1 as of 3.
    assert best.group_size.mean == pytest.approx(2.0, abs=0.15)
    assert abs(best.group_size.mean - 2) < 3 * best.group_size.se
    assert best.density.density_km2 == pytest.approx(best.group_size.mean * best.group_size.density.density_km2)
    assert [level.group_size.mean for level in best.by_level] == pytest.approx([1, 3])


def test_a_column_of_stations_has_the_effort_of_these(tmp_path):
    rows = ["s90,10,NA,,open", "s91,10,NA,,forest"]
    path = write_survey(tmp_path / "flat.csv", columns=("species", "habitat"), rows=rows)
    run = run_density(path, key="half-normal", by="habitat", species="all", truncation=RIGHT_M, **CHOICES)
    forest, open_ = run.analysis.best.by_level
    assert forest.is_of_stations
    assert (forest.density.n_stations, open_.density.n_stations) == (13, 13)
    mean = (forest.density.density_km2 + open_.density.density_km2) / 2
    assert mean == pytest.approx(run.analysis.best.density.density_km2)


@pytest.mark.parametrize(
    ("columns", "formula", "message"),
    [
        (("species", "same"), "same", "column 'same' has only the value '1' among the distances that count"),
        (("species", "gap"), "gap", "column 'gap': expected a value, because --formula or --by names it; fill it in"),
        (("species", "mixed"), "mixed", "column 'mixed' has numbers and also 'x'; .*factor\\(mixed\\)"),
        (("species", "only"), "only", "the level 'yes' was seen at one station only, 's3'"),
        (("species", "twin"), "species + twin", "say the same about all observations"),
        (("species",), "season", "has no column 'season', which --formula or --by names; there are 'Sample.Label'"),
        (("species",), "species:season", "interactions and functions of columns aren't supported"),
        (("species",), "log(species)", "interactions and functions of columns"),
        (("species",), "species +", "expected a formula, got 'species \\+'"),
        (("species",), "species + species", "names the column 'species' twice"),
    ],
)
def test_unsuitable_formulas_are_refused_with_advice(tmp_path, columns, formula, message):
    path = write_survey(tmp_path / "flat.csv", columns=columns)
    with pytest.raises(InputError, match=message):
        run_density(path, key="half-normal", species="all", formula=formula, truncation=RIGHT_M, **CHOICES)


def test_the_uniform_key_has_no_scale(tmp_path):
    path = write_survey(tmp_path / "flat.csv")
    with pytest.raises(InputError, match="the uniform key has none; add --key half-normal"):
        run_density(path, key="uniform", formula="species", truncation=RIGHT_M, bootstrap=0)


def test_hazard_rate_with_a_number_and_a_factor(tmp_path):
    path = write_survey(tmp_path / "flat.csv", columns=("species", "height"))
    run = run_density(
        path, key="hazard-rate", formula=["factor(species) + height"], truncation=RIGHT_M, species="all", **CHOICES
    )
    found = run.analysis.models[-1].fit
    assert set(found.reported_parameters) == {"log_sigma", "log_shape", "factor(species)elephant", "height"}
    assert found.g([0.01])[0] == pytest.approx(1, abs=1e-3)
    assert found.cdf([RIGHT_M])[0] == pytest.approx(1)
    assert found.edr_m == pytest.approx(RIGHT_M * found.pa**0.5, rel=1e-4)
    assert hazard_rate(1, 2)(1.0) == pytest.approx(1 - np.exp(-1))


def test_replicates_have_densities_of_groups_and_levels(tmp_path):
    path = write_survey(tmp_path / "flat.csv", columns=("species", "size"))
    run = run_density(
        path,
        key="half-normal",
        formula="species",
        by="species",
        truncation=RIGHT_M,
        adjust="none",
        bootstrap=60,
        jobs=1,
    )
    found, best = run.bootstrap, run.analysis.best
    assert found.n_failed == 0
    assert len(found.by_level) == 2
    for interval, level in zip(found.by_level, best.by_level, strict=True):
        assert interval.n == 60
        assert interval.low_km2 < level.density.density_km2 < interval.high_km2
        assert interval.cv == pytest.approx(level.density.cv, rel=0.5)
    assert found.groups.low_km2 < best.group_size.density.density_km2 < found.groups.high_km2
    assert found.group_size_se == pytest.approx(best.group_size.se, rel=0.5)


def test_files_of_the_results_have_levels_groups_and_curves(tmp_path, capsys):
    path = write_survey(tmp_path / "flat.csv", columns=("species", "size", "height"))
    out = tmp_path / "out"
    options = [
        "--truncation",
        "1,10",
        "--formula",
        "species + height",
        "--by",
        "species",
        "--key",
        "hn",
        "--adjust",
        "none",
    ]
    status, output, _ = call(capsys, "density", path, *options, "--bootstrap", 20, "--jobs", 1, "--out", out)
    assert status == 0
    assert "species elephant: " in output
    assert "groups: " in output
    found = json.loads((out / "density.json").read_text())
    best = next(fit for fit in found["fits"] if fit["selected"])
    assert (found["formulas"], found["by"], best["formula"]) == (["species + height"], "species", "species + height")
    assert [level["level"] for level in best["levels"]] == ["duiker", "elephant"]
    assert best["group_size"] == pytest.approx(2, abs=0.2)
    assert best["groups"]["density_km2"] == pytest.approx(best["density_km2"] / best["group_size"])
    assert found["bootstrap"]["levels"][0]["replicates"] == 20
    assert found["near_camera"]["n_nearer"] > 0
    with (out / "density.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["selected"] == "yes"]
    assert [row["level"] for row in rows] == ["", "duiker", "elephant"]
    page = (out / "density.html").read_text()
    assert "Detection functions by species, averaged over the other covariates." in page
    assert "Detection functions by height" in page
    again = run_density(out / "flatfile.csv", key="hn", formula="species + height", truncation=[1, 10], **CHOICES)
    assert again.analysis.best.density.density_km2 == pytest.approx(found["density_km2"])


def test_each_species_has_its_own_activity(tmp_path):
    path = write_survey(tmp_path / "flat.csv")
    rng = np.random.default_rng(1)
    hours = [("duiker", hour) for hour in rng.uniform(0, 24, 200)] + [
        ("elephant", hour) for hour in rng.normal(12, 1, 200)
    ]
    times = tmp_path / "times.csv"
    times.write_text("time,species\n" + "".join(f"{int(h):02d}:{int(h % 1 * 60):02d},{name}\n" for name, h in hours))
    choices = {"key": "hn", "formula": "species", "by": "species", "truncation": RIGHT_M, "adjust": "none"}
    plain = run_density(path, bootstrap=0, **choices).analysis.best
    run = run_density(path, activity=times, activity_by="species", bootstrap=20, jobs=1, **choices)
    duiker, elephant = run.analysis.best.by_level
    assert duiker.availability.share > 2 * elephant.availability.share
    for found, without in zip((duiker, elephant), plain.by_level, strict=True):
        assert found.density.density_km2 == pytest.approx(without.density.density_km2 / found.availability.share)
        assert found.density.cv > without.density.cv
    total = run.analysis.best.density
    assert total.density_km2 == pytest.approx(duiker.density.density_km2 + elephant.density.density_km2)
    assert total.availability_cv == pytest.approx(run.analysis.availability.se)
    assert run.bootstrap.n_failed == 0
    times.write_text(times.read_text().replace("duiker", "fox"))
    with pytest.raises(InputError, match=r"times\.csv: species 'duiker': 0 times of day are too few"):
        run_density(path, activity=times, activity_by="species", bootstrap=0, **choices)


def test_a_rate_above_1_divides_the_density_and_is_noted(tmp_path):
    path = write_survey(tmp_path / "flat.csv")
    choices = {"key": "hn", "species": "all", "truncation": RIGHT_M, **CHOICES}
    plain, cues = run_density(path, **choices), run_density(path, availability=3.5, availability_se=0.7, **choices)
    assert cues.headline.density_km2 == pytest.approx(plain.headline.density_km2 / 3.5)
    assert any("an availability of 3.5 is a rate" in note for note in cues.warnings)
