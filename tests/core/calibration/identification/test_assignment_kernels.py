import numpy as np
from scipy.signal import argrelmax, peak_prominences

from rixs_pipeline.core.calibration.identification.assignment_kernels import (
    MAX_DISTANCE,
    MISSING_SHARE,
    CurveColumns,
    LineColumns,
    PeakColumns,
    prominences,
    score_curves,
)

OFFSET_SPREAD = 0.015
TOLERANCE_EV = 3.0


def test_prominences_equal_those_of_scipy() -> None:
    rng = np.random.default_rng(1)
    values = np.convolve(rng.normal(size=500), np.ones(5), mode="same")
    maxima = argrelmax(values)[0]
    expected = peak_prominences(values, maxima)[0]
    np.testing.assert_allclose(prominences(values, maxima), expected)


TOLERANCES = np.array([3.0, 3.0, 6.0])  # eV


def numpy_score(
    a: float, b: float, d: float, peaks: PeakColumns, lines: LineColumns
) -> float:
    """Return the score of one curve, computed line by line."""
    score = -0.5 * (d / (OFFSET_SPREAD * a)) ** 2
    for energy, weight, tolerance in zip(*lines, strict=True):
        height = a * (1 - np.exp(-energy / b)) + d
        height_per_ev = a / b * np.exp(-energy / b)
        distance = np.abs(peaks.pulse_height - height) / height_per_ev / tolerance
        explained = peaks.strength * np.exp(-0.5 * distance**2)
        best = np.max(explained[distance < MAX_DISTANCE], initial=0.0)
        score += best
        if best <= MISSING_SHARE * peaks.strength.min():
            score -= weight * peaks.strength.mean()
    return float(score)


def test_scores_add_up_over_the_lines() -> None:
    rng = np.random.default_rng(2)
    lines = LineColumns(
        np.array([277.0, 525.0, 930.0]), np.array([1.0, 0.05, 1.0]), TOLERANCES
    )
    heights = 3e4 * (1 - np.exp(-np.array([277.0, 530.0, 700.0]) / 2000.0))
    peaks = PeakColumns(heights, np.array([3.0, 4.0, 2.0]))
    a = rng.uniform(2.9e4, 3.1e4, 50)
    b = rng.uniform(1900, 2100, 50)
    d = rng.uniform(-400, 400, 50)
    curves = CurveColumns(a, b, d)
    scores = score_curves(curves, peaks, lines, OFFSET_SPREAD)
    expected = [numpy_score(*row, peaks, lines) for row in zip(a, b, d, strict=True)]
    np.testing.assert_allclose(scores, expected)


def test_a_peak_at_every_line_is_better_than_a_missing_one() -> None:
    lines = LineColumns(np.array([277.0, 525.0, 930.0]), np.ones(3), TOLERANCES)
    curve = CurveColumns(np.array([3e4]), np.array([2000.0]), np.array([0.0]))
    heights = 3e4 * (1 - np.exp(-lines.energy / 2000.0))
    strength = np.full(3, 4.0)
    complete = PeakColumns(heights, strength)
    without = PeakColumns(heights[:2], strength[:2])
    score = score_curves(curve, complete, lines, OFFSET_SPREAD)
    np.testing.assert_allclose(score, 12.0)
    score = score_curves(curve, without, lines, OFFSET_SPREAD)
    np.testing.assert_allclose(score, 8.0 - 4.0)
