"""Selection of a spectrum's points."""

import numpy as np

from rixs_pipeline.core.spectra.region_sums import SpectrumAxis
from rixs_pipeline.core.spectra.spectrum import Spectrum


def test_all_arrays_are_selected_and_the_rest_stays():
    values = np.arange(4.0)
    spectrum = Spectrum(
        axis=SpectrumAxis.EMISSION,
        energy=500 + values,
        intensity=values,
        intensity_errors=values,
        intensity_lower=values,
        intensity_upper=values,
        counts=values,
        exposure=values,
        units="counts/(s eV)",
        background=values,
        facts={"tail": 1},
    )
    selected = spectrum.select(values > 1)
    assert selected.energy.tolist() == [502, 503]
    assert selected.background.tolist() == [2, 3]
    assert selected.i0_errors is None
    assert (selected.units, selected.facts) == ("counts/(s eV)", {"tail": 1})
    assert spectrum.select(np.array([3, 0])).intensity.tolist() == [3, 0]
