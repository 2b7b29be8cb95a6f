from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy.stats import chi2

from rixs_pipeline.core.calibration import diagnostics
from rixs_pipeline.core.calibration.pixel import ReferencePulses
from rixs_pipeline.core.energy import function as ef
from rixs_pipeline.core.energy import kernels
from tests.core.photons import energy, height

LINES = np.array([525.0, 705.0, 930.0])
DURATION = 600.0
BASE = 5000.0
GAINS = ((3e4, 2000.0, 100.0), (2.4e4, 1900.0, -50.0))
PHASE, DRIFT = (
    2e-3,
    5e-5,
)  # relative: 2 eV for a phase of 1, 1 eV for 20 units of the base line
RARE = 1e-4  # how seldom a right answer may fail


def parameters(
    gain: tuple[float, float, float], phase: float = 0.0, drift: float = 0.0
) -> np.ndarray:
    params = np.zeros(ef.N_PARAMS)
    lowest, highest = height(np.array([100.0, 1200.0]), *gain)
    step = (highest - lowest) / (ef.N_COEFFICIENTS - 3)
    params[ef.CURVE_GRID] = lowest, step
    params[ef.CURVE] = ef.fitting_matrix(200) @ energy(
        np.linspace(lowest, highest, 200), *gain
    )
    params[ef.HEIGHT_REF], params[ef.PRETRIGGER_REF] = (
        height(np.array([1000.0]), *gain)[0],
        BASE,
    )
    params[ef.PHASE_CENTRE], params[ef.PHASE_HALF_WIDTH] = (-0.2, -0.3, 0.1), 0.5
    params[ef.PHASE.start], params[ef.DRIFT.start] = phase, drift
    params[ef.VALIDITY] = -np.inf, np.inf
    return params


@dataclass(frozen=True)
class Run:
    """Pixels in a run, and for each pulse its line, arrival x, and how far the effects moved it, eV."""

    pulses: list[ReferencePulses]
    params: np.ndarray
    line: np.ndarray
    x: np.ndarray
    time: np.ndarray
    moved: np.ndarray

    def diagnose(self) -> diagnostics.Diagnostics:
        accepted = [np.ones(len(one.time), dtype=bool) for one in self.pulses]
        position = np.tile(LINES, (len(self.pulses), 1))
        return diagnostics.diagnose(
            self.pulses, accepted, self.params, position, DURATION
        )

    def expected(self, which: np.ndarray, place: np.ndarray) -> np.ndarray:
        """Mean shift (bin,) of the pulses `which`, by their place 0 to 1."""
        bins = np.minimum(
            (place[which] * diagnostics.N_BINS).astype(int), diagnostics.N_BINS - 1
        )
        return np.bincount(bins, self.moved[which]) / np.bincount(bins)


def run(seed: int, counts: int = 3000, phase: float = 0.0, drift: float = 0.0) -> Run:
    """Lines of 1.2 eV with tails over a flat background, effects in both pixels, and parameters that undo them."""
    rng = np.random.default_rng(seed)
    pulses, tables = [], []
    for number, gain in enumerate(GAINS):
        params = parameters(gain, phase, drift)
        line = np.repeat(np.arange(len(LINES)), counts)
        n = len(line)
        tail = np.where(rng.random(n) < 0.15, rng.exponential(20.0, n), 0.0)
        seen = LINES[line] + rng.normal(0, 1.2, n) - tail
        seen = np.where(
            rng.random(n) < 0.1, rng.uniform(LINES[line] - 40, LINES[line] + 40), seen
        )
        x, time = rng.uniform(-1, 1, n), np.sort(rng.uniform(0, DURATION, n))
        order = rng.permutation(n)
        line, seen, x = line[order], seen[order], x[order]
        base = BASE + 20 * np.sin(time / 100) + rng.normal(0, 4.5, n)
        clean = height(seen, *gain)
        read = clean / (1 - phase * x - drift * (base - BASE))
        u = read / params[ef.HEIGHT_REF]
        reading = -0.2 - 0.3 * u + 0.1 * u**2 + 0.5 * x
        pulses.append(
            ReferencePulses(
                number, read, base, reading, np.full(n, 30.0), time, np.full(n, np.inf)
            )
        )
        tables.append((line, x, time, energy(read, *gain) - seen))
    params = np.stack([parameters(gain, phase, drift) for gain in GAINS])
    return Run(
        pulses,
        params,
        *(np.concatenate(column) for column in zip(*tables, strict=True)),
    )


def agrees(
    offsets: np.ndarray, errors: np.ndarray, expected: np.ndarray | float
) -> bool:
    squares = ((offsets - expected) / errors) ** 2
    return bool(squares.sum() < chi2.ppf(1 - RARE, squares.size))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_phase_effect_is_seen_without_its_correction_and_gone_with_it(
    seed: int,
) -> None:
    made = run(seed, phase=PHASE)
    found = made.diagnose().phase
    expected = np.stack(
        [
            made.expected(made.line == line, (made.x + 1) / 2)
            for line in range(len(LINES))
        ]
    )
    assert np.ptp(expected, axis=1).min() > 1.5  # eV: the effect
    assert agrees(found.uncorrected, found.uncorrected_errors, expected)
    assert agrees(found.corrected, found.corrected_errors, 0.0)
    assert found.corrected_errors.max() < 0.15


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_drift_is_seen_without_its_correction_and_gone_with_it(seed: int) -> None:
    """The lines are alike and equally strong: their weights are equal, and all pulses together tell what to expect."""
    made = run(seed, drift=DRIFT)
    found = made.diagnose()
    expected = made.expected(made.line >= 0, made.time / DURATION)
    assert np.ptp(expected) > 1.0
    # the effect differs from line to line, and the weights are equal but for counting statistics
    errors = np.hypot(found.drift.uncorrected_errors, 0.03 * np.abs(expected))
    assert agrees(found.drift.uncorrected, errors, expected)
    assert agrees(found.drift.corrected, found.drift.corrected_errors, 0.0)
    assert (
        np.all(np.diff(found.time) == DURATION / diagnostics.N_BINS)
        and found.time[0] == DURATION / 24
    )


