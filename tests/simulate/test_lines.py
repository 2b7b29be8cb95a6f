import numpy as np
import pytest

from rixs_pipeline.simulate.lines import LINES, line_profile


@pytest.mark.parametrize("name", LINES)
def test_line_has_its_maximum_at_the_tabulated_energy(name):
    energy = np.arange(LINES[name].maximum - 10, LINES[name].maximum + 10, 0.005)
    profile = line_profile(name, energy, resolution=1.0)
    assert energy[np.argmax(profile)] == pytest.approx(LINES[name].maximum, abs=0.01)


@pytest.mark.parametrize("name", LINES)
def test_line_has_unit_area(name):
    energy = np.arange(LINES[name].maximum - 2000, LINES[name].maximum + 2000, 0.02)
    area = line_profile(name, energy).sum() * 0.02
    # Lorentzian tails reach beyond 2000 eV
    assert area == pytest.approx(1, abs=5e-3)
