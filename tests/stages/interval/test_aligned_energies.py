import numpy as np
import pytest

from rixs_pipeline.errors import RunFailed
from rixs_pipeline.stages.interval import align_pixels, aligned_energies
from rixs_pipeline.stages.interval.aligned_energies import find_pixel_energies
from rixs_pipeline.stages.interval.first_pass import FirstPass
from rixs_pipeline.stages.interval.interval_drifts import CorrectedScan
from rixs_pipeline.stages.interval.pixel_energies import PixelEnergy
from rixs_pipeline.types import Outcome
from tests.stages.builders import DEAD, LIMITS, OK, params, scan
from tests.stages.contexts import make_context, numbered_scan


@pytest.fixture
def no_drift(monkeypatch):
    """Leave the drift that pixels have in common alone."""

    class NoDrift:
        def __init__(self, *_):
            pass

        def edges(self, run):
            return align_pixels.spectrum_edges()

        def line_errors(self, run):
            return []

        def array_spectra(self, *_):
            return None

        def correct(self, run, energies, arrays):
            return CorrectedScan(energies, None)

    class NoCache:
        def __init__(self, *_):
            pass

        def load(self, run):
            return None

        def save(self, spectra):
            pass

    monkeypatch.setattr(aligned_energies, "IntervalDrifts", NoDrift)
    monkeypatch.setattr(aligned_energies, "SpectraCache", NoCache)


def pass_of(monkeypatch, spectra):
    """Let the first pass over a task show `spectra(task)`."""
    monkeypatch.setattr(
        aligned_energies,
        "first_passes",
        lambda task: (FirstPass(spectra(task), np.zeros((2, 1))),),
    )


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


def find_energies(
    tmp_path, scans, *, align=False, displaced="keep", calibrated=(), **config
):
    calibration = {"align": align, "displaced_pixels": displaced}
    config = {"calibration": calibration} | config
    context = make_context(tmp_path, scans, config)
    found = find_pixel_energies(
        context, Calibrations(), scans, calibrated=calibrated, block_size=1
    )
    return found.energies


def test_a_scan_without_a_calibration_does_not_stop_the_others(
    tmp_path, monkeypatch, no_drift
):
    monkeypatch.setattr(align_pixels, "align_tasks", lambda *_: [1])
    pass_of(monkeypatch, lambda task: np.ones((2, 1, 1), np.int32))
    scans = [numbered_scan(3), numbered_scan(1)]
    energies = find_energies(tmp_path, scans)
    assert list(energies) == ["scan0003", "scan0001"]
    assert str(energies["scan0003"].error) == "no calibration"
    assert energies["scan0001"].unwrap()[0] is GOOD


def test_calibrated_photons_need_no_energy_functions(tmp_path):
    scans = [
        numbered_scan(3),
        scan(number=2, name="scan0002", photon_list=tmp_path / "photons.npz"),
    ]
    for align in (False, True):
        energies = find_energies(tmp_path, scans, align=align, calibrated=["scan0003"])
        assert [outcome.unwrap() for outcome in energies.values()] == [(), ()]


def test_a_map_that_does_not_fit_in_memory_is_a_failure_of_its_scan(tmp_path):
    fine = {"emission": [0, 10000], "step": 0.0005}
    config = {"map": fine, "execution": {"memory": "1GB"}}
    energies = find_energies(tmp_path, [numbered_scan(1)], **config)
    assert isinstance(energies["scan0001"].error, RunFailed)


def test_alignment_is_applied_to_each_scan_with_its_own_spectra(
    tmp_path, monkeypatch, no_drift
):
    tasks = {1: [3, 5], 2: [7]}
    aligned = {}

    def align(run, energies, spectra, edges, errors):
        aligned[run.number] = spectra.tolist()
        return (energies[0],)

    monkeypatch.setattr(align_pixels, "align_tasks", lambda run, *_: tasks[run.number])
    pass_of(monkeypatch, lambda task: np.full((2, 1, 1), task))
    monkeypatch.setattr(
        aligned_energies,
        "join_passes",
        lambda passes: FirstPass(sum(p.spectra for p in passes), passes[0].baseline),
    )
    monkeypatch.setattr(align_pixels, "align_pixels", align)
    scans = [numbered_scan(2), numbered_scan(3), numbered_scan(1)]
    energies = find_energies(tmp_path, scans, align=True)
    assert aligned == {2: [[7], [0]], 1: [[8], [0]]}  # the dead pixel has no part
    assert energies["scan0001"] == Outcome((GOOD,))
    assert str(energies["scan0003"].error) == "no calibration"


@pytest.mark.parametrize("treatment", ["exclude", "report"])
def test_displaced_pixels_are_marked_before_the_others_are_aligned(
    tmp_path, monkeypatch, no_drift, treatment
):
    seen = []

    def mark(energies, spectra, edges, *, exclude):
        seen.append(exclude)
        return (PixelEnergy(DEAD), energies[1])

    monkeypatch.setattr(align_pixels, "align_tasks", lambda *_: [1])
    pass_of(monkeypatch, lambda task: np.ones((2, 1, 1), np.int32))
    monkeypatch.setattr(aligned_energies, "mark_displaced", mark)
    scans = [numbered_scan(1)]
    energies = find_energies(tmp_path, scans, displaced=treatment)
    assert [energy.status for energy in energies["scan0001"].unwrap()] == [DEAD, DEAD]
    assert seen == [treatment == "exclude"]


def test_pulse_files_that_cannot_be_read_are_a_failure_of_their_scan(
    tmp_path, monkeypatch
):
    def align_tasks(run, *_):
        raise RunFailed(f"{run.name}: damaged")

    monkeypatch.setattr(align_pixels, "align_tasks", align_tasks)
    energies = find_energies(tmp_path, [numbered_scan(1)], align=True)
    assert str(energies["scan0001"].error) == "scan0001: damaged"
