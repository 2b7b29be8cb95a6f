"""Emission spectra in wider bins against the sums of the map's bins."""

from dataclasses import replace

import numpy as np
import pytest

from rixs_pipeline.core.elastic.line_templates import LineResponse, detected_line
from rixs_pipeline.core.maps.map_data import MapData
from rixs_pipeline.core.spectra.joined_bins import join_emission_bins
from rixs_pipeline.core.spectra.region_sums import sum_region
from rixs_pipeline.core.spectra.regions import Limits
from rixs_pipeline.core.spectra.spectrum import Spectrum
from rixs_pipeline.core.spectra.yields import ExtractionInputs, extract_spectrum
from rixs_pipeline.types import FloatArray
from tests.core.spectra.builders import make_region

EDGES = np.arange(500.0, 520.1, 0.5)
INCIDENT = np.array([518.0, 519.0, 521.5])
RNG = np.random.default_rng(1)
COUNTS = RNG.poisson(3.0, (3, 40))
EXPOSURE = np.array([10.0, 0.0, 30.0])
DATA = MapData(
    COUNTS,
    EXPOSURE,
    EDGES,
    INCIDENT,
    exposure_errors=0.1 * EXPOSURE,
    efficiency=np.linspace(0.5, 1.0, 40),
)


def joined(n_bins: int, **mapping: object) -> Spectrum:
    region = replace(make_region(kind="xes", **mapping), joined_bins=n_bins)
    return extract_spectrum(DATA, region)


def test_bins_begin_at_the_limit_of_the_region() -> None:
    region = replace(make_region(kind="xes", emission=[501.5, 510]), joined_bins=4)
    places = join_emission_bins(region, EDGES)
    assert places[:8].tolist() == [0, 0, 0, 1, 1, 1, 1, 2]
    for emission in (None, Limits(400, 510)):
        region = replace(region, emission=emission)
        assert join_emission_bins(region, EDGES)[:5].tolist() == [0, 0, 0, 0, 1]


@pytest.mark.parametrize(
    "limits",
    [
        {"emission": [501.5, 511.5]},
        {"emission": [501.2, 510.7]},
        {"incident": [517, 519.5]},
        {"emission": [502, 516], "exclude_elastic": 3.0},
        {"axis": "loss", "loss": [-1, 12.3]},
    ],
)
def test_counts_exposures_and_errors_are_those_of_the_bins(limits: dict) -> None:
    one, four = joined(1, **limits), joined(4, **limits)
    assert four.bin_width == 2.0
    assert four.counts.sum() == pytest.approx(one.counts.sum())
    assert four.exposure.sum() * 2.0 == pytest.approx(one.exposure.sum() * 0.5)
    area = np.nansum(one.intensity * one.exposure * 0.5)
    assert np.nansum(four.intensity * four.exposure * 2.0) == pytest.approx(area)
    assert four.i0_errors is not None
    assert (four.intensity_lower <= four.intensity).all()


def test_a_whole_bin_is_counted_as_if_the_map_had_it() -> None:
    """Weights of 1: counts, errors and interval of a map with wider bins."""
    data = replace(DATA, efficiency=1.0)
    wide = replace(
        data, counts=COUNTS.reshape(3, 10, 4).sum(axis=2), emission_edges=EDGES[::4]
    )
    region = make_region(kind="xes")
    expected = extract_spectrum(wide, region)
    spectrum = extract_spectrum(data, replace(region, joined_bins=4))
    for name in (
        "energy",
        "counts",
        "exposure",
        "intensity",
        "intensity_errors",
        "intensity_lower",
        "intensity_upper",
        "i0_errors",
    ):
        np.testing.assert_allclose(getattr(spectrum, name), getattr(expected, name))


def test_a_bin_that_is_covered_in_part_stands_in_the_middle_of_that_part() -> None:
    """On a slope, its mean intensity is the one at that energy."""
    slope = np.arange(40) * np.ones((3, 1), np.int64)
    region = make_region(kind="xes", emission=[502.0, 509.0])
    data = MapData(100 * slope.astype(np.int64), np.ones(3), EDGES, INCIDENT)
    spectrum = extract_spectrum(data, replace(region, joined_bins=4))
    assert spectrum.energy.tolist() == [503.0, 505.0, 507.0, 508.5]
    assert np.diff(spectrum.intensity / (spectrum.energy - 500.25)) == pytest.approx(0)
    assert spectrum.exposure.tolist() == [3.0, 3.0, 3.0, 1.5]


