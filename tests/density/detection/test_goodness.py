from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from density.simulated import detected_distances, half_normal, hazard_rate
from trapmeter.density.detection.distances import truncate
from trapmeter.density.detection.fit import fit_detection
from trapmeter.density.detection.function import detection_function
from trapmeter.density.detection.goodness import chi_square, exact_goodness


def test_chi_square_agrees_with_the_formula():
    found = chi_square(np.array([0.0, 1, 2, 4]), np.array([12.0, 18, 30]), np.array([0.25, 0.25, 0.5]), 1)
    assert found.statistic == pytest.approx((12 - 15) ** 2 / 15 + (18 - 15) ** 2 / 15 + 0)
    assert found.df == 1
    assert found.p == pytest.approx(stats.chi2.sf(found.statistic, 1))
    assert found.per_df == found.statistic
    assert [(b.low_m, b.high_m, b.observed, b.expected) for b in found.bins] == [
        (0, 1, 12, 15),
        (1, 2, 18, 15),
        (2, 4, 30, 30),
    ]


def test_without_degrees_of_freedom_there_is_no_p():
    found = chi_square(np.array([0.0, 1, 2]), np.array([12.0, 18]), np.array([0.5, 0.5]), 1)
    assert (found.df, found.p, found.per_df) == (0, None, None)


@pytest.mark.parametrize("power", [0.8, 1.0, 1.15])
@pytest.mark.parametrize("n", [30, 400])
def test_statistics_agree_with_scipy(n, power):
    u = np.random.default_rng(0).random(n) ** power
    found = exact_goodness(u, np.ones(n))
    cvm, ks = stats.cramervonmises(u, "uniform"), stats.kstest(u, "uniform", method="asymp")
    assert found.ks == pytest.approx(ks.statistic)
    assert found.ks_p == pytest.approx(stats.kstwobign.sf(np.sqrt(n) * ks.statistic))
    assert found.cvm == pytest.approx(cvm.statistic)
    # scipy adds a correction of order 1 / n.
    assert found.cvm_p == pytest.approx(cvm.pvalue, abs=1 / n)


def test_weights_are_equivalent_to_repetitions():
    rng = np.random.default_rng(1)
    u, times = rng.random(50), rng.integers(1, 5, 50)
    one, other = exact_goodness(np.repeat(u, times), np.ones(times.sum())), exact_goodness(u, times.astype(float))
    assert (one.ks, one.cvm) == pytest.approx((other.ks, other.cvm))


def test_p_values_separate_a_wrong_function_from_the_right_one():
    detected = truncate(detected_distances(np.random.default_rng(2), 12_000, 12.0, hazard_rate(4.0, 5.0)), right_m=12)
    right, wrong = (
        fit_detection(detection_function(key), detected).goodness(detected) for key in ("hazard-rate", "half-normal")
    )
    assert right.ks_p > 0.1
    assert right.cvm_p > 0.1
    assert wrong.ks_p < 0.01
    assert wrong.cvm_p < 0.01


def test_perfect_agreement_gives_a_p_of_1():
    found = exact_goodness((np.arange(1000) + 0.5) / 1000, np.ones(1000))
    assert found.cvm_p == found.ks_p == 1
    detected = truncate(detected_distances(np.random.default_rng(3), 500, 12.0, half_normal(4.0)), right_m=12)
    assert 0 <= fit_detection(detection_function("half-normal"), detected).goodness(detected).cvm_p <= 1
