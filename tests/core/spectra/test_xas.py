"""Absorption from readings: pre-edge line, maximum or jump of 1, errors of the mean."""

import numpy as np
import pytest

from rixs_pipeline.core.spectra import xas
from rixs_pipeline.core.spectra.edge_windows import EdgeWindows
from rixs_pipeline.core.spectra.regions import Limits, Scale

ENERGY = np.arange(760.0, 830.0, 0.5)
WINDOWS = EdgeWindows(Limits(755, 774), Limits(800, 840), 780.0)
EDGE = np.exp(-0.5 * ((ENERGY - 780.5) / 2.0) ** 2) + 0.5 * (ENERGY > 780)
STEP = 1.0 * (ENERGY >= 780)
LINE = 2.0 + 0.01 * (ENERGY - 700)


def normalise(passes, scale=Scale.MAX, noise=0.0, is_linear=True, energy=ENERGY):
    errors = [np.full(len(energy), noise) for _ in passes]
    return xas.normalise_passes(
        energy, passes, errors, scale, WINDOWS, is_linear=is_linear
    )


@pytest.mark.parametrize("factor", [1.0, 7.0])
def test_pre_edge_line_is_subtracted_and_maximum_is_one(factor):
    alone = normalise([EDGE])
    spectrum = normalise([factor * (LINE + EDGE)])
    assert spectrum.pre_edge == "linear"
    assert spectrum.values == pytest.approx(alone.values, abs=1e-9)
    assert spectrum.values.max() == pytest.approx(1.0, abs=0.05)
    assert spectrum.divisors == pytest.approx(factor * alone.divisors)


def test_the_jump_is_one():
    spectrum = normalise([3 * (LINE + STEP)], Scale.EDGE, is_linear=False)
    assert spectrum.pre_edge == "linear", "a jump always has a line before it"
    assert spectrum.values == pytest.approx(STEP, abs=1e-9)
    assert spectrum.divisors == pytest.approx([3.0])


def test_nothing_is_subtracted_without_pre_edge_points():
    above = slice(40, None)
    spectrum = normalise([(LINE + EDGE)[above]], energy=ENERGY[above])
    assert spectrum.pre_edge == "none"
    assert spectrum.values * spectrum.divisors == pytest.approx((LINE + EDGE)[above])


def test_a_constant_is_subtracted_on_request():
    spectrum = normalise([EDGE + 3], is_linear=False)
    assert spectrum.pre_edge == "constant"
    before = WINDOWS.pre_edge.contains(ENERGY)
    assert spectrum.values[before].mean() == pytest.approx(0, abs=1e-9)


def test_missing_points_stay_missing():
    broken = np.where(ENERGY == 790, np.nan, LINE + EDGE)
    assert np.isnan(normalise([broken]).values).sum() == 1
    assert np.isfinite(normalise([broken, LINE + EDGE]).values).all()


def test_passes_of_different_size_and_slope_agree_after_normalisation():
    spectrum = normalise([2 * EDGE + 1, 5 * EDGE + 0.1 * ENERGY], noise=0.01)
    assert spectrum.scatter < 1e-6
    assert spectrum.divisors[1] == pytest.approx(2.5 * spectrum.divisors[0])


def test_all_passes_have_the_sign_of_their_mean():
    spectrum = normalise([3 - EDGE, 3 - 2 * EDGE], is_linear=False)
    assert spectrum.sign == -1
    assert spectrum.values.min() == pytest.approx(-1.0, abs=0.05)
    assert normalise([LINE - STEP], Scale.EDGE).sign == -1


FAR = np.array([*np.arange(764, 773, 2), *np.arange(778, 784, 0.25), 786, 792, 805])
FAR_EDGE = np.exp(-0.5 * ((FAR - 780.5) / 1.0) ** 2)
FAR_NOISE = 0.08  # of a reading; at the end of the scan that of the line is 0.5


