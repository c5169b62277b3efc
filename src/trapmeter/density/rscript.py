"""An R script that repeats an analysis with R's package Distance, for those who want to see both agree."""

from __future__ import annotations

import json
from collections.abc import Sequence

from trapmeter.density.analysis import Analysis
from trapmeter.density.distances import BinnedDistances
from trapmeter.density.fit import DetectionFit

KEYS = {"half-normal": "hn", "hazard-rate": "hr", "uniform": "unif"}
SERIES = {"cosine": "cos", "hermite": "herm", "polynomial": "poly"}


def r_script(analysis: Analysis, flat_file: str) -> str:
    """The script; it reads the flat file from the folder that it is run in.

    Draws of distances can't be told in a flat file: R then gets the middle one of each row, and differs for that.
    """
    survey, distances = analysis.survey, analysis.distances
    cutpoints = distances.edges_m.tolist() if isinstance(distances, BinnedDistances) else None
    lines = [
        "# Repeats the analysis with R's package Distance (https://cran.r-project.org/package=Distance).",
        "# Run it in the folder of the flat file: Rscript density.R",
        *(
            ["# Each distance is the middle one of its draws, so that results differ from trapmeter's."]
            * (survey.n_draws > 1)
        ),
        *(
            ["# The error of distances is not allowed for here, so that results differ from trapmeter's."]
            * (survey.errors is not None)
        ),
        "library(Distance)",
        f"data <- read.csv({json.dumps(flat_file)})",
        "data$distance <- as.numeric(data$distance)",
        "# Metres and square kilometres: stations without detections are rows without a distance.",
        'units <- convert_units("meter", NULL, "square kilometer")',
        f"truncation <- list(left = {distances.left_m:g}, right = {distances.right_m:.10g})",
        f"cutpoints <- {'NULL' if cutpoints is None else _vector(cutpoints)}",
        "fit <- function(key, adjustment, order) {",
        '  ds(data, transect = "point", key = key, adjustment = adjustment, order = order, cutpoints = cutpoints,',
        '     truncation = truncation, convert_units = units, er_var = "P2"'
        + ("" if analysis.settings.is_monotone else ', monotonicity = "none"')
        + ")",
        "}",
        "fits <- list(",
        ",\n".join(f"  {json.dumps(model.fit.function.name)} = {_call(model.fit)}" for model in analysis.models),
        ")",
        f"share <- {survey.multiplier:.10g} * {analysis.availability.share:.10g}  # of a circle, times availability",
        "for (name in names(fits)) {",
        "  model <- fits[[name]]",
        "  found <- model$dht$individuals$D",
        "  total <- found[nrow(found), ]",
        '  cat(sprintf("%-32s AIC %.2f  Pa %.6f  D %.4f  (%.4f to %.4f)\\n", name, AIC(model)$AIC,',
        "              summary(model)$ds$average.p, total$Estimate / share, total$lcl / share, total$ucl / share))",
        "}",
    ]
    return "\n".join(lines) + "\n"


def _call(fit: DetectionFit) -> str:
    adjustment = fit.adjustment
    key = KEYS[fit.key]
    if adjustment is None:
        return f'fit("{key}", NULL, NULL)'
    return f'fit("{key}", "{SERIES[adjustment.series]}", {_vector(adjustment.orders)})'


def _vector(numbers: Sequence[float]) -> str:
    return f"c({', '.join(f'{number:.10g}' for number in numbers)})"
