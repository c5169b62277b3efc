"""The learning rate of each epoch."""

import pytest
import torch

from trapmeter.training.recipes import CosineSchedule, find_recipe, second_place


def test_the_learning_rate_is_pytorchs_in_all_80_epochs() -> None:
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.AdamW([parameter], lr=1e-3)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=25, eta_min=1e-5)
    schedule = second_place().schedule
    for epoch in range(80):
        assert schedule.rate(epoch) == pytest.approx(optimiser.param_groups[0]["lr"], rel=1e-6), epoch
        optimiser.step()
        scheduler.step()


def test_the_learning_rate_falls_rises_falls_and_rises_a_little() -> None:
    rates = [second_place().schedule.rate(epoch) for epoch in range(80)]
    assert rates[0] == 1e-3
    assert rates[25] == pytest.approx(1e-5)
    assert rates[50] == pytest.approx(1e-3)
    assert rates[75] == pytest.approx(1e-5)
    assert 1e-5 < rates[79] < 1e-4


def test_valleys_are_the_epochs_closest_to_the_minima() -> None:
    assert [epoch for epoch in range(80) if second_place().schedule.is_valley(epoch)] == [25, 75]
    # Scaled to 12 epochs the minima are between epochs; only the closest epoch counts.
    scaled = CosineSchedule(t_max=3.75)
    assert [epoch for epoch in range(12) if scaled.is_valley(epoch)] == [4, 11]
    assert find_recipe("second_place_cpu").schedule == scaled
