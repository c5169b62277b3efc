"""Installing models from the registry or a file, and the errors on the way."""

import json
import os
import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.published_world import SPEC, Server, save_torchscript, serving
from trapmeter.cli import main
from trapmeter.errors import InputError, MissingExtraError, ModelError, RunError
from trapmeter.models import install
from trapmeter.models.bundle import pack_bundle, read_bundle, write_bundle
from trapmeter.models.download import RetryPolicy
from trapmeter.models.input_spec import SECOND_PLACE_INPUT, InputSpec
from trapmeter.models.install import TorchscriptOrigin, digests, import_bundle, import_torchscript, pull
from trapmeter.models.installed import (
    MODELS_VARIABLE,
    find_model,
    installed_models,
    locked_model,
    model_name_from,
    models_folder,
)
from trapmeter.models.registry import PublishedFormat, PublishedModel, check_name, published_model, read_registry
from trapmeter.models.runtimes.onnx_runtime import OnnxNetwork

PATIENCE = RetryPolicy(2, 60.0, 0.0)


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(MODELS_VARIABLE, str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture(scope="module")
def torchscript(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    return save_torchscript(tmp_path_factory.mktemp("published") / "net.pt")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    pytest.importorskip("onnx")
    from models.test_bundle_security import make

    return make(tmp_path / "bundle")


@pytest.fixture
def zipped(bundle: Path, tmp_path: Path) -> Iterator[Server]:
    pack_bundle(bundle, tmp_path / "b.zip")
    with serving((tmp_path / "b.zip").read_bytes()) as server:
        yield server


def entry(server: Server, *kinds: str, **changes: object) -> PublishedModel:
    fields = {"name": "mean", "urls": tuple(map(server.url, kinds)), "format": PublishedFormat.BUNDLE, "spec": SPEC}
    return PublishedModel(**{**fields, "licence": "MIT", "trained_on": "noise", **changes})


def get(what: PublishedModel, **options: object) -> list[str]:
    announced: list[str] = []
    pull(what, announce=announced.append, retries=PATIENCE, **options)
    return announced


def run(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["trapmeter", "models", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_the_built_in_registry_has_the_second_place_network() -> None:
    known = published_model("zamba-depth")
    assert known.spec == SECOND_PLACE_INPUT
    assert known.format is PublishedFormat.TORCHSCRIPT
    assert all(url.startswith("https://") and url.endswith(f"{known.digest_starts}.pt") for url in known.urls)
    assert known.licence.startswith("MIT")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x = 1", "expected a table"),
        ("[x]", "urls"),
        ('[x]\nurls=["ftp://a/b"]\nformat="bundle"\nlicence="MIT"\ntrained_on="y"', "starts with https, http, file"),
        ('[x]\nurls=["https://a/b"]\nformat="torchscript"\nlicence="MIT"\ntrained_on="y"', "needs `input`"),
        ('[x]\nurls=["https://a/b"]\nformat="pickle"\nlicence="MIT"\ntrained_on="y"', "pickle"),
        ('[x]\nurls=["https://a"]\nformat="bundle"\nlicence="MIT"\ntrained_on="y"\nsha256="12"', "64 hexadecimal"),
        ('["../x"]\nurls=["https://a"]\nformat="bundle"\nlicence="MIT"\ntrained_on="y"', "a model's name"),
        ("[", "not a TOML file"),
    ],
)
def test_an_invalid_registry_names_the_entry(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "r.toml").write_text(text)
    with pytest.raises(InputError, match=reason):
        read_registry(tmp_path / "r.toml")


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", "a\\b", "/x", ".x", "a..b", "A", "x" * 65, "a b", "con:"]
)
def test_a_models_name_can_not_be_a_path(name: str) -> None:
    with pytest.raises(InputError, match="a model's name"):
        check_name(name)


def test_the_models_folder_follows_environment_and_platform(tmp_path: Path) -> None:
    assert models_folder({MODELS_VARIABLE: "/m"}) == Path("/m")
    assert models_folder({"XDG_CACHE_HOME": "/c"}, "linux") == Path("/c/trapmeter/models")
    assert models_folder({"XDG_CACHE_HOME": "relative"}, "linux") == Path.home() / ".cache/trapmeter/models"
    assert models_folder({}, "darwin") == Path.home() / "Library/Caches/trapmeter/models"
    assert models_folder({"LOCALAPPDATA": "/l"}, "win32") == Path("/l/trapmeter/models")
    assert model_name_from(tmp_path / "My Net") == "my-net"


@pytest.mark.slow
@pytest.mark.parametrize("by_script", [False, True], ids=["traced", "scripted"])
def test_torchscript_becomes_a_bundle_with_the_same_predictions(tmp_path: Path, by_script: bool) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnx")
    file = save_torchscript(tmp_path / "net.pt", seed=3, by_script=by_script)
    from trapmeter.training.torchscript import ConversionJob, convert

    # In this process, since another one takes seconds to start.
    difference_m = convert(ConversionJob(file, tmp_path, "net", SPEC, "MIT", {"trained_on": "noise"}))
    bundle = read_bundle(tmp_path)
    windows = np.random.default_rng(7).integers(0, 256, (5, 15, *SPEC.size_hw), np.uint8)
    with torch.no_grad():
        expected = torch.jit.load(str(file))(torch.from_numpy(windows) / 255.0).numpy()[:, 0]
    assert OnnxNetwork(bundle).metres(windows) == pytest.approx(expected, abs=1e-3)
    assert (bundle.spec, bundle.licence, bundle.provenance["trained_on"]) == (SPEC, "MIT", "noise")
    assert bundle.provenance["converted"]["difference_m"] == difference_m < 1e-3


def converted(file: Path, folder: Path) -> float:
    """Converts a file in this process, since another one takes seconds to start."""
    from trapmeter.training.torchscript import ConversionJob, convert

    return convert(ConversionJob(file, folder, "net", SPEC, "MIT", {}))


def test_a_conversion_may_differ_by_rounding_but_not_by_more(
    torchscript: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = OnnxNetwork.metres
    monkeypatch.setattr(OnnxNetwork, "metres", lambda self, windows: real(self, windows) + 1.5e-4)
    assert converted(torchscript, tmp_path) == pytest.approx(1.5e-4, rel=0.1)
    monkeypatch.setattr(OnnxNetwork, "metres", lambda self, windows: real(self, windows) * 1.01)
    with pytest.raises(ModelError, match="the converted network isn't that of the file"):
        converted(torchscript, tmp_path)


def test_a_program_that_only_works_in_32_bits_is_imported(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnx")

    class Single(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.mean(dim=(2, 3)) @ torch.ones((15, 1), dtype=torch.float32)

    torch.jit.save(torch.jit.script(Single()), str(tmp_path / "net.pt"))
    assert converted(tmp_path / "net.pt", tmp_path) < 1e-3


@pytest.mark.slow
def test_pulling_torchscript_installs_a_model(torchscript: Path, models: Path) -> None:
    sums = digests(torchscript)
    with serving(torchscript.read_bytes()) as server:
        what = entry(server, "missing", "breaks", "good", name="net", format=PublishedFormat.TORCHSCRIPT)
        other_input = InputSpec((32, 48), (0.0,))
        with pytest.raises(ModelError, match="doesn't take windows of 3 channels"):
            get(replace(what, spec=other_input))
        assert installed_models() == {}
        n_requests = len(server.requests)
        announced = get(replace(what, spec=SPEC))
        assert len(server.requests) == n_requests, "a failed conversion needs no second download"
    assert any("warning" in line and sums[0] in line for line in announced)
    bundle = read_bundle(find_model("net"))
    assert bundle.spec == SPEC
    assert bundle.provenance["source"] == {"format": "torchscript", "sha256": sums[0], "urls": list(what.urls)}
    assert [path.name for path in models.iterdir() if path.name != ".downloads"] == ["net"]
    assert not list((models / ".downloads").glob("net.[pf]*"))


def assert_refused(file: Path, reason: str) -> None:
    """Checks that converting a file fails, in this process, since another one takes seconds to start."""
    from trapmeter.training.torchscript import ConversionJob, convert

    with pytest.raises(ModelError, match=reason):
        convert(ConversionJob(file, file.parent / "out", "x", SPEC, "MIT", {}))
    assert not (file.parent / "out" / "bundle.json").exists()


@pytest.mark.parametrize("content", [b"", b"not a model", b"PK\x03\x04" + bytes(50)])
def test_a_file_that_is_not_torchscript_is_refused(tmp_path: Path, content: bytes) -> None:
    pytest.importorskip("torch")
    (tmp_path / "x.pt").write_bytes(content)
    assert_refused(tmp_path / "x.pt", "not a TorchScript file")


def test_a_pickled_file_is_never_unpickled(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "evil"),)

    torch.save({"x": Evil()}, tmp_path / "x.pt")
    assert_refused(tmp_path / "x.pt", "not a TorchScript file")
    assert not (tmp_path / "evil").exists()


def test_a_network_with_another_output_is_refused(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    for number, (last, reason) in enumerate(
        ((torch.nn.Flatten(), "expected one number for each window"), (torch.nn.Unflatten(0, (7, 7)), "doesn't take"))
    ):
        path = tmp_path / f"{number}.pt"
        torch.jit.save(torch.jit.script(torch.nn.Sequential(torch.nn.Conv2d(15, 1, 3), last).eval()), str(path))
        assert_refused(path, reason)


def test_a_killed_converter_is_reported(torchscript: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dies.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    monkeypatch.setattr(install, "CONVERTER", "dies")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(ModelError, match="ended with status -9"):
        import_torchscript(torchscript, "x", TorchscriptOrigin(SPEC), announce=lambda _: None)
    assert installed_models() == {}


def test_the_converter_gets_no_secrets_from_the_environment(
    torchscript: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "reports.py").write_text(
        "import json, os, sys; from pathlib import Path; "
        'text = json.dumps({"error": " ".join(os.environ) + " in " + os.getcwd()}); '
        'Path(json.load(sys.stdin)["result"]).write_text(text)'
    )
    monkeypatch.setattr(install, "CONVERTER", "reports")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    with pytest.raises(ModelError) as error:
        import_torchscript(torchscript, "x", TorchscriptOrigin(SPEC), announce=lambda _: None)
    assert "PYTHONPATH" in str(error.value)
    assert "AWS" not in str(error.value)
    assert str(Path.cwd()) not in str(error.value)


def test_without_torch_nothing_is_downloaded(
    torchscript: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "find_spec", lambda _: None)
    with serving(b"") as server:
        with pytest.raises(MissingExtraError, match=r"trapmeter\[train\]"):
            get(entry(server, "good", format=PublishedFormat.TORCHSCRIPT))
        assert server.requests == []
    with pytest.raises(MissingExtraError, match="train"):
        import_torchscript(torchscript, "x", TorchscriptOrigin(SPEC), announce=lambda _: None)


def test_pulling_a_bundle_needs_no_torch(zipped: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "find_spec", lambda _: None)
    get(entry(zipped, "good"))
    assert read_bundle(find_model("mean")).identity.model_id == "mean"


def test_wrong_bytes_never_become_a_model(zipped: Server) -> None:
    with pytest.raises(ModelError, match=r"mean can't be downloaded:(.|\n)*expected the sha256"):
        get(entry(zipped, "wrong", sha256="0" * 64))
    with pytest.raises(ModelError, match=r"expected 5 bytes|expected at most 5"):
        get(entry(zipped, "good", size_bytes=5))
    with pytest.raises(ModelError, match="not a zip file"):
        get(entry(zipped, "wrong"))
    assert installed_models() == {}


def test_the_start_of_any_checksum_is_accepted(zipped: Server, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"starts with beef(.|\n)*--sha256"):
        get(entry(zipped, "good", digest_starts="beef"))
    for digest in digests(tmp_path / "b.zip"):
        get(entry(zipped, "good", digest_starts=digest[:10]), overwrite=True)


def test_a_model_is_replaced_only_with_overwrite(zipped: Server, bundle: Path) -> None:
    get(entry(zipped, "good"))
    n_requests = len(zipped.requests)
    with pytest.raises(RunError, match="--overwrite"):
        get(entry(zipped, "good"))
    assert len(zipped.requests) == n_requests
    with pytest.raises(ModelError):
        get(entry(zipped, "missing"), overwrite=True)
    assert read_bundle(find_model("mean")).identity == read_bundle(bundle).identity
    get(entry(zipped, "good"), overwrite=True)


def test_another_process_can_not_install_the_same_model(zipped: Server) -> None:
    import subprocess

    code = (
        "from trapmeter.models.installed import locked_model\nfrom trapmeter.errors import RunError\n"
        "try:\n    locked_model('mean').__enter__()\nexcept RunError as error:\n    print(error)"
    )
    with locked_model("mean"):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "another process is installing" in done.stdout


def test_a_bundle_is_imported_from_folder_or_zip(bundle: Path, tmp_path: Path) -> None:
    pack_bundle(bundle, tmp_path / "b.zip")
    for name, source in (("a", bundle), ("b", tmp_path / "b.zip")):
        import_bundle(source, name)
        assert read_bundle(find_model(name)).identity.model_id == "mean"
    (bundle / "model.onnx").write_bytes(b"x")
    with pytest.raises(ModelError, match="damaged"):
        import_bundle(bundle, "c")
    assert sorted(installed_models()) == ["a", "b"]


def test_a_path_takes_precedence_over_a_name(bundle: Path, monkeypatch: pytest.MonkeyPatch, models: Path) -> None:
    import_bundle(bundle, "bundle")
    assert find_model("bundle") == models / "bundle"
    monkeypatch.chdir(bundle.parent)
    assert find_model("bundle") == Path("bundle")


def test_a_missing_model_is_reported_with_advice() -> None:
    with pytest.raises(ModelError, match="trapmeter models pull zamba-depth"):
        find_model("zamba-depth")
    with pytest.raises(ModelError, match="no such folder, and no model of that name"):
        find_model("../../nowhere")


def test_the_models_commands_pull_import_list_show_and_verify(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a connection was opened")

    with serving(b"") as server:
        pack_bundle(bundle, tmp_path / "b.zip")
        server.content = (tmp_path / "b.zip").read_bytes()
        (tmp_path / "r.toml").write_text(
            f'[mean]\ntitle="T"\nurls=["{server.url("good")}"]\nformat="bundle"\nlicence="MIT"\ntrained_on="noise"\n'
        )
        assert run("pull", "mean", "--registry", str(tmp_path / "r.toml"), monkeypatch=monkeypatch) == 0
    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert run("import", str(bundle), "--name", "other", monkeypatch=monkeypatch) == 0
    assert run("list", monkeypatch=monkeypatch) == 0
    assert run("show", "mean", monkeypatch=monkeypatch) == 0
    assert run("verify", monkeypatch=monkeypatch) == 0
    shown = capsys.readouterr().out
    for part in (
        "--model mean",
        "zamba-depth  [get it with",
        "other  [on this machine]",
        '"licence": "MIT"',
        "mean: intact",
    ):
        assert part in shown
    with (find_model("other") / "model.onnx").open("ab") as file:
        file.write(b"x")
    assert run("verify", monkeypatch=monkeypatch) == 1
    assert "other: " in capsys.readouterr().out
    assert run("import", str(bundle), "--name", "x", "--size", "9x9", monkeypatch=monkeypatch) == 2
    assert run("pull", "nobody", monkeypatch=monkeypatch) == 2


@pytest.mark.slow
def test_the_import_command_converts_torchscript(
    torchscript: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--size", "32x48", "--target", "log1p", "--licence", "CC0", "--sha256", digests(torchscript)[0].upper()]
    assert run("import", str(torchscript), *options, monkeypatch=monkeypatch) == 0
    made = read_bundle(find_model("net"))
    assert (made.spec.size_hw, made.spec.target.value, made.licence) == ((32, 48), "log1p", "CC0")
    assert made.spec.offsets_s == SECOND_PLACE_INPUT.offsets_s
    assert run("import", str(torchscript), "--like", "zamba-depth", "--name", "z", monkeypatch=monkeypatch) == 2
    assert "starts with 30aaa90525" in capsys.readouterr().err


def test_only_the_published_file_gets_the_licence_and_origin_of_the_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trapmeter.models import install

    told: list[install.TorchscriptOrigin] = []
    monkeypatch.setattr(install, "import_torchscript", lambda *values, **_: told.append(values[2]))
    file = tmp_path / "net.pt"
    file.write_bytes(b"a program")
    sha256 = digests(file)[0]

    def import_like(checksum: str, **options: str) -> tuple[str, str, tuple[str, ...]]:
        (tmp_path / "r.toml").write_text(
            '[net]\ntitle="T"\nurls=["https://a/net.pt"]\nformat="torchscript"\nlicence="MIT"\ntrained_on="apes"\n'
            f"{checksum}\n[net.input]\nsize_hw = [32, 48]\noffsets_s = [0.0]\nresize = 'opencv-linear'\nedge = 'black'\n"
            "frames = 'rgb'\nbox_channel = false\ntarget = 'metres'\n"
        )
        install.import_model(file, like="net", registry=tmp_path / "r.toml", **options)
        assert told[-1].spec.size_hw == (32, 48)
        return told[-1].licence, told[-1].trained_on, told[-1].urls

    published, unknown = ("MIT", "apes", ("https://a/net.pt",)), ("not stated", "not stated", ())
    assert import_like(f'sha256="{sha256}"') == published
    assert import_like(f'digest_starts="{sha256[:10]}"', sha256=sha256) == published
    assert import_like('digest_starts="30aaa90525"', sha256=sha256) == unknown
    assert import_like("") == unknown
    assert import_like("", licence="CC0") == ("CC0", *unknown[1:])


def test_an_incomplete_card_is_not_imported(tmp_path: Path) -> None:
    write_bundle(tmp_path / "b", b"\x08\x0a", "x", SPEC, "MIT", {})
    (tmp_path / "b" / "bundle.json").write_text(json.dumps({"trapmeter_bundle": 1}))
    with pytest.raises(ModelError, match="not a card"):
        import_bundle(tmp_path / "b", "x")
