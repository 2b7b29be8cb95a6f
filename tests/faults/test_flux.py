"""Faults of the incident flux: found, reported with the config that mends them."""

import json
import re
import shutil

import numpy as np
import pytest
import xarray as xr
from ruamel.yaml import YAML

from rixs_pipeline import open_product
from rixs_pipeline.config import Config
from rixs_pipeline.runner.run import Options, run
from rixs_pipeline.schema import POINT_I0_UNUSABLE, POINT_NO_I0
from tests.conftest import SMALL, Small, copied, made_once
from tests.faults import flux

# three passes of two samples: scans 1 to 3 and 4 to 6
THREE_PASSES = SMALL | {"passes": 3, "points": 24, "dwell": 2.0}
FIRST_MAP, SECOND_MAP = "LMR_RT-Co_L", "LMR_100C-Co_L"


def reduce(beamtime, out, config=None, until="combine"):
    resolved = Config.model_validate(
        {"execution": {"scheduler": "serial"}} | (config or {})
    )
    return run(beamtime, resolved, out, Options(until=until))


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Small:
    """A sound beamtime and its maps; read-only."""
    from rixs_pipeline.simulate.beamtime import simulate
    from rixs_pipeline.simulate.settings import SimulationSettings

    def make(folder):
        settings = SimulationSettings.model_validate(THREE_PASSES)
        simulate(folder / "beamtime", settings)
        summary = reduce(folder / "beamtime", folder / "out")
        assert summary.exit_code == 0
        assert summary.warnings == []

    folder = made_once(tmp_path_factory, "three_passes", make)
    return Small(folder / "beamtime", folder / "out")


@pytest.fixture
def spoilt(sound, tmp_path) -> Small:
    """A private copy of the sound beamtime and its maps, to be spoilt."""
    return Small(*copied(sound.beamtime, sound.out, tmp_path))


def read_map(small, name=FIRST_MAP):
    return open_product(small.out / "maps" / f"{name}.nxs")


def read_scan(small, number):
    return open_product(small.out / "scans" / f"scan{number:04d}.nxs")


def scans_of(rixs_map):
    return [int(name[-4:]) for name in json.loads(rixs_map.attrs["scans"])]


def suggested_config(line):
    """The config that a message suggests."""
    text = re.search(r"`normalise\.i0_scale: (\{.*\})`", line)[1]
    return {"normalise": {"i0_scale": YAML(typ="safe").load(text)}}


def assert_same_exposure(small, sound, name=FIRST_MAP, rtol=1e-3):
    expected = read_map(sound, name)
    actual = read_map(small, name)
    assert scans_of(actual) == scans_of(expected)
    np.testing.assert_array_equal(actual["counts"].values, expected["counts"].values)
    np.testing.assert_allclose(
        actual["exposure"].values, expected["exposure"].values, rtol=rtol
    )


@pytest.mark.parametrize(
    ("number", "factor", "first"),
    [
        (2, 10, 0),
        (1, 10, 0),
        (3, 0.001, 0),
        (1, 2, 0),
        (2, 10, 12),
        (3, 0.1, 5),
        (1, 5, 18),
        (2, 0.5, 10),
    ],
)
def test_a_pass_of_another_range_is_left_out_until_the_config_corrects_it(
    spoilt, sound, number, factor, first
):
    flux.scale(spoilt.beamtime, [number], factor, first)
    summary = reduce(spoilt.beamtime, spoilt.out)
    assert summary.exit_code == 1
    (line,) = summary.losses
    assert line.startswith(f"{FIRST_MAP}: scan000{number} left out: I0 has another ")
    others = [n for n in (1, 2, 3) if n != number]
    assert scans_of(read_map(spoilt)) == others
    assert not [text for text in summary.warnings if "no beam" in text]
    mended = reduce(spoilt.beamtime, spoilt.out, suggested_config(line))
    assert (mended.exit_code, mended.losses, mended.warnings) == (0, [], [])
    assert_same_exposure(spoilt, sound)


