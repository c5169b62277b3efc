"""Augmentation: probabilities and ranges of the draws, equal changes to all frames, copies, and boxes."""

from collections import Counter
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trapmeter.errors import InputError
from trapmeter.records import Box
from trapmeter.training.augment.apply import apply_plan, augment, sample_rng
from trapmeter.training.augment.plan import AugmentPlan
from trapmeter.training.augment.random_plan import draw_plan
from trapmeter.training.augment.settings import (
    AugmentSettings,
    BlurKind,
    DistortionKind,
    NoiseKind,
    ToneKind,
    no_augmentation,
    second_place_augmentation,
)

SIZE_HW = (54, 96)
BOX = Box(0.25, 0.3, 0.5, 0.7, 0.8)


def window(n_frames: int = 5, size_hw: tuple[int, int] = SIZE_HW) -> np.ndarray:
    """Frames with gradients and noise, all different; the last is black."""
    rng = np.random.default_rng(7)
    rows, columns = np.indices(size_hw)
    base = np.stack([columns * 2, rows * 4, 255 - columns - rows], axis=-1)
    frames = np.clip(base + rng.integers(-20, 21, (n_frames, *size_hw, 3)), 0, 255).astype(np.uint8)
    frames[-1] = 0
    return frames


def single_steps() -> dict[str, AugmentSettings]:
    """Settings that always apply one step and no other."""
    none = no_augmentation()
    steps = {
        name: replace(none, **{f"p_{name}": 1.0})
        for name in ("flip", "dropout", "brightness_contrast", "colour_shift", "fog", "shadow", "flare", "turn")
    }
    steps |= {f"blur {kind}": replace(none, p_blur=1.0, blurs=(kind,)) for kind in BlurKind}
    steps |= {f"tone {kind}": replace(none, p_tone=1.0, tones=(kind,)) for kind in ToneKind}
    steps |= {f"noise {kind}": replace(none, p_noise=1.0, noises=(kind,)) for kind in NoiseKind}
    steps |= {f"distortion {kind}": replace(none, p_distortion=1.0, distortions=(kind,)) for kind in DistortionKind}
    return steps


@pytest.fixture(scope="module")
def plans() -> list[AugmentPlan]:
    rng = sample_rng(0, 0, 0)
    return [draw_plan(second_place_augmentation(), (270, 480), rng) for _ in range(20_000)]


@pytest.mark.slow
def test_each_step_has_the_probability_of_the_2nd_place_system(plans: list[AugmentPlan]) -> None:
    stated = {
        "flip": 0.5, "dropout": 0.5, "blur": 0.5, "brightness_contrast": 0.5, "tone": 0.5, "noise": 0.5,
        "distortion": 0.2, "colour_shift": 0.2, "fog": 0.2, "shadow": 0.2, "flare": 0.2, "turn": 0.2,
    }  # fmt: skip
    assert set(stated) == {field.name for field in fields(AugmentPlan)} - {"size_hw", "zoom", "grey"}
    for name, probability in stated.items():
        share = np.mean([bool(getattr(plan, name)) for plan in plans])
        # Four and a half standard errors.
        assert share == pytest.approx(probability, abs=4.5 * (probability * (1 - probability) / len(plans)) ** 0.5), (
            name
        )


@pytest.mark.parametrize(
    ("step", "kinds", "probability"),
    [
        ("blur", {"BoxBlur", "GlassBlur", "GaussianBlur", "MedianBlur", "MotionBlur"}, 0.5),
        ("tone", {"Gamma", "ColourJitter", "ToneCurve"}, 0.5),
        ("noise", {"GaussianNoise", "MultiplicativeNoise"}, 0.5),
        ("distortion", {"PiecewiseAffine", "OpticalDistortion", "GridDistortion"}, 0.2),
    ],
)
def test_the_kinds_of_a_step_are_equally_likely(
    plans: list[AugmentPlan], step: str, kinds: set[str], probability: float
) -> None:
    counts = Counter(type(getattr(plan, step)).__name__ for plan in plans if getattr(plan, step) is not None)
    assert set(counts) == kinds
    for kind, n in counts.items():
        assert n / len(plans) == pytest.approx(probability / len(kinds), abs=0.01), kind


