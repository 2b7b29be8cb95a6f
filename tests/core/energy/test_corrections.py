from dataclasses import dataclass

import numpy as np
import pytest

from rixs_pipeline.core.calibration.line_fits import LineSpectra, fit_lines
from rixs_pipeline.core.calibration.line_shapes import N_GRID, LineGrid
from rixs_pipeline.core.energy import corrections, energy, layout
from rixs_pipeline.core.gain import LinePositions, fit_gain_curves, fit_splines
from tests.core.photons import ENERGY, REFERENCE, SIX, emitted, height, seen

GRID = LineGrid(0.5)
GAIN = (3e4, 2000.0, 100.0)
BASE = 5000.0  # pretrigger mean
WINDOW = (-25.0, 28.0)
SHAPES = np.stack(
    [
        GRID.emitted_transform(REFERENCE.lines[name].shape, REFERENCE.lines[name].sigma)
        for name in SIX
    ]
)
INSIDE = np.tile((GRID.offsets > WINDOW[0]) & (GRID.offsets < WINDOW[1]), (6, 1))


def phase_effect(energies: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Shift (eV) by the arrival x: 1.3 eV at C Ka, 5 eV at Cu Ka peak to peak."""
    size = 1.0 + 6.0 * (energies / 1000.0) ** 4
    return np.asarray(size * (0.5 * x - 0.15 * (x**2 - 1 / 3)))


def drift_effect(energies: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Shift (eV) by the baseline: 5e-5 of the height a unit at 851 eV, 0 at 392."""
    relative = -5e-5 * (energies - 392.0) / (851.0 - 392.0) * (base - BASE)
    slope = height(energies + 0.5, *GAIN) - height(energies - 0.5, *GAIN)
    return np.asarray(relative * height(energies, *GAIN) / slope)


@dataclass
class Pulses:
    """Pulses of one pixel; `nominal` is their energy without effects, eV."""

    height: np.ndarray
    base: np.ndarray
    phase: np.ndarray
    nominal: np.ndarray


def draw(
    rng: np.random.Generator,
    counts: int,
    phase: float = 0.0,
    drift: float = 0.0,
    fwhm: float = 2.5,
    noise: float = 1.0,
    wander: float = 30.0,
) -> Pulses:
    """A reference run with a drifting baseline; effects of 1 are as in real pixels."""
    nominal = np.concatenate(
        [seen(rng, emitted(rng, name, counts), fwhm) for name in SIX]
    )
    rng.shuffle(nominal)
    n = len(nominal)
    x, base = rng.uniform(-1, 1, n), BASE + wander * np.sin(np.linspace(0, 9, n))
    shifted = (
        nominal + phase * phase_effect(nominal, x) + drift * drift_effect(nominal, base)
    )
    reading = (
        -0.2 - 0.5 * (nominal - 600) / 400 + 0.5 * x + noise * rng.normal(0, 0.04, n)
    )
    return Pulses(
        height(shifted, *GAIN), base + noise * rng.normal(0, 4.5, n), reading, nominal
    )


def start(pulses: Pulses) -> np.ndarray:
    """Parameters with the true gain curve and no corrections."""
    heights = height(ENERGY, *GAIN)[None]
    errors = np.full((1, 6), 0.01)
    positions = LinePositions(heights, errors, ENERGY, np.full(6, 0.01))
    params = fit_splines(fit_gain_curves(positions)).params[0]
    params[layout.HEIGHT_REF] = height(np.array([1000.0]), *GAIN)[0]
    params[layout.PRETRIGGER_REF] = BASE
    params[layout.DRIFT] = params[layout.PHASE] = 0.0
    reference = corrections.find_phase_reference(
        pulses.height, pulses.phase, params[layout.HEIGHT_REF]
    )
    params[layout.PHASE_CENTRE] = reference.centre
    params[layout.PHASE_HALF_WIDTH] = reference.half_width
    params[layout.VALIDITY] = -np.inf, np.inf
    return params


def energies(pulses: Pulses, params: np.ndarray) -> np.ndarray:
    return energy(
        pulses.height, pulses.base, pulses.phase, np.zeros(len(pulses.height)), params
    )


@dataclass
class Learned:
    """Parameters after three rounds, and the gains of the last round."""

    params: np.ndarray
    gains: list[float]


def learn(
    pulses: Pulses,
    blocks: tuple[slice, ...] = (layout.PHASE, layout.DRIFT),
    drift: corrections.Prior | None = None,
) -> Learned:
    """Three rounds of line fits and corrections."""
    params = start(pulses)
    priors = [corrections.prior_without_effect(block) for block in blocks]
    if drift:
        priors = [drift if prior.block == layout.DRIFT else prior for prior in priors]
    for is_last in (False, False, True):
        now = energies(pulses, params)
        nearest = np.abs(now[:, None] - ENERGY).argmin(axis=1)
        offset = now - ENERGY[nearest]
        is_near = (offset > WINDOW[0]) & (offset < WINDOW[1])
        line = nearest[is_near]
        bins = np.floor(offset[is_near] / GRID.width).astype(int) + N_GRID // 2
        histogram = np.zeros((6, N_GRID))
        np.add.at(histogram, (line, bins), 1)
        fits = fit_lines(LineSpectra(histogram[None], INSIDE, SHAPES, GRID))
        densities = fits.densities(SHAPES, GRID)
        profiles = corrections.line_profiles(densities, INSIDE, GRID).of_pixel(0)
        line_pulses = corrections.LinePulses(
            pulse_height=pulses.height[is_near],
            pretrigger_mean=pulses.base[is_near],
            phase=pulses.phase[is_near],
            line=line,
            line_position=ENERGY + fits.shift[0],
        )
        gains = []
        for prior in priors:
            correction = corrections.fit_correction(
                line_pulses, params, profiles, prior, is_validated=is_last
            )
            params = correction.params
            gains.append(correction.gain)
    return Learned(params, gains)


def spread(pulses: Pulses, params: np.ndarray) -> float:
    """Standard deviation of what effects or corrections add to the energy, eV."""
    added = energies(pulses, params) - pulses.nominal
    return float(
        np.std(
            added
            - np.polynomial.Polynomial.fit(pulses.nominal, added, 3)(pulses.nominal)
        )
    )


def fresh(phase: float = 0.0, drift: float = 0.0) -> Pulses:
    """Other pulses of the pixel with exact readings, to show a correction's error."""
    return draw(np.random.default_rng(10**6), 1000, phase, drift, noise=0.0)


@pytest.mark.parametrize("fwhm", [1.4, 3.0])
@pytest.mark.parametrize("effect", ["phase", "drift"])
def test_an_effect_is_removed(effect: str, fwhm: float) -> None:
    others = fresh(**{effect: 1.0})
    before = spread(others, start(others))
    for seed in range(3):
        pulses = draw(np.random.default_rng(seed), 1000, fwhm=fwhm, **{effect: 1.0})
        params = learn(pulses).params
        assert spread(others, params) < 0.2 * before


def test_phase_is_removed_at_every_line_although_it_differs() -> None:
    params = learn(draw(np.random.default_rng(5), 2000, phase=1.0)).params
    x = np.linspace(-0.95, 0.95, 39)
    for line in ENERGY:
        nominal = np.full(39, line)
        reading = -0.2 - 0.5 * (nominal - 600) / 400 + 0.5 * x
        pulses = Pulses(
            height(nominal + phase_effect(nominal, x), *GAIN),
            np.full(39, BASE),
            reading,
            nominal,
        )
        before, after = (
            np.ptp(energies(pulses, p))
            for p in (start(draw(np.random.default_rng(5), 500)), params)
        )
        assert after < 0.35 * before
        # The line stays, but for the centre of the phase: a tenth of its width.
        assert abs(np.mean(energies(pulses, params)) - line) < 0.1 * before


def test_both_effects_together() -> None:
    others = fresh(phase=1.0, drift=1.0)
    pulses = draw(np.random.default_rng(6), 2000, phase=1.0, drift=1.0)
    learned = learn(pulses)
    assert min(learned.gains) > 10
    assert spread(others, learned.params) < 0.2 * spread(others, start(others))


@pytest.mark.parametrize("block", [layout.PHASE, layout.DRIFT], ids=["phase", "drift"])
def test_without_an_effect_no_correction_is_applied(block: slice) -> None:
    """In most pixels; in others it adds less than it would without validation."""
    others, n_applied, errors, counts, pixels = fresh(), 0, [], 300, 20
    for seed in range(pixels):
        learned = learn(draw(np.random.default_rng(seed), counts), (block,))
        is_applied = learned.params[block].any()
        assert is_applied == (learned.gains[0] > corrections.MIN_GAIN)
        n_applied += bool(is_applied)
        errors.append(spread(others, learned.params))
    assert n_applied < pixels / 2
    # k parameters from N pulses, each known to the standard deviation of the line,
    # which is 2.5 eV at least with its natural width
    unvalidated = np.sqrt((block.stop - block.start) / (6 * counts)) * 2.5
    assert np.sqrt(np.mean(np.square(errors))) < unvalidated
    assert max(errors) < 3 * unvalidated


def test_an_effect_far_wider_than_the_line_is_judged_from_where_it_was_found() -> None:
    """Six times that of real pixels: both halves start from the rounds before."""
    for seed in range(5):
        pulses = draw(np.random.default_rng(seed), 150, phase=6.0, fwhm=1.4)
        learned = learn(pulses, (layout.PHASE,))
        assert learned.params[layout.PHASE].any()
        assert learned.gains[0] > 100
        assert spread(fresh(phase=6.0), learned.params) < 0.2 * spread(
            fresh(phase=6.0), start(fresh(phase=6.0))
        )


def test_pixels_do_not_all_err_to_one_side_where_drift_falls_towards_low_energy() -> (
    None
):
    """No drift at N Ka, as in real pixels, told by a base line that hardly moves."""
    pixels = [
        draw(np.random.default_rng(seed), 200, drift=1.0, noise=0.0, wander=12.0)
        for seed in range(30)
    ]

    line = Pulses(
        height(np.full(2, 392.0), *GAIN),
        BASE + np.array([0.0, 10.0]),
        np.zeros(2),
        np.full(2, 392.0),
    )
    true_shift = drift_effect(np.array([851.0]), np.array([BASE + 10.0]))[0]

    def learn_all(prior: corrections.Prior) -> list[np.ndarray]:
        return [learn(pulses, (layout.DRIFT,), prior).params for pulses in pixels]

    def bias(all_params: list[np.ndarray]) -> float:
        """Mean shift of N Ka in units of the true drift at 851 eV."""
        shifts = [np.diff(energies(line, params))[0] for params in all_params]
        return float(np.mean(shifts) / true_shift)

    around_zero = corrections.prior_without_effect(layout.DRIFT)
    drifts = np.array(learn_all(corrections.drift_prior(None)))[:, layout.DRIFT]
    around_median = corrections.drift_prior(drifts)
    bias_around_zero = bias(learn_all(around_zero))
    assert bias_around_zero < -0.1
    assert abs(bias(learn_all(around_median))) < 0.6 * abs(bias_around_zero)
    assert around_median.width == around_zero.width


def test_too_few_pulses_give_no_correction() -> None:
    learned = learn(draw(np.random.default_rng(7), 20, phase=1.0, drift=1.0))
    assert learned.gains == [0.0, 0.0]
    assert not learned.params[layout.PHASE].any()
    assert not learned.params[layout.DRIFT].any()


def test_where_the_phase_of_a_height_is_centred() -> None:
    pulses = draw(np.random.default_rng(8), 2000, noise=0.0)
    height_ref = float(height(np.array([1000.0]), *GAIN)[0])
    reference = corrections.find_phase_reference(
        pulses.height, pulses.phase, height_ref
    )
    assert reference.half_width == pytest.approx(0.5, abs=0.02)
    relative_height = height(ENERGY, *GAIN) / height_ref
    centre = np.polynomial.polynomial.polyval(relative_height, reference.centre)
    np.testing.assert_allclose(centre, -0.2 - 0.5 * (ENERGY - 600) / 400, atol=0.1)


def test_energies_vary_by_one_over_the_information_for_each_parameter() -> None:
    """One line, whose pulses determine one combination of the drift coefficients."""
    rng = np.random.default_rng(9)
    n, information = 500, 0.4  # 1/eV^2
    params = start(draw(rng, 300))
    pulses = corrections.LinePulses(
        pulse_height=np.full(n, height(np.array([700.0]), *GAIN)[0]),
        pretrigger_mean=BASE + rng.normal(0, 5, n),
        phase=np.zeros(n),
        line=np.zeros(n, dtype=int),
        line_position=np.array([700.0, 900.0]),
    )
    flat = np.zeros((2, N_GRID))
    profiles = corrections.LineProfiles(
        GRID, flat, flat, np.array([information, information])
    )
    prior = [corrections.Prior(layout.DRIFT, np.zeros(2), 1.0)]

    def overfit_variance() -> np.ndarray:
        uncertainty = corrections.estimate_uncertainty(pulses, params, profiles, prior)
        return uncertainty.overfit_variance

    assert not overfit_variance().any()
    params[layout.DRIFT] = 1e-5
    variance = overfit_variance()
    assert variance == pytest.approx([1 / (n * information), 0.0], rel=1e-3)
