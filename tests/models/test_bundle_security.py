"""Forged and damaged bundles are refused with a reason before any runtime opens them."""

import json
import os
import shutil
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trapmeter.errors import InputError, ModelError
from trapmeter.files import sha256_of
from trapmeter.models import bundle as archive
from trapmeter.models.bundle import (
    CARD_FILE,
    MAX_CARD_BYTES,
    NETWORK_FILE,
    is_bundle_archive,
    pack_bundle,
    read_bundle,
    unpack_bundle,
    write_bundle,
)
from trapmeter.models.input_spec import InputSpec
from trapmeter.models.runtimes.onnx_runtime import OnnxNetwork, check_bundle

onnx = pytest.importorskip("onnx")

SPEC = InputSpec((32, 48), (0.0,))


def mean_network(
    *,
    dtype: int = onnx.TensorProto.UINT8,
    shape: tuple[Any, ...] = ("n", 3, 32, 48),
    out: int = onnx.TensorProto.FLOAT,
    factor: float = 0.1,
    axes: tuple[int, ...] = (1, 2, 3),
) -> Any:
    """An ONNX model that predicts the mean of the window times a factor."""
    helper = onnx.helper
    nodes = [
        helper.make_node("Cast", ["windows"], ["floats"], to=onnx.TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats", "axes"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "factor"], ["product"]),
        helper.make_node("Cast", ["product"], ["metres"], to=out),
    ]
    weights = [
        onnx.numpy_helper.from_array(np.array(axes, np.int64), "axes"),
        onnx.numpy_helper.from_array(np.array(factor, np.float32), "factor"),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("windows", dtype, shape)],
        [helper.make_tensor_value_info("metres", out, None)],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def make(folder: Path, model: Any = None) -> Path:
    network = (mean_network() if model is None else model).SerializeToString()
    write_bundle(folder, network, "mean", SPEC, "MIT", {})
    return folder


def replace_network(folder: Path, content: bytes) -> None:
    """Replaces the network, and its checksum in the card."""
    (folder / NETWORK_FILE).write_bytes(content)
    change_card(folder, sha256=sha256_of(folder / NETWORK_FILE))


def change_card(folder: Path, **changes: object) -> None:
    card = json.loads((folder / CARD_FILE).read_text()) | changes
    (folder / CARD_FILE).write_text(json.dumps(card))


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return make(tmp_path / "bundle")


def test_a_sound_bundle_is_read_and_predicts(bundle: Path) -> None:
    windows = np.full((2, 3, 32, 48), 100, np.uint8)
    assert OnnxNetwork(check_bundle(bundle)).metres(windows) == pytest.approx([10.0, 10.0])


def test_a_wrong_checksum_is_refused(bundle: Path) -> None:
    change_card(bundle, sha256="0" * 64)
    with pytest.raises(ModelError, match="expected sha256 0000"):
        read_bundle(bundle)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.99])
def test_a_truncated_network_is_refused(bundle: Path, share: float) -> None:
    content = (bundle / NETWORK_FILE).read_bytes()
    replace_network(bundle, content[: int(len(content) * share)])
    with pytest.raises(ModelError, match=r"cut off or damaged|is empty|contains no graph"):
        read_bundle(bundle)


@pytest.mark.parametrize(
    "content", [b"GIF89a" + bytes(100), b"\xff" * 200, b"PK\x03\x04" * 50, b"\x3a\x00", b"\x08\x07"]
)
def test_a_network_file_of_another_format_is_refused(bundle: Path, content: bytes) -> None:
    replace_network(bundle, content)
    with pytest.raises(ModelError, match=r"not opened, since|can't open"):
        check_bundle(bundle)


def test_any_changed_byte_is_refused_or_harmless(bundle: Path) -> None:
    content = (bundle / NETWORK_FILE).read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(60):
        changed = bytearray(content)
        changed[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
        replace_network(bundle, bytes(changed))
        try:
            check_bundle(bundle)
        except ModelError:
            continue


@pytest.mark.parametrize("place", ["../../secret.bin", "/etc/hostname", "beside.bin"])
@pytest.mark.parametrize("where", ["weights", "constant", "branch"])
def test_weights_in_other_files_are_refused(bundle: Path, place: str, where: str) -> None:
    model = mean_network()
    tensor = onnx.numpy_helper.from_array(np.zeros(4, np.float32), "w")
    onnx.external_data_helper.set_external_data(tensor, place)
    tensor.ClearField("raw_data")
    constant = onnx.helper.make_node("Constant", [], ["c"], value=tensor)
    if where == "weights":
        model.graph.initializer.append(tensor)
    elif where == "constant":
        model.graph.node.append(constant)
    else:
        inner = onnx.helper.make_graph([constant], "inner", [], [])
        model.graph.node.append(onnx.helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner))
    replace_network(bundle, model.SerializeToString())
    with pytest.raises(ModelError, match="weights from another file"):
        read_bundle(bundle)


