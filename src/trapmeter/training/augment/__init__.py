"""Augmentation: random changes to a window's frames and to the animal's box. No torch.

A window is a uint8 array, frames x height x width x 3, RGB. All its frames get the same change, since they show one scene
through one lens. `random_plan.py` draws a plan (records in `plan.py`), which states every change without reading a pixel;
`apply.py` applies it. `settings.py` states how likely and how strong each change is. It all runs in numpy and OpenCV.

A plan is applied frame by frame in this order; changes of one kind are fused into one pass:

    grey - holes - blur - tone (tables) - sensor noise - blur of the fog - weather (fog, shadow, flare) - warp (all geometry)

The order of the 2nd-place system was: flip, holes, blur, brightness, tone, noise, distortion, colour shift, fog, shadow,
flare, turn. Here the flip and the distortion come later, in one resampling with the turn, and the colour shift joins the tone
tables before the noise. Flip and colour shift commute with the steps that they pass (the draws are symmetric in left and
right), except for rounding at 0 and 255. The distortion now also bends fog, shadow and flare, and its border stays black.

Frames outside the video are black and are changed like all others, as in the 2nd-place system: brightness, fog or noise
make them brighter than black, and the network saw them so in training.
"""
