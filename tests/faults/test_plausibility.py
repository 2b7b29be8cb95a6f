"""Values that cannot be meant: units, edges, times. Refused, or one line says so."""

import json
import shutil

import pytest

from rixs_pipeline.config import Config
from rixs_pipeline.io.beamtime.discovery import discover
from rixs_pipeline.runner.config_checks import unmatched_entries
from tests.faults import logs as faults

HC = 1239.84198  # eV nm


@pytest.fixture
def beamtime(small_beamtime, tmp_path):
    """A private copy of a sound beamtime; it is not reduced here."""
    return shutil.copytree(small_beamtime, tmp_path / "beamtime")


def edit_all(beamtime, change):
    for run in faults.scan_logs(beamtime):
        faults.edit_log(beamtime, run, change)


@pytest.mark.parametrize(
    ("section", "key", "value", "words"),
    [
        ("normalise", "pile_up", 4.9, "give seconds, not ms"),
        ("normalise", "pile_up", 500, "give seconds, not ms"),
        ("calibration", "hold_off", 5, "give seconds, not ms"),
        ("calibration", "hold_off", 0.6, "0.1 s at most"),
        ("normalise", "efficiency", [[0.2, 0.1], [0.8, 0.9]], "look like keV"),
        ("normalise", "efficiency", [[1.0, 0.1], [9.0, 0.9]], "look like keV"),
    ],
)
def test_a_config_in_other_units_is_refused(tmp_path, cli, section, key, value, words):
    config = tmp_path / "config.yaml"
    config.write_text(json.dumps({section: {key: value}}))
    result = cli("run", tmp_path, "-o", tmp_path / "out", "-c", config)
    assert result.code == 2
    assert f"{section}.{key}" in result.err or key in result.err
    assert words in result.err


@pytest.mark.parametrize(
    ("energies", "is_covered"),
    [((200, 1100), True), ((500, 800), False), ((1500, 2500), False)],
)
def test_an_efficiency_that_does_not_cover_the_maps_is_reported(
    small_beamtime, energies, is_covered
):
    table = [[energy, 0.5] for energy in energies]
    config = Config.model_validate({"normalise": {"efficiency": table}})
    lines = "".join(unmatched_entries(discover(small_beamtime), config))
    assert ("`normalise.efficiency` covers" not in lines) is is_covered


@pytest.mark.parametrize(("unit", "length"), [("nm", 1.0), ("Angstrom", 10.0)])
def test_wavelengths_are_named(beamtime, unit, length):
    def change(log):
        values = [length * HC / value for value in log["var_values"]]
        log |= {"var_values": values, "var_unit": unit}

    edit_all(beamtime, change)
    found = discover(beamtime)
    assert not found.scans
    assert len(found.refused) == 4
    assert f"`var_unit` {unit} is a wavelength" in found.refused[0].reason
    assert not any("no scans found" in problem for problem in found.problems)


@pytest.mark.parametrize("label", ["Ni_L", "O_K"])
def test_an_edge_that_the_energies_contradict(beamtime, label):
    (edge,) = {scan.edge for scan in discover(beamtime).scans}
    other = {"Ni_L": "O_K", "O_K": "Ni_L"}[label]
    faults.edit_log(beamtime, "scan0002", lambda log: log["extra"].update(edge=label))
    scans = discover(beamtime).scans
    assert {scan.edge for scan in scans} == {edge}
    (problem,) = scans[1].problems
    assert f"wrong edge {label} in the log" in problem
    config = Config.model_validate({"beamtime": {"scans": {3: {"edge": other}}}})
    scan = discover(beamtime, config.beamtime).scans[2]
    assert scan.edge is edge
    assert f"wrong edge {other} in `beamtime.scans`" in scan.problems[0]
