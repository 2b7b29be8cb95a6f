"""Which products multi-panel figures of the config are made from."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from rixs_pipeline.config import Config
from rixs_pipeline.errors import RunFailed
from rixs_pipeline.stages.figures.multi_panel import (
    _cut_energies,
    _Request,
    plan_multi_panel,
)

SAMPLE_EDGES = [("RT", "Co_L"), ("hot", "Co_L"), ("RT", "O_K")]
MAPS = {  # incident energies, eV
    "Co_L": xr.DataArray(np.linspace(770, 800, 31)),
    "O_K": xr.DataArray(np.linspace(526, 550, 25)),
}


def planned(tmp_path, products=(), **figure):
    figures = {"fig": {"samples": ["RT", "cold", "hot"], "edges": ["Co_L"]} | figure}
    config = Config.model_validate({"figures": figures})
    return list(plan_multi_panel(tmp_path, config, SAMPLE_EDGES, products))


def test_maps_are_made_from_maps_and_spectra_of_the_samples_that_are_there(tmp_path):
    (figure_set,) = planned(tmp_path, kind="maps")
    assert figure_set.name == "fig multi-panel"
    names = [str(path.relative_to(tmp_path)) for path in figure_set.sources]
    assert names == [
        "maps/RT-Co_L.nxs",
        "spectra/RT-Co_L.nxs",
        "maps/hot-Co_L.nxs",
        "spectra/hot-Co_L.nxs",
    ]
    assert "Co_PFY" in figure_set.options["regions"]["Co_L"]


def test_absorption_is_made_from_what_this_reduction_made(tmp_path):
    made = tmp_path / "xas" / "hot-Co_L.nxs"
    (figure_set,) = planned(tmp_path, [made], kind="xas")
    assert figure_set.sources == (made,)


def test_a_figure_without_any_data_is_not_planned(tmp_path):
    assert planned(tmp_path, kind="xas") == []
    assert planned(tmp_path, kind="maps", edges=["Ni_L"]) == []


def test_a_region_that_is_missing_is_named_with_those_available(tmp_path):
    (figure_set,) = planned(tmp_path, kind="maps", region="Co_other")
    with pytest.raises(
        RunFailed, match=r"^`figures\.fig`: no region 'Co_other' at Co_L"
    ):
        list(figure_set.plan())


def cut_energies(incident):
    figure = {"kind": "cuts", "samples": ["a"], "edges": ["Co_L"], "incident": incident}
    config = Config.model_validate({"figures": {"fig": figure}})
    request = _Request(Path("out"), "fig", config.figures["fig"], config, {})
    at_edges = [
        SimpleNamespace(edge=edge, rixs_maps={"a": {"incident_energy": axis}})
        for edge, axis in MAPS.items()
    ]
    return _cut_energies(request, at_edges)


def test_cuts_are_at_the_energies_of_the_maps_of_each_edge():
    assert cut_energies([530, 780]) == {"Co_L": [780], "O_K": [530]}


@pytest.mark.parametrize(
    ("incident", "problem"),
    [([530, 600, 780], "no map at 600 eV"), ([530], "no cut at an edge")],
)
def test_cuts_outside_the_maps_are_refused_with_their_range(incident, problem):
    message = rf"^`figures\.fig\.incident`: {problem}; .*O_K map has 526 to 550 eV"
    with pytest.raises(RunFailed, match=message):
        cut_energies(incident)
