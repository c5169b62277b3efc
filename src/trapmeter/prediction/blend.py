"""Blends the predictions of networks, which use pixels, and of the box model, which uses all boxes of a site.

Their errors differ, so a weighted mean of both is better than either. The weights depend on the box and on what the models
were told, and are fitted to seconds at sites held out of both trainings.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trapmeter.boxmodel.features import EDGE
from trapmeter.boxmodel.knowledge import Knowledge
from trapmeter.errors import InputError, ModelError, error_text
from trapmeter.facts import Facts
from trapmeter.files import atomic_file, sha256_of_bytes
from trapmeter.folds import folds_by_size
from trapmeter.models.bundle import Bundle
from trapmeter.prediction.estimators import BoxDistanceModel, DetectedAnimal, identify_ensemble
from trapmeter.records import CONFIDENT_SCORE, Box, Distance, ModelIdentity
from trapmeter.uncertainty import Uncertainty, fit_uncertainty

FORMAT = 2
_FORMAT_KEY = "trapmeter_blend"
MAX_BYTES = 1_000_000
CANDIDATE_SHARES = tuple(round(0.05 * step, 2) for step in range(21))
"""The candidates for the networks' share."""
N_PRIOR_ROWS = 300
"""From this number on, a situation's own rows outweigh those of all situations."""


class BoxSituation(StrEnum):
    """What decides how far the box model can be trusted."""

    NO_BOX = "no box"
    CUT_OFF = "cut off"
    """The picture's border cuts the box."""
    UNSURE = "unsure"
    """Its score is below CONFIDENT_SCORE."""
    SURE = "sure"


def box_situation(box: Box | None) -> BoxSituation:
    """The situation of a box."""
    if box is None:
        return BoxSituation.NO_BOX
    if min(box.x1, box.y1) < EDGE or max(box.x2, box.y2) > 1 - EDGE:
        return BoxSituation.CUT_OFF
    return BoxSituation.SURE if box.score >= CONFIDENT_SCORE else BoxSituation.UNSURE


def knowledge_of_facts(facts: Facts) -> Knowledge:
    """What models were told about lens and size."""
    has_lens, has_size = facts.hfov_deg is not None, facts.shoulder_m is not None
    if has_lens:
        return Knowledge.LENS_AND_SIZE if has_size else Knowledge.LENS
    return Knowledge.SIZE if has_size else Knowledge.NOTHING


@dataclass(frozen=True, slots=True)
class HeldOutPair:
    """The predictions of both models, in metres, for an animal of known distance at a site held out of both trainings.

    known: what both models were told.
    """

    site_id: str
    box: Box | None
    networks_m: float
    boxes_m: float
    truth_m: float
    known: Knowledge = Knowledge.NOTHING


@dataclass(frozen=True, slots=True)
class KnownBlend:
    """A blend for animals about which the same is known.

    shares: the networks' weight (0..1) in log(1 + metres); the rest is the box model's. uncertainty: the blend's.
    """

    shares: dict[BoxSituation, float]
    uncertainty: Uncertainty

    def __post_init__(self) -> None:
        if set(self.shares) != set(BoxSituation) or not all(0 <= share <= 1 for share in self.shares.values()):
            raise InputError(f"a blend has a share of 0 to 1 for each of {', '.join(BoxSituation)}, got {self.shares}")

    def distances(
        self, boxes: Sequence[Box | None], networks_m: Sequence[float], boxes_m: Sequence[float]
    ) -> list[Distance]:
        """The blends of n pairs of predictions in metres, with their intervals."""
        pairs = zip(boxes, networks_m, boxes_m, strict=True)
        return self.uncertainty.distances(np.array([blend_log1p(self.shares, *pair) for pair in pairs]))


