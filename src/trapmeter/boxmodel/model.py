"""The box model in use: observations in, distances out. Needs onnxruntime, not LightGBM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime

from trapmeter.boxmodel.bundle import MODEL, BundleCard, read_bundle
from trapmeter.boxmodel.features import FEATURES, features
from trapmeter.boxmodel.intervals import to_distances
from trapmeter.boxmodel.novelty import find_doubts
from trapmeter.errors import ModelError
from trapmeter.records import Distance, ModelIdentity, Observation

EMBEDDED = Path(__file__).parent / "embedded"


class BoxModel:
    """Distance in metres and its 90 % interval from boxes alone.

    >>> model = BoxModel.load()
    >>> distances = model.measure(observations)    # of all media of a run in one call
    """

    def __init__(self, card: BundleCard, session: onnxruntime.InferenceSession) -> None:
        self.card = card
        self.identity = ModelIdentity(card.model_id, card.onnx_sha256)
        self._session = session

    @classmethod
    def load(cls, folder: Path | None = None) -> BoxModel:
        """Loads a bundle; None is the one that comes with trapmeter.

        Raises:
            ModelError: the bundle is missing, damaged or made for another version.
        """
        folder = EMBEDDED if folder is None else folder
        card, content = read_bundle(folder)
        options = onnxruntime.SessionOptions()
        # One thread adds up the trees in one order, so that a distance never changes in its last digits.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        try:
            session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's own exceptions have no common base but this
            raise ModelError(f"{folder / MODEL}: onnxruntime cannot load it: {error}") from error
        _check_shapes(folder / MODEL, session)
        return cls(card, session)

    def estimate(self, observations: Sequence[Observation]) -> list[Distance]:
        """One distance each, in the same order, also for observations without a box.

        Give ALL observations of a run at once: an animal's other seconds and the site's other videos are what the model
        knows of the camera. Without a box, neighbours and site it answers with about the median of all distances.
        """
        if not observations:
            return []
        rows = features(observations)
        (raw,) = self._session.run(None, {self._session.get_inputs()[0].name: rows})
        distances = to_distances(np.asarray(raw, dtype=np.float64), self.card.uncertainty)
        return [
            replace(distance, doubt=doubt) if doubt else distance
            for distance, doubt in zip(distances, find_doubts(rows, self.card.seen), strict=True)
        ]


def _check_shapes(path: Path, session: onnxruntime.InferenceSession) -> None:
    inputs, outputs = session.get_inputs(), session.get_outputs()
    came = ([node.shape[1:] for node in inputs], [node.shape[1:] for node in outputs])
    expected = ([[len(FEATURES)]], [[3]])
    if came != expected:
        raise ModelError(f"{path}: expected inputs and outputs of n x {expected}, got n x {came}")
