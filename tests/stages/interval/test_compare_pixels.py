import numpy as np
import pytest

from rixs_pipeline.core.drift.pixel_comparison.piece_counts import PieceCounts
from rixs_pipeline.stages.interval import compare_pixels as module
from rixs_pipeline.stages.interval.align_pixels import AlignTask, spectrum_edges
from rixs_pipeline.stages.interval.compare_pixels import CompareTask, compare_pixels
from rixs_pipeline.stages.interval.first_pass import FirstPass
from rixs_pipeline.stages.interval.pixel_energies import PixelEnergy
from tests.stages.builders import DEAD, LIMITS, OK, params
from tests.stages.contexts import numbered_scan

GOOD = PixelEnergy(OK, (params(), params()), LIMITS)


@pytest.fixture
def calls(monkeypatch):
    """Replace the steps; the first pixel has 3 + 5 counts in two pieces."""
    calls = []
    spectra = PieceCounts.from_array(np.array([[[3], [5]], [[7], [7]]]))

    def mark(energies, counts, edges, *, exclude):
        calls.append(("mark", exclude))
        return (energies[0], PixelEnergy(DEAD))

    def align(run, energies, counts, edges, errors):
        calls.append(("align", counts.tolist()))
        return energies

    def add(task, run, energies, passed, runs, at):
        return [energy.status for energy in energies]

    monkeypatch.setattr(module, "first_pass", lambda _: FirstPass(spectra, None))
    monkeypatch.setattr(module, "mark_displaced", mark)
    monkeypatch.setattr(module, "align_pixels", align)
    monkeypatch.setattr(module, "array_spectra", add)
    return calls


def task(displaced, is_aligned, energies=(GOOD, GOOD)):
    spectra = AlignTask((), energies, None, np.zeros(1), spectrum_edges())
    return CompareTask(numbered_scan(1), spectra, [], [], None, displaced, is_aligned)


@pytest.mark.parametrize("displaced", ["exclude", "report"])
def test_displaced_pixels_are_marked_before_the_others_are_aligned(calls, displaced):
    compared = compare_pixels(task(displaced, True))
    assert calls == [("mark", displaced == "exclude"), ("align", [[8], [0]])]
    assert compared.array == [OK, DEAD]
    assert [energy.status for energy in compared.energies] == [OK, DEAD]


def test_pixels_may_be_left_as_they_are(calls):
    assert compare_pixels(task("keep", False)).energies == (GOOD, GOOD)
    assert calls == []


def test_pixels_that_are_not_used_have_no_counts_to_align(calls):
    compare_pixels(task("keep", True, (PixelEnergy(DEAD), GOOD)))
    assert calls == [("align", [[0], [14]])]
