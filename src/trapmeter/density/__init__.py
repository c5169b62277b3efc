"""Camera-trap distance sampling: from distances to animal density (Howe et al. 2017).

Point transects only; distances are radial and in metres. From the bottom to the top:

blur            errors of distances: where animals at one distance are measured; held_out has it from a model's answers
distances       what was measured: exact or counted by bin, with truncation and weights
keys            what a key function is; half_normal, hazard_rate and uniform hold one each
adjustments     cosine, Hermite and simple polynomial series
detection       the detection function: a key, perhaps adjusted
quadrature      integrals over distance on fixed points
likelihood      how likely distances are under a detection function
goodness        chi-square by bin, Kolmogorov-Smirnov, Cramer-von Mises
search          the parameters under which distances are most likely
fit             maximum likelihood fits, and the record of one
selection       AIC, and QAIC in two steps
stations        detections and effort by camera
estimate        density with its variance and interval
activity        availability from times of day
survey          cameras and what they saw; flat_survey, measured_survey and camtrap_survey make one from tables, sites from
                deployments, species picks whose distances
candidates      the detection functions that are tried
analysis        all candidates fitted, one selected, density by each
bootstrap       the same for cameras drawn anew
settings, run   `trapmeter density` without its command line
results         JSON and CSV; rscript the script that repeats it in R
"""
