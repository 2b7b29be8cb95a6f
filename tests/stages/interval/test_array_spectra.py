import numpy as np
import pytest

from rixs_pipeline.stages.interval.array_spectra import Groups, _own_variance
from rixs_pipeline.stages.interval.pixel_energies import PixelEnergy
from rixs_pipeline.types import PixelState, PixelStatus

N_ARRAYS = 400


def pixels(
    rng: np.random.Generator, drift: float, error: float, calibration: float
) -> list[PixelEnergy]:
    """Return ten pixels whose gains differ by drift, counts and calibrations."""
    gains = rng.normal(0, np.sqrt(drift**2 + error**2 + calibration**2), 10)
    return [
        PixelEnergy(
            PixelStatus(PixelState.OK),
            alignment_error=error,
            misalignment=float(gain),
            calibration_error=calibration,
        )
        for gain in gains
    ]


@pytest.mark.parametrize("drift", [0.0, 3e-4])
def test_counting_statistics_of_scan_and_calibrations_are_no_drift(
    drift: float,
) -> None:
    rng = np.random.default_rng(1)
    variances = [
        _own_variance(pixels(rng, drift, 1.5e-4, 2.5e-4), Groups((), ()))
        for _ in range(N_ARRAYS)
    ]
    error = np.std(variances) / np.sqrt(N_ARRAYS)
    assert abs(np.mean(variances) - drift**2) < 4 * error
    assert error < 5e-9
