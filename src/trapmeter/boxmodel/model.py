"""Estimates distances from boxes with a trained box model; needs onnxruntime, not LightGBM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime

from trapmeter.boxmodel.bundle import MODEL, BundleCard, read_bundle
from trapmeter.boxmodel.features import FEATURES, features
from trapmeter.boxmodel.intervals import distances_by_knowledge
from trapmeter.boxmodel.knowledge import knowledge_of
from trapmeter.boxmodel.novelty import find_doubts
from trapmeter.errors import InputError, ModelError
from trapmeter.facts import NO_FACTS, Facts
from trapmeter.files import PathLike
from trapmeter.records import Distance, ModelIdentity, Observation

EMBEDDED = Path(__file__).parent / "embedded"


class BoxModel:
    """Estimates distances in metres with 90 % intervals from boxes and what is known about cameras and animals.

    >>> model = BoxModel.load()
    >>> distances = model.estimate(observations)    # all media of a run in one call
    """

    def __init__(self, card: BundleCard, session: onnxruntime.InferenceSession) -> None:
        self.card = card
        self.identity = ModelIdentity(card.model_id, card.onnx_sha256)
        self._session = session

    @property
    def takes_facts(self) -> bool:
        """Whether the model has learned to use what is known about cameras and animals."""
        return self.card.trained_on.get("rows_with_facts", 0) > 0

    @classmethod
    def load(cls, folder: PathLike | None = None) -> BoxModel:
        """Loads a bundle; None is the one embedded in trapmeter.

        Raises:
            ModelError: the bundle is missing, damaged or made for another version.
        """
        folder = EMBEDDED if folder is None else Path(folder)
        card, content = read_bundle(folder)
        options = onnxruntime.SessionOptions()
        # One thread always adds up the trees in the same order, so distances never change in their last digits.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        try:
            session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's exceptions have no other common base class
            raise ModelError(f"{folder / MODEL}: onnxruntime cannot load it: {error}") from error
        _check_shapes(folder / MODEL, session)
        return cls(card, session)

    def estimate(self, observations: Sequence[Observation], facts: Sequence[Facts] = ()) -> list[Distance]:
        """One distance for each observation, in the same order, including those without a box.

        Pass ALL observations of a run at once: unless it is told, the model knows the camera only from the animal's other
        seconds and the site's other videos. For a single observation without a box, it predicts about the median of all
        distances.

        Args:
            observations: of any number of sites.
            facts: what is known about each observation's camera and animal; empty if nothing is known.

        Raises:
            InputError: something is known, but the model was trained without facts.
        """
        if not observations:
            return []
        if not self.takes_facts and any(known != NO_FACTS for known in facts):
            raise InputError(
                f"the box model {self.identity.model_id} was trained without lenses and sizes of animals, so it can't use "
                "them; leave them out, use the built-in model, or train it with --simulated"
            )
        rows = features(observations, facts)
        (raw,) = self._session.run(None, {self._session.get_inputs()[0].name: rows})
        distances = distances_by_knowledge(
            np.asarray(raw, dtype=np.float64), knowledge_of(rows), self.card.uncertainties
        )
        return [
            replace(distance, doubt=doubt) if doubt else distance
            for distance, doubt in zip(distances, find_doubts(rows, self.card.seen), strict=True)
        ]


def _check_shapes(path: Path, session: onnxruntime.InferenceSession) -> None:
    inputs, outputs = session.get_inputs(), session.get_outputs()
    found = ([node.shape[1:] for node in inputs], [node.shape[1:] for node in outputs])
    expected = ([[len(FEATURES)]], [[3]])
    if found != expected:
        raise ModelError(f"{path}: expected inputs and outputs of n x {expected}, got n x {found}")