@pytest.mark.parametrize("dims", [[1 << 40], [1 << 20, 1 << 20], [-1, 4], [2, 2, 2]])
def test_tensors_of_impossible_shape_are_refused(bundle: Path, dims: list[int]) -> None:
    model = mean_network()
    model.graph.initializer.append(
        onnx.TensorProto(name="w", data_type=onnx.TensorProto.FLOAT, dims=dims, raw_data=bytes(16))
    )
    replace_network(bundle, model.SerializeToString())
    with pytest.raises(ModelError, match="tensor of shape"):
        read_bundle(bundle)


def test_operators_of_an_unknown_library_are_refused(bundle: Path) -> None:
    model = mean_network()
    model.opset_import.append(onnx.helper.make_opsetid("evil", 1))
    model.graph.node.append(onnx.helper.make_node("Run", ["mean"], ["y"], domain="evil"))
    replace_network(bundle, model.SerializeToString())
    with pytest.raises(ModelError, match="operators of 'evil'"):
        read_bundle(bundle)


def test_deeply_nested_graphs_are_refused(bundle: Path) -> None:
    inner = b""
    for _ in range(200):
        # graph -> node (1) -> attribute (5) -> graph (6)
        for field in (6, 5, 1):
            inner = bytes([field << 3 | 2]) + _length(inner) + inner
    replace_network(bundle, bytes([7 << 3 | 2]) + _length(inner) + inner)
    with pytest.raises(ModelError, match="too deep"):
        read_bundle(bundle)


def _length(content: bytes) -> bytes:
    number, out = len(content), b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (mean_network(dtype=onnx.TensorProto.FLOAT), "expected the input"),
        (mean_network(shape=("n", 3, 64, 48)), "expected the input"),
        (mean_network(shape=("n", 16, 32, 48)), "expected the input"),
        (mean_network(out=onnx.TensorProto.DOUBLE), "expected the output"),
        (mean_network(axes=(2, 3)), "expected a number for each"),
        (mean_network(factor=float("nan")), "0 of them finite"),
    ],
    ids=["float in", "other size", "other channels", "double out", "many outputs", "not a number"],
)
def test_a_network_that_does_not_match_its_card_is_refused(bundle: Path, model: Any, reason: str) -> None:
    replace_network(bundle, model.SerializeToString())
    with pytest.raises(ModelError, match=reason):
        check_bundle(bundle)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("size_hw", [1, 1]),
        ("size_hw", [4096, 100000]),
        ("size_hw", [float("inf"), 32]),
        ("size_hw", "big"),
        ("size_hw", []),
        ("offsets_s", []),
        ("offsets_s", [0.0] * 1000),
        ("offsets_s", [0.0, float("nan")]),
        ("offsets_s", [0.0, 1e300]),
        ("offsets_s", ["x"]),
        ("box_channel", "yes"),
        ("resize", "evil"),
        ("more", 1),
    ],
)
def test_a_card_with_an_invalid_input_is_refused(bundle: Path, key: str, value: object) -> None:
    change_card(bundle, input=SPEC.to_json() | {key: value})
    with pytest.raises(ModelError, match="not a card of trapmeter"):
        read_bundle(bundle)


def test_windows_that_would_fill_the_memory_are_refused(bundle: Path) -> None:
    change_card(bundle, input=SPEC.to_json() | {"size_hw": [4096, 4096], "offsets_s": [float(i) for i in range(60)]})
    with pytest.raises(ModelError, match="a window has at most"):
        read_bundle(bundle)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "[" * 100_000,
        '{"trapmeter_bundle": 1}',
        "\xff",
        "1e999",
        '{"trapmeter_bundle": 1, "input": 7}',
    ],
    ids=range(9),
)
def test_a_file_that_is_not_a_card_is_refused(bundle: Path, text: str) -> None:
    (bundle / CARD_FILE).write_bytes(text.encode("latin-1"))
    with pytest.raises(ModelError, match="not a card of trapmeter"):
        read_bundle(bundle)


