"""`diff` names what changed between two reductions, in standard errors."""

import json
import math
import shutil

import h5py
import pytest

from rixs_pipeline.errors import UsageError
from rixs_pipeline.runner.diff.comparison import (
    NOT_SET,
    changed_keys,
    compare_reductions,
)
from rixs_pipeline.runner.results.record import describe_differences
from tests.conftest import Small


@pytest.fixture
def before(small):
    """The results as they were, beside those of `small`, which a test changes."""
    return shutil.copytree(small.out, small.out.parent / "before")


def quantities(changes, quantity):
    return {
        (each.subject, each.name): each for each in changes if each.quantity == quantity
    }


def test_a_reduction_equals_itself(before, small, cli):
    result = cli("diff", before, small.out)
    assert result.code == 0
    assert result.out.splitlines() == [
        f"before: {before}",
        f"after:  {small.out}",
        "no values differ beyond rounding (1e-12)",
    ]


def test_another_reference_set_moves_lines_and_spectra(before, small, cli):
    small.run({"calibration": {"reference": "elam"}})
    comparison = compare_reductions(before, small.out)
    assert not comparison.is_equal
    assert comparison.config == {"calibration.reference": ["srd128", "elam"]}
    assert not (comparison.inputs or comparison.only_before or comparison.only_after)
    photons = quantities(comparison.samples, "photons")["LMR_RT-Co_L", ""]
    with h5py.File(before / "maps/LMR_RT-Co_L.nxs") as file:
        assert photons.before == file["entry/data/counts"][()].sum()
    assert photons.error == pytest.approx(math.sqrt(max(photons.before, photons.after)))
    copper = quantities(comparison.references, "line")["cal0000", "Cu_La"]
    # the tabulated energies: 929.68 eV in SRD 128, 927.7 eV in the set of Elam
    assert copper.change == pytest.approx(-2.0, abs=1.0) and copper.size < -5
    cobalt = quantities(comparison.samples, "line")["LMR_RT-Co_L", "Co_La"]
    assert cobalt.size == pytest.approx(cobalt.change / cobalt.error)
    result = cli("diff", before, small.out)
    assert result.code == 1
    lines = result.out.splitlines()
    assert "config calibration.reference: srd128 -> elam" in lines
    assert [line.split()[0] for line in lines if line.startswith("LMR_")] == [
        "LMR_100C-Co_L",
        "LMR_RT-Co_L",
    ]
    assert max(map(len, lines[3:])) <= 80
    assert json.loads(cli("diff", before, small.out, "--json").out) == json.loads(
        json.dumps(comparison.as_json())
    )


def test_the_largest_change_of_a_spectrum_is_in_standard_errors(before, small):
    path = "Co_PFY/data/"
    with h5py.File(small.out / "spectra/LMR_RT-Co_L.nxs", "r+") as file:
        errors = file[path + "intensity_errors"][()]
        file[path + "intensity"][4] += 3 * errors[4]
        file[path + "intensity"][2] -= errors[2]
        energy = file[path + "incident_energy"][4]
    comparison = compare_reductions(before, small.out)
    change = quantities(comparison.samples, "spectrum")["LMR_RT-Co_L", "Co_PFY"]
    assert change.size == pytest.approx(3) and change.energy == energy
    assert change.rms == pytest.approx(math.sqrt(10 / len(errors)))
    assert comparison.values == {"spectra/LMR_RT-Co_L.nxs": 1}
    others = [each for each in comparison.samples if each is not change]
    assert not any(each.is_change for each in others)


def test_spectra_are_compared_at_the_energies_that_both_have(before, small):
    small.run(
        {"beamtime": {"exclude": {"points": {1: [0], 2: [0]}}}, "map": {"step": 1}}
    )
    comparison = compare_reductions(before, small.out)
    changes = quantities(comparison.samples, "spectrum")
    partial = changes["LMR_RT-Co_L", "Co_PFY"]
    assert partial.change is not None and partial.rms is not None
    # bins of 0.5 and 1 eV have no centres in common
    assert changes["LMR_RT-Co_L", "Co_XES_L3"].change is None


def test_comparisons_of_samples_are_compared(small, cli, tmp_path):
    feature = {"region": "Co_PFY", "window": [778, 782]}
    heating = {"samples": ["LMR_RT", "LMR_100C"], "regions": ["Co_PFY", "Co_TFY"]}
    config = {"compare": {"heating": heating | {"feature": feature}}}
    small.run(config, until="compare")
    before = shutil.copytree(small.out, tmp_path / "before")
    with h5py.File(small.out / "comparisons/heating-Co_L.nxs", "r+") as file:
        data = file["Co_PFY/data"]
        lower, upper = data["ratio_lower"][0], data["ratio_upper"][0]
        ratio, data["p"][0], data["ratio_p"][0] = data["ratio"][0], 0.25, 0.5
        data["ratio"][0] += (upper - lower) / 4
    comparison = compare_reductions(before, small.out)
    subject = "heating-Co_L LMR_100C"
    change = quantities(comparison.comparisons, "ratio")[subject, "Co_PFY"]
    assert (change.before, change.unit) == (ratio, "")
    assert change.size == pytest.approx(1.96 / 2, rel=1e-3)
    p = quantities(comparison.comparisons, "p")
    assert p.keys() == {(subject, "Co_PFY"), (subject, "Co_TFY")}
    assert p[subject, "Co_PFY"].after == 0.25 and not p[subject, "Co_TFY"].is_change
    assert quantities(comparison.comparisons, "ratio p")[subject, "Co_PFY"].after == 0.5
    result = cli("diff", before, small.out)
    assert result.code == 1
    (line,) = [line for line in result.out.splitlines() if line.startswith(subject)]
    assert line.split()[2:] == [
        "Co_PFY",
        *f"{p[subject, 'Co_PFY'].before:.2g} -> 0.25".split(),
        *f"{ratio:.3f} -> {change.after:.3f}".split(),
        "+0.98",
    ]
    numbers = json.loads(cli("diff", before, small.out, "--json").out)
    assert {each["quantity"] for each in numbers["comparisons"]} == {
        "p",
        "ratio",
        "ratio p",
    }


