from dataclasses import replace

import numpy as np
import pytest

from rixs_pipeline.core.drift.common_drift.fit import fit_common_drift
from rixs_pipeline.core.drift.common_drift.measurements import (
    NO_HIDDEN_DRIFT,
    REFERENCE_EV,
    Groups,
    HiddenDrift,
    Interval,
    LinePositions,
    ReferenceDrift,
    ReferenceShifts,
    TimeOffsets,
    combine_pixels,
)
from rixs_pipeline.core.drift.common_drift.priors import SIZE_WEIGHTS

# O Ka and Co La of two samples
SAMPLE = np.array([0, 0, 1, 1])
GROUPS = Groups(np.array([0, 1, 0, 1]), SAMPLE, SAMPLE, np.zeros(4, bool))
TRUE = np.array([5e-5, 6e-5])
HOUR = 3600.0


def reference(time, *, error, rng=None):
    """A reference run whose pulses say what the coefficients are, with an error."""
    noise = rng.normal(0, error, 2) if rng is not None else 0.0
    return ReferenceDrift(time, np.zeros(2), TRUE + noise, np.eye(2) * error**2)


def beamtime(rng, *, hidden=0.0, error=0.03, n_scans=8, reference_error=1e-3):
    """Scans of two samples after one reference run, at coefficients of 0.

    The positions follow the module's formula; `hidden` is the rms of a hidden drift.
    The scales are means over the pieces of a scan.
    """
    time = HOUR * (0.5 + 0.4 * np.arange(n_scans))
    baseline = 8.0 * time / HOUR + 4 * np.sin(time / 500)
    pieces = (time[:, None] + [-300.0, 0.0, 300.0]).ravel()
    every = np.append(0, pieces)
    scaled = np.abs(np.subtract.outer(every, every)) * np.sqrt(3) / 5400.0
    process = hidden**2 * (1 + scaled) * np.exp(-scaled) + 1e-12 * np.eye(len(every))
    drift = np.linalg.cholesky(process) @ rng.normal(size=len(every))
    moved = (drift[1:] - drift[0]).reshape(n_scans, 3)
    scale = moved.mean(axis=1)
    rows = np.repeat(np.arange(n_scans), 6)
    energy = np.tile([525.0, 525.0, 525.0, 776.0, 776.0, 776.0], n_scans)
    change = baseline[rows] + rng.normal(0, 3, len(rows))
    lever = np.stack([-0.8 * energy * change, 0.2 * energy * change], axis=1)
    sample = rows * 2 // n_scans
    group = 2 * sample + (energy > 600)
    shift = -(lever @ TRUE) + energy / REFERENCE_EV * np.tile(moved, 2).ravel()
    shift += rng.normal(0, error, len(rows)) + 0.7 * group
    positions = LinePositions(
        scan=rows,
        group=group,
        edge=np.full(len(rows), -1),
        time=np.tile(pieces.reshape(n_scans, 3), 2).ravel(),
        energy=energy,
        shift=shift,
        error=np.full(len(rows), error),
        lever=lever,
        in_use=np.zeros((len(rows), 2)),
        groups=GROUPS,
    )
    runs = (reference(0.0, error=reference_error, rng=rng),)
    return positions, Interval(time, np.zeros(n_scans), runs, None, 0.02), scale


def test_the_coefficients_follow_from_lines_that_stand_still():
    positions, interval, _ = beamtime(np.random.default_rng(1))
    fitted = fit_common_drift(positions, interval)
    errors = np.sqrt(np.diag(fitted.covariance))
    assert np.all(np.abs(fitted.coefficients - TRUE) < 4 * errors[:2])
    assert errors[0] < 2e-5


def test_without_positions_the_reference_runs_decide():
    _, interval, _ = beamtime(np.random.default_rng(2))
    interval = replace(interval, references=(reference(0.0, error=1e-6),))
    fitted = fit_common_drift(no_positions(), interval)
    np.testing.assert_allclose(fitted.coefficients, TRUE, rtol=0.1)
    np.testing.assert_allclose(fitted.scale, 0, atol=1e-9)
    assert np.isnan(fitted.misfit)


def test_errors_grow_with_the_time_since_the_reference_run():
    growth = []
    for seed in range(8):
        positions, interval, _ = beamtime(np.random.default_rng(seed), hidden=0.3)
        variance = np.diag(fit_common_drift(positions, interval).covariance)[2:]
        growth.append(np.sqrt(variance[-1] / variance[0]))
    assert np.mean(growth) > 1.2


