"""Corrects a site's distances by what the field team knows: labels, reference points, camera set-up, animal size."""
