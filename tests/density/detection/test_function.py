from __future__ import annotations

import math
import pickle

import numpy as np
import pytest

from trapmeter.density.detection.function import (
    KEY_FUNCTIONS,
    Adjustment,
    DetectionFunction,
    default_orders,
    detection_function,
    monotonicity_points,
)
from trapmeter.errors import InputError

W = 12.0
R = np.array([0.0, 0.3, 2.0, 5.0, 9.0, W])
FORMS = [
    DetectionFunction(key, None if series is None else Adjustment(series, orders, scaled_by))
    for key in KEY_FUNCTIONS.values()
    for series, orders in ((None, ()), ("cosine", (2, 3)), ("hermite", (4, 6)), ("polynomial", (4, 6)))
    for scaled_by in ("width", "sigma")
    if scaled_by == "width" or (series and key.parameter_names)
]


def parameters_of(form):
    n_terms = len(form.parameter_names) - len(form.key.parameter_names)
    return np.array([*[math.log(4.0), math.log(2.5)][: len(form.key.parameter_names)], *[0.2, -0.05][:n_terms]])


@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form.name} {form.adjustment and form.adjustment.scaled_by}")
def test_every_form_is_1_at_0_m_and_returns_its_derivatives(form):
    parameters = parameters_of(form)
    g, slopes = form.g(R, parameters, W)
    assert g[0] == 1
    assert slopes.shape == (len(R), len(form.parameter_names))
    for number in range(len(parameters)):
        step = np.zeros(len(parameters))
        step[number] = 1e-6
        numerical = (form.g(R, parameters + step, W)[0] - form.g(R, parameters - step, W)[0]) / 2e-6
        np.testing.assert_allclose(slopes[:, number], numerical, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    ("form", "parameters", "expected"),
    [
        (detection_function("half-normal"), [math.log(4)], lambda r: math.exp(-(r**2) / 32)),
        (detection_function("hazard-rate"), [math.log(4), math.log(3)], lambda r: 1 - math.exp(-((r / 4) ** -3))),
        (detection_function("uniform"), [], lambda r: 1),
        (
            detection_function("uniform", "cosine", 2),
            [0.4, -0.1],
            lambda r: 1 + 0.4 * (math.cos(math.pi * r / W) - 1) - 0.1 * (math.cos(2 * math.pi * r / W) - 1),
        ),
        (
            detection_function("half-normal", "polynomial", 1),
            [math.log(4), 0.3],
            lambda r: math.exp(-(r**2) / 32) * (1 + 0.3 * (r / W) ** 4),
        ),
        (
            DetectionFunction(KEY_FUNCTIONS["half-normal"], Adjustment("hermite", (4,), "sigma")),
            [math.log(4), 0.01],
            lambda r: math.exp(-(r**2) / 32) * (1 + 0.01 * ((r / 4) ** 4 - 6 * (r / 4) ** 2)),
        ),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_forms_agree_with_their_formulas(form, parameters, expected):
    g, _ = form.g(R[1:], np.array(parameters, float), W)
    assert g.tolist() == pytest.approx([expected(r) for r in R[1:]], rel=1e-12)


@pytest.mark.parametrize("series", ["cosine", "hermite"])
def test_coefficients_of_books_give_the_same_function(series):
    form = detection_function("half-normal", series, 2)
    parameters = np.array([math.log(6), 0.02, -0.003])
    a = form.coefficients(parameters)
    z = R / W
    terms = {
        "cosine": lambda z: np.array([np.cos(2 * np.pi * z), np.cos(3 * np.pi * z)]),
        "hermite": lambda z: np.array([z**4 - 6 * z**2 + 3, z**6 - 15 * z**4 + 45 * z**2 - 15]),
    }[series]
    book = np.exp(-((R / 6) ** 2) / 2) * (1 + a @ terms(z)) / (1 + a @ terms(np.zeros(1)))
    np.testing.assert_allclose(form.g(R, parameters, W)[0], book, rtol=1e-12)


@pytest.mark.parametrize("log_shape", [0.0, math.log(100)])
@pytest.mark.filterwarnings("error")
def test_hazard_rates_are_finite_at_their_bounds(log_shape):
    for log_sigma in (math.log(W / 1000), math.log(10 * W)):
        g, slopes = detection_function("hazard-rate").g(R, np.array([log_sigma, log_shape]), W)
        assert ((g >= 0) & (g <= 1)).all()
        assert np.isfinite(slopes).all()


@pytest.mark.parametrize(
    ("series", "is_uniform", "orders"),
    [
        ("cosine", True, (1, 2, 3)),
        ("cosine", False, (2, 3, 4)),
        ("polynomial", True, (2, 4, 6)),
        ("polynomial", False, (4, 6, 8)),
        ("hermite", False, (4, 6, 8)),
    ],
)
def test_default_orders_skip_the_shape_of_the_key(series, is_uniform, orders):
    assert default_orders(series, 3, key_is_uniform=is_uniform) == orders


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: detection_function("gamma"), "expected the key half-normal, hazard-rate, uniform, got 'gamma'"),
        (
            lambda: detection_function("uniform", "sine", 1),
            "expected the series cosine, hermite, polynomial, got 'sine'",
        ),
        (lambda: detection_function("uniform", "cosine"), "or neither, got 'cosine' with 0 terms"),
        (lambda: detection_function("uniform", None, 2), "or neither, got None with 2 terms"),
        (lambda: detection_function("uniform", "cosine", -1), "1 to 5 adjustment terms, got -1"),
        (lambda: Adjustment("cosine", ()), "rising orders"),
        (lambda: Adjustment("cosine", (3, 2)), "rising orders"),
        (lambda: Adjustment("polynomial", (3,)), "even orders only"),
        (lambda: Adjustment("cosine", (2,), "height"), "scaled by width or sigma"),
        (lambda: DetectionFunction(KEY_FUNCTIONS["half-normal"], Adjustment("cosine", (1,))), "starts at order 2"),
        (lambda: DetectionFunction(KEY_FUNCTIONS["hazard-rate"], Adjustment("polynomial", (2,))), "starts at order 4"),
        (lambda: DetectionFunction(KEY_FUNCTIONS["uniform"], Adjustment("cosine", (1,), "sigma")), "no sigma"),
    ],
)
def test_invalid_forms_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_monotonicity_points_run_from_the_camera_to_the_truncation():
    points = monotonicity_points(15.0)
    assert (len(points), points[0], points[-1]) == (11, 0, 15)
    assert points[4] == pytest.approx(15 * 0.4**1.5)


def test_functions_survive_pickling():
    form = detection_function("hazard-rate", "polynomial", 1)
    assert pickle.loads(pickle.dumps(form)) == form
    assert form != detection_function("half-normal", "polynomial", 1)


@pytest.mark.parametrize("n_terms", [0, 6, 99])
def test_too_few_and_too_many_adjustment_terms_are_refused(n_terms):
    with pytest.raises(InputError, match=rf"expected 1 to 5 adjustment terms, got {n_terms}"):
        default_orders("cosine", n_terms, key_is_uniform=False)