def test_errors_are_honest_over_hidden_drifts_of_all_sizes():
    rng = np.random.default_rng(4)
    sizes, weights = np.array(list(SIZE_WEIGHTS.items())).T
    pulls = []
    for hidden in rng.choice(sizes, 50, p=weights / weights.sum()):
        positions, interval, scale = beamtime(rng, hidden=hidden)
        fitted = fit_common_drift(positions, interval)
        for row in range(len(scale)):
            lever = positions.lever[positions.scan == row][3:].mean(axis=0)
            share = 776.0 / REFERENCE_EV
            error = lever @ (fitted.coefficients - TRUE)
            error -= share * (fitted.scale[row] - scale[row])
            direction = np.zeros(len(fitted.covariance))
            direction[:2], direction[2 + row] = lever, -share
            pulls.append(error / np.sqrt(direction @ fitted.covariance @ direction))
    assert 0.7 < np.sqrt(np.mean(np.square(pulls))) < 1.2


def no_positions():
    none, whole, table = np.empty(0), np.empty(0, np.int64), np.empty((0, 2))
    groups = Groups(whole, whole, whole, np.empty(0, bool))
    return LinePositions(
        whole, whole, whole, none, none, none, none, table, table, groups
    )


def moving(slope, *, baseline=0.0, error=0.02):
    """A reference run of 15 min whose lines move by `slope` eV from start to end.

    The baseline moves by `baseline` units; its drift is corrected with the true
    coefficients.
    """
    share = (np.arange(12) + 0.5) / 12 - 0.5
    lever = np.outer(baseline * share, [-0.8 * 700, 0.2 * 700])
    offsets = TimeOffsets(900 * share, slope * share, np.full(12, error), 700.0, lever)
    return replace(reference(0.0, error=1e-6), in_use=TRUE, offsets=offsets)


@pytest.mark.parametrize("n_scans", [150, 300])
def test_errors_are_honest_over_many_scans(n_scans):
    """Their pieces are joined."""
    rng = np.random.default_rng(7)
    positions, interval, scale = beamtime(rng, hidden=0.3, n_scans=n_scans)
    fitted = fit_common_drift(positions, interval)
    deviation = fitted.scale - scale
    covariance = fitted.covariance[2:, 2:]
    chi_square = deviation @ np.linalg.solve(covariance, deviation)
    assert 0.6 < chi_square / n_scans < 1.6
    assert not fitted.steps


def test_what_moves_within_a_reference_run_tells_how_large_the_hidden_drift_is():
    _, interval, _ = beamtime(np.random.default_rng(2))
    sizes, errors = [], []
    for slope in (0.0, 0.1, 0.4):
        moved = replace(interval, references=(moving(slope),))
        fitted = fit_common_drift(no_positions(), moved)
        sizes.append(fitted.hidden_size)
        errors.append(np.sqrt(fitted.covariance[2, 2]))
    assert sizes[0] < sizes[1] < sizes[2]
    assert errors[0] < errors[1] < errors[2]


def test_scans_after_a_reference_run_continue_what_moved_within_it():
    _, interval, _ = beamtime(np.random.default_rng(2))
    soon = replace(interval, time=interval.time / 4)
    for slope in (0.4, -0.4):
        fitted = fit_common_drift(
            no_positions(), replace(soon, references=(moving(slope),))
        )
        assert np.sign(slope) * fitted.scale[0] > 0.2


@pytest.mark.parametrize(
    ("hidden", "largest", "smallest"),
    [
        (NO_HIDDEN_DRIFT, 0.1, 0.0),  # the better the lines, the better the coefficient
        (HiddenDrift(0.3, 2 * HOUR), 1.0, 0.7),  # however well they are measured
    ],
)
def test_hidden_drift_along_the_baseline_of_a_reference_run_is_no_coefficient(
    hidden, largest, smallest
):
    _, interval, _ = beamtime(np.random.default_rng(2))
    interval = replace(interval, hidden_drift=hidden, pixel_drift=0.0)
    variances = []
    for error in (1e-2, 1e-4):
        run = moving(0.0, baseline=6.0, error=error)
        run = replace(run, covariance=np.eye(2) * 1e-8)
        fitted = fit_common_drift(no_positions(), replace(interval, references=(run,)))
        change = np.array([-0.8, 0.2, *np.zeros(len(interval.time))])
        variances.append(change @ fitted.covariance @ change)
    assert smallest <= np.sqrt(variances[1] / variances[0]) < largest


@pytest.mark.parametrize("size", [0.1, 0.5])
def test_a_stated_hidden_drift_makes_the_errors(size):
    _, interval, _ = beamtime(np.random.default_rng(2))
    far = replace(
        interval,
        time=interval.time + 30 * HOUR,
        hidden_drift=HiddenDrift(size, 2 * HOUR),
        pixel_drift=0.0,
    )
    fitted = fit_common_drift(no_positions(), far)
    errors = np.sqrt(np.diag(fitted.covariance))[2:]
    # of the scan and of the reference run
    np.testing.assert_allclose(errors, size * np.sqrt(2), rtol=0.05)
    assert fitted.hidden_size == pytest.approx(size)


