import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rixs_pipeline.core.drift.pixel_comparison import pixel_alignment

EDGES = np.arange(400.0, 900.01, 0.5)
CENTRES = (EDGES[1:] + EDGES[:-1]) / 2
LINES = np.array([525.0, 851.0])
EV = 851.0  # energy at which relative numbers are given in eV


def spectrum(rng, photons, gain=0.0, fwhm=1.4, tail=0.16, length=20.0):
    """Return counts (bin,) of a pixel whose energies are 1 + gain times too large.

    Light: O Ka, Co La and Lb, and a continuum between these.
    """
    kind = rng.choice(4, photons, p=[0.45, 0.3, 0.1, 0.15])
    energy = np.array([525.0, 776.0, 791.0, 0.0])[kind]
    energy += (
        rng.standard_cauchy(photons).clip(-40, 40)
        * np.array([1.0, 1.5, 1.5, 0.0])[kind]
    )
    energy[kind == 3] = rng.uniform(765, 805, np.count_nonzero(kind == 3))
    energy -= np.where(
        rng.random(photons) < tail, rng.exponential(length, photons), 0.0
    )
    energy += rng.normal(0, fwhm / 2.355, photons)
    return np.histogram(energy * (1 + gain), EDGES)[0]


def array(rng, pixels, photons, drift_ev):
    """Return counts (pixel, bin), and gains (pixel,) relative to the photons' mean.

    Throughputs of the pixels differ twofold.
    """
    gain = rng.normal(0, drift_ev / EV, pixels)
    many = rng.poisson(photons * 2 ** rng.uniform(-0.5, 0.5, pixels))
    counts = np.stack([spectrum(rng, n, g) for n, g in zip(many, gain, strict=True)])
    return counts, gain - np.average(gain, weights=counts.sum(axis=1))


def align(counts, line_error=0.0):
    return pixel_alignment.align(
        counts, CENTRES, LINES, np.full((len(counts), len(LINES)), line_error)
    )


@pytest.mark.parametrize(("pixels", "photons"), [(12, 2000), (40, 1000)])
def test_alignment_removes_the_drift(pixels, photons):
    before, after, errors = [], [], []
    for seed in range(4):
        counts, gain = array(
            np.random.default_rng(seed), pixels, photons, drift_ev=0.25
        )
        alignment = align(counts)
        before.append(gain)
        after.append(gain - alignment.gain)
        errors.append(alignment.error)
    remaining = np.std(np.concatenate(after))
    expected = np.sqrt(np.mean(np.concatenate(errors) ** 2))
    # 48 and 160 pixels: the standard deviation is certain to 10 %
    assert remaining < 1.2 * expected
    assert remaining < 0.6 * np.std(np.concatenate(before))


def test_errors_equal_the_scatter_of_the_gains():
    pulls = []
    for seed in range(6):
        counts, gain = array(np.random.default_rng(seed), 30, 400, drift_ev=0.2)
        alignment = align(counts)
        pulls.append((alignment.measured - gain) / alignment.error)
    pulls = np.concatenate(pulls)
    assert abs(pulls.std() - 1) < 4 / np.sqrt(2 * len(pulls))
    assert abs(pulls.mean()) < 4 / np.sqrt(len(pulls))


@pytest.mark.parametrize(("pixels", "photons"), [(4, 500), (24, 200), (24, 2000)])
def test_without_drift_gains_are_small(pixels, photons):
    injected, errors = [], []
    for seed in range(24):
        alignment = align(
            array(np.random.default_rng(100 + seed), pixels, photons, 0.0)[0]
        )
        injected.append(alignment.gain)
        errors.append(alignment.error)
    # One array in twelve shows drift by chance (half of chi2_1 > 2): 2 of 24. More than
    # 7 are beyond three standard deviations.
    assert sum(np.any(g != 0) for g in injected) <= 7
    assert np.sqrt(np.mean(np.square(injected))) < np.sqrt(7 / 24) * np.mean(errors)


def test_calibration_errors_are_not_mistaken_for_drift():
    counts, _ = array(np.random.default_rng(3), 24, 1500, drift_ev=0.2)
    assert align(counts).spread * EV == pytest.approx(0.2, abs=0.1)
    assert not align(counts, line_error=0.4).gain.any()


def test_the_error_of_a_gain_by_its_calibration_is_that_of_the_lines():
    counts, _ = array(np.random.default_rng(3), 12, 1500, drift_ev=0.2)
    assert not align(counts).calibration_error.any()
    errors = align(counts, line_error=0.2).calibration_error
    # two lines, of which each determines a part of the gain
    assert np.all((errors > 0.2 / 851 / 2) & (errors < 0.2 / 525))
    doubled = align(counts, line_error=0.4).calibration_error
    np.testing.assert_allclose(doubled, 2 * errors, rtol=0.02)


@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(0, 2**31), pixels=st.integers(4, 12), drift=st.floats(0.1, 0.25)
)
def test_alignment_keeps_the_mean_energy_of_the_photons(seed, pixels, drift):
    counts, _ = array(np.random.default_rng(seed), pixels, 600, drift)
    assert abs(np.average(align(counts).gain, weights=counts.sum(axis=1))) * EV < 1e-9


@pytest.mark.parametrize(
    "odd",
    [
        {"tail": 0.12},
        {"tail": 0.2},
        {"length": 10.0},
        {"length": 30.0},
        {"fwhm": 1.1},
        {"fwhm": 1.8},
    ],
    ids=str,
)
def test_a_different_line_shape_is_not_mistaken_for_a_shift(odd):
    rng = np.random.default_rng(7)
    counts = np.stack(
        [spectrum(rng, 60_000, **(odd if pixel < 4 else {})) for pixel in range(16)]
    )
    alignment = align(counts)
    bias = alignment.measured[:4].mean() - alignment.measured[4:].mean()
    error = alignment.error[0] * np.sqrt(1 / 4 + 1 / 12)
    assert abs(bias) * EV < 0.05 + 2 * error * EV


def test_few_pixels_or_photons_are_not_aligned():
    counts, _ = array(np.random.default_rng(1), 12, 1500, drift_ev=0.3)
    alignment = align(counts[:3])
    assert not alignment.gain.any() and np.isnan(alignment.error).all()
    counts[5] = 0
    counts[5, 300] = 20
    alignment = align(counts)
    assert alignment.gain[5] == 0 and np.isnan(alignment.error[5])
    assert np.count_nonzero(alignment.gain) == 11


def test_pixels_without_common_structure_are_not_aligned():
    rng = np.random.default_rng(2)
    flat = rng.poisson(2.0, (8, len(CENTRES)))
    alignment = align(flat)
    assert np.abs(alignment.gain).max() * EV < 1e-9
    disjoint = np.zeros((4, len(CENTRES)), np.int64)  # no line is in two pixels
    for pixel in range(4):
        disjoint[pixel, 200 * pixel + 100] = 500
    assert np.isfinite(align(disjoint).gain).all()


def test_an_outlying_pixel_does_not_create_drift_in_the_others():
    rng = np.random.default_rng(5)
    gain = np.zeros(12)
    gain[4] = 2.0 / EV
    counts = np.stack([spectrum(rng, 1500, g) for g in gain])
    alignment = align(counts)
    gains = np.delete(alignment.gain, 4)
    assert np.std(gains) < 0.5 * alignment.error[0]
    assert abs(np.mean(gains)) < 0.1 * alignment.error[0]
    assert alignment.gain[4] == pytest.approx(2.0 / EV, abs=5 * alignment.error[4])
