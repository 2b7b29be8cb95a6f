"""Self-absorption of a yield, corrected, and compared with the inverse yield."""

import numpy as np
import pytest
from scipy.stats import kstest

from rixs_pipeline.core.spectra.region_sums import SpectrumAxis
from rixs_pipeline.core.spectra.regions import Limits
from rixs_pipeline.core.spectra.self_absorption import (
    compare_with_inverse_yield,
    correct_self_absorption,
)
from rixs_pipeline.core.spectra.spectrum import Spectrum
from rixs_pipeline.core.spectra.yields import extract_spectrum
from tests.core.spectra.builders import make_region
from tests.core.spectra.thick_sample import G_MU_F, INCIDENT, MU, MU_B, thick_sample


def test_self_absorption_is_undone_and_agrees_with_the_inverse_yield() -> None:
    """Truth: MU, scaled to its post-edge value; uniform chi-squared p against iPFY."""
    after = float(MU[INCIDENT >= 798].mean())
    clean = extract_spectrum(
        thick_sample(), make_region(kind="pfy", emission=(762, 800))
    )
    exact = correct_self_absorption(
        clean, Limits(798, 805), MU_B / after, G_MU_F / after
    )
    np.testing.assert_allclose(exact.values, MU / after, rtol=2e-3)
    rng, p, pulls = np.random.default_rng(4), [], []
    for _ in range(40):
        data = thick_sample(rng)
        pfy = extract_spectrum(data, make_region(kind="pfy", emission=(762, 800)))
        found = correct_self_absorption(
            pfy, Limits(798, 805), MU_B / after, G_MU_F / after
        )
        pulls.append((found.values - MU / after) / found.errors)
        inverse = extract_spectrum(data, make_region(kind="ipfy", emission=(510, 540)))
        held = compare_with_inverse_yield(
            found.values, found.errors, inverse.intensity, inverse.intensity_errors
        )
        p.append(held.p)
    assert 0.9 < np.nanstd(pulls) < 1.1
    assert kstest(p, "uniform").pvalue > 1e-3
    bright = thick_sample(rng, 400.0)
    pfy, inverse = (
        extract_spectrum(bright, make_region(kind=k, emission=e))
        for k, e in (("pfy", (762, 800)), ("ipfy", (510, 540)))
    )
    raw = compare_with_inverse_yield(
        pfy.intensity, pfy.intensity_errors, inverse.intensity, inverse.intensity_errors
    )
    assert raw.p < 1e-6, "the squashed yield is no straight line in the inverse one"


def spectrum(intensity: np.ndarray, errors: np.ndarray) -> Spectrum:
    """Return a yield at the energies 0, 1, 2, ... eV."""
    return Spectrum(
        axis=SpectrumAxis.INCIDENT,
        energy=np.arange(float(len(intensity))),
        intensity=intensity,
        intensity_errors=errors,
        intensity_lower=intensity - 2 * errors,
        intensity_upper=intensity + 2 * errors,
        counts=intensity,
        exposure=np.ones(len(intensity)),
        units="counts/s",
    )


def test_where_it_diverges_it_is_refused() -> None:
    intensity = np.array([0.1, 0.1, 0.5, 1.0, 1.15, 1.3, 0.2, 1.0, 1.0, 1.0])
    found = correct_self_absorption(
        spectrum(intensity, np.full(10, 0.01)), Limits(7, 10), 0.1, 0.1
    )
    np.testing.assert_array_equal(found.refused, intensity > 0.9 * 1.2)
    assert np.isnan(found.values[found.refused]).all()
    noisy = correct_self_absorption(
        spectrum(intensity, np.full(10, 0.2)), Limits(7, 10), 0.1, 0.1
    )
    assert noisy.refused.sum() > found.refused.sum()
    with pytest.raises(ValueError, match="post_edge"):
        correct_self_absorption(
            spectrum(intensity, intensity), Limits(20, 30), 1.0, 1.0
        )


def test_too_few_points_cannot_be_compared() -> None:
    three = np.array([1.0, 2.0, 3.0])
    assert compare_with_inverse_yield(three, three, three, three) is None
