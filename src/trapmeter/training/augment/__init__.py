"""Augmentation: random changes to a window of frames and the animal's box, so that a network learns what doesn't matter.

A window is uint8, frames x height x width x 3, RGB. All its frames get the same change, since they show one scene through
one lens. First a plan is drawn (`draw.py`, records in `plan.py`), then it is carried out (`apply.py`); the plan alone tells
what will happen, without a pixel. How likely and how strong each change is, `settings.py` says; `second_place()` is the
list of the 2nd-place system. Written in numpy and OpenCV: no torch here.

Frame by frame a plan is carried out in this order, with everything of one kind fused into one pass:

    grey - holes - blur - tone (tables) - sensor noise - fog's blur - veil (fog, shadow, flare) - warp (all of geometry)

The 2nd-place system went: flip, holes, blur, brightness, tone, noise, distortion, colour shift, fog, shadow, flare, turn. So
here the flip and the distortion come later and are one resampling with the turn, and the colour shift goes into the tables
before the noise. The flip and the shift commute with what they pass (the draws are symmetric between left and right, but for
rounding at 0 and 255). The distortion now bends fog, shadow and flare along, and its border stays black under them.

Frames outside the video are black and are treated like all others, as in the 2nd-place system: brightness, fog or noise
leave them brighter than black. The network sees such frames in training as it did there.
"""

from trapmeter.training.augment.apply import apply_plan, augment, sample_rng
from trapmeter.training.augment.plan import AugmentPlan
from trapmeter.training.augment.random_plan import draw_plan
from trapmeter.training.augment.settings import (
    AugmentSettings,
    distance_preserving,
    no_augmentation,
    second_place_augmentation,
)
from trapmeter.training.augment.warps import flip_box

__all__ = [
    "AugmentPlan",
    "AugmentSettings",
    "apply_plan",
    "augment",
    "distance_preserving",
    "draw_plan",
    "flip_box",
    "no_augmentation",
    "sample_rng",
    "second_place_augmentation",
]