def test_a_pass_with_other_photons_per_i0_is_reported(spoilt):
    flux.scale(spoilt.beamtime, [2], 1.35)
    summary = reduce(spoilt.beamtime, spoilt.out)
    assert summary.exit_code == 0
    (line,) = [text for text in summary.warnings if "photons per I0" in text]
    assert line.startswith(f"{FIRST_MAP}: scan0002: photons per I0 are 0.7")


def test_the_first_scan_does_not_set_the_scale_if_its_range_is_odd(spoilt, sound):
    flux.scale(spoilt.beamtime, [1], 10)
    reduce(spoilt.beamtime, spoilt.out)
    i0_ref = read_scan(spoilt, 5).attrs["i0_ref"]
    assert i0_ref == pytest.approx(read_scan(sound, 5).attrs["i0_ref"], rel=0.05)


@pytest.mark.parametrize("number", [1, 2])
def test_of_two_passes_other_scans_show_the_odd_one(small, number):
    flux.scale(small.beamtime, [number], 10)
    summary = small.run(until="combine")
    assert summary.exit_code == 1
    assert scans_of(read_map(small)) == [3 - number]
    assert f"`normalise.i0_scale: {{{number}: 0.1}}`" in summary.losses[0]


@pytest.mark.parametrize("factor", [1000, 0.01])
def test_a_sample_of_another_range_is_reported(spoilt, sound, factor):
    flux.scale(spoilt.beamtime, [4, 5, 6], factor)
    summary = reduce(spoilt.beamtime, spoilt.out)
    assert summary.exit_code == 1
    (line,) = summary.losses
    assert line.startswith(f"{SECOND_MAP}: I0 is {factor:g} times that of LMR_RT for ")
    mended = reduce(spoilt.beamtime, spoilt.out, suggested_config(line))
    assert (mended.exit_code, mended.losses) == (0, [])
    assert_same_exposure(spoilt, sound, SECOND_MAP)


def test_a_short_outage_of_i0_costs_its_points_alone(spoilt):
    flux.scale(spoilt.beamtime, [2], 10, first=7, last=9)
    flux.scale(spoilt.beamtime, [3], 0.5, first=11, last=12)
    summary = reduce(spoilt.beamtime, spoilt.out)
    assert summary.exit_code == 0
    assert scans_of(read_map(spoilt)) == [1, 2, 3]
    texts = " / ".join(summary.warnings)
    assert "scan0002: I0 changes and the photons do not at 2 of 24 points" in texts
    assert "scan0003: I0 differs from the other passes and the photons do not at 1 of"
    status = read_scan(spoilt, 2)["point_status"].values
    assert np.flatnonzero(status == POINT_I0_UNUSABLE).tolist() == [7, 8]


@pytest.mark.parametrize(("lost", "code"), [([2], 1), ([1, 2, 3, 4, 5, 6], 3)])
def test_a_negative_i0_names_the_key_of_its_sign(spoilt, lost, code):
    flux.scale(spoilt.beamtime, lost, -1)
    summary = reduce(spoilt.beamtime, spoilt.out)
    assert summary.exit_code == code
    for number in lost:
        assert "`normalise.i0_sign: -1`" in summary.failed[f"scan000{number}"]


def test_a_drain_current_with_its_sign_and_dark_reading(spoilt, sound):
    """-(I0 + 30 + 20 per second of dwell), as the dark part counts with the dwell."""
    for number in range(1, 7):
        dwell = read_scan(sound, number)["dwell"].values
        flux.change(
            spoilt.beamtime, [number], lambda n, i0, t=dwell: -i0 - 30 - 20 * t[n]
        )
    config = {
        "normalise": {"i0_sign": -1, "i0_offset": -30, "i0_offset_per_second": -20}
    }
    assert reduce(spoilt.beamtime, spoilt.out, config).exit_code == 0
    assert_same_exposure(spoilt, sound, rtol=1e-6)


