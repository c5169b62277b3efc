"""The choice of a runtime, and equal predictions from all of them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from models.test_bundle_security import SPEC, make, mean_network, replace_network
from trapmeter.errors import MissingExtraError, ModelError
from trapmeter.models.bundle import read_bundle
from trapmeter.models.runtimes import choice
from trapmeter.models.runtimes.choice import Runtime, choose_runtime, read_cpu_flags
from trapmeter.models.runtimes.network import Ensemble, open_network

WINDOWS = np.random.default_rng(0).integers(0, 256, (3, SPEC.n_channels, *SPEC.size_hw), np.uint8)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return make(tmp_path / "bundle")


@pytest.mark.parametrize(
    ("requested", "installed", "has_gpu", "flags", "expected", "reason"),
    [
        (Runtime.AUTO, set(), True, {"amx_bf16"}, Runtime.ONNXRUNTIME, "not installed"),
        (Runtime.AUTO, {"openvino"}, False, {"avx2"}, Runtime.ONNXRUNTIME, "no fast bf16"),
        (Runtime.AUTO, {"openvino"}, True, {"avx2", "amx_bf16"}, Runtime.OPENVINO, "has bf16"),
        (Runtime.AUTO, {"openvino", "torch", "onnx"}, False, {"amx_bf16"}, Runtime.OPENVINO, "has bf16"),
        (Runtime.AUTO, {"openvino", "torch", "onnx"}, True, {"amx_bf16"}, Runtime.TORCH, "has a GPU"),
        (Runtime.AUTO, {"torch"}, True, set(), Runtime.ONNXRUNTIME, "not installed"),
        (Runtime.OPENVINO, {"openvino"}, False, set(), Runtime.OPENVINO, "requested"),
        (Runtime.TORCH, {"torch", "onnx"}, False, set(), Runtime.TORCH, "requested"),
        (Runtime.ONNXRUNTIME, {"openvino"}, True, {"amx_bf16"}, Runtime.ONNXRUNTIME, "requested"),
    ],
)
def test_the_choice_and_its_reason(
    requested: Runtime,
    installed: set[str],
    has_gpu: bool,
    flags: set[str],
    expected: Runtime,
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(choice, "find_spec", lambda name: object() if name in installed else None)
    chosen = choose_runtime(requested, frozenset(flags), has_gpu=has_gpu)
    assert chosen.runtime is expected
    assert reason in chosen.reason


def test_a_requested_runtime_that_is_not_installed_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"trapmeter\[openvino\]"):
        choose_runtime(Runtime.OPENVINO)
    with pytest.raises(MissingExtraError, match=r"trapmeter\[train\]"):
        choose_runtime(Runtime.TORCH)


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx512_bf16\n\nprocessor\t: 1\nflags\t\t: fpu\n", {"fpu", "avx512_bf16"}),
        ("processor\t: 0\nBogoMIPS\t: 243.75\n", set()),
    ],
    ids=["of the first processor", "none"],
)
def test_cpu_flags_are_read_as_linux_lists_them(text: str, flags: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: text)
    assert read_cpu_flags() == flags


def test_without_cpuinfo_there_are_no_cpu_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(path: Path, **_: object) -> str:
        raise FileNotFoundError(path)

    monkeypatch.setattr(Path, "read_text", missing)
    assert read_cpu_flags() == frozenset()


def test_openvino_predicts_as_onnxruntime_does(bundle: Path) -> None:
    pytest.importorskip("openvino")
    from trapmeter.models.runtimes.openvino_runtime import OpenvinoNetwork

    expected = open_network(read_bundle(bundle), Runtime.ONNXRUNTIME).metres(WINDOWS)
    assert OpenvinoNetwork(read_bundle(bundle), precision="f32").metres(WINDOWS) == pytest.approx(expected, abs=1e-4)
    ensemble = Ensemble.load([bundle], flip=True, runtime=Runtime.OPENVINO)
    # bf16 has eight bits for the fraction.
    assert ensemble.metres(WINDOWS) == pytest.approx(expected, rel=0.01)
    assert ensemble.metres(WINDOWS[:1]) == pytest.approx(expected[:1], rel=0.01)


@pytest.mark.parametrize("runtime", [Runtime.ONNXRUNTIME, Runtime.OPENVINO, Runtime.TORCH])
@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (mean_network(shape=("n", 3, 64, 48)), "expected the input"),
        (mean_network(dtype=1), "expected the input"),
        (mean_network(axes=(2, 3)), "expected a number for each"),
        (mean_network(factor=float("nan")), "0 of them finite"),
    ],
    ids=["size", "float in", "many outputs", "not a number"],
)
def test_every_runtime_refuses_a_network_that_does_not_match_its_card(
    bundle: Path, runtime: Runtime, model: object, reason: str
) -> None:
    if runtime is not Runtime.ONNXRUNTIME:
        pytest.importorskip(runtime)
    replace_network(bundle, model.SerializeToString())
    with pytest.raises(ModelError, match=reason):
        open_network(read_bundle(bundle), runtime).metres(WINDOWS)


def test_openvino_telemetry_is_never_loaded(bundle: Path, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    (tmp_path / "openvino_telemetry").mkdir()
    (tmp_path / "openvino_telemetry/__init__.py").write_text("raise SystemExit('telemetry was loaded')")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from pathlib import Path; import socket, numpy as np\n"
        "def refuse(*_): raise SystemExit('a connection was opened')\n"
        "socket.socket.connect = refuse\n"
        "from trapmeter.models.bundle import read_bundle\n"
        "from trapmeter.models.runtimes.network import open_network, Runtime\n"
        f"network = open_network(read_bundle(Path({str(bundle)!r})), Runtime.OPENVINO)\n"
        f"print(network.metres(np.zeros({(1, SPEC.n_channels, *SPEC.size_hw)}, np.uint8)))\n"
        "assert sys.modules['openvino_telemetry'] is None"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "[0.]"), done.stderr
