"""Passes that agree, differ or are shifted."""

import json

import numpy as np
import pytest

from rixs_pipeline.config import MapConfig, PassesConfig
from rixs_pipeline.errors import RunFailed
from rixs_pipeline.stages.sample.combine_scans import combine_scans
from rixs_pipeline.stages.sample.passes import examine_passes
from tests.stages.sample.cobalt_scans import ENERGY, numbered_scans, scan, without_flux

NAME = "LMR-Co_L"
APPLY = PassesConfig(align="apply", channel="tey")


def test_an_odd_pass_is_reported():
    scans = numbered_scans(1, 5, shift={3: 1.0})
    examined = examine_passes(scans, PassesConfig(), NAME)
    assert examined.facts["odd_passes"] == ["scan0003"]
    assert len(examined.scans) == 5
    expected = "LMR-Co_L: scan0003 is inconsistent with the other passes (p = "
    warning = next(line for line in examined.warnings if line.startswith(expected))
    assert "kept (set `passes.outliers: leave_out` to exclude)" in warning


def test_an_odd_pass_is_left_out_if_the_config_asks_for_it():
    scans = numbered_scans(1, 5, shift={3: 1.0})
    examined = examine_passes(scans, PassesConfig(outliers="leave_out"), NAME)
    runs = [scan.attrs["run"] for scan in examined.scans]
    assert runs == ["scan0001", "scan0002", "scan0004", "scan0005"]
    assert examined.facts["left_out"] is True
    json.dumps(examined.facts, allow_nan=False)


def test_a_shifted_pass_is_shifted_back_if_the_config_asks_for_it():
    examined = examine_passes(numbered_scans(1, 4, shift={1: 0.3}), APPLY, NAME)
    shift, error = examined.facts["shift"]["scan0001"]
    assert shift == pytest.approx(0.3, abs=0.06 + 4 * error)
    first_energies = [scan["incident_energy"].values[0] for scan in examined.scans]
    assert first_energies[0] - first_energies[1] == pytest.approx(-0.3, abs=0.1)


def test_a_point_without_flux_does_not_move_a_pass():
    scans = numbered_scans(1, 4, shift={1: 0.3})
    dark = [without_flux(scans[0], [20]), *scans[1:]]
    for config in (APPLY, PassesConfig()):
        shift, error = examine_passes(dark, config, NAME).facts["shift"]["scan0001"]
        assert shift == pytest.approx(0.3, abs=0.06 + 4 * error)


def test_a_shift_is_reported_and_its_correction_leaves_no_odd_pass():
    scans = numbered_scans(1, 5, shift={2: 0.7})
    examined = examine_passes(scans, PassesConfig(), NAME)
    assert examined.facts["odd_passes"] == ["scan0002"]
    expected = "incident energy scale of scan0002 is shifted by +0."
    assert any(expected in warning for warning in examined.warnings)
    assert not any("radiation damage" in warning for warning in examined.warnings), (
        "the odd pass is the reason of the difference"
    )
    config = PassesConfig(align="apply", outliers="leave_out")
    corrected = examine_passes(scans, config, NAME)
    assert corrected.facts["odd_passes"] == []
    assert len(corrected.scans) == 5


def test_a_change_from_one_pass_to_the_next_is_reported_as_possible_damage():
    """Of two halves that differ, no pass is odd."""
    scans = numbered_scans(1, 2, feature={2: 0.5})
    warnings = examine_passes(scans, PassesConfig(), NAME).warnings
    assert any(
        "consecutive passes scan0001 and scan0002 differ by about " in warning
        for warning in warnings
    )


def test_passes_that_agree_give_a_result_and_no_warning():
    examined = examine_passes(numbered_scans(1, 4), PassesConfig(), NAME)
    assert examined.warnings == []
    assert examined.results[0].startswith("passes: chi2 ")
    assert examined.facts["p"] > 0.01
    assert examined.facts["left_out"] is False


def test_a_single_pass_is_not_tested():
    assert examine_passes([scan(1)], PassesConfig(), NAME).facts == {}


def test_passes_without_counts_are_not_tested():
    scans = numbered_scans(1, 2, rate={1: 0.0, 2: 0.0})
    examined = examine_passes(scans, PassesConfig(), NAME)
    assert examined.facts == {}
    assert examined.warnings == [
        "LMR-Co_L: no counts in the PFY at energies that passes share; consistency not "
        "tested"
    ]


GRIDS = {1: slice(0, None, 2), 2: slice(1, None, 2), 3: slice(0, None, 3)}


def scans_on_grids(**changes):
    """Return passes at every second, every other second and every third point."""
    scans = numbered_scans(1, 3, rate=dict.fromkeys(GRIDS, 4000), **changes)
    return [
        measured.isel(incident_energy=points)
        for measured, points in zip(scans, GRIDS.values(), strict=True)
    ]


def test_different_energies_in_a_bin_are_no_difference_of_passes():
    config = PassesConfig(outliers="leave_out")
    examined = examine_passes(scans_on_grids(), config, NAME)
    assert examined.facts["odd_points"] == {}
    assert examined.facts["odd_passes"] == []
    assert examined.facts["p"] > 0.01
    assert len(examined.scans) == 3


def test_a_change_is_found_at_the_energies_that_passes_on_different_grids_share():
    examined = examine_passes(scans_on_grids(feature={3: 0.5}), PassesConfig(), NAME)
    assert examined.facts["p"] < 1e-4


def test_passes_without_bins_fail_with_advice():
    near = np.array([780.0, 780.0008, 780.0016])
    scans = [
        scan(number)
        .isel(incident_energy=slice(0, 3))
        .assign_coords(incident_energy=near + number * 0.0008)
        for number in range(2)
    ]
    with pytest.raises(RunFailed, match=r"LMR-Co_L: .*set `map\.incident`"):
        examine_passes(scans, PassesConfig(), NAME)


def test_aligned_passes_keep_the_points_at_which_they_were_measured():
    scans = numbered_scans(1, 2, shift={1: 1.2}, rate={1: 4000, 2: 4000})
    aligned = examine_passes(scans, APPLY, NAME).scans
    combined = combine_scans(aligned, MapConfig(), NAME)
    assert combined.dataset["incident_energy"].values.tolist() == ENERGY.tolist()
    assert combined.warnings == []
    plain = combine_scans(scans, MapConfig(), NAME)
    white_line = slice(14, 28)
    heights = []
    for rixs_map in (combined.dataset, plain.dataset):
        pfy = rixs_map["counts"].sum("emission_energy") / rixs_map["exposure"]
        heights.append(np.nanmax(pfy.values[white_line]))
    assert heights[0] > 1.08 * heights[1], "the white line is sharper"