@pytest.mark.parametrize("value", [None, "off", float("nan")])
def test_a_missing_reading_is_called_missing(spoilt, value):
    flux.lose(spoilt.beamtime, [1], [0, 5, 23], value)
    summary = reduce(spoilt.beamtime, spoilt.out)
    assert summary.exit_code == 0
    assert len(summary.warnings) == 1
    assert "scan0001: no I0 reading at 3 of 24 points" in summary.warnings[0]
    status = read_scan(spoilt, 1)["point_status"].values
    assert np.flatnonzero(status == POINT_NO_I0).tolist() == [0, 5, 23]
    rixs_map = read_map(spoilt)
    assert np.isfinite(rixs_map["intensity"].values).all()
    unused = json.loads(rixs_map.attrs["points_not_used"])
    assert unused == {"scan0001": {"no I0 reading": 3}}


def test_a_pass_without_i0_is_not_mixed_with_others(spoilt):
    flux.lose(spoilt.beamtime, [2])
    summary = reduce(spoilt.beamtime, spoilt.out)
    assert summary.exit_code == 1
    assert "scan0002 left out: no reading 'i0', which other pass" in summary.losses[0]
    rixs_map = read_map(spoilt)
    assert scans_of(rixs_map) == [1, 3]
    assert rixs_map.attrs["normalisation"] == "i0 and live time"
    by_live_time = reduce(spoilt.beamtime, spoilt.out, {"normalise": {"i0": None}})
    assert by_live_time.exit_code == 0
    assert scans_of(read_map(spoilt)) == [1, 2, 3]


def test_an_i0_of_zero_with_photons_loses_the_scan(spoilt):
    flux.lose(spoilt.beamtime, [2], value=0.0)
    summary = reduce(spoilt.beamtime, spoilt.out)
    assert summary.exit_code == 1
    assert "no incident flux ('i0') above 0 at any point" in summary.failed["scan0002"]
    assert scans_of(read_map(spoilt)) == [1, 3]


def test_a_stuck_i0_is_reported(spoilt):
    flux.freeze(spoilt.beamtime, [1])
    flux.freeze(spoilt.beamtime, [2], first=15)
    summary = reduce(spoilt.beamtime, spoilt.out)
    texts = " / ".join(summary.warnings)
    assert re.search(r"scan0001: 'i0' reads [\d.]+ at all points; stuck, or", texts)
    assert re.search(r"scan0002: 'i0' stuck at [\d.]+ at 9 of 24 points", texts)
    status = read_scan(spoilt, 2)["point_status"].values
    assert np.flatnonzero(status == POINT_I0_UNUSABLE).tolist() == list(range(15, 24))


def test_a_saturated_i0_is_reported_and_not_used(spoilt):
    flux.saturate(spoilt.beamtime, [2], 0.3)
    summary = reduce(spoilt.beamtime, spoilt.out)
    assert any(
        re.search(r"scan0002: 'i0' saturated at [\d.]+ at 7 of 24 points", text)
        for text in summary.warnings
    )
    status = read_scan(spoilt, 2)["point_status"].values
    assert (status == POINT_I0_UNUSABLE).sum() == 7


def test_a_blank_frees_the_map_from_the_structure_of_i0(spoilt, sound):
    """I0 has a dip of its own in all scans; the TEY of scan 6 follows the true beam."""
    at = read_scan(sound, 1)["incident_energy"].values
    dip = 1 - 0.5 * np.exp(-0.5 * ((at - 781) / 2) ** 2)
    true_i0 = read_scan(sound, 6)["i0"].values
    flux.change(spoilt.beamtime, [6], lambda n, _: 0.3 * true_i0[n], "tey")
    flux.change(spoilt.beamtime, range(1, 7), lambda n, i0: i0 * dip[n])
    config = {"normalise": {"blank": 6}, "beamtime": {"exclude": {"scans": []}}}
    summary = reduce(spoilt.beamtime, spoilt.out, config)
    assert summary.exit_code == 0, summary.losses
    expected = read_map(sound)["exposure"].values
    ratio = read_map(spoilt)["exposure"].values / expected
    np.testing.assert_allclose(ratio / ratio.mean(), 1, rtol=1e-3)
    assert "double normalisation" in read_map(spoilt).attrs["normalisation"]
    assert (read_map(spoilt)["exposure_errors"].values > 0).all()


