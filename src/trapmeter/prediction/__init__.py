"""The main job: media in, a distance with an interval for every animal and second out."""
