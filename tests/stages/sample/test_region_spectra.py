"""Spectra extracted from a map."""

import json

import numpy as np
import pytest
import xarray as xr

from rixs_pipeline.config import MapConfig, NormaliseConfig, Region
from rixs_pipeline.schema import check, spectrum
from rixs_pipeline.stages.sample.combine_scans import combine_scans
from rixs_pipeline.stages.sample.region_on_map import SpectrumInputs
from rixs_pipeline.stages.sample.region_spectra import extract_region, extract_spectra
from tests.stages.builders import scan_map

E = np.array([780.0, 781.0, 782.0])
COUNTS = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]])
X = np.array([1.0, 2.0, 4.0])


def combine(*scans, **normalise):
    """Return the co-added map of scans."""
    config = NormaliseConfig(**normalise)
    return combine_scans(scans, MapConfig(), "m", config).dataset


def rixs_map(**readings):
    return combine(scan_map(COUNTS, E, X, **readings))


def region(**options):
    return Region.model_validate({"kind": "pfy"} | options)


def test_a_pfy_is_the_sum_over_its_bins_over_the_exposure():
    pfy = extract_region(rixs_map(), region(emission=(500.0, 501.5)))
    check(pfy, spectrum("incident_energy"), "here")
    counts = COUNTS[:, 0] + 0.5 * COUNTS[:, 1]
    np.testing.assert_allclose(pfy["counts"].values, counts)
    np.testing.assert_allclose(pfy["intensity"].values, counts / X)
    errors = np.sqrt(COUNTS[:, 0] + 0.25 * COUNTS[:, 1] + 1) / X
    np.testing.assert_allclose(pfy["intensity_errors"].values, errors)
    assert pfy["intensity"].attrs["units"] == "counts/s"


def test_an_emission_spectrum_is_per_ev_and_divides_the_sums():
    xes = extract_region(rixs_map(), region(kind="xes", incident=(780.5, 783.0)))
    check(xes, spectrum("emission_energy"), "here")
    expected = COUNTS[1:].sum(axis=0) / X[1:].sum()
    np.testing.assert_allclose(xes["intensity"].values, expected)
    assert xes["intensity"].attrs["units"] == "counts/(s eV)"


def test_the_spectrum_repeats_its_region_and_its_kind():
    options = {"kind": "pfy", "emission": [500.0, 501.5], "exclude_elastic": 3.0}
    pfy = extract_region(rixs_map(), Region.model_validate(options))
    assert json.loads(pfy.attrs["region"]) == options
    assert pfy.attrs["kind"] == "pfy"


@pytest.mark.parametrize("kind", ["pfy", "ipfy"])
def test_a_scaled_spectrum_times_its_factor_is_the_unscaled_one(kind):
    limits = {"kind": kind, "emission": (500.0, 503.0)}
    plain = extract_region(rixs_map(), region(**limits))
    scaled = extract_region(rixs_map(), region(scale="max", **limits))
    assert scaled["intensity"].values.max() == pytest.approx(1.0)
    unscaled = scaled["intensity"].values * scaled.attrs["scale_factor"]
    np.testing.assert_allclose(unscaled, plain["intensity"].values)
    units = scaled["intensity"].attrs["units"]
    assert scaled["intensity_errors"].attrs["units"] == units
    assert plain.attrs["scale_factor"] == 1.0


def test_a_region_outside_the_map_has_no_spectrum():
    configured = {
        "A": region(emission=(900.0, 901.0)),
        "B": region(),
        "C": region(kind="xes", incident=(1.0, 2.0)),
    }
    spectra = extract_spectra(rixs_map(), configured, "LMR-Co_L")
    assert list(spectra.by_region) == ["B"]
    reason = (
        "has no spectrum: it contains no bin of the map: 3 points 780.00 to 782.00 eV, "
        "emission 500 to 503 eV"
    )
    assert spectra.warnings == [
        f"LMR-Co_L: region 'A' {reason}",
        f"LMR-Co_L: region 'C' {reason}",
    ]


def test_spectra_keep_the_order_of_the_config():
    configured = {name: region() for name in ("Z", "A", "M")}
    spectra = extract_spectra(rixs_map(reading_tey=[1, 2, 3]), configured, "m")
    assert list(spectra.by_region) == ["Z", "A", "M", "log_tey"]