def read_xas(small, channel, name=FIRST_MAP):
    return open_product(small.out / "xas" / f"{name}.nxs")[channel]


def tey_config(line):
    text = re.search(r"`xas\.channel_scale: (\{.*\})`", line)[1]
    return {"xas": {"channel_scale": YAML(typ="safe").load(text)}}


@pytest.mark.parametrize(
    ("channel", "factor", "first"), [("tey", 10, 0), ("tey", 10, 12), ("tfy", 0.1, 15)]
)
def test_a_reading_of_another_range_is_not_used(
    spoilt, sound_xas, channel, factor, first
):
    flux.scale(spoilt.beamtime, [2], factor, first, channel=channel)
    summary = reduce(spoilt.beamtime, spoilt.out, until="xas")
    assert summary.exit_code == 0
    (line,) = [text for text in summary.warnings if "another range" in text]
    assert line.startswith(f"{FIRST_MAP}: {channel} of scan0002 has another range")
    spectrum = read_xas(spoilt, channel)
    assert spectrum.attrs["passes"] == 2
    mended = reduce(spoilt.beamtime, spoilt.out, tey_config(line), until="xas")
    assert mended.exit_code == 0
    mended_spectrum = read_xas(spoilt, channel)
    assert mended_spectrum.attrs["passes"] == 3
    np.testing.assert_allclose(
        mended_spectrum["intensity"],
        read_xas(sound_xas, channel)["intensity"],
        atol=1e-3,
    )
    flux.lose_channel(spoilt.beamtime, 2, channel)
    reduce(spoilt.beamtime, spoilt.out, until="xas")
    expected = read_xas(spoilt, channel)
    assert expected.attrs["passes"] == 2
    xr.testing.assert_equal(spectrum, expected)


def test_an_outage_of_a_reading_costs_its_points_alone(spoilt, sound_xas):
    flux.scale(spoilt.beamtime, [3], 0.1, first=9, last=10, channel="tey")
    summary = reduce(spoilt.beamtime, spoilt.out, until="xas")
    assert any(
        "tey of scan0003 differs from the other passes at 1 points" in text
        for text in summary.warnings
    )
    spectrum, expected = read_xas(spoilt, "tey"), read_xas(sound_xas, "tey")
    assert abs(spectrum["intensity"] - expected["intensity"]).max() < 0.03


@pytest.fixture(scope="module")
def sound_xas(sound, tmp_path_factory) -> Small:
    """The absorption spectra of the sound beamtime; read-only."""
    out = tmp_path_factory.mktemp("xas") / "out"
    shutil.copytree(sound.out, out)
    summary = reduce(sound.beamtime, out, until="xas")
    assert not [
        text for text in summary.warnings if "range" in text.split("pre-edge")[0]
    ]
    return Small(sound.beamtime, out)


@pytest.mark.parametrize(("left", "line"), [(1, "constant"), (0, "none")])
def test_samples_share_the_pre_edge_model_whatever_one_lacks(
    spoilt, sound_xas, left, line
):
    energy = read_scan(sound_xas, 1)["incident_energy"].values
    before = json.loads(read_xas(sound_xas, "tey").attrs["pre_edge"])
    number = int((energy < before[1]).sum())
    flux.lose(spoilt.beamtime, [1, 2, 3], range(number - left))
    summary = reduce(spoilt.beamtime, spoilt.out, until="xas")
    lines = {
        name: read_xas(spoilt, "tey", name).attrs["pre_edge_line"]
        for name in (FIRST_MAP, SECOND_MAP)
    }
    assert lines == {FIRST_MAP: line, SECOND_MAP: "constant"}
    missing = [text for text in summary.warnings if "no pre-edge fit" in text]
    assert len(missing) == (left == 0)


def test_a_pass_without_points_before_the_edge_is_not_normalised_differently(
    spoilt, sound_xas
):
    flux.lose(spoilt.beamtime, [2], range(8))
    summary = reduce(spoilt.beamtime, spoilt.out, until="xas")
    assert any("scan0002 cannot be normalised" in text for text in summary.warnings)
    spectrum, expected = read_xas(spoilt, "tey"), read_xas(sound_xas, "tey")
    assert spectrum.attrs["passes"] == 2
    assert abs(spectrum["intensity"] - expected["intensity"]).max() < 0.03


