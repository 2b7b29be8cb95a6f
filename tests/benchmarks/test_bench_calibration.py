"""The time to calibrate a reference run must grow as the number of its pixels."""

import pytest

from rixs_pipeline.config.models import CalibrationConfig
from rixs_pipeline.config.reference_sets import load_reference_set
from rixs_pipeline.core.calibration.reference_run import calibrate


@pytest.mark.parametrize("pixels", [8, 32, 120])
def test_a_reference_run(timed, reference_pulses, pixels):
    pulses, reference = reference_pulses[:pixels], load_reference_set("srd128")

    def run():
        return calibrate(pulses, reference, CalibrationConfig(), 1000.0)

    result = timed(
        "calibrate",
        f"a reference run of {pixels} pixels",
        run,
        pixels,
        "pixels",
        rounds=5,
    )
    assert sum(status.is_ok for status in result.status) >= 0.9 * pixels
