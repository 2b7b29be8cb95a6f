"""Elastic light in regions, and a monochromator that moves between reference runs."""

import json
from pathlib import Path

import numpy as np
import pytest

from rixs_pipeline.config import Config
from rixs_pipeline.io import nexus
from rixs_pipeline.runner.results.summary import Summary
from rixs_pipeline.runner.run import Options, run
from rixs_pipeline.simulate.beamtime import simulate
from rixs_pipeline.simulate.settings import SimulationSettings
from tests.conftest import SMALL

SETTINGS = {
    "seed": 31,
    "points": 40,
    "passes": 1,
    "edges": ["Co_L", "Ni_L"],
    "samples": [{"name": "LMR_RT"}],
    "elastic": 5.0,
    "elastic_resonance": 0.0,
    "incident_offset": 0.5,
    "monochromator_slip": -2.6,
}
WINDOWS = {
    "Co_L": {"kind": "pfy", "edge": "Co_L", "emission": [762, 800]},
    "Ni_L": {"kind": "pfy", "edge": "Ni_L", "emission": [838, 880]},
}
CUTS_EV = {"Co_L": 3, "Ni_L": 1.5}
PRE_EDGE_EV = {"Co_L": 775, "Ni_L": 849}
EDGES = pytest.mark.parametrize("edge", WINDOWS)
REGIONS = {
    f"{name}_{edge}": window | change
    for edge, window in WINDOWS.items()
    for name, change in (
        ("whole", {"exclude_elastic": None}),
        ("cut", {"exclude_elastic": CUTS_EV[edge]}),
        ("net", {"background": {"kind": "elastic"}}),
        ("free", {"background": {"kind": "elastic", "amplitude": "free"}}),
    )
}


@pytest.fixture(scope="module")
def reduced(tmp_path_factory) -> tuple[Path, Summary]:
    folder = tmp_path_factory.mktemp("elastic")
    settings = SimulationSettings.model_validate(SMALL | SETTINGS)
    simulate(folder / "beamtime", settings)
    config = {"execution": {"scheduler": "serial"}, "regions": REGIONS}
    options = Options(until="extract")
    out = folder / "out"
    return out, run(folder / "beamtime", Config.model_validate(config), out, options)


def spectrum(out: Path, name: str, edge: str):
    path = out / "spectra" / f"LMR_RT-{edge}.nxs"
    return nexus.read_entry(path, f"{name}_{edge}")


@EDGES
def test_a_band_that_is_cut_out_is_reported_with_its_share(reduced, edge):
    _, summary = reduced
    warnings = [line for line in summary.warnings if f"region 'cut_{edge}'" in line]
    assert len(warnings) == 1
    assert "% of its emission with the elastic line" in warnings[0]


@EDGES
@pytest.mark.parametrize(
    ("name", "assumption"), [("net", "quadratic"), ("free", "free at every point")]
)
def test_the_elastic_line_is_subtracted_with_its_assumption(
    reduced, edge, name, assumption
):
    out, _ = reduced
    whole, net = spectrum(out, "whole", edge), spectrum(out, name, edge)
    subtracted = whole["intensity"].values - net["intensity"].values
    assert subtracted == pytest.approx(net["background"].values, abs=1e-9)
    below = net["incident_energy"].values < PRE_EDGE_EV[edge]
    share = subtracted[below].sum() / whole["intensity"].values[below].sum()
    assert 0.5 < share < 1.2
    facts = json.loads(net.attrs["elastic_line"])
    assert facts["offset"] == pytest.approx(0.5, abs=0.5)
    assert assumption in facts["assumption"]
    modes = net["background_modes"].values
    errors = np.sqrt((modes**2).sum(axis=1))
    assert errors == pytest.approx(net["background_errors"].values, rel=1e-2)


@EDGES
def test_the_subtraction_is_listed_with_its_error(reduced, edge):
    _, summary = reduced
    corrections = summary.items[f"LMR_RT-{edge} spectra"]["corrections"]
    region = f"net_{edge}"
    share, offset = (c for c in corrections if f"region '{region}'" in c["subject"])
    assert share["config"] == f"regions.{region}.background"
    assert 0 < 3 * share["error"] < share["value"] < 50
    assert offset["value"] == pytest.approx(0.5, abs=4 * offset["error"])


def test_resolution_and_widths_of_lines_are_results(reduced):
    _, summary = reduced
    results = summary.items["cal0000"]["results"]
    (resolution,) = (text for text in results if text.startswith("resolution"))
    value, error = resolution.split(": ")[1].removesuffix(" eV").split(" +- ")
    assert 0.5 < float(value) < 4 and 0 < float(error) < 0.5
    assert any(text.startswith("widths of lines (FWHM): C_Ka") for text in results)


def test_a_monochromator_that_moved_is_reported(reduced):
    out, summary = reduced
    moves = summary.items["references"]["results"]
    assert len(moves) == 1
    assert "elastic line moved by -2." in moves[0]
    assert moves[0] in summary.warnings
    assert any("elastic line moved by -2." in line for line in summary.text())
    first = min((out / "calibration").glob("*.nxs"))
    calibration = nexus.read_entry(first)
    assert calibration.attrs["elastic_line_energy"] == pytest.approx(1000, abs=1.5)