def test_points_without_usable_i0_are_not_in_absorption_spectra(spoilt, sound_xas):
    flux.scale(spoilt.beamtime, [3], 3, first=11, last=13)
    reduce(spoilt.beamtime, spoilt.out, until="xas")
    spectrum, expected = read_xas(spoilt, "tey"), read_xas(sound_xas, "tey")
    assert abs(spectrum["intensity"] - expected["intensity"]).max() < 0.03


def test_an_edge_that_a_scan_does_not_reach_is_reported_and_not_used(spoilt):
    config = {"beamtime": {"scans": {2: {"edge": "Ni_L"}}}}
    summary = reduce(spoilt.beamtime, spoilt.out, config, until="extract")
    (line,) = [text for text in summary.reports if "wrong edge" in text]
    assert line.startswith("scan0002: wrong edge Ni_L in `beamtime.scans`, whose")
    assert scans_of(read_map(spoilt)) == [1, 2, 3]


@pytest.mark.parametrize("number", [1, 2])
def test_a_pass_with_swapped_columns_is_left_out(spoilt, number):
    flux.swap(spoilt.beamtime, [number], "tey")
    summary = reduce(spoilt.beamtime, spoilt.out)
    (line,) = summary.losses
    assert f"scan000{number} left out: I0 'i0' shows the absorption edge and " in line
    assert "'tey' does not" in line
    assert "i0_scale" not in line
    assert number not in scans_of(read_map(spoilt))


def test_a_channel_that_is_no_monitor_of_the_flux_is_suspected(spoilt):
    flux.swap(spoilt.beamtime, range(1, 7), "tey")
    summary = reduce(spoilt.beamtime, spoilt.out)
    lines = [text for text in summary.warnings if "check `normalise.i0`" in text]
    assert len(lines) == 2
    copied = reduce(spoilt.beamtime, spoilt.out, {"normalise": {"i0": "tfy"}})
    lines = [text for text in copied.warnings if "same reading as 'tfy'" in text]
    assert len(lines) == 2


def test_spikes_of_i0_cost_their_points_alone(spoilt, sound):
    flux.scale(spoilt.beamtime, [1], 3.2, first=9, last=11)
    flux.scale(spoilt.beamtime, [4], 2.9, first=8, last=10)
    summary = reduce(spoilt.beamtime, spoilt.out)
    assert (summary.exit_code, summary.losses) == (0, [])
    assert not [text for text in summary.warnings if "i0_scale" in text]
    assert scans_of(read_map(spoilt)) == [1, 2, 3]
    ratio = read_map(spoilt)["exposure"].values / read_map(sound)["exposure"].values
    # the mean I0 of the first scan, without two of its points
    np.testing.assert_allclose(ratio[:8], 1, rtol=0.01)


@pytest.mark.parametrize("number", [1, 2])
def test_a_slip_of_the_monochromator_names_the_pass_that_differs(spoilt, number):
    flux.slip(spoilt.beamtime, [number], 2)
    summary = reduce(spoilt.beamtime, spoilt.out)
    (line,) = [text for text in summary.warnings if "incident energy scale" in text]
    assert line.startswith(f"{FIRST_MAP}: incident energy scale of scan000{number} is ")
    passes = json.loads(read_map(spoilt).attrs["passes"])
    assert passes["shift_from"] == "tey"


def test_i0_where_the_beam_is_off_gives_its_dark_reading(spoilt):
    dark = 30000.0
    flux.change(spoilt.beamtime, range(1, 7), lambda n, i0: i0 + dark)
    flux.block_beam(spoilt.beamtime, 2, range(16, 20), dark)
    summary = reduce(spoilt.beamtime, spoilt.out)
    (line,) = [text for text in summary.warnings if "normalise.i0_offset" in text]
    assert line.startswith("scan0002: wrong zero of I0: 'i0' still reads 3e+04")
    assert line.endswith("set `normalise.i0_offset: 3e+04`")