def test_readings_of_the_log_are_spectra_of_their_own():
    readings = {"reading_tey": [1, 4, 9], "reading_clock": [1, 1, 1]}
    measured = rixs_map(i0=[10, 20, 30], reading_i0=[10, 20, 30], **readings)
    spectra = extract_spectra(measured, {"B": region()}, "m").by_region
    assert list(spectra) == ["B", "log_tey"]
    for dataset in spectra.values():
        assert (dataset.attrs["sample"], dataset.attrs["edge"]) == ("LMR", "Co_L")


def test_spectra_of_a_map_without_counts_are_finite():
    empty = combine(scan_map(np.zeros((3, 3)), E, X))
    for name, dataset in extract_spectra(empty, None, "m").by_region.items():
        assert isinstance(dataset, xr.Dataset), name
        assert dataset["counts"].values.sum() == 0, name
        assert not np.isinf(dataset["intensity"].values).any(), name


def test_a_spectrum_describes_its_errors_and_its_background():
    noisy = combine(scan_map(COUNTS, E, X, i0=[1, 1, 1]), i0_noise=0.05)
    background = {"kind": "sideband", "emission": [[502.0, 503.0]]}
    pfy = extract_region(noisy, region(emission=[500, 501], background=background))
    check(pfy, spectrum("incident_energy"), "here")
    assert "background: sideband" in pfy.attrs["errors"]
    assert "I0" in pfy.attrs["errors"]
    np.testing.assert_allclose(pfy["background"].values, COUNTS[:, 2] / X)
    intensity = (COUNTS[:, 0] - COUNTS[:, 2]) / X
    np.testing.assert_allclose(pfy["intensity"].values, intensity)
    i0_errors = 0.05 * np.abs(intensity)
    np.testing.assert_allclose(pfy["intensity_i0_errors"].values, i0_errors)
    assert json.loads(pfy.attrs["region"])["background"] == [background]


def test_a_blank_without_a_map_is_reported():
    blank = {"kind": "blank", "sample": "nobody"}
    configured = {"A": region(background=blank)}
    spectra = extract_spectra(rixs_map(), configured, "LMR-Co_L")
    assert spectra.by_region == {}
    assert len(spectra.warnings) == 1
    expected = "LMR-Co_L: region 'A' has no spectrum: background blank: "
    assert spectra.warnings[0].startswith(expected)
    assert "nobody" in spectra.warnings[0]