def test_the_base_line_is_told_with_its_error() -> None:
    made = run(4)
    found = made.diagnose()
    wave = [
        np.mean(20 * np.sin(np.linspace(low, low + 50, 1000) / 100))
        for low in np.arange(12) * 50
    ]
    assert agrees(found.pretrigger, found.pretrigger_errors, np.array(wave))
    assert (
        0.1 < found.pretrigger_errors.max() < 0.3
    )  # 4.5 and the wave within the bin, 1500 pulses


def test_errors_are_what_the_offsets_scatter_by() -> None:
    """Each bin against the mean of twelve: a twelfth of the variance is the mean's."""
    found = [run(seed, counts=600).diagnose() for seed in range(10, 22)]
    for which, number in (("phase", 432), ("drift", 144)):
        tables = [getattr(one, which) for one in found]
        pulls = np.concatenate(
            [(one.corrected / one.corrected_errors).ravel() for one in tables]
        )
        assert pulls.size == number
        assert abs(np.std(pulls) / np.sqrt(11 / 12) - 1) < 4 / np.sqrt(2 * number)


def test_a_drift_that_the_base_line_does_not_show_stays() -> None:
    made = run(5)
    slow = [
        replace(one, pulse_height=one.pulse_height * (1 + 2e-6 * one.time))
        for one in made.pulses
    ]
    found = replace(made, pulses=slow).diagnose().drift
    np.testing.assert_array_equal(found.corrected, found.uncorrected)
    shift = 2e-6 * np.mean(
        [
            kernels.slopes(ef.height_of(LINES, p), p) * ef.height_of(LINES, p)
            for p in made.params
        ]
    )
    assert np.polyfit(np.arange(12) * 50.0, found.corrected, 1)[0] == pytest.approx(
        shift, rel=0.15
    )


def test_rejected_pulses_do_not_count() -> None:
    made = run(6, phase=PHASE)
    rng = np.random.default_rng(0)
    mixed, accepted = [], []
    for one in made.pulses:
        keep = rng.random(len(one.time)) < 0.5
        mixed.append(
            replace(
                one,
                pulse_height=np.where(keep, one.pulse_height, one.pulse_height * 1.002),
            )
        )
        accepted.append(keep)
    position = np.tile(LINES, (2, 1))
    found = diagnostics.diagnose(mixed, accepted, made.params, position, DURATION).phase
    assert agrees(found.corrected, found.corrected_errors, 0.0)


def test_the_order_of_the_pixels_does_not_matter() -> None:
    made = run(7, counts=300, phase=PHASE, drift=DRIFT)
    other = replace(made, pulses=made.pulses[::-1], params=made.params[::-1])
    one, two = made.diagnose(), other.diagnose()
    np.testing.assert_allclose(one.phase.corrected, two.phase.corrected, atol=1e-9)
    np.testing.assert_allclose(one.drift.uncorrected, two.drift.uncorrected, atol=1e-9)


def test_of_very_many_pulses_only_some_are_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = run(8, phase=PHASE)
    every = made.diagnose().phase
    monkeypatch.setattr(diagnostics, "MAX_PULSES", 10_000)  # of 18 000
    some = made.diagnose().phase
    assert agrees(some.corrected, some.corrected_errors, 0.0)
    assert np.median(some.corrected_errors / every.corrected_errors) == pytest.approx(
        np.sqrt(2), rel=0.1
    )


def test_too_few_pulses_tell_nothing() -> None:
    found = run(9, counts=20).diagnose()  # two pixels: three pulses a bin and line
    assert (
        np.isnan(found.phase.corrected).all()
        and np.isnan(found.phase.corrected_errors).all()
    )
    assert np.isfinite(found.pretrigger).all()


@pytest.mark.parametrize("lines", [0, 3])
def test_without_a_good_pixel_there_are_empty_tables(lines: int) -> None:
    found = diagnostics.diagnose(
        [], [], np.zeros((0, ef.N_PARAMS)), np.zeros((0, lines)), DURATION
    )
    assert found.phase.corrected.shape == (lines, diagnostics.N_BINS)
    tables = (
        found.phase.corrected,
        found.drift.corrected,
        found.drift.uncorrected_errors,
        found.pretrigger,
    )
    assert all(np.isnan(table).all() for table in tables)


def test_the_arrival_is_the_one_of_the_energy_function() -> None:
    made, params = run(10, counts=100), parameters(GAINS[0], phase=1e-3)
    one = made.pulses[0]
    corrected = ef.corrected_height(
        one.pulse_height, one.pretrigger_mean, one.phase, params
    )
    x = diagnostics.arrival(one.pulse_height, one.phase, params)
    np.testing.assert_allclose(1 - corrected / one.pulse_height, 1e-3 * x, atol=1e-12)
    np.testing.assert_allclose(x, made.x[: len(x)], atol=1e-9)
