"""Errors of TEY and TFY that hold where readings are noisy, spiked or drift."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from rixs_pipeline import open_product, paths
from rixs_pipeline.config import Config
from rixs_pipeline.io.export import export
from rixs_pipeline.runner.run import Options, run
from rixs_pipeline.simulate.beamtime import simulate
from rixs_pipeline.simulate.settings import SimulationSettings
from tests.conftest import SMALL
from tests.faults import errors as faults

SETTINGS = {
    "seed": 41,
    "samples": [{"name": "A"}, {"name": "B"}],
    "points": 60,
    "dwell": 0.5,
    "calibration_duration": 120.0,
}
FIRST, SECOND = (1, 2), (3, 4)  # scans of the samples


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    """Two equal samples with two passes each; read-only."""
    path = tmp_path_factory.mktemp("sound") / "beamtime"
    simulate(path, SimulationSettings.model_validate(SMALL | SETTINGS))
    return path


@pytest.fixture(scope="module")
def reduced(sound, tmp_path_factory) -> Path:
    """Its products; read-only."""
    out = tmp_path_factory.mktemp("reduced") / "out"
    return reduce(sound, out)


def reduce(beamtime: Path, out: Path) -> Path:
    config = Config.model_validate({"execution": {"scheduler": "serial"}})
    summary = run(beamtime, config, out, Options(until="xas"))
    assert summary.failed == {}
    return out


@pytest.fixture
def beamtime(sound, tmp_path) -> Path:
    """A private copy of the beamtime."""
    shutil.copytree(sound, tmp_path / "beamtime")
    return tmp_path / "beamtime"


@pytest.fixture
def out(reduced, tmp_path) -> Path:
    """A private copy of its products: only what depends on readings is redone."""
    shutil.copytree(reduced, tmp_path / "out")
    return tmp_path / "out"


def tey(out: Path, sample: str):
    return open_product(paths.xas_product(out, sample, "Co_L"))["tey"]


def rms_pull(first, second) -> float:
    """Of the difference of two spectra, off their common maximum."""
    errors = np.hypot(
        first["intensity_errors"].values, second["intensity_errors"].values
    )
    difference = first["intensity"].values - second["intensity"].values
    is_off = np.abs(first["intensity"].values) < 0.9
    return float(np.sqrt(np.nanmean((difference / errors)[is_off] ** 2)))


def test_equal_samples_agree_within_their_errors(reduced) -> None:
    assert 0.4 < rms_pull(tey(reduced, "A"), tey(reduced, "B")) < 2.0


def test_noise_of_one_sample_changes_its_errors_and_not_its_model(
    beamtime, reduced, out
) -> None:
    for number in SECOND:
        faults.add_reading_noise(beamtime, number, "tey", 0.03, seed=1)
    reduce(beamtime, out)
    quiet, noisy = tey(out, "A"), tey(out, "B")
    assert quiet.attrs["pre_edge_line"] == noisy.attrs["pre_edge_line"] == "linear"
    ratio = noisy["intensity_errors"].values / quiet["intensity_errors"].values
    assert np.nanmedian(ratio) > 4
    assert rms_pull(quiet, noisy) < 2.0
    np.testing.assert_array_equal(
        quiet["intensity"].values, tey(reduced, "A")["intensity"].values
    )


def test_a_spike_at_the_maximum_hardly_moves_the_rest(beamtime, reduced, out) -> None:
    """The largest point would scale the whole spectrum down by 5 %."""
    faults.add_spike(beamtime, FIRST[0], "tey", 1.10)
    reduce(beamtime, out)
    spiked, clean = tey(out, "A"), tey(reduced, "A")
    is_off = np.abs(clean["intensity"].values) < 0.9
    assert rms_pull(spiked, clean) < 2.0
    change = np.abs(spiked["intensity"].values - clean["intensity"].values)
    assert np.nanmedian(change[is_off]) < 0.03


def test_passes_that_drift_apart_say_so_in_their_errors(beamtime, out) -> None:
    faults.tilt_reading(beamtime, FIRST[0], "tey", 0.3)
    reduce(beamtime, out)
    bent, straight = tey(out, "A"), tey(out, "B")
    assert bent.attrs["passes_scatter"] > 2 > straight.attrs["passes_scatter"]
    ratio = bent["intensity_errors"].values / straight["intensity_errors"].values
    assert np.nanmedian(ratio) > 2


def test_exports_carry_the_errors(reduced, tmp_path) -> None:
    shutil.copytree(reduced, tmp_path / "copy")
    written = {path.name: path for path in export(tmp_path / "copy", ["csv", "nexus"])}
    table = np.genfromtxt(written["A-Co_L-XAS_tey.csv"], delimiter=",", names=True)
    errors = next(name for name in table.dtype.names if "intensity_errors" in name)
    expected = tey(reduced, "A")["intensity_errors"].values
    np.testing.assert_array_equal(table[errors], expected)
    assert {"A-Co_L.nxs", "A-Co_L-XAS.nxs"} <= written.keys()


def test_every_pixel_has_a_resolution_with_an_error(reduced) -> None:
    calibration = open_product(reduced / "calibration" / "cal0000.nxs")
    resolution = calibration["resolution"].values
    errors = calibration["resolution_errors"].values
    assert np.all(np.abs(resolution - 1.6) < 5 * errors)
    assert np.all(errors < 0.6)
    assert calibration.attrs["tail_fraction_errors"] > 0
