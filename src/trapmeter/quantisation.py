"""Quantises a bundle to 8-bit integers, for about half the CPU time, if its error hardly grows.

Static quantisation by onnxruntime: real windows set the ranges of all values between the backbone's convolutions, and each
channel's weights have their own scale. The first layers and the head, which computes metres, stay in 32-bit floats. The
result is kept only if its error on windows of other videos is hardly larger.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trapmeter.errors import InputError, ModelError
from trapmeter.frames.store import FrameStore
from trapmeter.models.bundle import Bundle, read_bundle, write_bundle
from trapmeter.models.fact_inputs import FACT_INPUTS
from trapmeter.models.network_input import fact_inputs, network_input
from trapmeter.models.runtimes.network import FACTS, WINDOWS, Network
from trapmeter.models.runtimes.onnx_runtime import OnnxNetwork
from trapmeter.progress import Announce
from trapmeter.records import Box, VideoSecond
from trapmeter.tables.drivendata import Label, best_box_rows, read_labels
from trapmeter.training.training_log import held_out_videos

BATCH_SIZE = 8
MAX_ERROR_INCREASE = 0.01
"""As a share of the error before."""
HEAD_MARK = ".head."
"""Occurs in the names of the weights of trapmeter's own heads."""
N_FLOAT_CONVOLUTIONS = 3
"""The first convolutions, which stay in floats. This costs no time, and the error at held-out sites grows from 1.825 to only
1.836 m instead of 1.858 m (simtrap)."""


@dataclass(frozen=True, slots=True)
class QuantiseSettings:
    """The arguments of `trapmeter models quantise`."""

    bundle: Path
    store: Path
    labels: Path
    out: Path
    metadata: Path | None = None
    n_calibration: int = 128
    """Number of windows that set the ranges of values."""

    def __post_init__(self) -> None:
        if self.n_calibration < 1:
            raise InputError(f"--calibration is a number of windows, at least 1, got {self.n_calibration}")


@dataclass(frozen=True, slots=True)
class QuantisationResult:
    """A network in 8 bits, and the mean absolute errors in metres before and after, on n_judged windows."""

    bundle: Bundle
    before_mae_m: float
    after_mae_m: float
    n_judged: int


def quantise(settings: QuantiseSettings, announce: Announce) -> QuantisationResult:
    """Writes the bundle in 8 bits, unless its error on windows of other videos grows by more than MAX_ERROR_INCREASE.

    Raises:
        InputError: a table or the store is wrong, or there are too few videos.
        ModelError: the bundle is damaged, can't be quantised, or its error would grow; nothing is written.
    """
    bundle = read_bundle(settings.bundle)
    store = FrameStore.open(settings.store)
    store.spec.check_serves(bundle.spec)
    boxes = {second: row.box for second, row in best_box_rows(settings.metadata).items()}
    for_calibration, for_judging = split_labels(read_labels(settings.labels), held_out_videos(settings.bundle))
    chosen = np.random.default_rng(0).permutation(len(for_calibration))[: settings.n_calibration]
    windows = _windows([for_calibration[index] for index in chosen.tolist()], store, boxes, bundle)
    announce(f"calibrates on {len(windows)} windows, compares errors on {len(for_judging)} of other videos")
    network = to_int8(bundle, windows)
    provenance = {**bundle.provenance, "quantised_from": bundle.identity.sha256}
    model_id = f"{bundle.identity.model_id}-int8"
    with tempfile.TemporaryDirectory() as folder:
        trial = write_bundle(Path(folder), network, model_id, bundle.spec, bundle.licence, provenance)
        truth = np.array([label.distance_m for label in for_judging])
        errors = _errors(
            [OnnxNetwork(bundle), OnnxNetwork(read_bundle(trial.folder))], for_judging, truth, store, boxes
        )
    before_m, after_m = (float(error.mean()) for error in errors)
    if not after_m <= before_m * (1 + MAX_ERROR_INCREASE):
        raise ModelError(
            f"{settings.bundle}: in 8 bits its error would be {after_m:.3f} m instead of {before_m:.3f} m, more than "
            f"{MAX_ERROR_INCREASE:.0%} larger; nothing was written. Calibrate on more or other windows, or keep the bundle"
        )
    provenance["quantised"] = {
        "precision": "int8",
        "calibration_windows": len(windows),
        "judged_windows": len(for_judging),
        "mae_before_m": before_m,
        "mae_after_m": after_m,
    }
    intervals = bundle.uncertainty, bundle.uncertainty_told
    quantised = write_bundle(settings.out, network, model_id, bundle.spec, bundle.licence, provenance, *intervals)
    return QuantisationResult(quantised, before_m, after_m, len(for_judging))


