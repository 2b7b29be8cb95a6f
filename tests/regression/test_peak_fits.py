"""The independent peak fits, on synthetic lines of known position and width."""

import numpy as np
import pytest

from rixs_pipeline.config.reference_sets import load_reference_set
from tests.benchmarks.peak_fits import FWHM, fit, half_maximum_width


def photons(rng, n, fwhm, tail_length, tail=0.16):
    lost = np.where(rng.random(n) < tail, rng.exponential(tail_length, n), 0.0)
    return rng.normal(0, fwhm / FWHM, n) - lost


@pytest.mark.parametrize(("fwhm", "bias"), [(1.4, 0.01), (3.0, 0.04)])
@pytest.mark.parametrize("tail_length", [10.0, 20.0, 30.0])
def test_positions_have_the_documented_bias_at_most(fwhm, bias, tail_length):
    rng = np.random.default_rng(1)
    peak = fit(photons(rng, 200_000, fwhm, tail_length), (-15, 10), sigma=fwhm / 2)
    assert abs(peak.position) < bias + 3 * peak.position_error
    assert peak.fwhm == pytest.approx(fwhm, rel=0.02)


@pytest.mark.parametrize("name", ["C_Ka", "O_Ka", "Cu_La"])
def test_standard_errors_match_the_scatter(name):
    rng, line = np.random.default_rng(2), load_reference_set("srd128").lines[name]
    offset, width, share = np.array(line.shape).T
    places = []
    for _ in range(150):
        part = rng.choice(len(share), 500, p=share / share.sum())
        emitted = (
            offset[part]
            + 0.5 * width[part] * rng.standard_cauchy(500)
            + rng.normal(0, line.sigma, 500)
        )
        values = emitted + photons(rng, 500, 1.4, 20.0)
        places.append(fit(values, (-25, 28), (line.shape, line.sigma), sigma=0.6))
    pulls = np.array([peak.position / peak.position_error for peak in places])
    assert pulls.std() == pytest.approx(1, abs=3 / np.sqrt(2 * len(pulls)))
    assert abs(pulls.mean()) < 3 / np.sqrt(len(pulls))


def test_half_maximum():
    values = photons(np.random.default_rng(3), 5000, 3.0, 20.0)
    assert half_maximum_width(values, (-12, 12)) == pytest.approx(3.0, abs=0.25)


def test_too_few_photons_give_no_fit():
    assert np.isnan(fit(np.zeros(5), (-15, 10)).position)