@dataclass(frozen=True, slots=True)
class Blend:
    """A fitted blend.

    by_knowledge: at least that for animals about which nothing is known, which also serves where a state has none of its own.
    networks_sha256: of the networks that it was fitted with; a prediction may use any of them.
    """

    by_knowledge: dict[Knowledge, KnownBlend]
    box_model_sha256: str
    networks_sha256: frozenset[str]

    def __post_init__(self) -> None:
        if Knowledge.NOTHING not in self.by_knowledge:
            raise InputError(f"a blend has shares for {Knowledge.NOTHING!r}, got {', '.join(self.by_knowledge)}")

    def for_knowledge(self, known: Knowledge) -> KnownBlend:
        """The blend for animals about which this is known."""
        return self.by_knowledge.get(known, self.by_knowledge[Knowledge.NOTHING])


def blend_log1p(shares: Mapping[BoxSituation, float], box: Box | None, networks_m: float, boxes_m: float) -> float:
    """The blend of both predictions, as log(1 + metres)."""
    share = shares[box_situation(box)]
    return share * math.log1p(networks_m) + (1 - share) * math.log1p(boxes_m)


def fit_blend(rows: Sequence[HeldOutPair], box_model_sha256: str, networks_sha256: Collection[str] = ()) -> Blend:
    """Fits the shares with the smallest mean absolute error in metres, and the blend's uncertainty, for each knowledge.

    A situation with few rows gets about the share that is best over all rows with the same knowledge.

    Raises:
        InputError: no rows about whose animals nothing is known.
    """
    by_knowledge = _by_knowledge(rows)
    if Knowledge.NOTHING not in by_knowledge:
        raise InputError("no held-out predictions to fit a blend to")
    fitted = {known: _fit_known(of_knowledge) for known, of_knowledge in by_knowledge.items()}
    return Blend(fitted, box_model_sha256, frozenset(networks_sha256))


def _fit_known(rows: Sequence[HeldOutPair]) -> KnownBlend:
    shares = _fit_shares(rows)
    point = [blend_log1p(shares, row.box, row.networks_m, row.boxes_m) for row in rows]
    return KnownBlend(shares, fit_uncertainty(point, [row.truth_m for row in rows], [row.site_id for row in rows]))


def predict_held_out(rows: Sequence[HeldOutPair], groups: int = 5) -> NDArray[np.float64]:
    """Predictions in metres, each by a blend that was fitted without the row's site."""
    group_of = folds_by_size({row.site_id for row in rows}, groups)
    distances_m = np.zeros(len(rows))
    for group in range(groups):
        others = [row for row in rows if group_of[row.site_id] != group]
        of_all = _fit_shares(others)
        shares = {known: _fit_shares(chosen) for known, chosen in _by_knowledge(others).items()}
        for number, row in enumerate(rows):
            if group_of[row.site_id] == group:
                blended = blend_log1p(shares.get(row.known, of_all), row.box, row.networks_m, row.boxes_m)
                distances_m[number] = math.expm1(blended)
    return distances_m


def _by_knowledge(rows: Sequence[HeldOutPair]) -> dict[Knowledge, list[HeldOutPair]]:
    return {known: chosen for known in Knowledge if (chosen := [row for row in rows if row.known is known])}


def write_blend(path: str | Path, blend: Blend) -> None:
    """Writes a blend as JSON."""
    with atomic_file(Path(path)) as file:
        content = {
            _FORMAT_KEY: FORMAT,
            "box_model_sha256": blend.box_model_sha256,
            "networks_sha256": sorted(blend.networks_sha256),
            "by_knowledge": {
                known: {"shares_of_networks": part.shares, "uncertainty": part.uncertainty.to_json()}
                for known, part in blend.by_knowledge.items()
            },
        }
        json.dump(content, file, indent=1)
        file.write("\n")


