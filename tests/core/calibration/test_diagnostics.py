from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy.stats import chi2

from rixs_pipeline.core.calibration import diagnostics
from rixs_pipeline.core.calibration.diagnostics import Estimates
from rixs_pipeline.core.calibration.pixel import PixelPulses
from rixs_pipeline.core.energy import (
    corrected_pulse_height,
    curve_height,
    kernels,
    layout,
    spline_fit_matrix,
)
from tests.core.photons import energy, height

LINES = np.array([525.0, 705.0, 930.0])
DURATION = 600.0
BASE = 5000.0
GAINS = ((3e4, 2000.0, 100.0), (2.4e4, 1900.0, -50.0))
PHASE = 2e-3  # relative: 2 eV for a phase of 1
DRIFT = 5e-5  # relative, per unit of the baseline: 1 eV for 20 units
RARE = 1e-4  # probability that a correct result fails


def parameters(
    gain: tuple[float, float, float], phase: float = 0.0, drift: float = 0.0
) -> np.ndarray:
    params = np.zeros(layout.N_PARAMS)
    lowest, highest = height(np.array([100.0, 1200.0]), *gain)
    step = (highest - lowest) / (layout.N_COEFFICIENTS - 3)
    params[layout.CURVE_GRID] = lowest, step
    params[layout.CURVE] = spline_fit_matrix(200) @ energy(
        np.linspace(lowest, highest, 200), *gain
    )
    params[layout.HEIGHT_REF], params[layout.PRETRIGGER_REF] = (
        height(np.array([1000.0]), *gain)[0],
        BASE,
    )
    params[layout.PHASE_CENTRE], params[layout.PHASE_HALF_WIDTH] = (
        (-0.2, -0.3, 0.1),
        0.5,
    )
    params[layout.PHASE.start], params[layout.DRIFT.start] = phase, drift
    params[layout.VALIDITY] = -np.inf, np.inf
    return params


@dataclass(frozen=True)
class Run:
    """A simulated run: its pixels, and the truth of each pulse."""

    pulses: list[PixelPulses]
    params: np.ndarray
    line: np.ndarray
    x: np.ndarray  # arrival phase
    time: np.ndarray
    moved: np.ndarray  # by the effects, eV

    def diagnose(self) -> diagnostics.Diagnostics:
        n_recorded = sum(len(pixel.time) for pixel in self.pulses)
        position = np.tile(LINES, (len(self.pulses), 1))
        return diagnostics.diagnose_corrections(
            self.pulses, n_recorded, self.params, position, DURATION
        )

    def expected(self, selected: np.ndarray, place: np.ndarray) -> np.ndarray:
        """Return the mean shift (bin,) of selected pulses by their place, 0 to 1."""
        bins = np.minimum(
            (place[selected] * diagnostics.N_BINS).astype(int), diagnostics.N_BINS - 1
        )
        return np.bincount(bins, self.moved[selected]) / np.bincount(bins)


def run(seed: int, counts: int = 3000, phase: float = 0.0, drift: float = 0.0) -> Run:
    """Simulate lines with tails over a flat background in two pixels.

    The parameters of the pixels undo the effects of phase and drift.
    """
    rng = np.random.default_rng(seed)
    pulses, tables = [], []
    for number, gain in enumerate(GAINS):
        params = parameters(gain, phase, drift)
        line = np.repeat(np.arange(len(LINES)), counts)
        n = len(line)
        tail = np.where(rng.random(n) < 0.15, rng.exponential(20.0, n), 0.0)
        measured = LINES[line] + rng.normal(0, 1.2, n) - tail
        measured = np.where(
            rng.random(n) < 0.1,
            rng.uniform(LINES[line] - 40, LINES[line] + 40),
            measured,
        )
        x, time = rng.uniform(-1, 1, n), np.sort(rng.uniform(0, DURATION, n))
        order = rng.permutation(n)
        line, measured, x = line[order], measured[order], x[order]
        base = BASE + 20 * np.sin(time / 100) + rng.normal(0, 4.5, n)
        clean = height(measured, *gain)
        read = clean / (1 - phase * x - drift * (base - BASE))
        u = read / params[layout.HEIGHT_REF]
        reading = -0.2 - 0.3 * u + 0.1 * u**2 + 0.5 * x
        pulses.append(
            PixelPulses(
                pixel=number,
                pulse_height=read,
                pretrigger_mean=base,
                phase=reading,
                time=time,
                since_last=np.full(n, np.inf),
            )
        )
        tables.append((line, x, time, energy(read, *gain) - measured))
    params = np.stack([parameters(gain, phase, drift) for gain in GAINS])
    return Run(
        pulses,
        params,
        *(np.concatenate(column) for column in zip(*tables, strict=True)),
    )


