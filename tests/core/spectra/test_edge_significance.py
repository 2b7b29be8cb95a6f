from dataclasses import replace

import numpy as np
import pytest

from rixs_pipeline.core.maps.map_data import MapData, ResponseTail
from rixs_pipeline.core.spectra.edge_significance import (
    is_significant,
    measure_rise,
    shows_edge_emission,
    smooth_probability,
)
from rixs_pipeline.core.spectra.presets import PRESETS, preset_region
from rixs_pipeline.core.spectra.regions import (
    BlankBackground,
    Limits,
    Region,
    RegionKind,
)
from rixs_pipeline.core.stats.reading_noise import estimate_noise
from rixs_pipeline.simulate.absorption import absorption
from rixs_pipeline.simulate.settings import Sample
from rixs_pipeline.types import Edge

SEEDS = range(40)
INCIDENT = {
    Edge.O_K: np.linspace(524.0, 552.0, 60),
    Edge.Co_L: np.linspace(768.0, 806.0, 60),
}
LINE = {Edge.O_K: 524.9, Edge.Co_L: 776.3}
TAIL = ResponseTail(0.16, 0.01, 20.0, 2.0, 0.0)


def make_map(edge, photons, seed, share=1.0, elastic=0.5, tail=TAIL):
    """A map with fluorescence of an element, and with elastic light that leaks."""
    incident = INCIDENT[edge]
    edges = np.arange(incident[0] - 80, incident[-1] + 20, 0.5)
    centres = (edges[1:] + edges[:-1]) / 2
    position = PRESETS[edge].edge.position
    step = 0.5 + np.arctan((incident - position) / 1.5) / np.pi
    line = np.exp(-0.5 * ((centres - LINE[edge]) / 1.5) ** 2)
    peak = np.exp(-0.5 * ((centres - incident[:, None]) / 0.8) ** 2)
    density = share * step[:, None] * line + elastic * peak
    loss = centres[:, None] - centres
    kernel = np.where(loss >= 0, np.exp(-loss / tail.length), 0.0).T
    kernel = kernel / kernel.sum(axis=1, keepdims=True).clip(1e-12)
    leaked = density @ np.where(loss.T >= 0, np.exp(-loss.T.clip(0) / 20), 0.0).T
    leaked *= density.sum() / leaked.sum()
    density = 0.84 * density + 0.16 * leaked
    counts = np.random.default_rng(seed).poisson(photons * density / line.sum() / 60)
    exposure = np.full(len(incident), 10.0)
    return MapData(counts, exposure, edges, incident, tail=tail)


@pytest.mark.parametrize("edge", [Edge.O_K, Edge.Co_L])
def test_an_edge_is_found_unless_its_photons_are_few(edge):
    """False alarms: none with 100 photons of the element, half of them elastic."""
    region = preset_region(edge, RegionKind.PFY)
    rises = [measure_rise(make_map(edge, 300, seed), region, edge) for seed in SEEDS]
    assert all(rise.is_significant for rise in rises)


@pytest.mark.parametrize("edge", [Edge.O_K, Edge.Co_L])
@pytest.mark.parametrize("photons", [100, 3000])
def test_a_sample_without_the_element_has_no_edge(edge, photons):
    region = preset_region(edge, RegionKind.PFY)
    maps = [make_map(edge, photons, seed, share=0.0) for seed in SEEDS]
    rises = [measure_rise(data, region, edge) for data in maps]
    assert sum(rise.is_significant for rise in rises) <= 1


def test_without_points_before_the_edge_nothing_is_known():
    data = make_map(Edge.O_K, 1000, 1)
    region = preset_region(Edge.O_K, RegionKind.PFY)
    late = replace(data, exposure=np.where(data.incident < 528, 0.0, data.exposure))
    assert measure_rise(late, region, Edge.O_K) is None
    early = replace(data, exposure=np.where(data.incident < 534, 10.0, 0.0))
    assert measure_rise(early, region, Edge.O_K) is None
    named = replace(region, pre_edge=Limits(528, 530))
    assert measure_rise(late, named, Edge.O_K) is not None


def test_regions_of_other_emission_are_no_yield_of_the_edge():
    def shows(**limits):
        return shows_edge_emission(Region(**limits), Edge.O_K)

    pfy = RegionKind.PFY
    assert shows(kind=RegionKind.SPFY, emission=Limits(523, 524))
    assert not shows(kind=pfy, emission=Limits(265, 285))
    assert not shows(kind=pfy, loss=Limits(1, 6))
    assert not shows(kind=pfy, emission=Limits(300, 740))
    assert not shows(kind=RegionKind.TFY)
    blank = BlankBackground(sample="foil")
    assert not shows(kind=pfy, emission=Limits(515, 530), background=(blank,))


def make_readings(sample, energy, noise, seed, passes):
    generator = np.random.default_rng(seed)
    expected = absorption(energy, sample, surface=True)
    return [
        expected * generator.uniform(0.8, 1.2) * generator.normal(1, noise, len(energy))
        for _ in range(passes)
    ]


@pytest.mark.parametrize("passes", [1, 2, 5])
@pytest.mark.parametrize("edge", [Edge.O_K, Edge.Co_L])
def test_readings_show_the_edge_of_a_sample_that_has_one(edge, passes):
    """Noise of 1 %; without the element they follow a smooth curve."""
    energy, windows = INCIDENT[edge], PRESETS[edge].edge
    found = {}
    for oxide in (0.0, 0.3, 1.0):
        sample = Sample(name="a", oxide=oxide)
        found[oxide] = 0
        for seed in SEEDS:
            readings = make_readings(sample, energy, 0.01, seed, passes)
            noise = estimate_noise(energy, readings)
            p = smooth_probability(energy, readings, noise, windows)
            found[oxide] += p < 1e-3
    assert found[1.0] == found[0.3] == len(SEEDS)
    assert found[0.0] <= 3


def test_unknown_noise_and_short_scans_are_not_judged():
    energy = np.linspace(524.0, 552.0, 6)
    values = np.ones(6)
    windows = PRESETS[Edge.O_K].edge
    for errors in (values * np.nan, values * 0, values):
        p = smooth_probability(energy, [values], [errors], windows)
        assert np.isnan(p)
    ones = np.ones(60)
    for ends in ((530.0, 552.0), (520.0, 533.0)):  # without either side of the edge
        part = np.linspace(*ends, 60)
        assert np.isnan(smooth_probability(part, [ones], [ones], windows))


def test_a_divisor_needs_three_standard_errors():
    assert is_significant(3.1, 1.0)
    assert not is_significant(2.9, 1.0)
    assert not is_significant(np.nan, np.nan)