def split_labels(labels: Sequence[Label], held_out: frozenset[str]) -> tuple[list[Label], list[Label]]:
    """Labels for calibration and labels for judging.

    held_out: videos that the network was not trained on. If the labels have any of them, these judge; otherwise every other
    video does.

    Raises:
        InputError: one of the lists would be empty.
    """
    videos = sorted({label.video_id for label in labels})
    judges = held_out & set(videos) or set(videos[1::2])
    for_calibration = [label for label in labels if label.video_id not in judges]
    for_judging = [label for label in labels if label.video_id in judges]
    if not for_calibration or not for_judging:
        raise InputError(
            "labels of at least two videos are needed, one for calibration and one for judging, and the network must have "
            "been trained on one of them"
        )
    return for_calibration, for_judging


def to_int8(bundle: Bundle, windows: NDArray[np.uint8]) -> bytes:
    """The network with its backbone's convolutions in 8 bits; windows (n, channels, height, width) set the ranges.

    Raises:
        ModelError: onnxruntime can't do it.
    """
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Windows(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._rest = iter([windows[start : start + BATCH_SIZE] for start in range(0, len(windows), BATCH_SIZE)])

        def get_next(self) -> dict[str, Any] | None:
            batch = next(self._rest, None)
            if batch is None:
                return None
            # Facts don't reach the backbone, so usual ones do as well as true ones.
            usual = np.array([FACT_INPUTS[name].mean for name in bundle.spec.facts], np.float32)
            return {WINDOWS: batch, FACTS: np.tile(usual, (len(batch), 1))} if len(usual) else {WINDOWS: batch}

    nodes = quantisable_nodes(onnx.load(str(bundle.network)).graph)
    if not nodes:
        raise ModelError(f"{bundle.network}: it has no convolutions that can work in 8 bits")
    with tempfile.TemporaryDirectory() as folder, _without_warnings():
        path = Path(folder) / "int8.onnx"
        try:
            quantize_static(
                str(bundle.network),
                str(path),
                Windows(),
                quant_format=QuantFormat.QDQ,
                nodes_to_quantize=nodes,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            )
        except Exception as error:  # onnxruntime's exceptions have no other base in common
            raise ModelError(f"{bundle.network}: onnxruntime can't quantise it: {error}") from error
        return path.read_bytes()


def quantisable_nodes(graph: Any) -> list[str]:
    """Names of the nodes that may work in 8 bits: convolutions but for the first and the head's, and what follows them."""
    names: list[str] = []
    integer_tensors: set[str] = set()
    n_convolutions = 0
    constant = {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        sources = [name for name in node.input if name and name not in constant]
        is_quantisable = (
            node.op_type in ("Clip", "Relu", "Add") and len(sources) > 0 and integer_tensors.issuperset(sources)
        )
        if node.op_type == "Conv" and HEAD_MARK not in node.input[1]:
            n_convolutions += 1
            is_quantisable = n_convolutions > N_FLOAT_CONVOLUTIONS
        if is_quantisable:
            names.append(node.name)
            integer_tensors.update(node.output)
    return names


def _windows(
    labels: Sequence[Label], store: FrameStore, boxes: Mapping[VideoSecond, Box | None], bundle: Bundle
) -> NDArray[np.uint8]:
    spec = bundle.spec
    return np.stack([
        network_input(
            store.window(label.video_id, label.time_s, spec.offsets_s, spec.edge),
            boxes.get(label.second),
            spec,
        )
        for label in labels
    ])  # fmt: skip


def _errors(
    networks: Sequence[Network],
    labels: Sequence[Label],
    truth: NDArray[np.float64],
    store: FrameStore,
    boxes: Mapping[VideoSecond, Box | None],
) -> NDArray[np.float64]:
    """Absolute errors in metres: (networks, labels). Nothing but the boxes is known of the animals and cameras."""
    batches = []
    for start in range(0, len(labels), BATCH_SIZE):
        windows = _windows(labels[start : start + BATCH_SIZE], store, boxes, networks[0].bundle)
        facts = fact_inputs(
            [boxes.get(label.second) for label in labels[start : start + BATCH_SIZE]], networks[0].bundle.spec
        )
        batches.append([network.metres(windows, facts) for network in networks])
    return np.abs(np.concatenate(batches, axis=1) - truth)


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Silences onnxruntime's advice, which is for people who quantise by hand."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
