"""Datasets of maps and spectra, and the arrays of core."""

import json

import numpy as np
import pytest

from rixs_pipeline.config import NormaliseConfig
from rixs_pipeline.core.spectra.region_sums import SpectrumAxis
from rixs_pipeline.core.spectra.regions import (
    Region,
    RegionKind,
    Scale,
    SidebandBackground,
)
from rixs_pipeline.core.spectra.spectrum import Spectrum
from rixs_pipeline.schema import check, spectrum
from rixs_pipeline.stages.sample.spectrum_datasets import (
    errors_text,
    map_data,
    reading_spectrum,
    spectrum_dataset,
)
from tests.stages.builders import scan_map

E = np.array([780.0, 781.0, 782.0])
COUNTS = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]])


def a_spectrum(axis=SpectrumAxis.INCIDENT, **parts):
    values = np.arange(3.0)
    return Spectrum(
        axis=axis,
        energy=E,
        intensity=values,
        intensity_errors=values,
        intensity_lower=values,
        intensity_upper=values,
        counts=values,
        exposure=values,
        units="counts/s",
        **parts,
    )


def test_the_arrays_of_a_map():
    rixs_map = scan_map(COUNTS, E, [1, 2, 3])
    data = map_data(rixs_map, NormaliseConfig())
    np.testing.assert_array_equal(data.counts, COUNTS)
    np.testing.assert_array_equal(data.incident, E)
    assert data.exposure.tolist() == [1, 2, 3]
    assert data.emission_edges.tolist() == [500, 501, 502, 503]
    assert (data.exposure_errors, data.efficiency, data.tail) == (None, 1.0, None)


def test_the_efficiency_is_interpolated_and_the_tail_comes_from_attributes():
    tail = {
        "tail_fraction": 0.2,
        "tail_fraction_errors": 0.01,
        "tail_length": 8.0,
        "tail_length_errors": 2.0,
        "tail_correlation": 0.5,
    }
    rixs_map = scan_map(COUNTS, E).assign_attrs(tail)
    normalise = NormaliseConfig(efficiency=((500.0, 0.5), (503.0, 0.8)))
    data = map_data(rixs_map, normalise)
    np.testing.assert_allclose(data.efficiency, [0.55, 0.65, 0.75])
    assert (data.tail.fraction, data.tail.length) == (0.2, 8.0)
    assert (data.tail.length_error, data.tail.correlation) == (2.0, 0.5)


@pytest.mark.parametrize("axis", list(SpectrumAxis))
def test_a_spectrum_has_the_variables_of_the_schema(axis):
    dataset = spectrum_dataset(a_spectrum(axis, background=np.ones(3)))
    check(dataset, spectrum(axis.value), "here")
    assert dataset["background"].attrs["units"] == "counts/s"
    assert dataset["counts"].attrs["units"] == "counts"
    assert "intensity_i0_errors" not in dataset


def test_the_text_on_errors_names_their_parts():
    region = Region(kind=RegionKind.PFY)
    interval = "; interval: 95 %, gamma with Blaker's ends, MOVER"
    text = errors_text(a_spectrum(), region)
    assert text == f"variances of counting: V + w^2{interval}"
    background = (SidebandBackground(((500.0, 501.0),)),)
    region = Region(kind=RegionKind.XES, background=background, scale=Scale.AREA)
    errors = np.ones(3)
    names = ("background", "i0_errors", "energy_errors", "reference_errors")
    parts = dict.fromkeys(names, errors)
    text = errors_text(a_spectrum(SpectrumAxis.EMISSION, **parts), region)
    assert text == (
        "variances of counting: V + w^2; background: sideband; "
        "I0, common to all points; scale factor, with correlation; "
        f"apart, common to all points: energy scale, reference lines{interval}"
    )


def test_a_reading_is_divided_by_i0():
    rixs_map = scan_map(COUNTS, E, i0=[10, 20, 30], reading_tey=[1, 4, 9])
    tey = reading_spectrum(rixs_map, "tey")
    check(tey, spectrum("incident_energy"), "here")
    np.testing.assert_allclose(tey["intensity"].values, [0.1, 0.2, 0.3])
    assert np.isnan(tey["intensity_errors"].values).all(), "unknown is not 0"
    assert tey["intensity"].attrs["units"] == "tey/i0"
    assert tey.attrs["kind"] == "reading"
    assert json.loads(tey.attrs["region"]) == {"kind": "reading", "channel": "tey"}


def test_a_reading_without_i0_is_itself_where_there_is_exposure():
    tfy = reading_spectrum(scan_map(COUNTS, E, [1, 0, 1], reading_tfy=[5, 6, 7]), "tfy")
    np.testing.assert_array_equal(tfy["intensity"].values, [5, np.nan, 7])
    assert tfy["intensity"].attrs["units"] == "tfy"
