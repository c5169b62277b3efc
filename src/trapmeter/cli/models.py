"""The verbs for published and imported weights: list, pull, import, show, verify, quantise."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trapmeter.cli.options import EXIT_INTERNAL_ERROR, parse_choice, print_progress
from trapmeter.errors import require_extra

app = typer.Typer(
    help="Get published weights, and keep them. Only `pull` uses the network.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
RegistryOption = Annotated[
    Path | None, typer.Option(help="A TOML file of published models, such as your own, in place of the built-in one.")
]
Sha256Option = Annotated[
    str | None, typer.Option(help="The checksum that the file must have, in place of the registry's.")
]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace a model of that name.")]


@app.command("list")
def list_models(registry: RegistryOption = None) -> None:
    """Show the published models and those on this machine.

    For example:

    trapmeter models list
    """
    from trapmeter.models.library import installed_models, models_folder
    from trapmeter.models.registry import REGISTRY, read_registry

    entries, here = read_registry(registry or REGISTRY), installed_models()
    for name in sorted({*entries, *here}):
        entry = entries.get(name)
        state = "here" if name in here else f"get it with: trapmeter models pull {name}"
        typer.echo(f"{name}  [{state}]")
        if entry is not None:
            typer.echo(f"  {entry.title}\n  trained on: {entry.trained_on}\n  licence: {entry.licence}")
    typer.echo(f"models are kept in {models_folder()}")


@app.command("pull")
def pull_model(
    name: Annotated[str, typer.Argument(help="A name that `trapmeter models list` shows.")],
    sha256: Sha256Option = None,
    registry: RegistryOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Download a published model, check it, and make it ready for `predict --model NAME`.

    Broken off, the same command goes on where it stopped. Weights that are published as TorchScript are converted once, which
    needs `pip install 'trapmeter[train]'`.

    For example:

    trapmeter models pull zamba-depth
    """
    from trapmeter.console import download_bar
    from trapmeter.models.install import pull
    from trapmeter.models.registry import REGISTRY, check_sha256, published_model

    entry = published_model(name, registry or REGISTRY)
    known = None if sha256 is None else check_sha256(sha256)
    with download_bar(name) as progress:
        bundle = pull(entry, sha256=known, overwrite=overwrite, tell=print_progress, progress=progress)
    typer.echo(f"model: {bundle.folder}\nuse it with: trapmeter predict ... --model {name}")


