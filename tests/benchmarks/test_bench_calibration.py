"""The time to calibrate a reference run must grow as the number of its pixels."""

import pytest

from rixs_pipeline.core.calibration.reference_run import calibrate_pixels
from tests.core.photons import OPTIONS, REFERENCE_LINES


@pytest.mark.parametrize("pixels", [8, 32, 120])
def test_a_reference_run(timed, reference_pulses, pixels):
    pulses = reference_pulses[:pixels]

    def run():
        return calibrate_pixels(pulses, REFERENCE_LINES, OPTIONS, 1000.0)

    result = timed(
        "calibrate",
        f"a reference run of {pixels} pixels",
        run,
        pixels,
        "pixels",
        rounds=5,
    )
    assert sum(status.is_ok for status in result.status) >= 0.9 * pixels
