"""What can be set about the training of a box model."""

from __future__ import annotations

from dataclasses import dataclass

from trapmeter.errors import InputError


@dataclass(frozen=True, slots=True)
class BoxModelSettings:
    """The defaults are what held-out sites preferred; docs/log.md tells what else was tried."""

    model_id: str = "boxmodel"
    """Stands in every row that the model answers."""
    attribution: str = ""
    """Whose data it learned from and under which licence; goes into the bundle."""
    point_rounds: int = 350
    """Trees of each forest for the distance itself."""
    interval_rounds: int = 250
    """Trees for each end of the interval."""
    bags: int = 3
    """Forests for the distance, which differ in their seed alone and are averaged."""
    leaves: int = 31
    """Leaves of a tree."""
    min_rows: int = 40
    """Rows that a leaf needs."""
    learning_rate: float = 0.05
    feature_share: float = 0.3
    """Share of the features that a tree may use. Small, since many of them say nearly the same."""
    row_share: float = 0.6
    """Share of the rows that a tree sees."""
    networks: int = 8
    """Neural networks whose mean is averaged with the forests'. Each starts elsewhere and learns from other sites."""
    network_share: float = 0.6
    """What the networks' mean weighs in the distance; the rest is the forests'."""
    network_epochs: int = 28
    """How often a network sees each row."""
    network_width: int = 128
    """Cells of each of its two layers."""
    network_dropout: float = 0.1
    """Share of these cells that a step of its training leaves out."""
    network_site_share: float = 0.8
    """Share of the sites that a network learns from."""
    other_detector_weight: float = 0.5
    """Weight of a copy of each row as another detector would score it, with half of the site's other videos."""
    site_unknown_weight: float = 0.4
    """Weight of a copy of each row that knows nothing of its site but its own video."""
    single_weight: float = 0.2
    """Weight of a copy of each row that knows nothing but its own box, like a photo."""
    calibration_folds: int = 5
    """Folds by site from which training learns how much to widen its intervals."""
    seed: int = 1
    threads: int = 2
    """Folds that are fitted side by side. Changes the time alone, not the model."""

    def __post_init__(self) -> None:
        for name in (
            "point_rounds",
            "interval_rounds",
            "bags",
            "min_rows",
            "network_epochs",
            "network_width",
            "threads",
        ):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("leaves", "calibration_folds"):
            if getattr(self, name) < 2:
                raise InputError(f"{name} must be at least 2, got {getattr(self, name)}")
        for name in ("learning_rate", "feature_share", "row_share", "network_site_share"):
            if not 0 < getattr(self, name) <= 1:
                raise InputError(f"{name} must lie above 0 and not above 1, got {getattr(self, name)}")
        for name in ("network_share", "network_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 0 and below 1, got {getattr(self, name)}")
        if self.networks < 0:
            raise InputError(f"networks must be at least 0, got {self.networks}")
        for name in ("other_detector_weight", "site_unknown_weight", "single_weight"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} must not be negative, got {getattr(self, name)}")


def deep_chimpact_recipe() -> BoxModelSettings:
    """What the embedded bundle was trained with."""
    return BoxModelSettings(
        model_id="boxmodel-deepchimpact-2",
        attribution=(
            "Trained on the label and box tables of the competition 'Deep Chimpact: Depth Estimation for Wildlife "
            "Conservation' (DrivenData, 2021; Max Planck Institute for Evolutionary Anthropology and Wild Chimpanzee "
            "Foundation), published under the MIT licence in github.com/drivendataorg/deep-chimpact-winners."
        ),
    )
