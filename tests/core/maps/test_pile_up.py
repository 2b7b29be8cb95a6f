import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rixs_pipeline.core.maps import pile_up

DEAD, EXPECTED = 4.9e-3, 3.7e-3
Pulses = tuple[np.ndarray, np.ndarray, np.ndarray]


def measured(
    seed: int,
    rate: float,
    time: float,
    pixels: int = 8,
    points: int = 70,
    dwell: float = 3.0,
) -> Pulses:
    """Photon by photon: triggers, accepted, live time (pixel, point). Rates differ by 0.3 rms, pixels twofold."""
    rng = np.random.default_rng(seed)
    array = rate * np.exp(rng.normal(0, 0.3, points))
    triggers, accepted = np.zeros((2, pixels, points), np.int64)
    for pixel in range(pixels):
        number = rng.poisson(array * dwell * 2 ** rng.uniform(-0.5, 0.5))
        point = np.repeat(np.arange(points), number)
        at = np.sort((point + rng.random(len(point))) * dwell)
        follows = np.searchsorted(at, at + DEAD)
        keep = np.zeros(len(at), bool)
        one = 0
        while one < len(at):  # a record blinds the pixel
            keep[one] = True
            one = follows[one]
        alone = np.diff(at, append=np.inf) > time
        good = keep & alone & (rng.random(len(at)) > 0.01)
        for found, which in ((triggers, keep), (accepted, good)):
            found[pixel] = np.bincount(
                (at[which] // dwell).astype(int), minlength=points
            )
    return triggers, accepted, dwell - triggers * DEAD


def counted(
    rate: np.ndarray, dwell: float, time: float, loss: float, rng: np.random.Generator
) -> Pulses:
    """The same for rates (pixel, point), record by record: what follows a trigger is independent of when it came."""
    waits = (
        rng.exponential(
            1 / rate[..., None], (*rate.shape, int(1.2 * rate.max() * dwell + 40))
        )
        + DEAD
    )
    keep = np.cumsum(waits, axis=-1) - DEAD < dwell
    good = rng.random(keep.shape) < (1 - loss) * np.exp(-rate * time)[..., None]
    triggers = keep.sum(axis=-1)
    return triggers, (keep & good).sum(axis=-1), dwell - triggers * DEAD


@pytest.mark.parametrize(
    ("rate", "time", "loss"),
    [(5.0, 4.9e-3, 0.01), (10.0, 3e-3, 0.05), (50.0, 4.9e-3, 0.01)],
)
def test_the_intensity_varies_as_the_counts_do(rate, time, loss):
    """Photons tell their own share of spoiled ones, yet sqrt(N) is the error: of all of them, and of a quarter.

    With exp(-r T) alone the variance is 1 + q (2 r T + (r T)^2) times that: 1.04, 1.04 and 1.36 here.
    """
    rng, trials, dwell = np.random.default_rng(1), 200, 2.0
    pixel = np.linspace(0.7, 1.3, 8)
    array = rate * np.array(
        [0.3] * 15 + [0.6, 1.2, 2.4, 2.6, 2.5, 1.5, 0.8] + [0.5] * 18
    )
    found = []
    for _ in range(trials):
        triggers, accepted, live = counted(
            pixel[:, None] * array, dwell, time, loss, rng
        )
        found_time = pile_up.spoiling_time(triggers, accepted, live, EXPECTED)
        share = pile_up.efficiency(triggers, accepted, live, found_time)
        number = accepted.sum(axis=0)
        found.append(
            (number, number / (pixel @ (live * share)), rng.binomial(number, 0.25))
        )
    number, intensity, quarter = (
        np.array(values) for values in zip(*found, strict=True)
    )
    scale = intensity.sum(axis=1) / array.sum()
    assert scale.mean() == pytest.approx(1, abs=0.003)
    assert scale.var() * number.sum(axis=1).mean() < 1.2
    white_line = slice(17, 21)
    assert np.mean(intensity[:, white_line] / array[white_line]) == pytest.approx(
        1, abs=0.004
    )
    for part, counts in (
        (intensity / array, number),
        (intensity / array * quarter / number * 4, quarter),
    ):
        ratio = part.var(axis=0, ddof=1) * counts.mean(axis=0)
        assert np.mean(ratio) == pytest.approx(
            1.01, abs=0.04 + 2 * np.sqrt(2 / trials / len(array))
        )


@pytest.mark.parametrize("time", [4.8e-3, 2e-3])
def test_the_time_in_which_a_second_photon_spoils_the_first_is_found(time):
    """Fifty photons/s on eight pixels: a few hundred in a point, whose noise must not flatten the slope."""
    found = [
        pile_up.spoiling_time(*measured(seed, 50.0, time), EXPECTED)
        for seed in range(8)
    ]
    pull = np.array([(one.seconds - time) / one.error for one in found])
    assert abs(pull.mean()) < 3 / np.sqrt(len(pull)) and pull.std() < 2


def test_with_few_pulses_it_is_what_a_record_lets_expect():
    found = pile_up.spoiling_time(
        *measured(1, 2.0, 4.8e-3, pixels=4, dwell=0.5), EXPECTED
    )
    assert found.seconds == pytest.approx(EXPECTED, rel=0.5)
    assert found.error == pytest.approx(pile_up.EXPECTED_ERROR * EXPECTED, rel=0.15)


def test_where_nothing_is_lost_it_is_none():
    triggers, _, live = measured(2, 50.0, 0.0)
    assert pile_up.spoiling_time(triggers, triggers, live, EXPECTED).seconds < 1e-5


def test_its_error_is_below_that_of_the_counts():
    """What the error of T adds to a slope against the rate, over what counting statistics allow for that slope."""
    for rate in (2.0, 10.0, 50.0):
        triggers, accepted, live = measured(3, rate, 4.8e-3)
        error = pile_up.spoiling_time(triggers, accepted, live, EXPECTED).error
        rates = pile_up.rates(triggers, live)
        slope = np.sqrt(
            1
            / (
                accepted
                * (rates - np.average(rates, axis=1, weights=accepted)[:, None]) ** 2
            ).sum()
        )
        assert error < 0.8 * slope


def test_a_pixel_with_spurious_triggers_does_not_change_what_the_others_lose():
    """Its records are rejected the more often the fewer photons there are."""
    triggers, accepted, live = measured(4, 20.0, 4.8e-3)
    clean = pile_up.spoiling_time(triggers, accepted, live, EXPECTED)
    spurious = np.zeros_like(triggers)
    spurious[3] = np.random.default_rng(0).poisson(20.0 * live[3])
    triggers += spurious
    found = pile_up.spoiling_time(triggers, accepted, live, EXPECTED)
    assert np.flatnonzero(~found.told).tolist() == [3]
    noisy = pile_up.rates(triggers, live)[0]
    span = [noisy.argmin(), noisy.argmax()]
    lost = np.diff(noisy[span])[0] * found.seconds
    rates = pile_up.rates(triggers - spurious, live)[0]
    assert lost == pytest.approx(
        np.diff(rates[span])[0] * clean.seconds, abs=2 * clean.error * np.ptp(rates)
    )


def test_one_pixel_or_none_or_a_photon_list():
    triggers, accepted, live = measured(5, 50.0, 4.8e-3, pixels=1)
    assert pile_up.spoiling_time(
        triggers, accepted, live, EXPECTED
    ).seconds == pytest.approx(EXPECTED)
    nothing = np.zeros((3, 5), np.int64)
    assert pile_up.spoiling_time(
        nothing, nothing, np.ones((3, 5)), EXPECTED
    ).seconds == pytest.approx(EXPECTED)
    without = pile_up.spoiling_time(triggers, accepted, live, 0.0)
    assert without[:2] == (0.0, 0.0) and np.all(
        pile_up.efficiency(triggers, triggers, live, without) == 1
    )
    assert (
        pile_up.rates(nothing, np.zeros((3, 5))).tolist() == np.zeros((3, 5)).tolist()
    )


def test_rates_are_those_of_pixel_and_point_and_silence_does_not_count():
    pixel, point = np.array([0.5, 1.0, 2.0]), np.array([10.0, 20.0, 40.0, 5.0])
    live = np.full((3, 4), 1000.0)
    live[1, 2:] = 0
    triggers = np.round(pixel[:, None] * point * live).astype(np.int64)
    np.testing.assert_allclose(
        pile_up.rates(triggers, live), pixel[:, None] * point, rtol=1e-6
    )


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 5), st.integers(1, 12), st.floats(0, 30))
def test_the_share_is_a_share_whatever_the_counts(seed, pixels, points, mean):
    rng = np.random.default_rng(seed)
    triggers = rng.poisson(mean, (pixels, points))
    live = rng.uniform(0, 1, (pixels, points)) * rng.integers(0, 2, (pixels, points))
    triggers[live == 0] = 0
    accepted = rng.binomial(triggers, rng.random())
    found = pile_up.spoiling_time(triggers, accepted, live, EXPECTED)
    share = pile_up.efficiency(triggers, accepted, live, found)
    assert found.seconds >= 0 and np.isfinite(found.error)
    assert np.all((share > 0) & np.isfinite(share))
    assert len(set(share[:, triggers.sum(axis=0) == 0].ravel().tolist())) <= 1
