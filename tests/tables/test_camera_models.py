from __future__ import annotations

import pytest

from trapmeter.tables.camera_models import Basis, CameraModel, camera_models, find_camera_model


@pytest.mark.parametrize(
    ("make", "model", "name"),
    [
        ("RECONYX", "HYPERFIRE 2 COVERT", "Reconyx HyperFire 2"),
        ("Reconyx ", "hyperfire-2 covert\0\0", "Reconyx HyperFire 2"),
        ("RECONYX\0", "HC600 HYPERFIRE\0\0\0\0", "Reconyx HyperFire HC600"),
        ("", "Reconyx PC900 PROFESSIONAL", "Reconyx HyperFire PC900"),
        ("RECONYX", "RECONYX HC500 HYPERFIRE", "Reconyx HyperFire HC500"),
        ("BROWNING", "BTC5HDPX", "Browning BTC-5HDPX"),
        ("BUSHNELL", "119977C", "Bushnell Core DS 30 MP"),
        ("Willfine", "4.0T CG Regular lens", "Willfine 4.0T CG with regular lens"),
    ],
)
def test_a_model_is_found_however_its_camera_writes_it(make: str, model: str, name: str) -> None:
    found = find_camera_model(make, model)
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize(
    ("make", "model"),
    [
        ("", ""),
        ("RECONYX", ""),
        ("", "HC600 HYPERFIRE"),
        ("Panasonic", "HC500"),
        ("RECONYX", "HYPERFIRE"),
        # Several models with different lenses write these.
        ("BROWNING", "BTC-7E"),
        ("Willfine", "4.0T CG"),
    ],
)
def test_a_model_that_the_table_lacks_has_no_lens(make: str, model: str) -> None:
    assert find_camera_model(make, model) is None


def test_the_longest_model_is_chosen() -> None:
    names = {known.model: find_camera_model(known.make, known.model.removesuffix("*")) for known in camera_models()}
    assert all(found is not None and found.model == model for model, found in names.items())


def test_the_lens_is_valid_for_the_format_of_its_figure_only() -> None:
    reconyx, browning = find_camera_model("RECONYX", "PC900 PROFESSIONAL"), find_camera_model("BROWNING", "BTC-5HDPX")
    assert reconyx is not None
    assert browning is not None
    assert reconyx.fits(2048 / 1536)
    assert reconyx.fits(2048 / 1440), "without the strip at the bottom"
    assert not reconyx.fits(16 / 9)
    assert not reconyx.fits(3 / 4), "turned"
    assert not reconyx.fits(None)
    assert browning.fits(16 / 9)
    assert browning.fits(4 / 3)


@pytest.mark.parametrize("known", camera_models(), ids=lambda known: f"{known.make} {known.model}")
def test_every_figure_is_plausible_and_has_a_source(known: CameraModel) -> None:
    assert 20 < known.hfov_deg < 120
    # A figure that may be of the diagonal, or was converted, can be trusted less than one that is horizontal.
    assert 1 <= known.sd_deg <= 5
    assert known.basis is Basis.HORIZONTAL or known.sd_deg >= 4
    assert known.aspect is None or 1.3 < known.aspect < 1.8
    assert known.source.startswith("https://")
    assert known.note


def test_no_row_appears_twice() -> None:
    keys = {(known.make.casefold(), known.model.casefold()) for known in camera_models()}
    assert len(keys) == len(camera_models())