def test_strengths_fill_their_ranges(plans: list[AugmentPlan]) -> None:
    def drawn(step: str, value: str, kind: str = "") -> np.ndarray:
        steps = [getattr(plan, step) for plan in plans]
        return np.array([getattr(s, value) for s in steps if s is not None and kind in ("", type(s).__name__)])

    for values, low, high in [
        (drawn("brightness_contrast", "brightness"), -0.2, 0.2),
        (drawn("brightness_contrast", "contrast"), 0.8, 1.2),
        (drawn("tone", "gamma", "Gamma"), 0.8, 1.2),
        (drawn("tone", "hue", "ColourJitter"), -0.2, 0.2),
        (drawn("tone", "saturation", "ColourJitter"), 0.8, 1.2),
        (drawn("noise", "variance", "GaussianNoise"), 10.0, 50.0),
        (drawn("noise", "factor", "MultiplicativeNoise"), 0.9, 1.1),
        (drawn("distortion", "coefficient", "OpticalDistortion"), -0.05, 0.05),
        (drawn("turn", "angle_deg"), -45.0, 45.0),
        (drawn("turn", "scale"), 0.9, 1.1),
        (drawn("turn", "shift_x"), -0.0625, 0.0625),
        (drawn("fog", "alpha"), 0.3 * 0.08, 0.08),
    ]:
        assert low <= values.min() < low + 0.02 * (high - low)
        assert high - 0.02 * (high - low) < values.max() <= high
    for kind, shares in {
        "BoxBlur": {3: 1 / 3, 5: 1 / 3, 7: 1 / 3},
        "MedianBlur": {3: 1 / 3, 5: 1 / 3, 7: 1 / 3},
        "MotionBlur": {3: 1 / 3, 5: 1 / 3, 7: 1 / 3},
        "GaussianBlur": {3: 0.2, 5: 0.4, 7: 0.4},
    }.items():
        sides = drawn("blur", "side_px", kind)
        assert {int(side): np.mean(sides == side) for side in np.unique(sides)} == pytest.approx(shares, abs=0.05)
    assert {len(plan.shadow.polygons) for plan in plans if plan.shadow} == {1, 2}
    assert {len(plan.flare.discs) for plan in plans if plan.flare} == {6, 7, 8, 9, 10}
    assert {len(plan.dropout.corners) for plan in plans if plan.dropout} == {8}
    assert set(drawn("flare", "radius_px")) == {150}
    assert set(drawn("dropout", "side_px")) == {8}


def test_the_same_sample_and_epoch_give_the_same_window() -> None:
    frames, box = augment(window(), BOX, sample_rng(1, 2, 3), second_place_augmentation())
    again, box_again = augment(window(), BOX, sample_rng(1, 2, 3), second_place_augmentation())
    assert np.array_equal(frames, again)
    assert box == box_again


def test_other_samples_epochs_and_seeds_give_other_draws() -> None:
    triples = [(seed, epoch, index) for seed in (0, 1, 2**32) for epoch in range(4) for index in range(50)]
    draws = {sample_rng(*triple).integers(2**63) for triple in triples}
    assert len(draws) == len(triples)
    # The three numbers are neither added nor joined.
    assert sample_rng(0, 1, 2).integers(2**63) != sample_rng(0, 2, 1).integers(2**63)
    assert sample_rng(1, 0, 5).integers(2**63) != sample_rng(0, 1, 5).integers(2**63)


def test_negative_sample_numbers_are_refused() -> None:
    with pytest.raises(InputError, match="0 or more"):
        sample_rng(0, -1, 0)


@pytest.mark.parametrize("name", single_steps())
def test_every_step_changes_a_copy_of_the_same_type_and_shape(name: str) -> None:
    frames = window()
    before = frames.copy()
    frames.setflags(write=False)
    changed, _ = augment(frames, BOX, sample_rng(0, 0, 1), single_steps()[name])
    assert changed.dtype == np.uint8
    assert changed.shape == frames.shape
    assert changed.flags.c_contiguous
    assert np.array_equal(frames, before)
    assert not np.array_equal(changed[:4], before[:4])
    assert not np.shares_memory(changed, frames)


@pytest.mark.parametrize("name", single_steps())
def test_every_step_is_the_same_on_all_frames(name: str) -> None:
    """Five equal frames stay equal: positions, strengths and noise are drawn once."""
    frames = np.repeat(window()[:1], 5, axis=0)
    changed, _ = augment(frames, None, sample_rng(0, 0, 2), single_steps()[name])
    assert all(np.array_equal(changed[0], frame) for frame in changed)