@pytest.mark.parametrize("n_bins, energy", [(1, [515.25, 515.75]), (2, [515.5625])])
def test_a_bin_of_the_map_that_is_cut_counts_with_its_own_centre(n_bins, energy):
    """On a slope it has the intensity there: its photons may be anywhere in it."""
    slope = 100 * np.arange(40) * np.ones((3, 1), np.int64)
    data = MapData(slope.astype(np.int64), np.ones(3), EDGES, INCIDENT)
    region = make_region(kind="xes", emission=[515.2, 516.0])
    spectrum = extract_spectrum(data, replace(region, joined_bins=n_bins))
    assert spectrum.energy.tolist() == energy
    per_ev = 100 / 0.5**2  # counts/(s eV) that each eV adds
    np.testing.assert_allclose(spectrum.intensity, per_ev * (spectrum.energy - 500.25))


def summed(spectrum: Spectrum, values: FloatArray | None) -> FloatArray:
    """Return counts in four bins each from values per exposure and eV."""
    assert values is not None
    counts = values * spectrum.exposure * spectrum.bin_width
    return np.add.reduceat(counts, np.arange(0, len(counts), 4))


@pytest.mark.parametrize(
    "background",
    [
        {"kind": "sideband", "emission": [[500, 502], [515, 518]]},
        {"kind": "blank", "sample": "bare", "factor": 2.0},
    ],
)
def test_backgrounds_are_those_of_the_bins(background: dict) -> None:
    region = make_region(kind="xes", emission=[503, 513], background=background)
    inputs = ExtractionInputs(blanks={"bare": replace(DATA, counts=COUNTS[::-1])})
    one = extract_spectrum(DATA, region, inputs)
    four = extract_spectrum(DATA, replace(region, joined_bins=4), inputs)
    width = four.exposure * 2.0
    np.testing.assert_allclose(four.background * width, summed(one, one.background))


def test_a_blank_with_other_bins_is_refused() -> None:
    background = {"kind": "blank", "sample": "bare"}
    region = make_region(kind="xes", background=background)
    blank = replace(
        DATA, counts=COUNTS[:, ::2], emission_edges=EDGES[::2], efficiency=1.0
    )
    with pytest.raises(ValueError, match=r"'bare' has bins of another width; reduce"):
        extract_spectrum(DATA, region, ExtractionInputs(blanks={"bare": blank}))


def test_the_elastic_line_in_wider_bins_has_the_error_of_their_sum() -> None:
    incident = np.arange(740.0, 760.0, 1.0)
    edges = np.arange(700.0, 800.5, 0.5)
    line = detected_line(LineResponse(1.5, 0.15, 20.0))
    rate = 100 * line.bins(edges - incident[:, None] - 0.3)
    counts = np.random.default_rng(4).poisson(10 * rate)
    data = MapData(counts, np.full(20, 10.0), edges, incident)
    background = {"kind": "elastic", "amplitude": "free"}
    region = make_region(kind="xes", emission=[730, 770], background=background)
    one = extract_spectrum(data, region)
    four = extract_spectrum(data, replace(region, joined_bins=4))
    width = four.exposure * 2.0
    np.testing.assert_allclose(four.background * width, summed(one, one.background))
    assert one.background_modes is not None and four.background_modes is not None
    modes = np.array([summed(one, mode) for mode in one.background_modes.T]).T
    joined_modes = four.background_modes * width[:, None]
    covariance = joined_modes @ joined_modes.T
    np.testing.assert_allclose(
        covariance, modes @ modes.T, atol=1e-4 * np.abs(covariance).max()
    )
    assert four.background_errors is not None
    errors = four.background_errors * width
    np.testing.assert_allclose(
        np.sqrt(np.diag(covariance)), errors, atol=2e-3 * errors.max()
    )


def test_areas_take_the_width_of_the_bins() -> None:
    sums = sum_region(DATA, replace(make_region(kind="xes"), joined_bins=4))
    assert sums.bin_width == 2.0
    np.testing.assert_allclose(sums.divisor, sums.exposure * 2.0)
