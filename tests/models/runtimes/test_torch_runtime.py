"""A bundle in torch predicts as in onnxruntime, or is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from models.test_bundle_security import make, mean_network, replace_network
from training_world import make_bundles, tiny_recipe
from trapmeter.errors import ModelError
from trapmeter.models.bundle import read_bundle
from trapmeter.models.input_spec import FrameEncoding
from trapmeter.models.runtimes.choice import Runtime, RuntimeChoice
from trapmeter.models.runtimes.network import Ensemble, open_network, open_or_fall_back
from trapmeter.models.runtimes.onnx_runtime import OnnxNetwork

torch = pytest.importorskip("torch")


def windows(folder: Path) -> np.ndarray:
    spec = read_bundle(folder).spec
    made = np.random.default_rng(1).integers(0, 256, (3, spec.n_channels, *spec.size_hw), np.uint8)
    if spec.box_channel:
        made[:, -1] = 0
        made[:2, -1, 8:20, 10:30] = 200
    return made


@pytest.mark.slow
def test_torch_predicts_as_onnxruntime_with_a_pooled_head(tmp_path: Path) -> None:
    folders = make_bundles(tmp_path)
    inputs = windows(folders[0])
    expected = Ensemble.load(folders, flip=True).predict_members(inputs)
    assert Ensemble.load(folders, flip=True, runtime=Runtime.TORCH).predict_members(inputs) == pytest.approx(
        expected, abs=1e-4
    )


@pytest.mark.slow
def test_torch_predicts_as_onnxruntime_with_a_locating_head(tmp_path: Path) -> None:
    from trapmeter.training.export import export_network
    from trapmeter.training.network import make_network
    from trapmeter.training.recipes import Head

    spec = replace(tiny_recipe().input, frames=FrameEncoding.MOTION, box_channel=True)
    torch.manual_seed(0)
    export_network(
        make_network("test_efficientnet", spec, "none", Head.LOCATING), spec, tmp_path, "locating", "MIT", {}
    )
    inputs = windows(tmp_path)
    expected = OnnxNetwork(read_bundle(tmp_path)).metres(inputs)
    threads = torch.get_num_threads()
    network = open_network(read_bundle(tmp_path), Runtime.TORCH, threads + 1)
    assert torch.get_num_threads() == threads
    assert network.bundle.identity.model_id == "locating"
    assert network.metres(inputs) == pytest.approx(expected, abs=1e-4)
    assert network.metres(inputs[:1]) == pytest.approx(expected[:1], abs=1e-4)


def one_node(op_type: str, **attributes: object) -> onnx.ModelProto:
    """The mean network with one more node after its first."""
    network = mean_network()
    graph = network.graph
    first = graph.node[0]
    graph.node.insert(1, helper.make_node(op_type, [first.output[0]], ["changed"], **attributes))
    graph.node[2].input[0] = "changed"
    return network


def test_a_missing_operator_is_refused_with_advice(tmp_path: Path) -> None:
    folder = make(tmp_path / "bundle")
    replace_network(folder, one_node("Asinh").SerializeToString())
    OnnxNetwork(read_bundle(folder)).metres(windows(folder))
    with pytest.raises(ModelError, match="torch has no Asinh here; use --runtime onnxruntime"):
        open_network(read_bundle(folder), Runtime.TORCH)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes `auto` choose torch, as if there were a GPU; torch itself still finds none."""
    from trapmeter.models.runtimes import choice

    monkeypatch.setattr(choice, "is_gpu_available", lambda: True)


@pytest.mark.usefixtures("gpu")
def test_auto_falls_back_to_onnxruntime_and_says_so(tmp_path: Path) -> None:
    folder = make(tmp_path / "bundle")

    def load(runtime: Runtime) -> Ensemble:
        return Ensemble.load([folder], flip=False, runtime=runtime)

    assert open_or_fall_back(Runtime.AUTO, load)[1] == RuntimeChoice(Runtime.TORCH, "torch is installed and has a GPU")
    replace_network(folder, one_node("Asinh").SerializeToString())
    ensemble, chosen = open_or_fall_back(Runtime.AUTO, load)
    assert chosen.runtime is Runtime.ONNXRUNTIME
    assert "has a GPU, but torch can't run a network" in chosen.reason
    assert "Asinh" in chosen.reason
    assert ensemble.metres(windows(folder)).shape == (3,)
    with pytest.raises(ModelError, match="Asinh"):
        open_or_fall_back(Runtime.TORCH, load)


