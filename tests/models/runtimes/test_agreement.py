"""A bundle may differ from its network by rounding on any processor, but not by more."""

import numpy as np
import pytest

from trapmeter.errors import ModelError
from trapmeter.models.input_spec import FrameEncoding, InputSpec
from trapmeter.models.network_input import network_input
from trapmeter.models.runtimes.agreement import example_windows, largest_difference

EXACT = np.array([0.8, 10.0, 24.0])
ROUNDED = EXACT * (1 + np.array([1e-6, -2e-6, 1e-6]))


def test_the_rounding_of_an_old_processor_passes() -> None:
    found = EXACT + np.array([0.0, 1.5e-4, -3e-4])
    assert largest_difference(found, ROUNDED, EXACT, "it") == pytest.approx(3e-4)
    assert largest_difference(found, EXACT, None, "it") == pytest.approx(3e-4)


def test_a_network_with_large_rounding_errors_may_differ_more() -> None:
    found = EXACT * (1 + 5e-4)
    with pytest.raises(ModelError):
        largest_difference(found, ROUNDED, EXACT, "it")
    assert largest_difference(found, EXACT * (1 - 1e-4), EXACT, "it") == pytest.approx(0.012)


@pytest.mark.parametrize(
    "found",
    [EXACT * 1.01, EXACT[::-1], EXACT + np.array([0.0, 0.0, 0.1]), np.array([0.8, np.nan, 24.0])],
    ids=["1% more", "another order", "one window", "not a number"],
)
@pytest.mark.parametrize("rounding", [0.0, 1e-6, 0.1], ids=["exact", "good", "useless"])
def test_another_network_is_refused_whatever_its_rounding(found: np.ndarray, rounding: float) -> None:
    with pytest.raises(ModelError, match=r"the copy: it predicts .* m where torch predicts"):
        largest_difference(found, EXACT * (1 + rounding), EXACT, "the copy")


def test_a_network_that_predicts_nan_is_refused() -> None:
    broken = np.array([1.0, np.nan, 2.0])
    with pytest.raises(ModelError, match="torch predicts nan m"):
        largest_difference(np.ones(3), broken, broken, "it")


SPECS = [
    InputSpec((32, 48), (-1.0, 0.0, 1.0)),
    InputSpec((45, 33), (0.0,)),
    InputSpec((270, 480), frames=FrameEncoding.MOTION, box_channel=True),
]


@pytest.mark.parametrize("spec", SPECS, ids=["tiny", "one frame, odd size", "motion and box"])
def test_example_windows_fit_the_network_and_are_always_the_same(spec: InputSpec) -> None:
    windows = example_windows(spec)
    assert windows.shape == (3, spec.n_channels, *spec.size_hw)
    assert windows.dtype == np.uint8
    assert np.array_equal(windows, example_windows(spec))


def test_example_windows_are_smooth_and_show_motion() -> None:
    spec = InputSpec((90, 160), (-1.0, 0.0, 1.0))
    day, far, night = example_windows(spec).astype(float)
    for window in (day, far, night):
        # In noise, neighbours would differ more than the standard deviation.
        steps = np.abs(np.diff(window[3:6], axis=2)).mean()
        assert 1.0 < steps < 0.5 * window[3:6].std()
    assert all(np.abs(window[3:6] - window[6:9]).mean() > 0.5 for window in (day, far, night))
    assert not night[:3].any(), "a frame outside the video"
    assert np.array_equal(night[3], night[5]), "infrared light has no colour"
    assert night.mean() < 0.5 * day.mean()


def test_the_example_box_is_around_the_animal() -> None:
    spec = InputSpec((90, 160), (-1.0, 0.0, 1.0), box_channel=True)
    for window in example_windows(spec):
        inside = window[-1] > 0
        assert 0 < inside.sum() < inside.size / 2
        assert window[3:6, inside].mean() < 0.8 * window[3:6, ~inside].mean(), "an animal is darker than the scene"


def test_another_order_of_frames_changes_the_example_window() -> None:
    spec = InputSpec((32, 48), (-1.0, 0.0, 1.0))
    frames = example_windows(spec)[0].reshape(3, 3, 32, 48).transpose(0, 2, 3, 1)
    assert np.abs(network_input(frames[::-1], None, spec).astype(float) - example_windows(spec)[0]).mean() > 5