def test_keys_of_figures_are_listed_after_those_of_results(before, small, cli):
    figure = {"kind": "maps", "samples": ["LMR_RT"], "edges": ["Co_L"]}
    labels = {letter: letter for letter in "abcdefgh"}
    plots = {"map": {"labels": labels}, "loss_map": {}}
    regions = {"P": {"kind": "pfy", "emission": [762, 800]}}
    small.run({"plots": plots, "figures": {"a": figure}, "regions": regions})
    lines = [
        line
        for line in cli("diff", before, small.out).out.splitlines()
        if line.startswith(("config", "  and"))
    ]
    assert "config regions.P.kind: (not set) -> pfy" in lines
    first = lines.index("config plots.map.labels.a: (not set) -> a")
    assert not [line for line in lines[:first] if "plots" in line or "figures" in line]
    assert lines[-1] == "  and 6 more (--json)"
    config = compare_reductions(before, small.out).config
    assert config["plots.loss_map"] == [NOT_SET, "(set)"]
    assert config["figures.a.kind"] == [NOT_SET, "maps"]


def test_products_and_inputs_that_differ_are_named(before, small, cli):
    log = small.log(1)
    content = json.loads(log.read_text())
    content["sample_id"] = "other"
    log.write_text(json.dumps(content))
    small.run()
    comparison = compare_reductions(before, small.out)
    assert comparison.inputs == {"scan0001": ["log"]}
    assert comparison.only_after == ["maps/other-Co_L.nxs", "spectra/other-Co_L.nxs"]
    lines = cli("diff", before, small.out).out.splitlines()
    assert "input scan0001: log changed" in lines
    assert "only after: maps/other-Co_L.nxs" in lines


def test_products_of_an_earlier_run_are_not_compared(before, small, cli):
    renamed = {"beamtime": {"samples": {"LMR_100C": "Heated"}}}
    small.run(renamed)
    leftovers = [f"{name}/LMR_100C-Co_L.nxs" for name in ("maps", "spectra")]
    (small.out / leftovers[1]).write_bytes(b"of another version")
    comparison = compare_reductions(before, small.out)
    assert comparison.only_before == leftovers
    assert comparison.values.keys().isdisjoint(leftovers)
    subjects = {change.subject for change in comparison.samples}
    assert subjects == {"LMR_RT-Co_L"}
    result = cli("diff", before, small.out)
    (line,) = result.err.splitlines()
    assert line.startswith(
        f"{small.out}/maps/LMR_100C-Co_L.nxs: of an earlier reduction, not compared; "
        "delete it if no longer needed [and 1 more:"
    )
    again = small.out.parent / "again"
    Small(small.beamtime, again).run(renamed)
    assert compare_reductions(small.out, again).is_equal
    assert compare_reductions(again, small.out).is_equal
    assert describe_differences(small.out, again) == []  # as `run --from`


def test_keys_of_configs_are_compared_one_by_one(tmp_path):
    (tmp_path / "a.yaml").write_text("map: {step: 0.5, incident: null}\nold: {x: 1}\n")
    (tmp_path / "b.yaml").write_text("map: {step: 1.0, incident: null}\nregions: {}\n")
    assert changed_keys(tmp_path / "a.yaml", tmp_path / "b.yaml") == {
        "map.step": [0.5, 1.0],
        "old.x": [1, NOT_SET],
    }


def set_version(out, version):
    with h5py.File(next(iter(sorted(out.rglob("*.nxs")))), "r+") as file:
        file["entry"].attrs["schema_version"] = version


def damage_facts(out):
    with h5py.File(out / "calibration/cal0000.nxs", "r+") as file:
        file["entry/facts"][()] = json.dumps({"line_residuals": [5]})


@pytest.mark.parametrize(
    ("damage", "code", "message"),
    [
        (lambda out: (out / "run.json").unlink(), 3, "run.json: missing"),
        (lambda out: (out / "run.json").write_text("[]"), 2, "not the record of"),
        (lambda out: (out / "config.yaml").write_text("[]"), 2, "expected a mapping"),
        (lambda out: set_version(out, 99), 3, "products of version 99"),
        (damage_facts, 3, "cal0000.nxs: damaged"),
        (
            lambda out: (out / "maps/LMR_RT-Co_L.nxs").write_bytes(b"x"),
            3,
            "LMR_RT-Co_L.nxs: cannot be read",
        ),
    ],
)
def test_what_is_not_comparable_is_one_line(before, small, cli, damage, code, message):
    damage(small.out)
    result = cli("diff", before, small.out)
    assert (result.code, result.out) == (code, "")
    assert len(result.err.splitlines()) == 1 and message in result.err


def test_other_beamtimes_are_refused_but_not_one_that_has_moved(before, small):
    summary = small.out / "run.json"
    content = json.loads(summary.read_text())
    summary.write_text(json.dumps(content | {"beamtime": "/moved"}))
    assert compare_reductions(before, small.out).is_equal
    for product in [*small.out.glob("scans/*"), *small.out.glob("calibration/*.nxs")]:
        with h5py.File(product, "r+") as file:
            digests = {"log": "other", "pulses": "other"}
            file["entry"].attrs["input_hashes"] = json.dumps(digests)
    with pytest.raises(UsageError, match="different beamtimes"):
        compare_reductions(before, small.out)