def agrees(offsets: Estimates, expected: np.ndarray | float) -> bool:
    """Return whether offsets are as expected within their errors."""
    squares = ((offsets.values - expected) / offsets.errors) ** 2
    return bool(squares.sum() < chi2.ppf(1 - RARE, squares.size))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_phase_correction_removes_the_phase_effect(seed: int) -> None:
    simulated = run(seed, phase=PHASE)
    diagnosed = simulated.diagnose().by_phase
    expected = np.stack(
        [
            simulated.expected(simulated.line == line, (simulated.x + 1) / 2)
            for line in range(len(LINES))
        ]
    )
    assert np.ptp(expected, axis=1).min() > 1.5  # eV: the effect
    assert agrees(diagnosed.uncorrected, expected)
    assert agrees(diagnosed.corrected, 0.0)
    assert diagnosed.corrected.errors.max() < 0.15


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_drift_correction_removes_the_drift(seed: int) -> None:
    """Lines of one shape and strength have equal weights."""
    simulated = run(seed, drift=DRIFT)
    diagnosed = simulated.diagnose()
    expected = simulated.expected(simulated.line >= 0, simulated.time / DURATION)
    assert np.ptp(expected) > 1.0
    # the effect differs between lines, whose weights are equal within counting errors
    uncorrected = diagnosed.by_time.uncorrected
    errors = np.hypot(uncorrected.errors, 0.03 * np.abs(expected))
    assert agrees(Estimates(uncorrected.values, errors), expected)
    assert agrees(diagnosed.by_time.corrected, 0.0)
    assert np.all(np.diff(diagnosed.bin_time) == DURATION / diagnostics.N_BINS)
    assert diagnosed.bin_time[0] == DURATION / 24


def test_baseline_means_agree_with_the_simulation_within_errors() -> None:
    simulated = run(4)
    diagnosed = simulated.diagnose()
    wave = [
        np.mean(20 * np.sin(np.linspace(low, low + 50, 1000) / 100))
        for low in np.arange(12) * 50
    ]
    assert agrees(diagnosed.pretrigger, np.array(wave))
    # 1500 pulses that scatter by 4.5 and by the wave within the bin
    assert 0.1 < diagnosed.pretrigger.errors.max() < 0.3


def test_errors_equal_the_scatter_of_the_offsets() -> None:
    """Offsets refer to the mean of 12 bins, which has a twelfth of the variance."""
    results = [run(seed, counts=600).diagnose() for seed in range(10, 22)]
    for name, number in (("by_phase", 432), ("by_time", 144)):
        tables = [getattr(result, name) for result in results]
        corrected = [offsets.corrected for offsets in tables]
        pulls = np.concatenate([(c.values / c.errors).ravel() for c in corrected])
        assert pulls.size == number
        assert abs(np.std(pulls) / np.sqrt(11 / 12) - 1) < 4 / np.sqrt(2 * number)


def test_drift_is_not_corrected_while_the_baseline_is_constant() -> None:
    simulated = run(5)
    slow = [
        replace(pixel, pulse_height=pixel.pulse_height * (1 + 2e-6 * pixel.time))
        for pixel in simulated.pulses
    ]
    diagnosed = replace(simulated, pulses=slow).diagnose().by_time
    np.testing.assert_array_equal(
        diagnosed.corrected.values, diagnosed.uncorrected.values
    )
    shift = 2e-6 * np.mean(
        [
            kernels.curve_slopes(curve_height(LINES, p), p) * curve_height(LINES, p)
            for p in simulated.params
        ]
    )
    assert np.polyfit(np.arange(12) * 50.0, diagnosed.corrected.values, 1)[
        0
    ] == pytest.approx(shift, rel=0.15)


def test_the_order_of_the_pixels_does_not_matter() -> None:
    simulated = run(7, counts=300, phase=PHASE, drift=DRIFT)
    reversed_array = replace(
        simulated, pulses=simulated.pulses[::-1], params=simulated.params[::-1]
    )
    expected, result = simulated.diagnose(), reversed_array.diagnose()
    np.testing.assert_allclose(
        result.by_phase.corrected.values, expected.by_phase.corrected.values, atol=1e-9
    )
    np.testing.assert_allclose(
        result.by_time.uncorrected.values,
        expected.by_time.uncorrected.values,
        atol=1e-9,
    )


def test_large_runs_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    simulated = run(8, phase=PHASE)
    complete = simulated.diagnose().by_phase
    monkeypatch.setattr(diagnostics, "MAX_PULSES", 10_000)  # of 18 000
    sampled = simulated.diagnose().by_phase
    assert agrees(sampled.corrected, 0.0)
    assert np.median(
        sampled.corrected.errors / complete.corrected.errors
    ) == pytest.approx(np.sqrt(2), rel=0.1)


def test_too_few_pulses_give_no_offset() -> None:
    diagnosed = run(9, counts=20).diagnose()  # two pixels: three pulses a bin and line
    assert np.isnan(diagnosed.by_phase.corrected.values).all()
    assert np.isnan(diagnosed.by_phase.corrected.errors).all()
    assert np.isfinite(diagnosed.pretrigger.values).all()


@pytest.mark.parametrize("lines", [0, 3])
def test_tables_are_empty_without_a_good_pixel(lines: int) -> None:
    diagnosed = diagnostics.diagnose_corrections(
        [], 0, np.zeros((0, layout.N_PARAMS)), np.zeros((0, lines)), DURATION
    )
    assert diagnosed.by_phase.corrected.values.shape == (lines, diagnostics.N_BINS)
    tables = (
        diagnosed.by_phase.corrected.values,
        diagnosed.by_time.corrected.values,
        diagnosed.by_time.uncorrected.errors,
        diagnosed.pretrigger.values,
    )
    assert all(np.isnan(table).all() for table in tables)


def test_arrival_phase_equals_that_of_the_energy_function() -> None:
    simulated, params = run(10, counts=100), parameters(GAINS[0], phase=1e-3)
    pixel = simulated.pulses[0]
    corrected = corrected_pulse_height(
        pixel.pulse_height, pixel.pretrigger_mean, pixel.phase, params
    )
    x = diagnostics.arrival_phase(pixel.pulse_height, pixel.phase, params)
    np.testing.assert_allclose(1 - corrected / pixel.pulse_height, 1e-3 * x, atol=1e-12)
    np.testing.assert_allclose(x, simulated.x[: len(x)], atol=1e-9)