@pytest.mark.parametrize("name", ["", "x" * 201, "a\nb", "a\x1b[31m", 7])
def test_a_card_with_an_unprintable_name_is_refused(bundle: Path, name: object) -> None:
    change_card(bundle, model_id=name)
    with pytest.raises(ModelError, match="printable text"):
        read_bundle(bundle)


def test_a_giant_card_is_refused(bundle: Path) -> None:
    change_card(bundle, provenance={"x": "y" * MAX_CARD_BYTES})
    with pytest.raises(ModelError, match="expected at most 1,000,000 bytes"):
        read_bundle(bundle)


@pytest.mark.skipif(os.name != "posix", reason="needs FIFOs and devices of Unix")
@pytest.mark.parametrize("name", [CARD_FILE, NETWORK_FILE])
def test_pipes_and_devices_are_refused_without_waiting(bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    os.mkfifo(bundle / name)
    with pytest.raises(ModelError, match="not a file"):
        read_bundle(bundle)
    (bundle / name).unlink()
    (bundle / name).symlink_to("/dev/zero")
    with pytest.raises(ModelError, match="not a file"):
        read_bundle(bundle)


def test_a_bundle_is_unpacked_from_a_zip_file(bundle: Path, tmp_path: Path) -> None:
    pack_bundle(bundle, tmp_path / "b.zip")
    assert is_bundle_archive(tmp_path / "b.zip")
    (tmp_path / "out").mkdir()
    unpack_bundle(tmp_path / "b.zip", tmp_path / "out")
    assert read_bundle(tmp_path / "out").identity == read_bundle(bundle).identity


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "sub/model.onnx", "..\\evil", "model.onnx", "C:\\x"])  # noqa: S108
def test_a_zip_file_with_other_files_is_not_unpacked(bundle: Path, tmp_path: Path, name: str) -> None:
    pack_bundle(bundle, tmp_path / "b.zip")
    with zipfile.ZipFile(tmp_path / "b.zip", "a") as file, pytest.MonkeyPatch.context() as patch:
        patch.setattr("warnings.warn", lambda *_, **__: None)
        file.writestr(name, b"x")
    (tmp_path / "out").mkdir()
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(ModelError, match="once each and nothing else"):
        unpack_bundle(tmp_path / "b.zip", tmp_path / "out")
    assert not any((tmp_path / "out").iterdir())
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_zip_bomb_is_stopped_at_the_limit(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(archive.ARCHIVE_LIMITS, CARD_FILE, 1000)
    (bundle / CARD_FILE).write_bytes(bytes(3_000_000))
    with zipfile.ZipFile(tmp_path / "b.zip", "w", zipfile.ZIP_DEFLATED) as file:
        for name in (CARD_FILE, NETWORK_FILE):
            file.write(bundle / name, name)
    # A forged size in the directory at the end of the file.
    content = (tmp_path / "b.zip").read_bytes().replace(struct.pack("<I", 3_000_000), struct.pack("<I", 900))
    (tmp_path / "forged.zip").write_bytes(content)
    for path in (tmp_path / "b.zip", tmp_path / "forged.zip"):
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        (tmp_path / "out").mkdir()
        with pytest.raises(ModelError, match=r"more than 1,000 bytes|can't be read|can be read"):
            unpack_bundle(path, tmp_path / "out")
        assert sum(part.stat().st_size for part in (tmp_path / "out").iterdir()) <= 1000


@pytest.mark.parametrize("content", [b"", b"PK\x05\x06" + bytes(18), b"PK\x03\x04" + bytes(60)])
def test_a_damaged_zip_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "b.zip").write_bytes(content)
    assert not is_bundle_archive(tmp_path / "b.zip")
    with pytest.raises(ModelError):
        unpack_bundle(tmp_path / "b.zip", tmp_path)


def test_an_offset_that_is_not_a_number_is_refused() -> None:
    with pytest.raises(InputError, match="lie within"):
        InputSpec(offsets_s=(0.0, float("nan")))
