from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from trapmeter.boxmodel.cross_validation import assign_site_folds
from trapmeter.errors import InputError


def test_a_site_is_in_one_fold_and_folds_are_about_equally_large(world):
    fold = assign_site_folds(world, 4)
    sites = np.array([sample.observation.site_id for sample in world])
    assert all(len(set(fold[sites == site])) == 1 for site in set(sites))
    assert np.ptp(np.bincount(fold)) <= 48


def test_a_video_without_a_site_is_in_one_fold(world):
    unknown = [replace(sample, observation=replace(sample.observation, site_id="")) for sample in world]
    fold = assign_site_folds(unknown, 4)
    media = np.array([sample.observation.media_id for sample in unknown])
    assert all(len(set(fold[media == medium])) == 1 for medium in set(media))


def test_more_folds_than_sites_are_refused(world):
    with pytest.raises(InputError, match="17 folds by site need at least 2 folds and as many sites"):
        assign_site_folds(world, 17)
