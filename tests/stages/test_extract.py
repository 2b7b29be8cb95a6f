import json

import numpy as np
import pytest
import xarray as xr

from rixs_pipeline.config import MapConfig, Region
from rixs_pipeline.schema import check, spectrum
from rixs_pipeline.stages.combine import combine_scans
from rixs_pipeline.stages.extract import extract_region, extract_spectra, log_spectrum, regions_of
from stages.builders import scan_map

E = np.array([780.0, 781.0, 782.0])
COUNTS = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]])
X = np.array([1.0, 2.0, 4.0])


def rixs_map(**readings):
    return combine_scans([scan_map(COUNTS, E, X, **readings)], MapConfig(), "m")[0]


def region(**values):
    return Region(**{"kind": "pfy"} | values)


def test_a_pfy_is_the_sum_over_its_bins_over_the_exposure():
    found = extract_region(rixs_map(), region(emission=(500.0, 501.5)))
    check(found, spectrum("incident_energy"), "here")
    counts = COUNTS[:, 0] + 0.5 * COUNTS[:, 1]
    np.testing.assert_allclose(found["counts"].values, counts)
    np.testing.assert_allclose(found["intensity"].values, counts / X)
    np.testing.assert_allclose(found["intensity_errors"].values, np.sqrt(COUNTS[:, 0] + 0.25 * COUNTS[:, 1]) / X)
    assert found["intensity"].attrs["units"] == "counts/s"


def test_an_emission_spectrum_is_per_ev_and_divides_the_sums():
    found = extract_region(rixs_map(), region(kind="xes", incident=(780.5, 783.0)))
    check(found, spectrum("emission_energy"), "here")
    np.testing.assert_allclose(found["intensity"].values, COUNTS[1:].sum(axis=0) / X[1:].sum())
    assert found["intensity"].attrs["units"] == "counts/(s eV)"


def test_the_region_stands_word_for_word_in_the_spectrum():
    given = {"kind": "pfy", "emission": [500.0, 501.5], "exclude_elastic": 3.0}
    found = extract_region(rixs_map(), Region.model_validate(given))
    assert json.loads(found.attrs["region"]) == given


@pytest.mark.parametrize("kind", ["pfy", "ipfy"])
def test_a_scaled_spectrum_tells_its_factor(kind):
    plain = extract_region(rixs_map(), region(kind=kind))
    scaled = extract_region(rixs_map(), region(kind=kind, scale="max"))
    assert scaled["intensity"].values.max() == pytest.approx(1.0)
    np.testing.assert_allclose(scaled["intensity"].values * scaled.attrs["scale_factor"], plain["intensity"].values)
    assert all(scaled[name].attrs["units"] == scaled["intensity"].attrs["units"] for name in ("intensity_errors",))
    assert plain.attrs["scale_factor"] == 1.0


def test_without_regions_of_the_config_there_are_the_presets_of_the_edge():
    assert {"Co_PFY", "Co_iPFY", "Co_TFY"} <= regions_of("Co_L", None).keys()
    assert "O_sPFY" in regions_of("O_K", None)


def test_regions_of_the_config_replace_the_presets_and_keep_to_their_edge():
    configured = {"A": region(edge="Co_L"), "B": region(edge="O_K"), "C": region()}
    assert list(regions_of("Co_L", configured)) == ["A", "C"]
    assert regions_of("Co_L", {}) == {}


def test_a_region_that_touches_nothing_is_said():
    configured = {"A": region(emission=(900.0, 901.0)), "B": region(), "C": region(kind="xes", incident=(1.0, 2.0))}
    found, warnings = extract_spectra(rixs_map(), configured, "LMR-Co_L")
    assert list(found) == ["B"]
    assert warnings == [f"LMR-Co_L: region '{name}' touches no bin of the map: no spectrum" for name in "AC"]


def test_readings_of_the_log_stand_beside():
    one = rixs_map(i0=[10, 20, 30], reading_tey=[1, 4, 9], reading_i0=[10, 20, 30], reading_clock=[1, 1, 1])
    found, _ = extract_spectra(one, {"B": region()}, "m")
    assert list(found) == ["B", "log_tey"]
    tey = found["log_tey"]
    np.testing.assert_allclose(tey["intensity"].values, [0.1, 0.2, 0.3])
    assert np.isnan(tey["intensity_errors"].values).all()  # not known is not zero
    assert tey["intensity"].attrs["units"] == "tey/i0"
    assert json.loads(tey.attrs["region"]) == {"kind": "reading", "channel": "tey"}
    assert all(one.attrs["sample"] == "LMR" and one.attrs["edge"] == "Co_L" for one in found.values())


def test_a_reading_without_i0_or_exposure():
    one = combine_scans([scan_map(COUNTS, E, [1, 0, 1], reading_tfy=[5, 6, 7])], MapConfig(), "m")[0]
    tfy = log_spectrum(one, "tfy")
    np.testing.assert_array_equal(tfy["intensity"].values, [5, np.nan, 7])
    assert tfy["intensity"].attrs["units"] == "tfy"


def test_spectra_of_a_map_without_a_count_are_numbers():
    empty = combine_scans([scan_map(np.zeros((3, 3)), E, X)], MapConfig(), "m")[0]
    for name, found in extract_spectra(empty, None, "m")[0].items():
        assert isinstance(found, xr.Dataset) and found["counts"].values.sum() == 0, name
        assert not np.isinf(found["intensity"].values).any()
