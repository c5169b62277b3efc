"""The verbs for published and imported networks: list, pull, import, show, verify, quantise."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from trapmeter.cli.options import EXIT_INTERNAL_ERROR, OUT, print_progress
from trapmeter.models.input_spec import Resize, Target
from trapmeter.settings import Range
from trapmeter.windows import Edge


def list_models(*, registry: Path | None = None) -> None:
    """List the published models and those on this machine.

    Parameters
    ----------
    registry
        TOML file of published models, such as your own, instead of the built-in one.
    """
    from trapmeter.models.installed import installed_models, models_folder
    from trapmeter.models.registry import REGISTRY, read_registry

    entries, here = read_registry(registry or REGISTRY), installed_models()
    for name in sorted({*entries, *here}):
        entry = entries.get(name)
        state = "on this machine" if name in here else f"get it with: trapmeter models pull {name}"
        print(f"{name}  [{state}]")
        if entry is not None:
            print(f"  {entry.title}\n  trained on: {entry.trained_on}\n  licence: {entry.licence}")
    print(f"models are kept in {models_folder()}")


def pull_model(name: str, *, sha256: str | None = None, registry: Path | None = None, overwrite: bool = False) -> None:
    """Download a published model and check it.

    Afterwards use it with `predict --model NAME`. An interrupted download resumes with the same command. Weights that are
    published as TorchScript are converted once, which needs `pip install 'trapmeter[train]'`.

    For example:

        trapmeter models pull zamba-depth

    Parameters
    ----------
    name
        A name that `trapmeter models list` shows.
    sha256
        The checksum that the file must have, instead of the registry's.
    registry
        TOML file of published models, such as your own, instead of the built-in one.
    overwrite
        Replace a model of that name.
    """
    from trapmeter.console import download_bar
    from trapmeter.models.install import pull
    from trapmeter.models.registry import REGISTRY, check_sha256, published_model

    entry = published_model(name, registry or REGISTRY)
    known = None if sha256 is None else check_sha256(sha256)
    with download_bar(name) as progress:
        bundle = pull(entry, sha256=known, overwrite=overwrite, announce=print_progress, progress=progress)
    print(f"model: {bundle.folder}\nuse it with: trapmeter predict ... --model {name}")


def import_model(
    file: Path,
    *,
    name: str | None = None,
    like: str | None = None,
    offsets: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    size: str | None = None,
    resize: Resize | None = None,
    edge: Edge | None = None,
    target: Target | None = None,
    box_channel: bool = False,
    licence: str | None = None,
    trained_on: str | None = None,
    sha256: str | None = None,
    registry: Path | None = None,
    overwrite: bool = False,
) -> None:
    """Make a model from a TorchScript file or a bundle.

    A TorchScript file is a program, so import only files that you trust. It is converted in a separate process, and the
    bundle's predictions are compared with it on test windows; that needs `pip install 'trapmeter[train]'`.

    For example:

        trapmeter models import zamba_depth_30aaa90525.pt --like zamba-depth --name zamba-depth
        trapmeter models import mine.pt --offsets -2,-1,0,1,2 --size 135x240 --resize swscale-area --target log1p

    Parameters
    ----------
    file
        A TorchScript file, or the folder or zip file of a bundle.
    name
        Name of the model on this machine. Default: the file's name.
    like
        Take input and checksum from this entry of the registry; also licence and origin if the file has its checksum.
    offsets
        Seconds of a window's frames, in the network's order. Default: -1,-2,0,1,2.
    size
        Height x width of the network's input. Default: 270x480.
    resize
        How frames were resized: opencv-linear (default) or swscale-area.
    edge
        What replaces seconds outside the video: black (default) or repeat.
    target
        What the network predicts: metres (default) or log1p.
    box_channel
        The network's last input channel is the animal's box.
    licence
        Licence of the weights; stored in the bundle.
    trained_on
        What the weights were trained on; stored in the bundle.
    sha256
        The checksum that the file must have, instead of the registry's.
    registry
        TOML file of published models, such as your own, instead of the built-in one.
    overwrite
        Replace a model of that name.
    """
    from trapmeter.frames.spec import parse_size
    from trapmeter.models.install import import_model as import_file
    from trapmeter.windows import parse_offsets

    stated = {
        "offsets_s": None if offsets is None else parse_offsets(offsets),
        "size_hw": None if size is None else parse_size(size),
        "resize": resize,
        "edge": edge,
        "target": target,
        "box_channel": box_channel or None,
    }
    bundle = import_file(
        file,
        name,
        like=like,
        registry=registry,
        spec={key: value for key, value in stated.items() if value is not None},
        licence=licence,
        trained_on=trained_on,
        sha256=sha256,
        overwrite=overwrite,
        announce=print_progress,
    )
    print(f"model: {bundle.folder}\nuse it with: trapmeter predict ... --model {bundle.folder.name}")


def show_model(model: str) -> None:
    """Show the card of a model.

    For example:

        trapmeter models show zamba-depth

    Parameters
    ----------
    model
        Name of a model, or folder of a bundle.
    """
    import json

    from trapmeter.console import terminal_text
    from trapmeter.models.bundle import read_bundle
    from trapmeter.models.installed import find_model

    bundle = read_bundle(find_model(model))
    card = {
        "model_id": bundle.identity.model_id,
        "sha256": bundle.identity.sha256,
        "megabytes": round(bundle.network.stat().st_size / 1e6, 1),
        "licence": bundle.licence,
        "input": bundle.spec.to_json(),
        "intervals": "none: its errors were not measured" if bundle.uncertainty is None else "from held-out errors",
        "provenance": bundle.provenance,
    }
    for line in json.dumps(card, indent=2).splitlines():
        print(terminal_text(line))


def verify_models(models: tuple[str, ...] = (), /) -> int:
    """Check models: files, card, checksum and network.

    Exit status: 0 all are intact, 1 some are not.

    Parameters
    ----------
    models
        Names or folders of models. Default: all on this machine.
    """
    from trapmeter.errors import ModelError
    from trapmeter.models.installed import find_model, installed_models, models_folder
    from trapmeter.models.runtimes.onnx_runtime import check_bundle

    n_wrong = 0
    chosen = models or tuple(installed_models())
    if not chosen:
        print(f"no models on this machine: there is nothing to check in {models_folder()}")
    for model in chosen:
        try:
            check_bundle(find_model(model))
            print(f"{model}: intact")
        except ModelError as error:
            n_wrong += 1
            text = str(error)
            print(text if text.startswith(model) else f"{model}: {text}")
    return EXIT_INTERNAL_ERROR if n_wrong else 0


def quantise_model(
    model: str,
    *,
    store: Path,
    labels: Path,
    out: Annotated[Path, OUT],
    metadata: Path | None = None,
    calibration: Annotated[int, Range(least=1)] = 128,
) -> None:
    """Make a network faster with 8-bit numbers.

    Needs `pip install 'trapmeter[train]'`. Some labelled windows set the ranges of values. Windows of other videos measure
    the error; if `held_out.csv` beside the bundle lists videos that the network was not trained on, only those do. If the
    error grows by more than 1 %, nothing is written.

    For example:

        trapmeter models quantise training/fold-0/bundle --store frames/ --labels train_labels.csv --out quick/

    Parameters
    ----------
    model
        Name of a model, or folder of a bundle.
    store
        Folder that `trapmeter frames` has filled.
    labels
        CSV file of video_id, time, distance: some videos calibrate, the others measure the error.
    out
        Folder of the new bundle.
    metadata
        CSV file of video_id, time, x1, y1, x2, y2, probability, park, site_id.
    calibration
        Number of windows that set the ranges of values.
    """
    from trapmeter.errors import require_extra
    from trapmeter.models.installed import find_model
    from trapmeter.quantisation import QuantiseSettings, quantise

    require_extra("onnx", "train")
    made = quantise(QuantiseSettings(find_model(model), store, labels, out, metadata, calibration), print_progress)
    before, after = made.before_mae_m, made.after_mae_m
    print(f"error on {made.n_judged} windows of other videos: {before:.3f} m, in 8 bits {after:.3f} m")
    print(f"bundle: {made.bundle.folder}")
