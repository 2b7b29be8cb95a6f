from dataclasses import dataclass

import pytest

from rixs_pipeline.errors import RunFailed
from rixs_pipeline.io.runs import Run
from rixs_pipeline.stages.interval import aligned_energies
from rixs_pipeline.stages.interval.aligned_energies import find_pixel_energies
from rixs_pipeline.stages.interval.compare_pixels import ComparedScan
from rixs_pipeline.stages.interval.interval_drifts import CorrectedScan
from rixs_pipeline.stages.interval.pixel_energies import PixelEnergy
from rixs_pipeline.types import Outcome
from tests.stages.builders import DEAD, LIMITS, OK, params, scan
from tests.stages.contexts import make_context, numbered_scan


@dataclass
class Task:
    scan: Run
    energies: tuple[PixelEnergy, ...]


@pytest.fixture
def no_drift(monkeypatch):
    """Leave the drift that pixels have in common alone; keep the first pixel alone."""

    class NoDrift:
        def __init__(self, *_):
            pass

        def compare_task(self, run, energies):
            return Task(run, energies)

        def correct(self, run, energies, arrays):
            assert arrays[run.name] == run.number
            return CorrectedScan(energies, None)

    class NoCache:
        def __init__(self, *_):
            pass

        def load(self, run):
            return None

        def save(self, spectra):
            pass

    def compare(task):
        if task.scan.number == 4:
            raise RunFailed(f"{task.scan.name}: damaged")
        return ComparedScan(task.energies[:1], task.scan.number)

    monkeypatch.setattr(aligned_energies, "IntervalDrifts", NoDrift)
    monkeypatch.setattr(aligned_energies, "SpectraCache", NoCache)
    monkeypatch.setattr(aligned_energies, "compare_pixels", compare)


GOOD = PixelEnergy(OK, (params(), params()), LIMITS)


class Calibrations:
    """Energy functions of scans; a scan with number 3 has none."""

    def pixel_energies(self, run):
        if run.number == 3:
            raise RunFailed("no calibration")
        return (GOOD, PixelEnergy(DEAD))

    def fitted_with(self, run):
        return (run,)

    def read(self, run):
        return []

    def interval(self, run):
        return ()


def find_energies(tmp_path, scans, *, calibrated=(), **config):
    context = make_context(tmp_path, scans, config)
    found = find_pixel_energies(context, Calibrations(), scans, calibrated=calibrated)
    return found.energies


def test_a_scan_that_fails_does_not_stop_the_others(tmp_path, no_drift):
    scans = [numbered_scan(number) for number in (3, 4, 2, 1)]
    energies = find_energies(tmp_path, scans)
    assert list(energies) == ["scan0003", "scan0004", "scan0002", "scan0001"]
    assert str(energies["scan0003"].error) == "no calibration"
    assert str(energies["scan0004"].error) == "scan0004: damaged"
    assert energies["scan0001"] == energies["scan0002"] == Outcome((GOOD,))


def test_calibrated_photons_need_no_energy_functions(tmp_path):
    scans = [
        numbered_scan(3),
        scan(number=2, name="scan0002", photon_list=tmp_path / "photons.npz"),
    ]
    energies = find_energies(tmp_path, scans, calibrated=["scan0003"])
    assert [outcome.unwrap() for outcome in energies.values()] == [(), ()]


def test_a_map_that_does_not_fit_in_memory_is_a_failure_of_its_scan(tmp_path):
    fine = {"emission": [0, 10000], "step": 0.0005}
    config = {"map": fine, "execution": {"memory": "1GB"}}
    energies = find_energies(tmp_path, [numbered_scan(1)], **config)
    assert isinstance(energies["scan0001"].error, RunFailed)


def test_pulse_files_that_cannot_be_read_are_a_failure_of_their_scan(tmp_path):
    run = numbered_scan(1, pulse_files=(tmp_path / "x_chan1.off",) * 2)
    energies = find_energies(tmp_path, [run])
    assert "x_chan1.off: cannot be read" in str(energies["scan0001"].error)
