from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from rixs_pipeline.stages.interval.scan_scales import (
    LinePosition,
    ScaleErrors,
    ScanScale,
)
from rixs_pipeline.stages.scan.scale_variables import (
    scale_corrections,
    scale_from_table,
    scale_table,
    with_scan_scale,
)

ENERGY = np.array([200.0, 1000.0])
SCALE = ScanScale(
    drift=np.array([3e-5, 1e-5]),
    gain=2e-4,
    coefficients=np.array([1e-5, -1e-5]),
    coefficient_errors=np.array([2e-6, 3e-6]),
    shift=0.3,
    shift_error=0.05,
    hidden_size=0.12,
    lines={"O_Ka": LinePosition(524.9, 0.02)},
    steps=("scan0002: the mean energy scale of the pixels steps by +2.00",),
    errors=ScaleErrors(ENERGY, np.array([[0.01, 0.05]]), ("drift 0",)),
)
MAP = xr.Dataset(coords={"emission_energy": np.array([500.0, 600.0])})


def stored(scale):
    """As a photon store returns it: names as text."""
    table = scale_table(scale)
    names = {name: table[name].astype("U") for name in ("names", "lines", "steps")}
    return scale_from_table(table | names)


@pytest.mark.parametrize("is_applied", [True, False])
def test_a_photon_store_keeps_the_correction(is_applied):
    scale = replace(SCALE, is_applied=is_applied)
    again = stored(scale)
    assert again.is_applied is is_applied
    assert scale_corrections(again, "scan0001") == scale_corrections(scale, "scan0001")
    assert bool(scale_corrections(again, "scan0001")) is is_applied
    assert with_scan_scale(MAP, again).identical(with_scan_scale(MAP, scale))


def test_only_an_applied_correction_makes_energies():
    applied = with_scan_scale(MAP, SCALE)
    assert applied["drift_coefficients"].values.tolist() == [3e-5, 1e-5]
    assert applied.attrs["scale_gain"] == 2e-4
    assert applied.attrs["hidden_drift"] == 0.12
    not_applied = with_scan_scale(MAP, replace(SCALE, is_applied=False))
    assert "drift_coefficients" not in not_applied
    assert "scale_gain" not in not_applied.attrs
    assert not_applied["drift_change"].values.tolist() == [1e-5, -1e-5]