def read_blend(path: str | Path) -> tuple[Blend, str]:
    """A blend and its file's sha256.

    Raises:
        ModelError: the file is no blend, or can't be read.
    """
    path = Path(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ModelError(f"{path}: larger than any blend; give a file that `trapmeter blend` wrote")
        text = path.read_bytes()
        content = json.loads(text)
        if not isinstance(content, dict):
            raise InputError("expected a JSON object")
        if content[_FORMAT_KEY] != FORMAT:
            raise ModelError(
                f"{path}: format {content[_FORMAT_KEY]}, this version reads {FORMAT}; fit it again with `trapmeter blend`"
            )
        by_knowledge = {Knowledge(known): _read_part(part) for known, part in content["by_knowledge"].items()}
        networks = frozenset(map(str, content["networks_sha256"]))
        blend = Blend(by_knowledge, str(content["box_model_sha256"]), networks)
    except OSError as error:
        raise ModelError(f"{path}: can't be read ({error.strerror}); expected what `trapmeter blend` wrote") from error
    except (ValueError, KeyError, TypeError, AttributeError, InputError) as error:
        raise ModelError(
            f"{path}: not a blend of trapmeter ({error_text(error)}); make one with `trapmeter blend`"
        ) from error
    return blend, sha256_of_bytes(text)


def _read_part(content: Mapping[str, Any]) -> KnownBlend:
    shares = {BoxSituation(name): float(share) for name, share in content["shares_of_networks"].items()}
    return KnownBlend(shares, Uncertainty.from_json(content["uncertainty"]))


class BlendEstimator:
    """The blend of the networks' mean and the box model's prediction."""

    def __init__(self, bundles: Sequence[Bundle], *, flip: bool, boxes: BoxDistanceModel, path: Path) -> None:
        """Reads the blend at path.

        Raises:
            ModelError: it is no blend, or was fitted with other networks or another box model.
        """
        self._boxes = boxes
        self._blend, sha256 = read_blend(path)
        if self._blend.box_model_sha256 != boxes.identity.sha256:
            raise ModelError(
                f"{path}: fitted with another box model than {boxes.identity.model_id}; give that one with --box-model, "
                "or fit the blend again"
            )
        others = [b.identity for b in bundles if b.identity.sha256 not in self._blend.networks_sha256]
        if others:
            raise ModelError(
                f"{path}: fitted with other networks than {others[0].model_id}; give those of the training that "
                "`trapmeter blend` used, or fit the blend again"
            )
        networks = identify_ensemble(bundles, flip=flip)
        self.identity = ModelIdentity(
            f"{networks.model_id} and {boxes.identity.model_id}",
            sha256_of_bytes(f"{networks.sha256}{boxes.identity.sha256}{sha256}".encode()),
        )

    def estimate(self, animals: Sequence[DetectedAnimal]) -> list[Distance]:
        """A distance for each animal, with the box model's doubts."""
        by_boxes = self._boxes.estimate(
            [animal.for_box_model for animal in animals], [animal.facts for animal in animals]
        )
        rows_of: dict[Knowledge, list[int]] = defaultdict(list)
        for row, animal in enumerate(animals):
            rows_of[knowledge_of_facts(animal.facts)].append(row)
        distances = list(by_boxes)
        for known, rows in rows_of.items():
            part = self._blend.for_knowledge(known)
            blended = part.distances(
                [animals[row].observation.box for row in rows],
                [fmean(animals[row].network_distances_m) for row in rows],
                [by_boxes[row].distance_m for row in rows],
            )
            for row, distance in zip(rows, blended, strict=True):
                distances[row] = replace(distance, doubt=by_boxes[row].doubt)
        return distances


def _fit_shares(rows: Sequence[HeldOutPair]) -> dict[BoxSituation, float]:
    situations = np.array([box_situation(row.box) for row in rows])
    networks, boxes, truth = (
        np.array([getattr(row, name) for row in rows]) for name in ("networks_m", "boxes_m", "truth_m")
    )
    # Rows x shares.
    blended = np.expm1(
        np.array(CANDIDATE_SHARES) * np.log1p(networks)[:, None]
        + (1 - np.array(CANDIDATE_SHARES)) * np.log1p(boxes)[:, None]
    )
    error = np.abs(blended - truth[:, None])
    overall = error.mean(axis=0)
    return {
        situation: CANDIDATE_SHARES[int((error[situations == situation].sum(axis=0) + N_PRIOR_ROWS * overall).argmin())]
        for situation in BoxSituation
    }
