"""The effect of blur, tone, noise, holes, fog, shadow and flare on known pictures."""

import numpy as np
import pytest

from trapmeter.training.augment import plan
from trapmeter.training.augment.apply import apply_plan
from trapmeter.training.augment.pixels import (
    ToneStep,
    apply_tones,
    blur_function,
    colour_offsets,
    draw_noise_field,
    glass_sources,
    motion_kernel,
)
from trapmeter.training.augment.weather import fog_transmission, glow_transmission, shadow_factor, weather_overlay

SIZE_HW = (60, 80)
RAMP = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
"""One row with all grey levels."""


def grey(value: int, size_hw: tuple[int, int] = SIZE_HW) -> np.ndarray:
    return np.full((*size_hw, 3), value, np.uint8)


def noisy(size_hw: tuple[int, int] = SIZE_HW) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*size_hw, 3), dtype=np.uint8)


def roughness(frame: np.ndarray) -> float:
    return float(
        np.abs(np.diff(frame.astype(float), axis=1)).mean() + np.abs(np.diff(frame.astype(float), axis=0)).mean()
    )


def apply_steps(frame: np.ndarray, **steps: object) -> np.ndarray:
    return apply_plan(plan.AugmentPlan(frame.shape[:2], **steps), frame[None])[0][0]


# Holes


def test_dropout_blackens_the_same_squares_in_all_frames() -> None:
    frames = np.stack([grey(value) for value in (50, 100, 200)])
    corners = ((0, 0), (72, 52), (20, 30))
    changed, _ = apply_plan(plan.AugmentPlan(SIZE_HW, dropout=plan.Dropout(corners, 8)), frames)
    holes = np.zeros(SIZE_HW, bool)
    for x, y in corners:
        holes[y : y + 8, x : x + 8] = True
    assert holes.sum() == 3 * 64
    for frame, before in zip(changed, frames, strict=True):
        assert (frame[holes] == 0).all()
        assert (frame[~holes] == before[~holes]).all()


# Blur


@pytest.mark.parametrize(
    "blur",
    [
        plan.BoxBlur(3),
        plan.BoxBlur(7),
        plan.GaussianBlur(5),
        plan.MedianBlur(3),
        plan.MotionBlur(5, (0, 0), (4, 4)),
        plan.GlassBlur(0.7, 4, 2, 1),
    ],
)
def test_blur_smoothes_and_keeps_the_mean(blur) -> None:
    frame = noisy()
    blurred = blur_function(blur, SIZE_HW)(frame)
    assert roughness(blurred) < 0.8 * roughness(frame)
    assert blurred.mean() == pytest.approx(frame.mean(), abs=3)
    assert np.array_equal(blur_function(blur, SIZE_HW)(grey(77)), grey(77))


@pytest.mark.parametrize("kind", [plan.BoxBlur, plan.GaussianBlur, plan.MedianBlur])
def test_wider_kernels_blur_more(kind) -> None:
    frame = noisy()
    assert roughness(blur_function(kind(7), SIZE_HW)(frame)) < roughness(blur_function(kind(3), SIZE_HW)(frame))


def test_median_blur_removes_a_speck_and_keeps_an_edge() -> None:
    frame = grey(0)
    frame[:, 40:] = 200
    speck = frame.copy()
    speck[20, 10] = 255
    assert np.array_equal(blur_function(plan.MedianBlur(3), SIZE_HW)(speck), frame)


def test_motion_blur_smears_along_its_line_only() -> None:
    kernel = motion_kernel(plan.MotionBlur(5, (0, 2), (4, 2)))
    assert np.allclose(kernel[2], 0.2)
    assert kernel.sum() == pytest.approx(1.0)
    frame = grey(0)
    frame[30, 40] = 250
    smeared = blur_function(plan.MotionBlur(5, (0, 2), (4, 2)), SIZE_HW)(frame)
    assert np.argwhere(smeared[..., 0]).tolist() == [[30, x] for x in range(38, 43)]
    assert (smeared[30, 38:43] == 50).all()


