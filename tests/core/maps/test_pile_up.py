import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rixs_pipeline.core.maps import pile_up
from rixs_pipeline.core.maps.pile_up import CountedPulses

DEAD, EXPECTED = 4.9e-3, 3.7e-3


def fitted_rates(triggers: np.ndarray, live_time: np.ndarray) -> np.ndarray:
    """Return rates (pixel, point), 1/s."""
    factors = pile_up.fit_rates(triggers, live_time)
    return factors.pixel[:, None] * factors.point


def simulate_photons(
    seed: int,
    rate: float,
    time: float,
    pixels: int = 8,
    points: int = 70,
    dwell: float = 3.0,
) -> CountedPulses:
    """Photon by photon. Rates differ by 0.3 rms, pixels twofold."""
    rng = np.random.default_rng(seed)
    array_rate = rate * np.exp(rng.normal(0, 0.3, points))
    triggers, accepted = np.zeros((2, pixels, points), np.int64)
    for pixel in range(pixels):
        number = rng.poisson(array_rate * dwell * 2 ** rng.uniform(-0.5, 0.5))
        point = np.repeat(np.arange(points), number)
        arrival = np.sort((point + rng.random(len(point))) * dwell)
        after_record = np.searchsorted(arrival, arrival + DEAD)
        is_trigger = np.zeros(len(arrival), bool)
        photon = 0
        while photon < len(arrival):  # a record blinds the pixel
            is_trigger[photon] = True
            photon = after_record[photon]
        is_alone = np.diff(arrival, append=np.inf) > time
        is_accepted = is_trigger & is_alone & (rng.random(len(arrival)) > 0.01)
        for counts, is_counted in ((triggers, is_trigger), (accepted, is_accepted)):
            point = (arrival[is_counted] // dwell).astype(int)
            counts[pixel] = np.bincount(point, minlength=points)
    return CountedPulses(triggers, accepted, dwell - triggers * DEAD)


def simulate_records(
    rate: np.ndarray, dwell: float, time: float, loss: float, rng: np.random.Generator
) -> CountedPulses:
    """Record by record, at rates (pixel, point)."""
    n_waits = int(1.2 * rate.max() * dwell + 40)
    waits = rng.exponential(1 / rate[..., None], (*rate.shape, n_waits)) + DEAD
    is_trigger = np.cumsum(waits, axis=-1) - DEAD < dwell
    share = (1 - loss) * np.exp(-rate * time)[..., None]
    is_accepted = is_trigger & (rng.random(is_trigger.shape) < share)
    triggers = is_trigger.sum(axis=-1)
    live_time = dwell - triggers * DEAD
    return CountedPulses(triggers, is_accepted.sum(axis=-1), live_time)


@pytest.mark.parametrize(
    ("rate", "time", "loss"),
    [(5.0, 4.9e-3, 0.01), (10.0, 3e-3, 0.05), (50.0, 4.9e-3, 0.01)],
)
def test_the_intensity_varies_as_the_counts_do(rate, time, loss):
    """sqrt(N) is the error of all counts and of a quarter, though they tell the share.

    With exp(-r T) alone the variance is 1 + q (2 r T + (r T)^2) times that: 1.04, 1.04
    and 1.36 here.
    """
    rng, trials, dwell = np.random.default_rng(1), 200, 2.0
    pixel = np.linspace(0.7, 1.3, 8)
    array_rate = rate * np.array(
        [0.3] * 15 + [0.6, 1.2, 2.4, 2.6, 2.5, 1.5, 0.8] + [0.5] * 18
    )
    results = []
    for _ in range(trials):
        pulses = simulate_records(pixel[:, None] * array_rate, dwell, time, loss, rng)
        spoiling_time = pile_up.fit_spoiling_time(pulses, EXPECTED)
        share = pile_up.efficiency(pulses, spoiling_time).share
        counts = pulses.accepted.sum(axis=0)
        intensity = counts / (pixel @ (pulses.live_time * share))
        results.append((counts, intensity, rng.binomial(counts, 0.25)))
    counts, intensity, quarter = map(np.array, zip(*results, strict=True))
    scale = intensity.sum(axis=1) / array_rate.sum()
    assert scale.mean() == pytest.approx(1, abs=0.003)
    assert scale.var() * counts.sum(axis=1).mean() < 1.2
    white_line = slice(17, 21)
    at_white_line = np.mean(intensity[:, white_line] / array_rate[white_line])
    assert at_white_line == pytest.approx(1, abs=0.004)
    relative = intensity / array_rate
    tolerance = 0.04 + 2 * np.sqrt(2 / trials / len(array_rate))
    for values, number in (
        (relative, counts),
        (relative * quarter / counts * 4, quarter),
    ):
        variance_ratio = values.var(axis=0, ddof=1) * number.mean(axis=0)
        assert np.mean(variance_ratio) == pytest.approx(1.01, abs=tolerance)


@pytest.mark.parametrize("time", [4.8e-3, 2e-3])
def test_spoiling_time_is_that_of_the_simulation(time):
    """Fifty photons/s on eight pixels: a few hundred in a point, with their noise."""
    pulls = []
    for seed in range(8):
        pulses = simulate_photons(seed, 50.0, time)
        fit = pile_up.fit_spoiling_time(pulses, EXPECTED)
        pulls.append((fit.seconds - time) / fit.error)
    assert abs(np.mean(pulls)) < 3 / np.sqrt(len(pulls))
    assert np.std(pulls) < 2


def test_with_few_pulses_it_is_the_expected_time():
    pulses = simulate_photons(1, 2.0, 4.8e-3, pixels=4, dwell=0.5)
    fit = pile_up.fit_spoiling_time(pulses, EXPECTED)
    assert fit.seconds == pytest.approx(EXPECTED, rel=0.5)
    assert fit.error == pytest.approx(pile_up.EXPECTED_ERROR * EXPECTED, rel=0.15)


def test_without_losses_it_is_zero():
    pulses = simulate_photons(2, 50.0, 0.0)
    no_losses = CountedPulses(pulses.triggers, pulses.triggers, pulses.live_time)
    assert pile_up.fit_spoiling_time(no_losses, EXPECTED).seconds < 1e-5


@pytest.mark.parametrize("rate", [2.0, 10.0, 50.0])
def test_its_error_is_below_that_of_the_counts(rate):
    """Compare slopes against the rate: error of T and counting statistics."""
    pulses = simulate_photons(3, rate, 4.8e-3)
    error = pile_up.fit_spoiling_time(pulses, EXPECTED).error
    rates = fitted_rates(pulses.triggers, pulses.live_time)
    mean = np.average(rates, axis=1, weights=pulses.accepted)
    slope_error = (pulses.accepted * (rates - mean[:, None]) ** 2).sum() ** -0.5
    assert error < 0.8 * slope_error


def test_a_pixel_with_spurious_triggers_is_left_out():
    """Fewer photons raise the share of rejected records in such a pixel."""
    pulses = simulate_photons(4, 20.0, 4.8e-3)
    clean = pile_up.fit_spoiling_time(pulses, EXPECTED)
    spurious = np.zeros_like(pulses.triggers)
    spurious[3] = np.random.default_rng(0).poisson(20.0 * pulses.live_time[3])
    triggers = pulses.triggers + spurious
    noisy = CountedPulses(triggers, pulses.accepted, pulses.live_time)
    fit = pile_up.fit_spoiling_time(noisy, EXPECTED)
    assert np.flatnonzero(~fit.is_used).tolist() == [3]
    noisy_rates = fitted_rates(triggers, pulses.live_time)[0]
    rates = fitted_rates(pulses.triggers, pulses.live_time)[0]
    extremes = [noisy_rates.argmin(), noisy_rates.argmax()]
    spoiled = np.diff(noisy_rates[extremes])[0] * fit.seconds
    expected = np.diff(rates[extremes])[0] * clean.seconds
    assert spoiled == pytest.approx(expected, abs=2 * clean.error * np.ptp(rates))


def test_a_time_longer_than_a_record_is_refused():
    """Noise that comes with the photons in all pixels, as from a beam that heats."""
    pulses = simulate_photons(5, 20.0, 4.8e-3)
    rate = fitted_rates(pulses.triggers, pulses.live_time)
    spurious = np.random.default_rng(0).poisson(0.03 * rate**2 * pulses.live_time)
    triggers = pulses.triggers + spurious
    noisy = CountedPulses(triggers, pulses.accepted, pulses.live_time)
    fit = pile_up.fit_spoiling_time(noisy, EXPECTED)
    assert fit.refused is not None and fit.refused > 1.5 * EXPECTED
    assert fit.seconds == EXPECTED
    assert pile_up.fit_spoiling_time(pulses, EXPECTED).refused is None


def test_single_pixel_no_pulses_and_photon_list():
    single = simulate_photons(5, 50.0, 4.8e-3, pixels=1)
    fit = pile_up.fit_spoiling_time(single, EXPECTED)
    assert fit.seconds == pytest.approx(EXPECTED)
    nothing = np.zeros((3, 5), np.int64)
    empty = CountedPulses(nothing, nothing, np.ones((3, 5)))
    fit = pile_up.fit_spoiling_time(empty, EXPECTED)
    assert fit.seconds == pytest.approx(EXPECTED)
    photon_list = CountedPulses(single.triggers, single.triggers, single.live_time)
    no_time = pile_up.fit_spoiling_time(photon_list, 0.0)
    assert (no_time.seconds, no_time.error) == (0.0, 0.0)
    assert np.all(pile_up.efficiency(photon_list, no_time).share == 1)
    no_live_time = np.zeros((3, 5))
    np.testing.assert_array_equal(fitted_rates(nothing, no_live_time), np.zeros((3, 5)))


def test_rates_are_those_of_pixel_and_point_and_silence_does_not_count():
    pixel, point = np.array([0.5, 1.0, 2.0]), np.array([10.0, 20.0, 40.0, 5.0])
    live = np.full((3, 4), 1000.0)
    live[1, 2:] = 0
    expected = pixel[:, None] * point
    triggers = np.round(expected * live).astype(np.int64)
    np.testing.assert_allclose(fitted_rates(triggers, live), expected, rtol=1e-6)


@pytest.mark.parametrize("live", [1e-6, 1e-15])
def test_a_rest_of_live_time_measures_no_rate(live):
    """Dwell less dead time may leave a rounding error, in which the rate is no rate."""
    pulses = simulate_photons(6, 20.0, 4.8e-3)
    clean = pile_up.fit_spoiling_time(pulses, EXPECTED)
    clean_share = pile_up.efficiency(pulses, clean).share
    rest = CountedPulses(
        np.column_stack([pulses.triggers, np.full(8, 10)]),
        np.column_stack([pulses.accepted, np.full(8, 8)]),
        np.column_stack([pulses.live_time, np.full(8, live)]),
    )
    fit = pile_up.fit_spoiling_time(rest, EXPECTED)
    share = pile_up.efficiency(rest, fit).share
    assert fit.seconds == pytest.approx(clean.seconds, abs=2 * clean.error)
    np.testing.assert_allclose(share[:, :-1], clean_share, rtol=0.02)
    assert np.all(share[:, -1] > np.exp(-pile_up.MAX_PILE_UP))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 5), st.integers(1, 12), st.floats(0, 30))
@example(seed=5, pixels=5, points=5, mean=6.75)  # 10 triggers in 1.4 us of live time
def test_the_share_is_a_share_whatever_the_counts(seed, pixels, points, mean):
    rng = np.random.default_rng(seed)
    triggers = rng.poisson(mean, (pixels, points))
    live = rng.uniform(0, 1, (pixels, points)) * rng.integers(0, 2, (pixels, points))
    triggers[live == 0] = 0
    pulses = CountedPulses(triggers, rng.binomial(triggers, rng.random()), live)
    fit = pile_up.fit_spoiling_time(pulses, EXPECTED)
    share = pile_up.efficiency(pulses, fit).share
    assert fit.seconds >= 0 and np.isfinite(fit.error)
    assert np.all((share > 0) & np.isfinite(share))
    without_triggers = share[:, triggers.sum(axis=0) == 0]
    assert len(np.unique(without_triggers)) <= 1
