"""TEY, TFY and PFY of a sample, normalised alike."""

import numpy as np
import pytest

from rixs_pipeline.config.models import XasConfig
from rixs_pipeline.stages.sample import absorption_spectra as xas
from rixs_pipeline.stages.sample import region_spectra as extract
from rixs_pipeline.stages.sample.configured_regions import select_regions
from tests.stages.sample.cobalt_scans import ENERGY, scan

REGIONS = select_regions("Co_L", None)


def test_absorption_is_normalised_and_beside_the_yield():
    scans = [scan(k, name=f"scan{k:04d}") for k in range(3)]
    pfy = extract.extract_region(scans[0], REGIONS["Co_PFY"])
    found, warnings = xas.absorption_spectra(
        scans, pfy, XasConfig(pre_edge=(770, 776)), "LMR-Co_L"
    )
    assert warnings == []
    assert set(found) == {"tey", "pfy"}
    shape = np.exp(-0.5 * ((ENERGY - 780.5) / 1.0) ** 2)
    assert found["tey"]["intensity"].values == pytest.approx(shape, abs=0.01)
    assert found["pfy"]["intensity"].max().item() == 1
    assert found["tey"].attrs["passes"] == 3


def test_a_reading_that_drops_is_minus_one_at_its_lowest():
    scans = [scan(k, name=f"scan{k:04d}") for k in range(3)]
    white = np.exp(-0.5 * ((ENERGY - 780.5) / 1.0) ** 2)
    noise = np.random.default_rng(4).normal(0, 0.02, (3, len(ENERGY)))
    readings = [
        one["i0"].values * (2 - white + n) for one, n in zip(scans, noise, strict=True)
    ]
    scans = [
        one.assign(reading_tfy=("incident_energy", r))
        for one, r in zip(scans, readings, strict=True)
    ]
    found, warnings = xas.absorption_spectra(
        scans, None, XasConfig(channels=("tfy",)), "LMR-Co_L"
    )
    assert found["tfy"]["intensity"].values == pytest.approx(-white, abs=0.12)
    assert found["tfy"].attrs["sign"] == -1
    assert "tfy: it drops at the edge" in warnings[-1]


def test_a_spectrum_without_a_jump_is_told():
    scans = [scan(k).isel(incident_energy=slice(0, 14)) for k in range(2)]
    found, warnings = xas.absorption_spectra(
        scans, None, XasConfig(scale="edge"), "LMR-Co_L"
    )
    assert not np.isfinite(found["tey"]["intensity"].values).any()
    assert any("tey: cannot be normalised" in line for line in warnings)