def test_glass_blur_moves_pixels_at_most_by_its_reach() -> None:
    sources = glass_sources(plan.GlassBlur(0.7, 4, 2, seed=3), SIZE_HW)
    rows, columns = np.indices(SIZE_HW)
    moves = sources - np.stack([columns, rows], axis=-1)
    assert np.abs(moves).max() == 8
    # Two uniform steps of -4..4: variance 2 x (81 - 1) / 12.
    assert moves.var() == pytest.approx(13.3, rel=0.05)


# Tone


def table_of(step: ToneStep) -> np.ndarray:
    return apply_tones(RAMP, [step])[0, :, 0].astype(int)


@pytest.mark.parametrize(
    "step",
    [
        plan.BrightnessContrast(0.2, 1.2),
        plan.BrightnessContrast(-0.2, 0.8),
        plan.Gamma(0.8),
        plan.Gamma(1.2),
        plan.ToneCurve(0.1, 0.9),
        plan.ToneCurve(0.35, 0.6),
        plan.MultiplicativeNoise(0.9),
        plan.MultiplicativeNoise(1.1),
    ],
)
def test_tone_steps_keep_the_order_of_grey_levels(step: ToneStep) -> None:
    assert (np.diff(table_of(step)) >= 0).all()


def test_tone_steps_have_known_values() -> None:
    assert table_of(plan.BrightnessContrast(0.1, 1.0))[[0, 100, 255]].tolist() == [26, 126, 255]
    assert table_of(plan.BrightnessContrast(0.0, 0.8))[[0, 100, 255]].tolist() == [0, 80, 204]
    assert table_of(plan.Gamma(1.2))[[0, 128, 255]].tolist() == [0, 112, 255]
    assert table_of(plan.Gamma(0.8))[128] == 147
    assert table_of(plan.MultiplicativeNoise(0.9))[[0, 100, 255]].tolist() == [0, 90, 230]
    # With control points on the diagonal at 1/3 and 2/3 a Bezier curve is straight.
    assert np.array_equal(table_of(plan.ToneCurve(1 / 3, 2 / 3)), np.arange(256))
    # Lower first and higher second control point: an S, more contrast.
    curve = table_of(plan.ToneCurve(0.1, 0.9))
    assert curve[64] < 64
    assert curve[192] > 192


def test_fused_tone_steps_equal_successive_ones() -> None:
    steps = [plan.BrightnessContrast(0.1, 0.9), plan.Gamma(0.9), plan.MultiplicativeNoise(1.05)]
    alone = RAMP
    for step in steps:
        alone = apply_tones(alone, [step])
    # Except for the rounding in between.
    assert np.abs(apply_tones(RAMP, steps).astype(int) - alone).max() <= 1


def jitter(**changed: object) -> plan.ColourJitter:
    order = ("brightness", "contrast", "saturation", "hue")
    return plan.ColourJitter(
        **{"brightness": 1.0, "contrast": 1.0, "saturation": 1.0, "hue": 0.0, "order": order} | changed
    )


def test_colour_jitter_brightness_and_contrast() -> None:
    assert (apply_tones(grey(100), [jitter(brightness=1.2)]) == 120).all()
    frame = grey(100, (64, 80))
    frame[:32] = 200  # mean 150
    flat = apply_tones(frame, [jitter(contrast=0.8)])
    assert flat[0, 0].tolist() == [190] * 3
    assert flat[-1, 0].tolist() == [110] * 3


def test_colour_jitter_saturation_moves_colours_to_their_grey() -> None:
    frame = grey(0)
    frame[...] = (200, 100, 50)
    luma = 0.299 * 200 + 0.587 * 100 + 0.114 * 50
    pale = apply_tones(frame, [jitter(saturation=0.5)])[0, 0]
    assert pale.tolist() == pytest.approx([0.5 * c + 0.5 * luma for c in (200, 100, 50)], abs=1)
    assert apply_tones(frame, [jitter(saturation=0.0)])[0, 0].tolist() == pytest.approx([luma] * 3, abs=1)


def test_colour_jitter_hue_rotates_the_colour_circle() -> None:
    frame = grey(0)
    frame[...] = (255, 0, 0)
    assert apply_tones(frame, [jitter(hue=1 / 3)])[0, 0].tolist() == [0, 255, 0]
    assert apply_tones(frame, [jitter(hue=-1 / 3)])[0, 0].tolist() == [0, 0, 255]
    assert np.array_equal(apply_tones(grey(90), [jitter(hue=0.2)]), grey(90))


