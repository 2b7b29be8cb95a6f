"""The line of an inverse yield: chosen, and tested for resonance."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import kstest

from rixs_pipeline.core.maps.map_data import MapData, ResponseTail
from rixs_pipeline.core.spectra.inverse_yield_line import (
    LineTest,
    LineWindow,
    check_line,
    choose_line,
)
from rixs_pipeline.core.spectra.region_geometry import region_weights
from rixs_pipeline.types import Edge
from tests.core.spectra.builders import make_region
from tests.core.spectra.thick_sample import EDGES, INCIDENT, X, thick_sample


def check_window(data: MapData, window: tuple[float, float]) -> LineTest:
    region = make_region(kind="ipfy", emission=window)
    weights = region_weights(region, data.incident, data.emission_edges)
    return check_line(data, weights, Edge.Co_L)


def test_a_line_that_only_dims_passes_with_uniform_p() -> None:
    rng = np.random.default_rng(1)
    found = [check_window(thick_sample(rng, 2.0), (510, 540)) for _ in range(60)]
    assert sum(f.passed for f in found) >= 59
    assert kstest([f.p for f in found], "uniform").pvalue > 1e-3


def test_lines_that_resonate_do_not_pass() -> None:
    rng = np.random.default_rng(2)
    mixed = check_window(thick_sample(rng, vanadium=0.3), (510, 540))
    assert not mixed.passed and mixed.p < 1e-6
    assert check_window(
        MapData(np.zeros((140, 640), int), np.full(140, X), EDGES, INCIDENT), (510, 540)
    ).passed


def test_the_brightest_line_that_passes_is_chosen() -> None:
    line = choose_line(thick_sample(np.random.default_rng(3)), Edge.Co_L)
    assert line == LineWindow("O_Ka", (510, 540))
    with pytest.raises(ValueError, match="set `emission`"):
        choose_line(thick_sample(np.random.default_rng(3), vanadium=1.0), Edge.Co_L)


def test_an_unknown_p_is_none_in_plain_values() -> None:
    test = LineTest(chi2=0.0, dof=0, p=float("nan"), correlation=0.0, rises=False)
    assert test.plain_values()["p"] is None
    assert test.plain_values()["passed"] is True


def three_lines(rng: np.random.Generator, **factors: np.ndarray) -> MapData:
    """C Ka, a tenth of O Ka, and Co La: expected counts times factors per point."""
    edges = np.arange(250.0, 821.0, 1.0)
    centres = (edges[1:] + edges[:-1]) / 2
    expected = np.zeros((len(INCIDENT), len(centres)))
    for name, energy, counts in (("C", 277, 60), ("O", 525, 600), ("Co", 776, 100)):
        profile = np.exp(-0.5 * ((centres - energy) / 2) ** 2)
        share = factors.get(name, np.ones(len(INCIDENT)))
        expected += counts * share[:, None] * profile / profile.sum()
    counts = rng.poisson(expected)
    return MapData(counts, np.full(len(INCIDENT), X), edges, INCIDENT)


def test_a_weak_line_that_dims_with_the_brightest_one_does_not_rise() -> None:
    """The brightest line does not resonate: to follow it is no sign of resonance."""
    white_line = np.exp(-0.5 * ((INCIDENT - 780.5) / 2) ** 2)
    dims = 1 - 0.5 * white_line
    rng = np.random.default_rng(4)
    for _ in range(20):
        data = three_lines(rng, C=dims, O=dims, Co=1 + 3 * white_line)
        test = check_window(data, (265, 290))
        assert test.passed and test.correlation < 0.1


def test_the_emission_of_the_scanned_element_and_what_rises_with_it_do_not_pass():
    white_line = np.exp(-0.5 * ((INCIDENT - 780.5) / 2) ** 2)
    dims, rises = 1 - 0.5 * white_line, 1 + 3 * white_line
    data = three_lines(np.random.default_rng(5), C=rises, O=dims, Co=rises)
    assert check_window(data, (762, 790)).rises
    assert check_window(data, (265, 290)).rises
    assert not check_window(data, (510, 540)).rises


def test_without_an_edge_the_emission_just_below_the_scan_counts() -> None:
    white_line = np.exp(-0.5 * ((INCIDENT - 780.5) / 2) ** 2)
    data = three_lines(np.random.default_rng(6), Co=1 + 3 * white_line)
    weights = np.zeros(data.counts.shape)
    weights[:, (data.centres > 762) & (data.centres < 790)] = 1.0
    assert check_line(data, weights).rises


def test_a_window_in_the_tail_of_the_scanned_element_does_not_pass_with_few_photons():
    edges = np.arange(480.0, 821.0, 0.5)
    centres = (edges[1:] + edges[:-1]) / 2
    fraction, length = 0.16, 20.0
    below = np.maximum(776 - centres, 0)
    tail = fraction * np.exp(-below / length) * 0.5 / length * (below > 0)
    line = np.exp(-0.5 * ((centres - 776) / 1.0) ** 2)
    oxygen = np.exp(-0.5 * ((centres - 525) / 2) ** 2)
    expected = 20 * ((1 - fraction) * line / line.sum() + tail)
    expected += 50 * oxygen / oxygen.sum()
    rng = np.random.default_rng(7)
    counts = rng.poisson(np.broadcast_to(expected, (60, len(centres))))
    tail_known = ResponseTail(fraction, 0.02, length, 3.0)
    incident = np.linspace(770, 805, 60)
    data = MapData(counts, np.full(60, X), edges, incident, tail=tail_known)
    in_the_tail = check_window(data, (700, 755))
    assert in_the_tail.leak == pytest.approx(1.0, abs=0.3)
    assert not in_the_tail.passed
    oxygen_line = check_window(data, (510, 540))
    assert oxygen_line.leak < 1e-3 and oxygen_line.passed
    without_tail = check_window(replace(data, tail=None), (700, 755))
    assert np.isnan(without_tail.leak)