def test_without_hidden_drift_the_scales_follow_the_coefficients_alone():
    positions, interval, _ = beamtime(np.random.default_rng(1))
    known = replace(interval, hidden_drift=NO_HIDDEN_DRIFT, pixel_drift=0.0)
    fitted = fit_common_drift(positions, known)
    np.testing.assert_allclose(fitted.scale, 0, atol=1e-4)
    assert fitted.hidden_size == 0


def test_contradictions_widen_the_errors():
    positions, interval, _ = beamtime(np.random.default_rng(5))
    consistent = fit_common_drift(positions, interval)
    noise = np.random.default_rng(6).normal(0, 0.3, len(positions.shift))
    contradicting = fit_common_drift(
        replace(positions, shift=positions.shift + noise), interval
    )
    assert contradicting.misfit > 20 * consistent.misfit
    widths = [np.trace(part.covariance[2:, 2:]) for part in (contradicting, consistent)]
    assert widths[0] > 2 * widths[1]


def test_pixels_with_many_pulses_decide_on_the_mean():
    drifts = np.array([[0.0, 0.0], [0.0, 0.0]])
    information = np.stack([np.eye(2) * 1e14, np.eye(2) * 1e14])
    score = np.einsum("pij,pj->pi", information, [[4e-5, 1e-5], [6e-5, 3e-5]])
    combined = combine_pixels(drifts, score, information, 0.0)
    np.testing.assert_allclose(combined.mean, [5e-5, 2e-5], rtol=0.02)
    assert np.sqrt(combined.covariance[0, 0]) == pytest.approx(1e-7 / 2**0.5, rel=0.1)


def test_pixels_without_pulses_say_nothing():
    combined = combine_pixels(np.ones((3, 2)), np.zeros((3, 2)), np.zeros((3, 2, 2)), 0)
    assert np.sqrt(combined.covariance[0, 0]) > 5e-5


def stepped(seed, begin, end, size):
    """A beamtime between two reference runs whose scale steps for a while.

    `begin` and `end` in hours, `size` in eV at E_0.
    """
    positions, interval, scale = beamtime(np.random.default_rng(seed))
    share = interval.time / (5 * HOUR)
    at_end = size * (end > 5)
    energy = np.array([400.0, 525.0, 776.0, 930.0])

    def moved(time):
        return size * ((time > begin * HOUR) & (time < end * HOUR))

    shift = moved(positions.time) - at_end * share[positions.scan]
    positions = replace(
        positions, shift=positions.shift + shift * positions.energy / REFERENCE_EV
    )
    runs = (*interval.references, reference(5 * HOUR, error=1e-3))
    shifts = ReferenceShifts(
        energy=energy,
        shift=at_end * energy / REFERENCE_EV,
        error=np.full(4, 0.05),
        lever=np.zeros((4, 2)),
    )
    interval = replace(interval, later_share=share, references=runs, shifts=shifts)
    return positions, interval, scale + moved(interval.time) - at_end * share


@pytest.mark.parametrize(
    ("begin", "end"),
    [(1.1, np.inf), (1.1, 1.5), (0.7, 2.7)],
    ids=["to the end", "one scan", "into the next sample"],
)
@pytest.mark.parametrize("size", [2.0, -1.5])
def test_a_step_moves_the_scans_after_it_alone(begin, end, size):
    positions, interval, scale = stepped(11, begin, end, size)
    fitted = fit_common_drift(positions, interval)
    errors = np.sqrt(np.diag(fitted.covariance))[2:]
    assert np.all(np.abs(fitted.scale - scale) < 4 * errors)
    assert np.all(errors < 0.6)
    first = fitted.steps[0]
    assert abs(first.begin / HOUR - begin) < 0.25
    assert abs(first.size - size) < 4 * first.error


def test_a_step_within_a_scan_is_found():
    positions, interval, _ = stepped(12, 1.3 + 1 / 24, np.inf, 2.0)  # of scan 2
    fitted = fit_common_drift(positions, interval)
    change = fitted.scale + 2.0 * interval.later_share
    np.testing.assert_allclose(change[1:4], [0, 2 / 3, 2], atol=0.2)


def test_without_steps_none_is_found():
    for seed in range(30):
        positions, interval, _ = beamtime(np.random.default_rng(seed), hidden=0.1)
        assert not fit_common_drift(positions, interval).steps