def test_colour_jitter_applies_its_changes_in_order() -> None:
    frame = grey(200)
    frame[:30] = 250
    first = apply_tones(frame, [jitter(brightness=1.2, contrast=0.8, order=("brightness", "contrast"))])
    last = apply_tones(frame, [jitter(brightness=1.2, contrast=0.8, order=("contrast", "brightness"))])
    assert not np.array_equal(first, last)


def test_colour_shift_follows_the_principal_axis() -> None:
    along = np.array([0.8, 0.6, 0.0])
    colours = 100.0 + np.random.default_rng(0).normal(0.0, 40.0, (5000, 1)) * along
    moved = colour_offsets(colours, alpha=0.5)
    assert moved / np.linalg.norm(moved) == pytest.approx(along, abs=1e-3)
    # alpha x variance, in units of white.
    assert np.linalg.norm(moved) == pytest.approx(255 * 0.5 * (40 / 255) ** 2, rel=0.05)
    assert colour_offsets(colours, -0.5) == pytest.approx(-moved)


def test_colour_shift_is_the_same_for_all_pixels_of_a_frame() -> None:
    frame = np.clip(noisy(), 60, 190)
    moved = apply_tones(frame, [], plan.ColourShift(0.9)).astype(int) - frame
    assert all(len(np.unique(moved[..., channel])) == 1 for channel in range(3))
    assert (moved != 0).any()
    assert np.array_equal(apply_tones(grey(90), [], plan.ColourShift(0.9)), grey(90))


# Noise


@pytest.mark.parametrize("variance", [10.0, 30.0, 50.0])
def test_noise_has_the_requested_variance_and_no_bias(variance: float) -> None:
    frame = grey(128, (200, 300))
    noise = apply_steps(frame, noise=plan.GaussianNoise(variance, per_frame=False, seed=1)).astype(float) - 128
    n = noise.size
    assert noise.var() == pytest.approx(variance, rel=6 * (2 / n) ** 0.5)
    assert noise.mean() == pytest.approx(0.0, abs=5 * (variance / n) ** 0.5)
    # Normal: 95% within 1.96 standard deviations (whole grey levels are wide steps), kurtosis 3.
    assert (noise**4).mean() / noise.var() ** 2 == pytest.approx(3.0, abs=0.1)
    # Neighbours and channels are independent.
    assert abs(np.corrcoef(noise[:, :-1].ravel(), noise[:, 1:].ravel())[0, 1]) < 0.02
    assert abs(np.corrcoef(noise[..., 0].ravel(), noise[..., 1].ravel())[0, 1]) < 0.02


def test_noise_is_one_pattern_or_one_per_frame() -> None:
    frames = np.stack([grey(128)] * 3)
    same, _ = apply_plan(plan.AugmentPlan(SIZE_HW, noise=plan.GaussianNoise(30.0, per_frame=False, seed=1)), frames)
    assert np.array_equal(same[0], same[1])
    own, _ = apply_plan(plan.AugmentPlan(SIZE_HW, noise=plan.GaussianNoise(30.0, per_frame=True, seed=1)), frames)
    assert not np.array_equal(own[0], own[1])
    assert not np.array_equal(own[1], own[2])
    assert np.array_equal(
        own, apply_plan(plan.AugmentPlan(SIZE_HW, noise=plan.GaussianNoise(30.0, True, 1)), frames)[0]
    )


def test_noise_stays_between_black_and_white() -> None:
    field = draw_noise_field(50.0, SIZE_HW, np.random.default_rng(0))
    assert field.apply_to(grey(0)).max() < 60
    assert field.apply_to(grey(255)).min() > 195
    assert (np.minimum(field.added, field.subtracted) == 0).all()


# Fog, shadow, flare


def test_a_disc_of_fog_mixes_in_white() -> None:
    fog = plan.Fog(((40, 30),), radius_px=10, alpha=0.25, blur_px=0)
    changed = apply_steps(grey(100), fog=fog)
    assert changed[30, 40].tolist() == pytest.approx([0.75 * 100 + 0.25 * 255] * 3, abs=1)
    assert changed[0, 0].tolist() == [100] * 3
    assert fog_transmission(fog, SIZE_HW)[30, 51] == 1.0
    twice = fog_transmission(plan.Fog(((40, 30), (40, 30)), 10, 0.25, 0), SIZE_HW)
    assert twice[30, 40] == pytest.approx(0.75**2)