def test_all_steps_together_are_the_same_on_all_frames() -> None:
    frames = np.repeat(window()[:1], 5, axis=0)
    for index in range(40):
        changed, _ = augment(frames, None, sample_rng(5, 0, index), second_place_augmentation())
        assert all(np.array_equal(changed[0], frame) for frame in changed)


def test_a_black_frame_outside_the_video_is_changed_like_the_others() -> None:
    brighter = replace(no_augmentation(), p_brightness_contrast=1.0, brightness=(0.2, 0.2), contrast=(1.0, 1.0))
    changed, _ = augment(window(), None, sample_rng(0, 0, 0), brighter)
    assert (changed[-1] == 51).all()
    darker = replace(brighter, brightness=(-0.2, -0.2))
    changed, _ = augment(window(), None, sample_rng(0, 0, 0), darker)
    assert (changed[-1] == 0).all()


def test_no_augmentation_gives_a_copy() -> None:
    frames = window()
    changed, box = augment(frames, BOX, sample_rng(0, 0, 0), no_augmentation())
    assert np.array_equal(changed, frames)
    assert changed is not frames
    assert box == BOX
    assert draw_plan(no_augmentation(), SIZE_HW, sample_rng(0, 0, 0)) == AugmentPlan(SIZE_HW)


def test_without_a_box_there_is_none_afterwards() -> None:
    for index in range(20):
        assert augment(window(), None, sample_rng(0, 0, index), second_place_augmentation())[1] is None


@pytest.mark.parametrize("size_hw", [(32, 32), (33, 57), (120, 40)])
@pytest.mark.parametrize("n_frames", [1, 3])
def test_other_sizes_and_numbers_of_frames_keep_their_shape(size_hw: tuple[int, int], n_frames: int) -> None:
    frames = window(n_frames, size_hw)
    for index in range(60):
        changed, _ = augment(frames, BOX, sample_rng(9, 0, index), second_place_augmentation())
        assert changed.shape == frames.shape


@settings(deadline=None, max_examples=150)
@given(
    corners=st.tuples(*[st.floats(0.0, 1.0)] * 4).filter(lambda c: c[0] < c[2] and c[1] < c[3]),
    index=st.integers(0, 2**40),
    p=st.sampled_from([0.5, 1.0]),
)
def test_a_box_stays_valid_or_becomes_none(corners: tuple[float, float, float, float], index: int, p: float) -> None:
    """`Box` checks its own bounds, so that an invalid one would raise."""
    likely = replace(no_augmentation(), p_flip=p, p_distortion=p, p_turn=p)
    _, box = augment(window(1), Box(*corners, 0.4), sample_rng(0, 0, index), likely)
    assert box is None or box.score == 0.4


def test_arrays_that_are_not_windows_are_refused() -> None:
    with pytest.raises(ValueError, match="frames x height x width x 3"):
        augment(window()[0], None, sample_rng(0, 0, 0), second_place_augmentation())
    with pytest.raises(ValueError, match="float32"):
        augment(window().astype(np.float32), None, sample_rng(0, 0, 0), second_place_augmentation())
    with pytest.raises(ValueError, match="the plan is for frames of"):
        apply_plan(AugmentPlan((10, 10)), window())


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"p_fog": 1.5}, "--p-fog: expected at least 0 and at most 1"),
        ({"gamma": (1.2, 0.8)}, "a smallest and a largest value"),
        ({"blurs": ()}, "set their probability to 0"),
        ({"blur_px": (4, 7)}, "odd numbers"),
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        replace(second_place_augmentation(), **wrong)


def test_step_names_list_the_steps_in_order() -> None:
    always = AugmentSettings(**{field.name: 1.0 for field in fields(AugmentSettings) if field.name.startswith("p_")})
    names = draw_plan(always, SIZE_HW, sample_rng(0, 0, 0)).step_names
    assert len(names) == 14
    assert names[:2] == ("Flip", "Dropout")
    assert names[-6:] == ("Fog", "Shadow", "Flare", "Turn", "Zoom", "Grey")
    assert draw_plan(no_augmentation(), SIZE_HW, sample_rng(0, 0, 0)).step_names == ()
