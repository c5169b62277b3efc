"""Settings for training a box model, and the recipe of the embedded one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from trapmeter.settings import Range, check_ranges

Count = Annotated[int, Range(least=1)]
Share = Annotated[float, Range(above=0, most=1)]
ShareBelowOne = Annotated[float, Range(least=0, below=1)]
Weight = Annotated[float, Range(least=0)]


@dataclass(frozen=True, slots=True)
class BoxModelSettings:
    """How to train a box model. The defaults did best at held-out sites; docs/development/log.md lists the alternatives."""

    model_id: str = "boxmodel"
    """Name of the model, written into every row that it predicts."""
    attribution: str = ""
    """Whose data the model was trained on, and under which licence; stored in the bundle."""
    point_rounds: Count = 350
    """Trees in each forest that predicts the distance."""
    interval_rounds: Count = 250
    """Trees for each end of the interval."""
    bags: Count = 3
    """Forests for the distance that differ only in their seed; their predictions are averaged."""
    leaves: Annotated[int, Range(least=2)] = 31
    """Most leaves of a tree."""
    min_rows: Count = 40
    """Fewest rows in a leaf."""
    learning_rate: Share = 0.05
    """Weight of each new tree."""
    feature_share: Share = 0.3
    """Share of the features that a tree may use. Small, since many features carry nearly the same information."""
    row_share: Share = 0.6
    """Share of the rows that a tree is trained on."""
    networks: Annotated[int, Range(least=0)] = 8
    """Neural networks, with different initial weights and training sites, whose mean is averaged with the forests'."""
    network_share: ShareBelowOne = 0.55
    """Weight of the networks' mean in the distance; the rest is the forests'."""
    network_epochs: Count = 18
    """How often a network is trained on each row."""
    network_width: Count = 256
    """Units in each of a network's two hidden layers."""
    network_dropout: ShareBelowOne = 0.1
    """Share of a network's hidden units that are left out in a training step."""
    network_site_share: Share = 0.8
    """Share of the sites that a network is trained on."""
    other_detector_weight: Weight = 0.5
    """Weight of a copy of each row as another detector would score it, with half of the site's other videos."""
    site_unknown_weight: Weight = 0.4
    """Weight of a copy of each row whose site is unknown: it has only its own video as context."""
    single_weight: Weight = 0.2
    """Weight of a copy of each row that has only its own box, like a photo."""
    simulated_sites: Annotated[int, Range(least=0)] = 1000
    """Simulated sites to train on besides the tables, with other lenses, heights and sizes of animals. They teach the model
    to use what is known about them."""
    simulated_weight: Share = 0.35
    """Weight of a simulated row; that of a table's row is 1."""
    calibration_folds: Annotated[int, Range(least=2)] = 5
    """Folds by site from which training learns how far to widen the intervals."""
    seed: int = 1
    """Seed of all random choices."""
    threads: Count = 2
    """Folds that are trained in parallel. Changes the time, not the model."""

    def __post_init__(self) -> None:
        check_ranges(self)


def embedded_recipe() -> BoxModelSettings:
    """The settings of the embedded model."""
    return BoxModelSettings(
        model_id="boxmodel-3",
        simulated_sites=3000,
        calibration_folds=4,
        attribution=(
            "Trained on the label and box tables of the competition 'Deep Chimpact: Depth Estimation for Wildlife "
            "Conservation' (DrivenData, 2021; Max Planck Institute for Evolutionary Anthropology and Wild Chimpanzee "
            "Foundation), published under the MIT licence in github.com/drivendataorg/deep-chimpact-winners; on detections "
            "in rendered videos (art of 0 A.D. by Wildfire Games and contributors, CC BY-SA 3.0); and on simulated sites."
        ),
    )