@pytest.mark.parametrize("direction", [1, -1])
def test_an_uncertain_line_decides_neither_sign_nor_maximum(direction):
    """Far from the pre-edge points it may be wrong by more than the edge."""
    rng = np.random.default_rng(3)
    true = normalise([direction * FAR_EDGE], energy=FAR)
    pulls = []
    for _ in range(60):
        readings = direction * FAR_EDGE + rng.normal(0, FAR_NOISE, len(FAR))
        spectrum = normalise([readings], noise=FAR_NOISE, energy=FAR)
        assert spectrum.sign in (1, direction), "positive unless it clearly decreases"
        if spectrum.sign == direction:
            pulls.append((spectrum.values - true.values) / spectrum.errors)
    assert len(pulls) > (58 if direction > 0 else 20)
    is_off_the_maximum = np.abs(FAR - 780.5) > 0.75
    rms = np.sqrt(np.mean(np.array(pulls) ** 2, axis=0))[is_off_the_maximum]
    assert np.sqrt(np.mean(rms**2)) == pytest.approx(1.0, abs=0.25)
    assert rms[-1] == pytest.approx(1.0, abs=0.3)


def test_unknown_errors_leave_the_values_known():
    known, unknown = (normalise([3 - EDGE], noise=noise) for noise in (0.0, np.nan))
    assert unknown.values == pytest.approx(known.values)
    assert unknown.sign == -1
    assert np.isnan(unknown.errors).all()


def test_a_clear_maximum_far_from_the_edge_is_the_maximum():
    rising = LINE + STEP * (1 + 0.05 * (ENERGY - 780))
    spectrum = normalise([rising], noise=0.01)
    assert spectrum.values[-1] == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("scale", [Scale.MAX, Scale.EDGE])
@pytest.mark.parametrize("is_linear", [True, False])
def test_errors_include_pre_edge_line_and_divisor(scale, is_linear):
    """Pulls against the noise-free spectrum, far from the pre-edge points too."""
    rng, noise = np.random.default_rng(1), 0.02
    true = normalise([EDGE + 2], scale, is_linear=is_linear)
    pulls = []
    for _ in range(25):
        passes = [EDGE + 2 + rng.normal(0, noise, len(ENERGY)) for _ in range(3)]
        spectrum = normalise(passes, scale, noise, is_linear)
        pulls.append((spectrum.values - true.values) / spectrum.errors)
    is_off_the_maximum = np.abs(ENERGY - 780.5) > 1.5
    rms = np.sqrt(np.mean(np.array(pulls) ** 2, axis=0))[is_off_the_maximum]
    assert np.sqrt(np.mean(rms**2)) == pytest.approx(1.0, abs=0.2)
    end = ENERGY[is_off_the_maximum] > 820
    assert np.sqrt(np.mean(rms[end] ** 2)) == pytest.approx(1.0, abs=0.35)


def test_the_error_of_a_line_grows_with_the_distance():
    passes = [LINE + EDGE]
    linear = normalise(passes, noise=0.02).errors
    constant = normalise(passes, noise=0.02, is_linear=False).errors
    assert linear[-1] > 2 * constant[-1]
    assert linear[-1] > 1.5 * linear[0]


def test_passes_that_disagree_make_the_errors_larger():
    rng = np.random.default_rng(2)
    passes = [LINE + EDGE + rng.normal(0, 0.01, len(ENERGY)) for _ in range(3)]
    alike = normalise(passes, noise=0.01)
    passes[0] = passes[0] + 0.3 * (ENERGY > 790)
    apart = normalise(passes, noise=0.01)
    assert 0.7 < alike.scatter < 1.3
    assert apart.scatter > 3
    assert apart.errors[-1] == pytest.approx(apart.scatter * alike.errors[-1], rel=0.3)


def test_a_line_depends_on_the_energies_alone():
    pre_edge = WINDOWS.pre_edge
    assert xas.supports_line(ENERGY, pre_edge)
    first = int(np.searchsorted(ENERGY, pre_edge.high))
    assert not xas.supports_line(ENERGY[first - 3 :], pre_edge), "the foot of the edge"
    few = np.append(ENERGY[first - 12 : first : 6], ENERGY[first:])
    assert not xas.supports_line(few, pre_edge), "too few points"