@pytest.mark.usefixtures("gpu")
def test_predict_falls_back_too_and_records_it(tmp_path: Path) -> None:
    from PIL import Image

    from trapmeter import predict

    folder = make(tmp_path / "bundle")
    replace_network(folder, one_node("Asinh").SerializeToString())
    Image.effect_noise((64, 48), 90).save(tmp_path / "photo.jpg")
    run = predict(tmp_path / "photo.jpg", out=tmp_path / "out", models=[folder], detect=False).run
    assert run.facts["runtime"]["runtime"] == "onnxruntime"
    assert "torch can't run a network" in run.facts["runtime"]["why"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.torch.jit.:FutureWarning")
@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize("backbone", ["tf_efficientnetv2_b0", "test_vit"])
def test_an_imported_network_runs_where_there_is_a_gpu(backbone: str, tmp_path: Path) -> None:
    import timm

    from models.published_world import SPEC
    from trapmeter.training.torchscript import ConversionJob, convert

    torch.manual_seed(0)
    size = {"img_size": SPEC.size_hw} if "vit" in backbone else {}
    network = timm.create_model(backbone, num_classes=1, in_chans=SPEC.n_channels, **size).eval()
    torch.nn.init.constant_(network.get_classifier().bias, 5.0)
    program = torch.jit.trace(network, torch.rand(1, SPEC.n_channels, *SPEC.size_hw))
    torch.jit.save(program, str(tmp_path / "network.pt"))
    (tmp_path / "bundle").mkdir()
    convert(ConversionJob(tmp_path / "network.pt", tmp_path / "bundle", "imported", SPEC, "MIT", {}))
    inputs = windows(tmp_path / "bundle")
    ensemble, chosen = open_or_fall_back(
        Runtime.AUTO, lambda runtime: Ensemble.load([tmp_path / "bundle"], flip=True, runtime=runtime)
    )
    assert chosen.runtime is Runtime.TORCH
    expected = Ensemble.load([tmp_path / "bundle"], flip=True)
    assert ensemble.metres(inputs) == pytest.approx(expected.metres(inputs), abs=1e-4)


def test_predictions_that_differ_from_onnxruntime_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from trapmeter.models.runtimes import torch_operators

    folder = make(tmp_path / "bundle")
    replace_network(folder, one_node("Sqrt").SerializeToString())
    network = open_network(read_bundle(folder), Runtime.TORCH)
    assert network.metres(windows(folder)) == pytest.approx(OnnxNetwork(read_bundle(folder)).metres(windows(folder)))
    monkeypatch.setitem(torch_operators.OPERATORS, "Sqrt", torch.square)
    with pytest.raises(ModelError, match="torch and onnxruntime differ by"):
        open_network(read_bundle(folder), Runtime.TORCH)


RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 4, 6, 6)).astype(np.float32)
CASES = [
    ("Conv", [X, RNG.normal(size=(6, 2, 3, 3))], {"group": 2, "pads": [0, 1, 2, 1], "strides": [2, 2]}),
    ("Conv", [X, RNG.normal(size=(3, 4, 1, 1)), RNG.normal(size=3)], {}),
    ("Gemm", [X[0, 0], X[0, 1], X[0, 2]], {"transA": 1, "alpha": 0.5, "beta": 2.0}),
    ("Gemm", [X[0, 0], X[0, 1]], {"transB": 1}),
    ("Slice", [X, [1, -3], [4, 99], [1, 3], [2, 1]], {}),
    ("Slice", [X, [0, 1], [1, 3]], {}),
    ("Gather", [X, [[0, -1], [2, 1]]], {"axis": 2}),
    ("Gather", [[5, 6, 7], np.array(1)], {}),
    ("ReduceMean", [X, [2, 3]], {"keepdims": 0}),
    ("ReduceSum", [X], {}),
    ("Squeeze", [X[:, :1], [1]], {}),
    ("Squeeze", [X[:1, :1]], {}),
    ("Unsqueeze", [X, [0, -1]], {}),
    ("Reshape", [X, [0, -1, 3]], {}),
    ("Reshape", [X, [2, -1, 3]], {"allowzero": 1}),
    ("Reshape", [[7], np.zeros(0, np.int64)], {}),
    ("Expand", [X[:, :1], [2, 4, 1, 6]], {}),
    ("Resize", [X, None, None, [2, 4, 9, 13]], {"mode": "linear"}),
    ("Resize", [X, None, np.array([1, 1, 1.5, 2], np.float32)], {"mode": "linear"}),
    ("Softmax", [X], {"axis": 1}),
    ("Clip", [X, np.float32(-0.5)], {}),
    ("Max", [X, X[:1], X[:, :1]], {}),
    ("Transpose", [X], {"perm": [0, 2, 3, 1]}),
    ("Flatten", [X], {"axis": 2}),
    ("Shape", [X], {"start": 1, "end": 3}),
    ("Cast", [X], {"to": TensorProto.INT32}),
    ("Div", [np.array([-7, 7, 9]), np.array([2, 2, 4])], {}),
    ("GlobalAveragePool", [X], {}),
    ("Concat", [X, X], {"axis": 1}),
    ("MatMul", [X, X], {}),
    ("Pow", [np.abs(X), np.float32(2)], {}),
    ("Slice", [X, [-1, 99], [-99, 1], [2, 3], [-1, -2]], {}),
    ("Pad", [X, [0, 0, 1, 2, 0, 0, 3, 4]], {}),
    ("Pad", [X, [1, -1, 2, 0], np.float32(2.5), [3, 2]], {}),
    ("Pad", [X, [0, 0, 1, 2, 0, 0, 0, 3]], {"mode": "reflect"}),
    ("Pad", [X, [0, 0, 1, 0, 0, 0, 2, 0]], {"mode": "edge"}),
    ("ConstantOfShape", [[2, 3]], {}),
    ("ConstantOfShape", [[2]], {"value": numpy_helper.from_array(np.array([7]))}),
    ("Split", [X], {"axis": 2, "num_outputs": 3}),
    ("Split", [X, [1, 3]], {"axis": 1}),
    ("MaxPool", [X], {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}),
    ("MaxPool", [X], {"kernel_shape": [3, 2], "strides": [2, 2], "pads": [0, 0, 1, 1]}),
    ("AveragePool", [X], {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}),
    ("AveragePool", [X], {"kernel_shape": [3, 3], "pads": [0, 0, 1, 1], "count_include_pad": 1}),
    ("AveragePool", [X], {"kernel_shape": [4, 4], "strides": [3, 3], "ceil_mode": 1}),
    ("BatchNormalization", [X, X[0, :, 0, 0], X[0, :, 0, 1], X[0, :, 1, 0], np.abs(X[0, :, 1, 1])], {}),
    ("LayerNormalization", [X, X[0, 0], X[0, 1]], {"axis": 2}),
    ("InstanceNormalization", [X, X[0, :, 0, 0], X[0, :, 0, 1]], {}),
    ("HardSigmoid", [X], {}),
    ("HardSwish", [X], {}),
    ("Gelu", [X], {"approximate": "tanh"}),
    ("Erf", [X], {}),
    ("LeakyRelu", [X], {}),
    ("PRelu", [X, np.full((4, 1, 1), 0.1, np.float32)], {}),
    ("Softplus", [X], {}),
    ("Ceil", [X], {}),
    ("Round", [X * 4], {}),
    ("Mod", [np.array([-7, 7]), np.array([3, -3])], {}),
    ("Mod", [X, np.float32(0.3)], {"fmod": 1}),
    ("Where", [X > 0, X, np.float32(9)], {}),
    ("ReduceL2", [X, [1]], {}),
    ("ReduceProd", [X, [0, 2]], {"keepdims": 0}),
    ("CumSum", [X, np.array(2)], {}),
    ("Tile", [X, [1, 2, 1, 3]], {}),
    ("Range", [np.array(1), np.array(9), np.array(3)], {}),
    ("Einsum", [X, X], {"equation": "nchw,nchv->nwv"}),
    ("DepthToSpace", [X], {"blocksize": 2}),
    ("DepthToSpace", [X], {"blocksize": 2, "mode": "CRD"}),
    ("GlobalMaxPool", [X], {}),
    ("Sum", [X, X[:1], X], {}),
    ("Transpose", [X], {}),
]


