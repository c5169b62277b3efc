"""An R script that repeats a density analysis with R's package Distance.

`ds` fits the same functions, and `dht2` estimates density from them with the same effort and share of a circle. `dht2`
divides by the area up to the right truncation, as Pa is the share detected within it. (The estimate that `ds` makes by itself
divides by the area beyond the left truncation.)

Covariates are columns of the flat file. With these or with sizes of groups, `dht2` takes the variance between stations from
the animals that detections stand for (`innes`), as trapmeter does.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from trapmeter.density.analysis import Analysis
from trapmeter.density.detection.distances import BinnedDistances
from trapmeter.density.detection.fit import DetectionFit
from trapmeter.density.detection.function import R_KEY_NAMES, R_SERIES_NAMES
from trapmeter.density.survey.flat_file import NO_STRATUM


def make_r_script(analysis: Analysis, flat_file: str) -> str:
    """The script. It reads the flat file of the analysis, by this name, from the working folder.

    A flat file can't hold draws of distances: R gets the median of each row, and its results differ for that reason.
    """
    lines = [*_head(analysis, flat_file), *_fits(analysis), *_densities(analysis)]
    return "\n".join(lines) + "\n"


def _head(analysis: Analysis, flat_file: str) -> list[str]:
    survey = analysis.survey
    lines = [
        "# Repeats the analysis with R's package Distance (https://cran.r-project.org/package=Distance).",
        "# Run it in the folder of the flat file: Rscript density.R",
    ]
    if survey.n_draws > 1:
        lines.append("# Each distance is the median of its draws, so results differ from those of trapmeter.")
    if survey.weight is not None:
        lines.append(
            "# Photographs stand for different times, which this script ignores, so results differ from those of trapmeter."
        )
    if survey.errors is not None:
        lines.append("# This script ignores the error of distances, so results differ from those of trapmeter.")
    weights = survey.stratum_weights()
    total = sum(weights.values())
    names = [name or NO_STRATUM for name in survey.strata]
    areas = ", ".join(
        f"{_text(name)} = {weights[stratum] / total:.10g}" for name, stratum in zip(names, survey.strata, strict=True)
    )
    return [
        *lines,
        "library(Distance)",
        f'data <- read.csv({_text(flat_file)}, colClasses = c(Region.Label = "character", Sample.Label = "character"))',
        "data$distance <- as.numeric(data$distance)",
        "# Each stratum's share of the area, or of the effort if areas are unknown: abundance in 1 km2 is density.",
        f"data$Area <- unname(c({areas})[data$Region.Label])",
        f"share <- {survey.multiplier:.10g}  # of a circle that cameras cover, averaged over snapshots",
        "# A camera with twice the angle covers as much as two others.",
        "data$Effort <- data$Effort * data$multiplier / share",
        *_factors(analysis),
    ]


def _factors(analysis: Analysis) -> list[str]:
    """Lines that make factors of the columns with levels, with the levels in the same order."""
    levels: dict[str, tuple[str, ...]] = {}
    for function in analysis.candidates.functions:
        for covariate in function.scale.covariates if function.scale else ():
            if covariate.levels:
                levels[covariate.column] = covariate.levels
    return [
        f"data[[{_text(column)}]] <- factor(data[[{_text(column)}]], levels = c({', '.join(map(_text, names))}))"
        for column, names in levels.items()
    ]


def _fits(analysis: Analysis) -> list[str]:
    distances = analysis.distances
    cutpoints = _vector(distances.edges_m.tolist()) if isinstance(distances, BinnedDistances) else "NULL"
    rule = "" if analysis.settings.is_monotone else ', monotonicity = "none"'
    return [
        "# Metres and square kilometres: stations without detections are rows without a distance.",
        'units <- convert_units("meter", NULL, "square kilometer")',
        f"truncation <- list(left = {distances.left_m:.10g}, right = {distances.right_m:.10g})",
        f"cutpoints <- {cutpoints}",
        "fit <- function(key, adjustment, order, formula = ~1) {",
        '  ds(data, transect = "point", key = key, adjustment = adjustment, order = order, formula = formula,',
        f'     cutpoints = cutpoints, truncation = truncation, convert_units = units, er_var = "P2"{rule})',
        "}",
        "fits <- list(",
        ",\n".join(f"  {_text(model.fit.function.name)} = {_call(model.fit)}" for model in analysis.models),
        ")",
    ]


def _densities(analysis: Analysis) -> list[str]:
    availability, by_level = analysis.availability, analysis.availability_by_level
    multipliers, notes = "NULL", []
    if by_level is not None:
        notes = ["# This script ignores that availability differs by level, so divide its densities by these:"]
        notes += [
            f"# {_text(level)}: {known.share:.10g} (SE {known.se:.10g})" for level, known in by_level.by_level.items()
        ]
    elif availability.share != 1 or availability.se:
        rate = f"rate = {availability.share:.10g}, SE = {availability.se:.10g}"
        multipliers = f"list(creation = data.frame({rate}))  # the availability"
    has_weights = analysis.survey.sizes is not None or bool(analysis.candidates.groups)
    strata = "~Region.Label" if len(analysis.survey.strata) > 1 else "~1"
    return [
        *notes,
        f"multipliers <- {multipliers}",
        f"innes <- {'TRUE' if has_weights else 'FALSE'}  # variance between stations of animals, or of detections",
        "for (name in names(fits)) {",
        "  model <- fits[[name]]",
        f'  found <- dht2(model, flatfile = data, strat_formula = {strata}, sample_fraction = share, er_est = "P2",',
        f"                multipliers = multipliers, convert_units = units, ci_width = {analysis.settings.level:.10g},",
        "                innes = innes)",
        "  total <- as.data.frame(found)[nrow(found), ]",
        '  cat(sprintf("%-32s AIC %.2f  Pa %.6f  D %.4f  (%.4f to %.4f)\\n", name, AIC(model)$AIC,',
        "              summary(model)$ds$average.p, total$Abundance, total$LCI, total$UCI))",
        *_levels(analysis),
        "}",
    ]


def _levels(analysis: Analysis) -> list[str]:
    """Lines that print the density of each level of the column that was asked for, if strata allow it."""
    by = analysis.settings.by
    if by is None:
        return []
    if len(analysis.survey.strata) > 1:
        return [f"  # dht2 can't divide strata by {json.dumps(by, ensure_ascii=True)} as well."]
    is_of_stations = analysis.survey.columns[by].at_stations is not None
    stratification = "geographical" if is_of_stations else "object"
    return [
        f"  parts <- dht2(model, flatfile = data, strat_formula = ~{_name(by)}, stratification = {_text(stratification)},",
        '                sample_fraction = share, er_est = "P2", multipliers = multipliers, convert_units = units,',
        f"                ci_width = {analysis.settings.level:.10g}, innes = innes)",
        '  print(parts, report = "density")',
    ]


def _name(column: str) -> str:
    """A column as a name of R."""
    return f"`{column}`"


def _call(fit: DetectionFit) -> str:
    adjustment, scale = fit.adjustment, fit.function.scale
    key = R_KEY_NAMES[fit.key]
    if scale is not None:
        return f'fit("{key}", NULL, NULL, formula = ~{" + ".join(map(_name, scale.formula.columns))})'
    if adjustment is None:
        return f'fit("{key}", NULL, NULL)'
    return f'fit("{key}", "{R_SERIES_NAMES[adjustment.series]}", {_vector(adjustment.orders)})'


def _vector(numbers: Sequence[float]) -> str:
    return f"c({', '.join(f'{number:.10g}' for number in numbers)})"


def _text(text: str) -> str:
    """A string of R; its escapes are those of JSON, but for a surrogate pair."""
    return json.dumps(text, ensure_ascii=False)