@app.command("import")
def import_model(
    file: Annotated[Path, typer.Argument(help="A TorchScript file, or a bundle's folder or zip file.")],
    name: Annotated[str | None, typer.Option(help="What the model is called here (default: the file's name).")] = None,
    like: Annotated[
        str | None, typer.Option(help="Take input, licence and checksum from this entry of the registry.")
    ] = None,
    offsets: Annotated[
        str | None, typer.Option(help="Seconds of a window's frames, in the network's order (default -1,-2,0,1,2).")
    ] = None,
    size: Annotated[str | None, typer.Option(help="Height x width of its input (default 270x480).")] = None,
    resize: Annotated[str, typer.Option(help="How frames were made that small: opencv-linear or swscale-area.")] = "",
    edge: Annotated[str, typer.Option(help="What stands for seconds outside the video: black or repeat.")] = "",
    target: Annotated[str, typer.Option(help="What the network answers: metres or log1p.")] = "",
    box_channel: Annotated[bool, typer.Option("--box-channel", help="Its last channel is the animal's box.")] = False,
    licence: Annotated[str | None, typer.Option(help="Of the weights; goes into the bundle.")] = None,
    trained_on: Annotated[str | None, typer.Option(help="On what they were trained; goes into the bundle.")] = None,
    sha256: Sha256Option = None,
    registry: RegistryOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Make a model of a file: convert TorchScript, once, or take over a bundle.

    A TorchScript file is a program, so import only what you trust. It is converted in a process of its own, and the bundle is
    compared with it on random windows; that needs `pip install 'trapmeter[train]'`.

    For example:

    trapmeter models import zamba_depth_30aaa90525.pt --like zamba-depth --name zamba-depth

    trapmeter models import mine.pt --offsets -2,-1,0,1,2 --size 135x240 --resize swscale-area --target log1p
    """
    from dataclasses import replace

    from trapmeter.errors import InputError
    from trapmeter.frames.spec import parse_size
    from trapmeter.models.input_spec import SECOND_PLACE_INPUT, Resize, Target
    from trapmeter.models.install import (
        TorchscriptOrigin,
        import_bundle,
        import_torchscript,
        is_bundle,
        torchscript_origin,
    )
    from trapmeter.models.library import model_name_from
    from trapmeter.models.registry import REGISTRY, check_sha256, published_model
    from trapmeter.windows import Edge, parse_offsets

    chosen = model_name_from(file) if name is None else name
    changes = {
        "offsets_s": None if offsets is None else parse_offsets(offsets),
        "size_hw": None if size is None else parse_size(size),
        "resize": parse_choice(Resize, "--resize", resize) if resize else None,
        "edge": parse_choice(Edge, "--edge", edge) if edge else None,
        "target": parse_choice(Target, "--target", target) if target else None,
        "box_channel": box_channel or None,
    }
    told = {key: value for key, value in changes.items() if value is not None}
    known = None if sha256 is None else check_sha256(sha256)
    if is_bundle(file):
        if told or like or licence or trained_on or known:
            raise InputError(f"{file} is a bundle, whose card says all that: leave out every option but --name")
        bundle = import_bundle(file, chosen, overwrite=overwrite)
    else:
        origin = TorchscriptOrigin(SECOND_PLACE_INPUT, sha256=known)
        if like is not None:
            entry = published_model(like, registry or REGISTRY)
            if entry.spec is None:
                raise InputError(f"--like {like}: that entry is a bundle and tells of no input")
            origin = torchscript_origin(entry, known)
        # The values are checked by InputSpec itself; mypy can't see which one belongs to which field.
        spec = replace(origin.spec, **told)  # type: ignore[arg-type]
        origin = replace(
            origin, spec=spec, licence=licence or origin.licence, trained_on=trained_on or origin.trained_on
        )
        bundle = import_torchscript(file, chosen, origin, overwrite=overwrite, tell=print_progress)
    typer.echo(f"model: {bundle.folder}\nuse it with: trapmeter predict ... --model {chosen}")


@app.command("show")
def show_model(
    model: Annotated[str, typer.Argument(help="A model's name, or the folder of a bundle.")],
) -> None:
    """Show what a model's card says: its input, licence, and where it is from.

    For example:

    trapmeter models show zamba-depth
    """
    import json

    from trapmeter.console import terminal_text
    from trapmeter.models.bundle import read_bundle
    from trapmeter.models.library import find_model

    bundle = read_bundle(find_model(model))
    card = {
        "model_id": bundle.identity.model_id,
        "sha256": bundle.identity.sha256,
        "megabytes": round(bundle.network.stat().st_size / 1e6, 1),
        "licence": bundle.licence,
        "input": bundle.spec.to_json(),
        "intervals": "none: nobody has measured how sure it is"
        if bundle.uncertainty is None
        else "from held-out errors",
        "provenance": bundle.provenance,
    }
    for line in json.dumps(card, indent=2).splitlines():
        typer.echo(terminal_text(line))


@app.command("verify")
def verify_models(
    models: Annotated[
        list[str] | None, typer.Argument(help="Names or folders of models (default: all on this machine).")
    ] = None,
) -> None:
    """Check models: sizes, card, checksum, network, and what it answers for a window of noise.

    Exit status: 0 all sound, 1 some are not.

    For example:

    trapmeter models verify
    """
    from trapmeter.errors import ModelError
    from trapmeter.models.library import find_model, installed_models, models_folder
    from trapmeter.models.runtimes.onnx_runtime import check_bundle

    n_wrong = 0
    chosen = models or list(installed_models())
    if not chosen:
        typer.echo(f"no models on this machine: there is nothing to check in {models_folder()}")
    for model in chosen:
        try:
            check_bundle(find_model(model))
            typer.echo(f"{model}: sound")
        except ModelError as error:
            n_wrong += 1
            text = str(error)
            typer.echo(text if text.startswith(model) else f"{model}: {text}")
    if n_wrong:
        raise typer.Exit(EXIT_INTERNAL_ERROR)


@app.command("quantise")
def quantise_model(
    model: Annotated[str, typer.Argument(help="A model's name, or the folder of a bundle.")],
    store: Annotated[Path, typer.Option(help="Folder that `trapmeter frames` has filled.")],
    labels: Annotated[
        Path, typer.Option(help="CSV file of video_id, time, distance: videos to calibrate on, and others to judge by.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the new bundle.")],
    metadata: Annotated[
        Path | None, typer.Option(help="CSV file of video_id, time, x1, y1, x2, y2, probability, park, site_id.")
    ] = None,
    calibration: Annotated[int, typer.Option(help="How many windows set the ranges of values.")] = 128,
) -> None:
    """Make a network quicker: its backbone in whole numbers of 8 bits. Needs `pip install 'trapmeter[train]'`.

    The ranges of values are taken from real windows. Windows of other videos judge: of those that the network was not trained
    on, if `held_out.csv` beside the bundle tells them. If the error grows by more than 1 %, nothing is written.

    For example:

    trapmeter models quantise training/fold-0/bundle --store frames/ --labels train_labels.csv --metadata train_metadata.csv
    --out quick/
    """
    from trapmeter.models.library import find_model
    from trapmeter.quantisation import QuantiseSettings, quantise

    require_extra("onnx", "train")
    made = quantise(QuantiseSettings(find_model(model), store, labels, out, metadata, calibration), print_progress)
    typer.echo(
        f"error on {made.n_judged} windows of other videos: {made.before_mae_m:.3f} m, in 8 bits {made.after_mae_m:.3f} m"
    )
    typer.echo(f"bundle: {made.bundle.folder}")
