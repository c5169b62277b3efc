"""Distances corrected at a site by what the field team knows: labelled seconds, reference points, camera facts."""
