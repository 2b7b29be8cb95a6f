import json

import numpy as np
import pytest
import xarray as xr

from rixs_pipeline.config.models import MapConfig, NormaliseConfig, Region
from rixs_pipeline.schema import check, spectrum
from rixs_pipeline.stages.sample.combine_scans import combine_scans
from rixs_pipeline.stages.sample.configured_regions import select_regions
from rixs_pipeline.stages.sample.region_spectra import (
    Beside,
    extract_region,
    extract_spectra,
    log_spectrum,
)
from tests.stages.builders import scan_map

E = np.array([780.0, 781.0, 782.0])
COUNTS = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]])
X = np.array([1.0, 2.0, 4.0])


def rixs_map(**readings):
    return combine_scans([scan_map(COUNTS, E, X, **readings)], MapConfig(), "m").dataset


def region(**values):
    return Region(**{"kind": "pfy"} | values)


def test_a_pfy_is_the_sum_over_its_bins_over_the_exposure():
    found = extract_region(rixs_map(), region(emission=(500.0, 501.5)))
    check(found, spectrum("incident_energy"), "here")
    counts = COUNTS[:, 0] + 0.5 * COUNTS[:, 1]
    np.testing.assert_allclose(found["counts"].values, counts)
    np.testing.assert_allclose(found["intensity"].values, counts / X)
    np.testing.assert_allclose(
        found["intensity_errors"].values,
        np.sqrt(COUNTS[:, 0] + 0.25 * COUNTS[:, 1] + 1) / X,
    )
    assert found["intensity"].attrs["units"] == "counts/s"


def test_an_emission_spectrum_is_per_ev_and_divides_the_sums():
    found = extract_region(rixs_map(), region(kind="xes", incident=(780.5, 783.0)))
    check(found, spectrum("emission_energy"), "here")
    np.testing.assert_allclose(
        found["intensity"].values, COUNTS[1:].sum(axis=0) / X[1:].sum()
    )
    assert found["intensity"].attrs["units"] == "counts/(s eV)"


def test_the_region_stands_word_for_word_in_the_spectrum():
    given = {"kind": "pfy", "emission": [500.0, 501.5], "exclude_elastic": 3.0}
    found = extract_region(rixs_map(), Region.model_validate(given))
    assert json.loads(found.attrs["region"]) == given


@pytest.mark.parametrize("kind", ["pfy", "ipfy"])
def test_a_scaled_spectrum_tells_its_factor(kind):
    plain = extract_region(rixs_map(), region(kind=kind, emission=(500.0, 503.0)))
    scaled = extract_region(
        rixs_map(), region(kind=kind, emission=(500.0, 503.0), scale="max")
    )
    assert scaled["intensity"].values.max() == pytest.approx(1.0)
    np.testing.assert_allclose(
        scaled["intensity"].values * scaled.attrs["scale_factor"],
        plain["intensity"].values,
    )
    assert all(
        scaled[name].attrs["units"] == scaled["intensity"].attrs["units"]
        for name in ("intensity_errors",)
    )
    assert plain.attrs["scale_factor"] == 1.0


def test_without_regions_of_the_config_there_are_the_presets_of_the_edge():
    assert {"Co_PFY", "Co_iPFY", "Co_TFY"} <= select_regions("Co_L", None).keys()
    assert "O_sPFY" in select_regions("O_K", None)


def test_regions_of_the_config_replace_the_presets_and_keep_to_their_edge():
    configured = {"A": region(edge="Co_L"), "B": region(edge="O_K"), "C": region()}
    assert list(select_regions("Co_L", configured)) == ["A", "C"]
    assert select_regions("Co_L", {}) == {}


def test_a_region_that_touches_nothing_is_said():
    configured = {
        "A": region(emission=(900.0, 901.0)),
        "B": region(),
        "C": region(kind="xes", incident=(1.0, 2.0)),
    }
    found, warnings = extract_spectra(rixs_map(), configured, "LMR-Co_L")
    assert list(found) == ["B"]
    assert warnings == [
        f"LMR-Co_L: region '{name}' touches no bin of the map: no spectrum"
        for name in "AC"
    ]


def test_readings_of_the_log_stand_beside():
    one = rixs_map(
        i0=[10, 20, 30],
        reading_tey=[1, 4, 9],
        reading_i0=[10, 20, 30],
        reading_clock=[1, 1, 1],
    )
    found, _ = extract_spectra(one, {"B": region()}, "m")
    assert list(found) == ["B", "log_tey"]
    tey = found["log_tey"]
    np.testing.assert_allclose(tey["intensity"].values, [0.1, 0.2, 0.3])
    assert np.isnan(tey["intensity_errors"].values).all()  # not known is not zero
    assert tey["intensity"].attrs["units"] == "tey/i0"
    assert json.loads(tey.attrs["region"]) == {"kind": "reading", "channel": "tey"}
    assert all(
        one.attrs["sample"] == "LMR" and one.attrs["edge"] == "Co_L"
        for one in found.values()
    )