def test_fog_brightens_and_reduces_contrast() -> None:
    frame = noisy()
    centres = tuple((x, y) for x in range(0, 90, 10) for y in range(0, 70, 10))
    changed = apply_steps(frame, fog=plan.Fog(centres, 13, 0.08, 3))
    assert changed.mean() > frame.mean() + 10
    assert changed.std() < 0.7 * frame.std()


def test_discs_of_fog_may_be_beyond_the_edges() -> None:
    centres = ((-500, 30), (40, 900), (-5, -5), (84, 64), (4000, -4000))
    clear = fog_transmission(plan.Fog(centres, 10, 0.5, 0), SIZE_HW)
    assert clear[0, 0] == 0.5
    assert clear[-1, -1] == 0.5
    assert clear[30, 40] == 1.0


def test_shadow_halves_the_brightness_in_its_polygon_only() -> None:
    shadow = plan.Shadow((((10, 40), (60, 40), (60, 59), (10, 59)),))
    changed = apply_steps(grey(100), shadow=shadow)
    assert (changed[40:60, 10:61] == 50).all()
    assert (changed[:40] == 100).all()
    assert (changed[40:, :10] == 100).all()
    # Two overlapping polygons are as dark as one.
    assert shadow_factor(plan.Shadow(shadow.polygons * 2), SIZE_HW).min() == 0.5


def test_flare_is_white_at_its_centre_and_fades_to_its_radius() -> None:
    size_hw = (270, 480)
    flare = plan.Flare((200, 100), 150, ())
    changed = apply_steps(grey(50, size_hw), flare=flare)
    assert changed[100, 200].tolist() == [255] * 3
    across = changed[100, 200:, 0].astype(int)
    assert (np.diff(across) <= 0).all()
    assert (changed[100, 352:] == 50).all()
    assert (across[:75] > 52).all()
    glow = glow_transmission(flare, size_hw)
    # Second-smallest disc: all but the smallest lie on it. Strengths are (k / 14) cubed.
    assert glow[100, 205] == pytest.approx(np.prod([1 - (k / 14) ** 3 for k in range(14)]), rel=1e-5)


def test_discs_of_a_flare_have_their_colours() -> None:
    first, second = plan.FlareDisc((20, 30), 3, 0.2, (255, 205, 205)), plan.FlareDisc((60, 30), 3, 0.1, (205, 205, 255))
    changed = apply_steps(grey(0), flare=plan.Flare((-900, -900), 150, (first, second)))
    # The first disc is blended in again together with the second.
    share = 1 - 0.8 * 0.9
    assert changed[30, 20].tolist() == pytest.approx([share * 255, share * 205, share * 205], abs=1)
    assert changed[30, 60].tolist() == pytest.approx([20.5, 20.5, 25.5], abs=1)
    assert changed[30, 40].tolist() == [0, 0, 0]


def test_fused_fog_shadow_and_flare_equal_successive_ones() -> None:
    fog = plan.Fog(((40, 30), (20, 40)), 20, 0.3, 0)
    shadow = plan.Shadow((((0, 30), (79, 30), (79, 59), (0, 59)),))
    flare = plan.Flare((30, 20), 40, (plan.FlareDisc((60, 30), 8, 0.2, (255, 230, 205)),))
    frame = noisy()
    alone = apply_steps(apply_steps(apply_steps(frame, fog=fog), shadow=shadow), flare=flare)
    together = apply_steps(frame, fog=fog, shadow=shadow, flare=flare)
    assert np.abs(together.astype(int) - alone).max() <= 2
    assert weather_overlay(plan.AugmentPlan(SIZE_HW)) is None


def test_grey_removes_colour_and_keeps_brightness() -> None:
    frame = np.zeros((*SIZE_HW, 3), np.uint8)
    frame[..., 0], frame[..., 1], frame[..., 2] = 30, 60, 90
    assert np.array_equal(apply_steps(frame, grey=True), np.full_like(frame, 60))
