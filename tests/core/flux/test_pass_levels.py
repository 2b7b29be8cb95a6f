import numpy as np
import pytest

from rixs_pipeline.core.flux.pass_levels import (
    UNKNOWN_FLUX,
    PassFlux,
    UsualFlux,
    find_pass_levels,
    find_pass_steps,
)

N = 30
SPECTRUM = 1000 * (1 + 2 * np.exp(-0.5 * ((np.arange(N) - 15) / 2) ** 2))


def make_pass(seed, factor=1.0, beam=1.0, points=slice(None)):
    rng = np.random.default_rng(seed)
    seconds = np.zeros(N)
    seconds[points] = 1.0
    i0 = np.where(seconds > 0, 1e5 * beam * factor * rng.normal(1, 0.01, N), np.nan)
    tey = np.where(seconds > 0, 300 * beam * SPECTRUM, np.nan)
    counts = rng.poisson(SPECTRUM * beam * seconds)
    return PassFlux(i0, seconds, counts, (tey,), np.arange(N))


def levels(passes, usual=UNKNOWN_FLUX):
    return find_pass_levels(passes, np.ones(len(passes), bool), usual)


@pytest.mark.parametrize("odd", [0, 1, 2])
def test_the_pass_of_another_range_is_odd(odd):
    passes = [make_pass(k, 10.0 if k == odd else 1.0) for k in range(3)]
    found = levels(passes)
    assert np.flatnonzero(found.is_odd).tolist() == [odd]
    assert found.log_factor[odd] == pytest.approx(np.log(10), abs=0.03)


def test_passes_with_another_beam_are_sound():
    passes = [make_pass(k, beam=beam) for k, beam in enumerate((1.0, 0.2, 3.0))]
    assert not levels(passes).is_odd.any()


def test_other_scans_tell_which_of_two_passes_is_odd():
    passes = [make_pass(0), make_pass(1, 10.0)]
    assert levels(passes).is_odd.tolist() == [False, True]
    assert levels(passes, UsualFlux(np.log(1e6))).is_odd.tolist() == [True, False]
    # I0 per photon and per TEY does not depend on the beam
    per = tuple(np.median(passes[0].log_i0_per[k]) for k in (0, 1))
    usual = UsualFlux(np.log(1e6), per)
    assert levels(passes, usual).is_odd.tolist() == [False, True]


def test_passes_over_different_energies_are_compared_by_their_rates():
    passes = [
        make_pass(0, points=slice(0, 10)),
        make_pass(1, 10.0, points=slice(20, N)),
    ]
    assert levels(passes).is_odd.tolist() == [False, True]
    passes = [make_pass(0, points=slice(0, 10)), make_pass(1, points=slice(20, N))]
    assert not levels(passes).is_odd.any()


@pytest.mark.parametrize("others", [1, 3])
def test_a_step_belongs_to_the_pass_whose_i0_steps(others):
    passes = [make_pass(k) for k in range(others + 1)]
    passes[0].i0[12:] *= 2
    steps = find_pass_steps(passes[0], passes[1:], 1.5)
    assert np.flatnonzero(steps.is_off).tolist() == list(range(12))
    for k in range(1, others + 1):
        rest = passes[:k] + passes[k + 1 :]
        assert not find_pass_steps(passes[k], rest, 1.5).is_off.any()


def test_structure_that_all_passes_have_is_no_step():
    passes = [make_pass(k) for k in range(2)]
    for pass_ in passes:
        pass_.i0[12:14] *= 0.3  # of the optics: cancels between the passes
    assert not find_pass_steps(passes[0], passes[1:], 1.5).is_off.any()