def as_array(value: object) -> np.ndarray:
    array = np.asarray(value)
    return array.astype(np.float32) if array.dtype == np.float64 else array


@pytest.mark.parametrize(
    ("op_type", "inputs", "attributes"), CASES, ids=lambda value: value if isinstance(value, str) else ""
)
def test_operators_agree_with_onnxruntime(op_type: str, inputs: list[object], attributes: dict[str, object]) -> None:
    import onnxruntime

    from trapmeter.models.runtimes.torch_operators import OPERATORS

    arrays = [None if value is None else as_array(value) for value in inputs]
    names = ["" if array is None else f"in{number}" for number, array in enumerate(arrays)]
    weights = [numpy_helper.from_array(a, n) for a, n in zip(arrays, names, strict=True) if a is not None]
    n_outputs = attributes.get("num_outputs", 2) if op_type == "Split" else 1
    outputs = ["out", *(f"out{number}" for number in range(1, n_outputs))]
    node = helper.make_node(op_type, names, outputs, **attributes)
    graph = helper.make_graph([node], "one", [], [onnx.ValueInfoProto(name="out")], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    (expected,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {})
    named = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    if "value" in named:
        named["value"] = torch.from_numpy(numpy_helper.to_array(named["value"]).copy())
    tensors = [None if array is None else torch.from_numpy(array.copy()) for array in arrays]
    made = OPERATORS[op_type](*tensors, **named)
    found = (made if isinstance(made, torch.Tensor) else made[0]).numpy()
    assert found.shape == expected.shape
    assert found == pytest.approx(expected, abs=1e-5)
