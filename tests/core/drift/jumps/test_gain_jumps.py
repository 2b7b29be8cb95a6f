import numpy as np
import pytest

from rixs_pipeline.core.drift.jumps import gain_jumps

LINES = np.array([277.0, 525.0, 777.0])


def photons(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.choice(LINES, n) + rng.normal(0, 1.5, n)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("at", [0.0, 0.3, 0.8, 1.0])
def test_jump_time_is_correct_to_a_few_pulses(seed: int, at: float):
    rng = np.random.default_rng(seed)
    density = gain_jumps.emission_density(photons(rng, 20_000))
    n = 400
    true = photons(rng, n)
    time = np.sort(rng.integers(0, 10**12, n))
    jumped = np.arange(n) >= round(at * n)
    # The earlier calibration reads 18 eV too high after the jump, the later one 18 eV
    # too low before it.
    before, after = true + 18.0 * jumped, true - 18.0 * ~jumped
    jump_time = gain_jumps.jump_time(time, gain_jumps.log_ratio(before, after, density))
    misplaced = np.count_nonzero((time / 1e9 > jump_time) != jumped)
    assert misplaced <= 5
    assert misplaced == 0 or 0.0 < at < 1.0


def test_stray_pulses_do_not_move_the_jump():
    rng = np.random.default_rng(1)
    density = gain_jumps.emission_density(photons(rng, 20_000))
    true = photons(rng, 300)
    true[::10] = rng.uniform(100, 1000, 30)
    time = np.arange(300)
    assert (
        gain_jumps.jump_time(time, gain_jumps.log_ratio(true, true - 18.0, density))
        == np.inf
    )


def test_density_is_normalised_and_positive():
    density = gain_jumps.emission_density(np.array([500.0, 500.2]))
    assert density.sum() == pytest.approx(1.0, abs=1e-3)
    assert (density > 0).all()


def test_without_pulses_the_time_is_undetermined():
    with pytest.raises(ValueError, match="no pulses in between"):
        gain_jumps.jump_time(np.empty(0, np.int64), np.empty(0))