def test_a_reading_without_i0_or_exposure():
    one = combine_scans(
        [scan_map(COUNTS, E, [1, 0, 1], reading_tfy=[5, 6, 7])], MapConfig(), "m"
    ).dataset
    tfy = log_spectrum(one, "tfy")
    np.testing.assert_array_equal(tfy["intensity"].values, [5, np.nan, 7])
    assert tfy["intensity"].attrs["units"] == "tfy"


def test_spectra_of_a_map_without_a_count_are_numbers():
    empty = combine_scans([scan_map(np.zeros((3, 3)), E, X)], MapConfig(), "m").dataset
    for name, found in extract_spectra(empty, None, "m")[0].items():
        assert isinstance(found, xr.Dataset) and found["counts"].values.sum() == 0, name
        assert not np.isinf(found["intensity"].values).any()


def test_products_say_how_their_errors_were_computed_and_what_was_subtracted():
    noisy = combine_scans(
        [scan_map(COUNTS, E, X, i0=[1, 1, 1])],
        MapConfig(),
        "m",
        NormaliseConfig(i0_noise=0.05),
    ).dataset
    background = {"kind": "sideband", "emission": [[502.0, 503.0]]}
    found = extract_region(
        noisy,
        Region.model_validate(
            {"kind": "pfy", "emission": [500, 501], "background": background}
        ),
    )
    check(found, spectrum("incident_energy"), "here")
    assert "sideband" in found.attrs["errors"] and "I0" in found.attrs["errors"]
    np.testing.assert_allclose(found["background"].values, COUNTS[:, 2] / X)
    np.testing.assert_allclose(
        found["intensity"].values, (COUNTS[:, 0] - COUNTS[:, 2]) / X
    )
    np.testing.assert_allclose(
        found["intensity_i0_errors"].values, 0.05 * np.abs(found["intensity"].values)
    )
    assert json.loads(found.attrs["region"])["background"] == [background]


def test_i0_noise_of_passes_adds_in_squares():
    scans = [
        scan_map(COUNTS, E, X, i0=[4, 4, 4]),
        scan_map(COUNTS, E, 2 * X, i0=[100, 100, 100]),
    ]
    for noise, expected in (
        (0.1, np.hypot(0.1 * X, 0.2 * X)),
        ("poisson", np.hypot(X / 2, 2 * X / 10)),
    ):
        found = combine_scans(
            scans, MapConfig(), "m", NormaliseConfig(i0_noise=noise)
        ).dataset
        np.testing.assert_allclose(found["exposure_errors"].values, expected)
    assert "exposure_errors" not in combine_scans(scans, MapConfig(), "m").dataset
    without = [scan_map(COUNTS, E, X)]
    noisy = NormaliseConfig(i0_noise=0.1)
    combined = combine_scans(without, MapConfig(), "m", noisy)
    assert "exposure_errors" not in combined.dataset
    assert combined.warnings == ["m: i0_noise ignored: a pass has no I0"]


def test_a_blank_that_is_not_there_is_said():
    configured = {
        "A": Region.model_validate(
            {"kind": "pfy", "background": {"kind": "blank", "sample": "nobody"}}
        )
    }
    found, warnings = extract_spectra(rixs_map(), configured, "LMR-Co_L")
    assert not found
    assert warnings == [
        "LMR-Co_L: region 'A': background blank: no map of sample 'nobody' at this edge: no spectrum"
    ]


def test_a_blank_is_subtracted_by_exposure():
    configured = Region.model_validate(
        {"kind": "pfy", "background": {"kind": "blank", "sample": "bare"}}
    )
    other = combine_scans(
        [scan_map(COUNTS[:, ::-1] // 2, E, 10 * X)], MapConfig(), "m"
    ).dataset
    found = extract_region(rixs_map(), configured, Beside(blanks={"bare": other}))
    expected = COUNTS.sum(axis=1) / X - (COUNTS // 2).sum(axis=1) / (10 * X)
    np.testing.assert_allclose(found["intensity"].values, expected)


def test_features_and_cuts_and_presets_come_out():
    one = combine_scans(
        [scan_map(np.full((3, 60), 50), E, X)], MapConfig(), "m"
    ).dataset
    configured = {
        "X": Region.model_validate(
            {
                "kind": "xes",
                "cuts": [781, [780, 783]],
                "features": {"f": [520.0, 540.0]},
            }
        ),
        "P": Region.model_validate({"preset": "Co_L"}),
        "L": Region.model_validate({"kind": "xes", "axis": "loss"}),
    }
    found, _ = extract_spectra(one, configured, "m")
    assert {"X_781", "X_780_783", "P_iPFY", "P_TFY", "L"} <= found.keys()
    feature = found["X_780_783"]
    assert feature["feature"].values.tolist() == ["f"]
    np.testing.assert_allclose(feature["feature_area"].values, 20 * 150 / X.sum())
    np.testing.assert_allclose(feature["feature_centre"].values, 530.0)
    np.testing.assert_allclose(found["X_781"]["counts"].values, 50)
    assert found["L"]["intensity"].dims == ("energy_loss",)
    for name, dataset in found.items():
        check(dataset, spectrum(str(dataset["intensity"].dims[0])), name)
