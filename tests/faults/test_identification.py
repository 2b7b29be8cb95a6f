"""Reference runs with other lines, detectors and gains than the config assumes."""

import json
import shutil

import numpy as np
import pytest
import yaml

from rixs_pipeline import open_product, paths
from tests.faults import identification as faults

SIX = ["C_Ka", "N_Ka", "O_Ka", "Fe_La", "Ni_La", "Cu_La"]


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A sound beamtime; to be read only."""
    return faults.make_beamtime(tmp_path_factory.mktemp("sound") / "beamtime")


@pytest.fixture(scope="module")
def hard(tmp_path_factory):
    """A beamtime of a detector for K lines up to 8 keV; to be read only."""
    folder = tmp_path_factory.mktemp("hard") / "beamtime"
    return faults.make_beamtime(folder, **faults.HARD)


@pytest.fixture
def calibrate(cli, tmp_path):
    """Calibrate a beamtime: what the command line prints, and the first product."""

    def run(beamtime, until="calibrate", **calibration):
        config = tmp_path / "config.yaml"
        serial = {"scheduler": "serial"}
        values = {"calibration": calibration, "execution": serial}
        config.write_text(yaml.safe_dump(values))
        out = tmp_path / "out"
        result = cli("run", beamtime, "-c", config, "-o", out, "--until", until)
        product = open_product(paths.calibration_product(out, "cal0000"))
        return result, product

    return run


def statuses(product):
    """The statuses of the pixels, in their order."""
    return [str(status) for status in product["status"].values]


def test_a_sound_run_has_no_word_against_it(sound, calibrate):
    result, product = calibrate(sound)
    assert result.code == 0, result.err
    assert statuses(product) == ["ok", "ok"]
    assert "cal0000: " not in result.err
    assert (product["misfit_probability"].values > 0.01).all()
    named = product["peak_line"].values
    assert set(SIX) <= {str(name) for name in named[0]}


@pytest.mark.parametrize("reference", ["srd128", "elam", "ucal", "hauskat2024"])
def test_soft_sets_do_not_explain_hard_lines(hard, calibrate, reference):
    result, product = calibrate(hard, reference=reference)
    assert result.code == 1
    assert "ok" not in statuses(product)
    assert "lost: cal0000: no pixel could be calibrated" in result.out


def test_hard_lines_are_calibrated_with_their_set(hard, calibrate):
    """The spectrum follows the lines; residuals are within the reference errors."""
    lines = faults.HARD["lines"]
    result, product = calibrate(hard, reference="kalpha", lines=lines)
    assert result.code == 0, result.err
    assert statuses(product) == ["ok", "ok"]
    assert product["line_name"].values.tolist() == lines
    assert np.abs(product["line_residual"].values).max() < 2
    fwhm = product["fwhm"].values
    np.testing.assert_allclose(np.median(fwhm), 5.5, atol=1)
    assert fwhm.max() < 10
    emission = product["emission_energy"].values
    assert emission[0] < 200
    assert emission[-1] > 8400
    cu_counts = product["spectrum"].sel(emission_energy=slice(7950, 8100)).sum()
    assert cu_counts > 300


@pytest.mark.parametrize("settings", [faults.ONE_LINE, faults.TWO_LINES], ids=str)
def test_too_few_lines_are_no_calibration(tmp_path, calibrate, settings):
    beamtime = faults.make_beamtime(tmp_path / "beamtime", **settings)
    result, product = calibrate(beamtime)
    assert result.code == 1
    assert "ok" not in statuses(product)
    assert "lost: cal0000: no pixel could be calibrated" in result.out


def test_the_figure_of_a_run_without_a_scale_shows_its_peaks(hard, calibrate, tmp_path):
    """The whole command ends with its exit code, not with a failed figure."""
    result, product = calibrate(hard, until="report", reference="srd128")
    assert result.code == 3
    assert "lost: cal0000" in result.out
    figures = sorted(path.name for path in (tmp_path / "out").rglob("cal0000-*.png"))
    assert figures[-1] == "cal0000-summary.png"
    assert "cal0000-pixel001.png" in figures
    assert np.isfinite(product["peak_pulse_height"].values).sum(axis=1).min() >= 6
    assert product["height_counts"].values.sum() > 1000
    run = json.loads((tmp_path / "out" / "run.json").read_text())
    assert not any("figure" in text for text in run["failed"].values())


@pytest.mark.parametrize(
    "lines",
    [
        ["C_Ka", "N_Ka", "V_La", "Mn_La", "Ni_La", "Zn_La"],
        ["Ti_La", "V_La", "Cr_La", "Mn_La", "Co_La", "Zn_La"],
    ],
    ids=str,
)
def test_wrong_names_are_no_calibration(sound, calibrate, lines):
    result, product = calibrate(sound, lines=lines)
    assert result.code == 1
    assert "ok" not in statuses(product)


@pytest.mark.parametrize("missing", [["Mn_La"], ["Zn_La"]], ids=str)
def test_a_named_line_that_is_not_there_is_reported(sound, calibrate, missing):
    result, product = calibrate(sound, lines=SIX + missing)
    assert statuses(product) == ["ok", "ok"]
    assert f"cal0000: {missing[0]} of `calibration.lines` not found" in result.err
    assert (
        np.abs(product["line_residual"].values).max() < 2.5
        or np.isnan(product["line_residual"].values).any()
    )


@pytest.mark.parametrize("change", [faults.double_gain, faults.halve_gain])
def test_a_pixel_with_twice_or_half_the_gain_is_calibrated(
    sound, calibrate, tmp_path, change
):
    beamtime = tmp_path / "beamtime"
    shutil.copytree(sound, beamtime)
    change(beamtime, 3)
    result, product = calibrate(beamtime)
    assert statuses(product) == ["ok", "ok"], result.err
    assert np.abs(product["line_residual"].values).max() < 2.5


@pytest.mark.parametrize("share", [0.3, 0.8])
def test_a_strong_noise_peak_does_not_hide_the_lines(sound, calibrate, tmp_path, share):
    beamtime = tmp_path / "beamtime"
    shutil.copytree(sound, beamtime)
    faults.add_noise_peak(beamtime, 1, share)
    _, product = calibrate(beamtime)
    assert statuses(product) == ["ok", "ok"]


@pytest.mark.parametrize(
    "factors",
    [{4: 0.991, 5: 1.009}, {3: 1.012, 4: 0.99}, {2: 1.015, 3: 0.987}],
    ids=str,
)
def test_lines_that_contradict_each_other_are_reported(
    sound, calibrate, tmp_path, factors
):
    """Two lines of one of two pixels moved by 8 eV: no array tells what is normal."""
    _, product = calibrate(sound)
    heights = product["line_pulse_height"].values[1]
    beamtime = tmp_path / "beamtime"
    shutil.copytree(sound, beamtime)
    for line, factor in factors.items():
        faults.move_line(beamtime, 3, heights[line], factor)
    result, product = calibrate(beamtime, lines=SIX)
    first, second = statuses(product)
    assert first == "ok"
    assert second != "ok"
    assert f"cal0000: pixel 3 not calibrated: {second}" in result.err


@pytest.mark.parametrize(
    "shifts",
    [{2: 9.0, 5: -11.0}, {1: -7.0, 2: 9.0}, {3: -8.0, 4: 10.0}, {2: -11.4, 4: 10.9}],
    ids=str,
)
def test_lines_that_two_pixels_show_elsewhere_are_reported(
    sound, calibrate, tmp_path, shifts
):
    """Without names other lines might fit; a pixel is not ok, or the screen has why."""
    _, product = calibrate(sound)
    beamtime = tmp_path / "beamtime"
    shutil.copytree(sound, beamtime)
    faults.move_lines(beamtime, product, shifts)
    result, product = calibrate(beamtime)
    is_ok = [status == "ok" for status in statuses(product)]
    assert not all(is_ok) or "contradict" in result.err or "no emission" in result.err


@pytest.mark.parametrize("lines", [SIX, [*SIX, "F_Ka"]], ids=str)
def test_hard_sets_do_not_explain_soft_lines(tmp_path, calibrate, lines):
    beamtime = faults.make_beamtime(tmp_path / "beamtime", lines=lines)
    result, product = calibrate(beamtime, reference="kalpha")
    assert result.code == 1
    assert "ok" not in statuses(product)


@pytest.mark.parametrize("pixels", [1, 2])
def test_metals_that_a_set_lacks_are_no_calibration(tmp_path, calibrate, pixels):
    settings = faults.METALS | {"pixels": pixels}
    beamtime = faults.make_beamtime(tmp_path / "beamtime", **settings)
    result, product = calibrate(beamtime, reference="hauskat2024")
    assert result.code == 1
    assert "ok" not in statuses(product)


def test_a_strong_peak_of_no_element_is_a_warning(sound, calibrate, tmp_path):
    """Six lines outweigh it: half of the pulses of Cu La at 900 eV."""
    _, product = calibrate(sound)
    beamtime = tmp_path / "beamtime"
    shutil.copytree(sound, beamtime)
    for row, pixel in enumerate(product["pixel"].values.tolist()):
        heights = product["line_pulse_height"].values[row]
        at_900 = np.interp(900.0, faults.SIX_EV, heights)
        faults.split_line(beamtime, pixel, heights[5], at_900 / heights[5])
    result, product = calibrate(beamtime)
    assert statuses(product) == ["ok", "ok"], result.err
    assert "is no emission line; lines may be identified wrongly" in result.err


def test_a_strong_contaminant_is_accepted(tmp_path, calibrate):
    """F Ka, which is no line of the reference set."""
    beamtime = faults.make_beamtime(tmp_path / "beamtime", lines=[*SIX, "F_Ka"])
    result, product = calibrate(beamtime)
    assert result.code == 0
    assert statuses(product) == ["ok", "ok"]
    assert product["line_name"].values.tolist() == SIX


def test_hints_identify_lines(hard, calibrate):
    """K lines alone are ambiguous; two peaks of each pixel are enough."""
    result, product = calibrate(hard, reference="kalpha")
    if "ok" in statuses(product):
        assert product["line_name"].values.tolist() == faults.HARD["lines"]
    heights = product["peak_pulse_height"].values
    spectra = product["height_counts"].values
    hints = {}
    for row, pixel in enumerate(product["pixel"].values.tolist()):
        width = float(product["height_bin_width"].values[row])
        found = heights[row][np.isfinite(heights[row])]
        bins = (found / width).astype(int)
        strong = [h for h, b in zip(found, bins, strict=True) if spectra[row][b] > 20]
        assert len(strong) == 7  # the six lines, and the elastic line above
        hints[pixel] = {float(strong[0]): "Si_Ka", float(strong[5]): "Cu_Ka"}
    result, product = calibrate(hard, reference="kalpha", hints=hints)
    assert result.code == 0, result.err
    assert statuses(product) == ["ok", "ok"]
    assert product["line_name"].values.tolist() == faults.HARD["lines"]


@pytest.mark.parametrize(
    ("hints", "message"),
    [
        ({"all": {99999.0: "O_Ka"}}, "no peak within 3 % of pulse height 99999 (O_Ka)"),
        ({1: {40.0: "O_Ka"}}, "no peak within 3 % of pulse height 40 (O_Ka)"),
    ],
    ids=str,
)
def test_hints_that_do_not_fit_are_reported(sound, calibrate, hints, message):
    result, product = calibrate(sound, hints=hints)
    assert statuses(product) == ["ok", "ok"]
    assert "cal0000: hints not used in pixel" in result.err
    assert message in result.err


@pytest.mark.parametrize(
    ("hints", "message"),
    [
        ({"all": {4000.0: "O_Kb"}}, "no line 'O_Kb' in srd128"),
        ({1: {4000.0: "O_Ka", 3000.0: "Fe_La"}}, "O_Ka has the higher pulse height"),
    ],
    ids=str,
)
def test_impossible_hints_are_errors_of_the_config(
    sound, cli, tmp_path, hints, message
):
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump({"calibration": {"hints": hints}}))
    result = cli("run", sound, "-c", config, "-o", tmp_path / "out")
    assert result.code == 2
    assert message in result.err
    assert len(result.err.strip().splitlines()) == 1
