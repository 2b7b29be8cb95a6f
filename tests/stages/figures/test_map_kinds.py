import numpy as np
import pytest
import xarray as xr

from rixs_pipeline.config import Comparison, PlotsConfig
from rixs_pipeline.errors import RunFailed
from rixs_pipeline.stages.figures import map_kinds
from rixs_pipeline.stages.figures.map_kinds import ComparedMaps, difference_figures

DIMS = ("incident_energy", "emission_energy")
PLOTS = PlotsConfig.model_validate({"difference_map": {"min_counts": 50}})


def make_rixs_map():
    """Return a map of 20 points and 60 bins."""
    edges = np.linspace(760.0, 790.0, 61)
    counts = np.random.default_rng(4).poisson(5.0, (20, 60))
    exposure = np.full(20, 10.0)
    return xr.Dataset(
        {
            "counts": (DIMS, counts),
            "exposure": ("incident_energy", exposure),
            "intensity": (DIMS, counts / 5.0, {"units": "counts/(s eV)"}),
            "emission_energy_edges": ("emission_energy_edge", edges),
        },
        coords={
            "incident_energy": np.linspace(775.0, 784.5, 20),
            "emission_energy": (edges[1:] + edges[:-1]) / 2,
        },
        attrs={"edge": "Co_L"},
    )


@pytest.fixture
def differences(tmp_path, monkeypatch):
    """Return the difference figures of two maps, which are not read from files."""

    def differences(second, plots=PLOTS, **comparison):
        rixs_maps = {"cold": make_rixs_map(), "hot": second}
        monkeypatch.setattr(map_kinds.nexus, "read_entry", rixs_maps.__getitem__)
        samples = {"samples": list(rixs_maps)} | comparison
        compared = ComparedMaps(
            "heating-Co_L",
            "heating, Co L edge",
            {sample: sample for sample in rixs_maps},
            Comparison.model_validate(samples),
        )
        return list(difference_figures(tmp_path, compared, plots))

    return differences


def shown(figure):
    """Return the differences and the note of a planned figure."""
    dataset, texts = figure.content
    return dataset["intensity"].values, texts.note


def test_twice_the_photons_are_no_difference(differences):
    rixs_map = make_rixs_map()
    (figure,) = differences(rixs_map.assign(counts=2 * rixs_map["counts"]))
    values, note = shown(figure)
    assert note.endswith("hot / 2.000")
    assert np.nanmax(np.abs(values)) == pytest.approx(0.0, abs=1e-12)


def test_a_known_scale_leaves_them_a_difference(differences):
    rixs_map = make_rixs_map()
    twice = rixs_map.assign(counts=2 * rixs_map["counts"])
    (figure,) = differences(twice, scale="known")
    values, note = shown(figure)
    assert note.endswith("hot / 1.000") and np.nanmax(values) > 0


def test_maps_that_cannot_be_compared_fail_in_one_line(differences):
    rixs_map = make_rixs_map()
    energies = rixs_map["incident_energy"] + 300
    with pytest.raises(RunFailed, match="heating-Co_L: no difference map: the samples"):
        differences(rixs_map.assign_coords(incident_energy=energies))
    with pytest.raises(RunFailed, match="no difference map: no points of the spectrum"):
        differences(rixs_map, window=[100, 200])


def test_without_the_kind_there_are_none(differences):
    assert differences(make_rixs_map(), PlotsConfig()) == []