def test_a_blank_is_subtracted_by_exposure():
    blank = combine(scan_map(COUNTS[:, ::-1] // 2, E, 10 * X))
    inputs = SpectrumInputs(blanks={"bare": blank})
    background = {"kind": "blank", "sample": "bare"}
    pfy = extract_region(rixs_map(), region(background=background), inputs)
    expected = COUNTS.sum(axis=1) / X - (COUNTS // 2).sum(axis=1) / (10 * X)
    np.testing.assert_allclose(pfy["intensity"].values, expected)


def test_features_cuts_and_presets():
    flat = combine(scan_map(np.full((3, 60), 50), E, X))
    features = {"f": [520.0, 540.0]}
    configured = {
        "X": region(kind="xes", cuts=[781, [780, 783]], features=features),
        "P": Region.model_validate({"preset": "Co_L"}),
        "L": region(kind="xes", axis="loss"),
    }
    spectra = extract_spectra(flat, configured, "m").by_region
    assert {"X_781", "X_780_783", "P_iPFY", "P_TFY", "L"} <= spectra.keys()
    band = spectra["X_780_783"]
    assert band["feature"].values.tolist() == ["f"]
    np.testing.assert_allclose(band["feature_area"].values, 20 * 150 / X.sum())
    np.testing.assert_allclose(band["feature_centre"].values, 530.0)
    np.testing.assert_allclose(spectra["X_781"]["counts"].values, 50)
    assert spectra["L"]["intensity"].dims == ("energy_loss",)
    for name, dataset in spectra.items():
        check(dataset, spectrum(str(dataset["intensity"].dims[0])), name)


def test_an_inverse_yield_without_a_window_names_the_line_that_it_rests_on():
    incident = np.arange(770.0, 800.0)
    counts = np.zeros((len(incident), 60), dtype=int)
    counts[:, 10:40] = 30  # O Ka, 510 to 540 eV
    measured = combine(scan_map(counts, incident, np.ones(len(incident))))
    ipfy = extract_region(measured, Region.model_validate({"kind": "ipfy"}))
    assert ipfy.attrs["line"] == "O_Ka"
    assert json.loads(ipfy.attrs["line_window"]) == [510, 540]
    assert json.loads(ipfy.attrs["line_test"])["passed"] is True
    assert ipfy.attrs["geometry_factor"] == pytest.approx(1.0)
    assert (
        "line"
        not in extract_region(
            measured, Region.model_validate({"kind": "ipfy", "emission": [510, 540]})
        ).attrs
    )


def test_a_line_that_rises_with_the_white_line_is_reported():
    incident = np.arange(770.0, 800.0)
    counts = np.full((len(incident), 300), 20)  # 500 to 800 eV, Co La among them
    counts[10:] *= 10
    measured = combine(scan_map(counts, incident, np.ones(len(incident))))
    configured = {"A": region(kind="ipfy", emission=[510, 540])}
    spectra = extract_spectra(measured, configured, "m")
    expected = (
        "m: region 'A' is based on a line that rises with the emission of the scanned "
        "element (correlation 1.00); choose another line in `emission`"
    )
    assert expected in spectra.warnings


def oxygen_map(share, seed=1):
    """Return an O K map in 1 eV bins, with a line that grows by a share at 535 eV."""
    incident = np.arange(520.0, 560.0)
    emission = np.arange(500.5, 560.0)
    line = np.exp(-0.5 * ((emission - 524.9) / 2) ** 2)
    mean = 0.2 + share * 30 * (incident > 531)[:, None] * line
    counts = np.random.default_rng(seed).poisson(mean)
    single = scan_map(counts, incident, np.full(len(incident), 10.0))
    return combine(single.assign_attrs(edge="O_K"))


SCALED = {
    "O_PFY": region(emission=(515, 530)),
    "O_max": region(emission=(515, 530), scale="max"),
    "O_norm": region(emission=(523, 524), kind="spfy", scale=(540, 548)),
    "O_xes": region(kind="xes", incident=(535, 560), scale="max"),
}


def test_without_an_edge_yields_are_not_scaled_and_one_line_says_so():
    spectra = extract_spectra(oxygen_map(0.0), SCALED, "carbon-O_K")
    lines = [line for line in spectra.warnings if "edge" in line]
    (line,) = lines
    assert line.startswith("carbon-O_K: no significant O K edge: emission at 515 to 5")
    names = "regions O_PFY, O_max (not normalised), O_norm (not normalised)"
    assert line.endswith(names)
    for name in ("O_max", "O_norm"):
        spectrum_of = spectra.by_region[name]
        assert spectrum_of.attrs["scale_factor"] == 1.0
        assert spectrum_of["intensity"].attrs["units"] == "counts/s"
        assert "no_edge" in spectrum_of.attrs
    rise, error = json.loads(spectra.by_region["O_PFY"].attrs["edge_rise"])
    assert abs(rise) < 3 * error
    assert "no_edge" not in spectra.by_region["O_xes"].attrs


@pytest.mark.parametrize("seed", range(5))
def test_with_an_edge_yields_are_scaled(seed):
    spectra = extract_spectra(oxygen_map(1.0, seed), SCALED, "oxide-O_K")
    assert not [line for line in spectra.warnings if "significant" in line]
    for name in ("O_max", "O_norm"):
        assert spectra.by_region[name].attrs["scale_factor"] != 1.0


def test_a_divisor_within_its_error_is_not_used():
    noise = region(emission=(541, 549), scale=(522, 524))
    name, spectra = "a", extract_spectra(oxygen_map(1.0), {"a": noise}, "oxide-O_K")
    (line,) = [line for line in spectra.warnings if "divisor" in line]
    assert "counts/s is not significant" in line
    assert line.endswith("; regions a (not normalised)")
    assert spectra.by_region[name].attrs["scale_factor"] == 1.0
