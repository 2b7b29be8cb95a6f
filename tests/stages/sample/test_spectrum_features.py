"""Features of spectra, and absorption without self-absorption."""

import json

import numpy as np
import pytest

from rixs_pipeline.config import Region
from rixs_pipeline.stages.sample.region_spectra import extract_region, extract_spectra
from tests.stages.sample.cobalt_scans import scan

LIMITS = {"emission": (762.0, 800.0), "exclude_elastic": None}


def region(**options):
    return Region.model_validate({"kind": "pfy"} | LIMITS | options)


def test_features_have_names_values_and_units():
    features = {"white": (778.0, 783.0), "nothing": (900.0, 910.0)}
    pfy = extract_region(scan(1, rate=4000.0), region(features=features))
    assert pfy["feature"].values.tolist() == ["white", "nothing"]
    assert pfy["feature_centre"].values[0] == pytest.approx(780.5, abs=0.2)
    assert np.isnan(pfy["feature_area"].values[1])
    assert pfy["feature_area"].attrs["units"] == "eV counts/s"
    assert pfy["feature_fwhm"].attrs["units"] == "eV"
    normalised = extract_region(scan(1), region(features=features, scale="area"))
    assert normalised["feature_area"].attrs["units"] == ""


def test_self_absorption_flattens_and_its_correction_raises_the_white_line():
    sample = {"background": 1.0, "fluorescence": 0.5, "post_edge": (790.0, 799.0)}
    pfy = extract_region(scan(1, rate=4000.0), region(self_absorption=sample))
    is_after = pfy["incident_energy"] > 790
    assert float(pfy["absorption"][is_after].mean()) == pytest.approx(1.0, rel=0.05)
    assert pfy["absorption"].attrs["units"] == ""
    assert pfy.attrs["geometry_factor"] == pytest.approx(1.0)
    refused = int(np.isnan(pfy["absorption"]).sum())
    assert pfy.attrs["absorption_refused"] == refused > 0


def test_refused_points_are_reported():
    sample = {"background": 1.0, "fluorescence": 0.5, "post_edge": (790.0, 799.0)}
    configured = {"A": region(self_absorption=sample)}
    warnings = extract_spectra(scan(1, rate=4000.0), configured, "m").warnings
    assert any(
        line.startswith("m: region 'A' has ")
        and line.endswith("(yield above 90 % of its saturation limit)")
        for line in warnings
    )


def test_the_absorption_is_compared_with_the_first_inverse_yield():
    sample = {"background": 5.0, "fluorescence": 5.0, "post_edge": (790.0, 799.0)}
    configured = {
        "A": region(self_absorption=sample),
        "I": region(kind="ipfy"),
        "P": region(),
    }
    spectra = extract_spectra(scan(1, rate=4e4), configured, "m").by_region
    agreement = json.loads(spectra["A"].attrs["absorption_against_ipfy"])
    assert set(agreement) == {"chi2", "dof", "p", "slope", "offset"}
    assert agreement["slope"] < 0, "an inverse yield falls where the yield rises"
    assert "absorption_against_ipfy" not in spectra["P"].attrs


def test_without_an_inverse_yield_nothing_is_compared():
    sample = {"background": 5.0, "fluorescence": 5.0, "post_edge": (790.0, 799.0)}
    configured = {"A": region(self_absorption=sample)}
    spectra = extract_spectra(scan(1), configured, "m").by_region
    assert "absorption_against_ipfy" not in spectra["A"].attrs
