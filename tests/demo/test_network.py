"""The demo's network: small, documented, and run on the same animals as the box model."""

import csv
from dataclasses import replace

import pytest

from trapmeter.demo.clips import CLIPS, NETWORK, demo_settings, network_settings
from trapmeter.models.bundle import read_bundle
from trapmeter.models.input_spec import FrameEncoding
from trapmeter.models.runtimes.network import Ensemble
from trapmeter.prediction.run import run_prediction
from trapmeter.tables.csvfile import read_rows

pytestmark = pytest.mark.slow


def test_the_bundle_is_small_and_documents_itself() -> None:
    bundle = read_bundle(NETWORK)
    assert sum(path.stat().st_size for path in NETWORK.iterdir()) < 10e6
    assert bundle.spec.box_channel
    assert bundle.spec.frames is FrameEncoding.MOTION
    assert bundle.uncertainty is not None
    assert "CC BY-SA" in bundle.licence
    assert bundle.provenance["held_out"]["folds_by"] == "site"


def test_the_network_measures_the_same_animals_as_the_box_model(tmp_path) -> None:
    demo = demo_settings(tmp_path, 1)
    one_clip = next(path for path in sorted(CLIPS.glob("*.mp4")))
    labelled = tmp_path / "times.csv"
    with labelled.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("video_id", "time"))
        rows = read_rows(CLIPS / "truth.csv", required=("video_id", "time"))
        seconds = sorted({row.text("time") for row in rows if row.text("video_id") == one_clip.name})
        table.writerows((one_clip.name, second) for second in seconds[:3])
    first = run_prediction(replace(demo, times=labelled))
    second = run_prediction(replace(network_settings(demo), times=labelled))
    assert first.summary.n_animals > 0
    observations = [[e.observation for e in run.estimates if e.distance is not None] for run in (first, second)]
    assert [(o.media_id, o.time_s, o.animal_id) for o in observations[0]] == [
        (o.media_id, o.time_s, o.animal_id) for o in observations[1]
    ]
    assert second.facts["models"]["distance"]["model_id"] == f"{read_bundle(NETWORK).identity.model_id} with flip"


def test_the_network_opens_in_the_runtime() -> None:
    assert len(Ensemble.load([NETWORK], flip=True).members) == 1
