from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from rixs_pipeline.core.drift.common_drift.fit import CommonDrift, ScaleStep
from rixs_pipeline.core.drift.common_drift.measurements import (
    REFERENCE_EV,
    ReferenceDrift,
)
from rixs_pipeline.stages.interval.array_spectra import ArraySpectra
from rixs_pipeline.stages.interval.run_drift import RunDrift
from rixs_pipeline.stages.interval.sample_lines import line_positions
from rixs_pipeline.stages.interval.scan_scales import IntervalScales

ENERGY = np.array([277.0, 524.9, 851.5])  # of the lines, at which levers are given
LINE_ERRORS = np.full(3, 0.03)


def reference_run(name, residual, time):
    drift = ReferenceDrift(time, np.zeros(2), np.zeros(2), np.eye(2) * 1e-10)
    return RunDrift(
        run=name,
        drift=drift,
        lever={},
        pretrigger_ref={},
        line_energy=ENERGY,
        line_errors=LINE_ERRORS,
        line_residual=np.array(residual),
        covariance=np.diag(LINE_ERRORS**2),
        params={},
    )


def scales(runs, later_share):
    """The scale of a scan that did not drift."""
    spectra = ArraySpectra(
        scan=SimpleNamespace(name="scan0001"),
        counts=np.ones((1, 5)),
        time=np.zeros(1),
        incident=(np.array([700.0]),),
        lever=np.zeros((1, 3, 2)),
        pixel_lever=np.zeros((1, 3, 2)),
        in_use=np.zeros((1, 2)),
        later_share=later_share,
        own_variance=0.0,
        piece_gain=np.zeros((1, 1)),
        piece_gain_error=np.full((1, 1), np.inf),
    )
    still = CommonDrift(np.zeros(2), np.zeros(1), np.eye(3) * 1e-12, np.nan)
    no_lines = line_positions([], {}, ENERGY, ENERGY, {})
    return IntervalScales([spectra], runs, still, no_lines, ENERGY, is_applied=True)


def test_the_error_of_one_reference_run_is_that_of_its_lines():
    runs = [reference_run("cal0000", [0, 0, 0], 0.0)]
    errors = scales(runs, 0.0).scale(0).errors
    np.testing.assert_allclose(errors.total, LINE_ERRORS, rtol=1e-3)


@pytest.mark.parametrize(
    ("later_share", "statistical"), [(0.0, 1.0), (0.5, 0.5**0.5), (1.0, 1.0)]
)
def test_between_two_reference_runs_the_counting_errors_average(
    later_share, statistical
):
    runs = [reference_run(f"cal{n}", [0, 0, 0], n * 3600.0) for n in range(2)]
    errors = scales(runs, later_share).scale(0).errors
    np.testing.assert_allclose(errors.total, LINE_ERRORS * statistical, rtol=1e-2)


def test_where_lines_contradict_each_other_the_error_covers_what_the_curve_misses():
    runs = [
        reference_run("cal0000", [0.6, -0.2, 0.1], 0.0),
        reference_run("cal0001", [0.4, 0.0, 0.1], 3600.0),
    ]
    errors = scales(runs, 0.5).scale(0).errors
    expected = np.hypot([0.5, -0.1, 0.1], LINE_ERRORS * 0.5**0.5)
    np.testing.assert_allclose(errors.total, expected, rtol=1e-2)


N_PIXELS = 6


def interval(steps, lower_pixels=0):
    """Three scans of five minutes, an hour apart, with steps of the scale.

    The first pixels are 2 eV below the others in the second half of each scan.
    """
    gain = np.zeros((N_PIXELS, 2))
    gain[:lower_pixels, 1] = -1 / REFERENCE_EV
    gain[lower_pixels:, 1] = lower_pixels / (N_PIXELS - lower_pixels) / REFERENCE_EV
    scans = [
        ArraySpectra(
            scan=SimpleNamespace(
                name=f"scan000{number}",
                pulse_files=[Path(f"run_chan{2 * n + 1}.off") for n in range(N_PIXELS)],
            ),
            counts=np.ones((2, 5)),
            time=3600.0 * number + np.array([0.0, 300.0]),
            incident=(np.array([700.0]), np.array([701.0])),
            lever=np.zeros((2, 3, 2)),
            pixel_lever=np.zeros((1, 3, 2)),
            in_use=np.zeros((2, 2)),
            later_share=0.0,
            own_variance=0.0,
            piece_gain=gain,
            piece_gain_error=np.full((N_PIXELS, 2), 0.1 / REFERENCE_EV),
        )
        for number in (1, 2, 3)
    ]
    drift = CommonDrift(np.zeros(2), np.zeros(3), np.eye(5) * 1e-12, np.nan, steps)
    runs = [reference_run("cal0000", [0, 0, 0], 0.0)]
    lines = line_positions([], {}, ENERGY, ENERGY, {})
    return IntervalScales(scans, runs, drift, lines, ENERGY, is_applied=True)


@pytest.mark.parametrize(
    ("begin", "end", "lines"),
    [
        (
            5000.0,
            np.inf,
            {1: "steps by +2.00 +- 0.10 eV (at 851 eV) before the scan; c"},
        ),
        (5000.0, 9000.0, {1: "before the scan and back before scan0003; corrected"}),
        (7350.0, np.inf, {1: "within the scan; its energies are off"}),
        (99000.0, np.inf, {2: "after the scan; corrected"}),
    ],
)
def test_the_first_scan_that_shows_a_step_reports_it(begin, end, lines):
    scales_of = interval((ScaleStep(begin, end, begin, begin, 2.0, 0.1),))
    for row in range(3):
        reported = scales_of.scale(row).steps
        assert len(reported) == (row in lines)
        if reported:
            assert reported[0].startswith(f"scan000{row + 1}: the mean energy")
            assert lines[row] in reported[0]


def test_a_step_of_which_no_scan_tells_when_it_was_names_the_scans_around():
    step = ScaleStep(10000.0, np.inf, 3000.0, 10000.0, 2.0, 0.1)
    (line,) = interval((step,)).scale(2).steps
    assert line.endswith("before or after any of scan0001, scan0002")


def test_a_step_within_a_scan_is_an_error_of_its_scale():
    step = ScaleStep(7350.0, np.inf, 7350.0, 7350.0, 2.0, 0.1)
    errors = [interval((step,)).scale(row).errors.at([851.0])[0] for row in range(3)]
    assert errors[1] == pytest.approx(1.0, rel=0.01)  # one half at +1 eV, one at -1 eV
    assert errors[0] == errors[2] < 0.1


@pytest.mark.parametrize(
    ("begin", "lower_pixels", "text"),
    [
        (
            7350.0,
            3,
            "the energy scale of 3 pixels (1, 3, 5) steps by -2.0 eV, that of the "
            "other 3 by +0.0 eV (at 851 eV) within the scan; its energies are off",
        ),
        (7350.0, 0, "the mean energy scale of the pixels steps by -1.00 +- 0.10 eV"),
        # pixels of a scan are aligned with each other
        (5000.0, 3, "the mean energy scale of the pixels steps by -1.00 +- 0.10 eV"),
    ],
)
def test_a_step_within_a_scan_names_the_pixels_that_differ(begin, lower_pixels, text):
    step = ScaleStep(begin, np.inf, begin, begin, size=-1.0, error=0.1)
    (line,) = interval((step,), lower_pixels).scale(1).steps
    assert line.startswith(f"scan0002: {text}")
