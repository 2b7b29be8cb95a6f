"""Samples compared, passes examined, absorption: products against what the maps were made of."""

import json
from pathlib import Path

import numpy as np
import pytest

from rixs_pipeline import open_product
from rixs_pipeline.config.load import load_config
from rixs_pipeline.config.models import Comparison
from rixs_pipeline.schema import comparison
from rixs_pipeline.stages.sample import compare_samples as compare
from rixs_pipeline.stages.sample import region_spectra as extract
from rixs_pipeline.stages.sample.configured_regions import select_regions
from tests.stages.sample.cobalt_scans import ENERGY, scan, with_pixels

CONFIGS = Path(__file__).parents[3] / "configs"
REGIONS = select_regions("Co_L", None)


def sources(**maps):
    found = {}
    for name, rixs_map in maps.items():
        spectra, _ = extract.extract_spectra(rixs_map, None, name)
        found[name] = compare.Sources(rixs_map, spectra)
    return found


def compared(maps, **asked):
    config = Comparison.model_validate({"samples": list(maps)} | asked)
    return compare.compare_samples(sources(**maps), config, REGIONS)


def test_equal_samples_are_equal_and_their_factor_is_found():
    found, results, warnings = compared(
        {"a": scan(1), "b": scan(2, factor=1.3)}, regions=["Co_PFY"]
    )
    one = found["Co_PFY"]
    assert one["p"].item() > 0.001
    assert abs(one["factor"].item() - 1.3) < 4 * one["factor_errors"].item()
    assert one["intensity"].attrs["units"] == "counts/s"
    pull = (one["difference"] / one["difference_errors"]).values[0]
    assert np.nanstd(pull) == pytest.approx(1, abs=0.35)
    assert len(results) == 1
    assert "b against a: chi2" in results[0]
    assert warnings == []


def test_a_feature_is_seen_and_measured():
    maps = {
        "a": scan(1, feature=0.2),
        "b": scan(2, feature=0.4),
        "c": scan(3, feature=0.2),
    }
    feature = {"region": "Co_PFY", "window": [788, 792], "baseline": [795, 800]}
    found, _, _ = compared(maps, regions=["Co_PFY"], scale=[774, 785], feature=feature)
    one = found["Co_PFY"]
    assert one["p"].values[0] < 0.01 < one["p"].values[1]
    assert (one["ratio_lower"].values < [2.0, 1.0]).all()
    assert (one["ratio_upper"].values > [2.0, 1.0]).all()
    assert one.sizes["compared"] == 2


def test_scales_stand_apart_as_far_as_pixels_wander():
    maps = {"a": with_pixels(scan(1), 1, 2e-4), "b": with_pixels(scan(2), 2, 2e-4)}
    one = compared(maps, regions=["Co_PFY"])[0]["Co_PFY"]
    gains = maps["b"]["misalignment"].values - maps["a"]["misalignment"].values
    assert one["scales_apart"].item() == pytest.approx(
        776 * gains.std(ddof=1) / np.sqrt(8), rel=2e-3
    )
    assert (
        np.abs(one["difference_energy_errors"]) < one["difference_errors"]
    ).all()  # all of the line is in it
    assert np.isnan(
        compared({"a": scan(1), "b": scan(2)}, regions=["Co_PFY"])[0]["Co_PFY"][
            "scales_apart"
        ].item()
    )


def test_a_shift_within_what_scales_stand_apart_is_no_difference_and_a_ratio_holds_it():
    """The second map's scale is 0.5 eV higher; pixels that wander by 0.01 or by 1.5 eV each."""
    second = scan(2, rate=4000.0)
    centre = second["emission_energy"].values
    moved = np.stack(
        [np.interp(centre, centre + 0.5, row) for row in second["counts"].values]
    )
    counts = np.random.default_rng(3).poisson(moved)
    maps = {
        "a": scan(1, rate=4000.0),
        "b": second.assign(counts=(second["counts"].dims, counts)),
    }
    flank = {
        "Co_XES_L3": REGIONS["Co_XES_L3"].model_copy(
            update={"emission": (766.0, 786.0)}
        )
    }
    feature = {"region": "Co_XES_L3", "window": [770, 774]}
    told = []
    for wander in (1e-5, 2e-3):
        placed = {
            name: with_pixels(one, seed, wander)
            for seed, (name, one) in enumerate(maps.items(), start=1)
        }
        spectra = {
            n: {"Co_XES_L3": extract.extract_region(m, flank["Co_XES_L3"])}
            for n, m in placed.items()
        }
        of = {name: compare.Sources(placed[name], spectra[name]) for name in placed}
        config = Comparison(samples=("a", "b"), feature=feature)
        told.append(compare.compare_region(of, config, flank["Co_XES_L3"], "Co_XES_L3"))
    assert told[0]["p"].item() < 1e-3 < told[1]["p"].item()
    assert told[0]["ratio_p"].item() < 1e-3 < told[1]["ratio_p"].item()
    assert told[0]["ratio_lower"].item() > told[1]["ratio_lower"].item()


def test_a_comparison_of_another_edge_s_regions_is_no_failure(small):
    regions = {
        "Co_PFY": {"edge": "Co_L", "kind": "pfy", "emission": [762, 800]},
        "O_sPFY": {"edge": "O_K", "kind": "spfy", "emission": [523, 524]},
    }
    of_oxygen = {"samples": ["LMR_RT", "LMR_100C"], "regions": ["O_sPFY"]}
    assert (
        small.run(
            {"regions": regions, "compare": {"redox": of_oxygen}}, until="compare"
        ).failed
        == {}
    )


def test_the_window_limits_what_is_tested():
    maps = {"a": scan(1), "b": scan(2, feature=0.5)}
    inside, outside = (
        compared(maps, regions=["Co_PFY"], window=w)[0]["Co_PFY"]["p"].item()
        for w in ([786, 794], [772, 785])
    )
    assert inside < 1e-3 < outside


def test_an_inverse_yield_is_brought_to_one_scale():
    rate = {"Co_iPFY": REGIONS["Co_PFY"].model_copy(update={"kind": "ipfy"})}
    maps = {"a": scan(1), "b": scan(2, factor=2.0)}
    of = {
        n: compare.Sources(m, {"Co_iPFY": extract.extract_region(m, rate["Co_iPFY"])})
        for n, m in maps.items()
    }
    asked = Comparison(samples=("a", "b"))
    one = compare.compare_samples(of, asked, rate)[0]["Co_iPFY"]
    means = np.nanmean(one["intensity"].values[:, 16:30], axis=1)
    assert means[1] == pytest.approx(means[0], rel=0.1)


def test_samples_on_other_points_are_refused_with_a_reason():
    other = scan(2).assign_coords(incident_energy=ENERGY + 0.1)
    found, _, warnings = compared({"a": scan(1), "b": other}, regions=["Co_PFY"])
    assert found == {}
    assert "other incident energies; set map.incident" in warnings[0]


def test_figures_and_products_of_a_run(small):
    """A run with a comparison and sheets: what is there, what status tells, and that a second run makes nothing."""
    config = {
        "regions": {"Co_PFY": {"edge": "Co_L", "kind": "pfy", "emission": [762, 800]}},
        "compare": {"heating": {"samples": ["LMR_RT", "LMR_100C"]}},
        "figures": {
            "tey": {
                "kind": "xas",
                "samples": ["LMR_RT", "LMR_100C"],
                "edges": ["Co_L"],
            },
            "maps": {
                "kind": "maps",
                "samples": ["LMR_RT", "LMR_100C"],
                "edges": ["Co_L", "O_K"],
            },
            "cuts": {
                "kind": "cuts",
                "samples": ["LMR_RT", "LMR_100C"],
                "edges": ["Co_L"],
                "region": "Co_PFY",
                "incident": [780.0, 795.0],
                "width": 6.0,
            },
            "rows": {
                "kind": "xas",
                "samples": ["LMR_RT"],
                "edges": ["Co_L"],
                "channel": ["tfy", "pfy"],
            },
            "one": {
                "kind": "spectra",
                "samples": ["LMR_RT", "LMR_100C"],
                "edges": ["Co_L"],
                "region": "Co_PFY",
            },
            "all": {
                "kind": "overview",
                "samples": ["LMR_RT", "LMR_100C"],
                "edges": ["Co_L"],
            },
        },
    }
    summary = small.run(config, until="report")
    assert summary.failed == {}
    names = {path.name for path in (small.out / "figures").glob("*.png")}
    assert {
        "tey.png",
        "maps.png",
        "cuts.png",
        "compare-heating-Co_L-Co_PFY.png",
        "LMR_RT-Co_L-xas.png",
    } <= names
    assert {"rows.png", "one.png", "all-LMR_RT.png", "all-LMR_100C.png"} <= names
    assert "config: figures.maps: no edge O_K in this beamtime" in summary.warnings
    found = open_product(small.out / "comparisons" / "heating-Co_L.nxs")["Co_PFY"]
    assert set(comparison("incident_energy")) - set(found.variables) == {
        "amplitude",
        "amplitude_errors",
        "ratio",
        "ratio_lower",
        "ratio_upper",
        "ratio_p",
        "difference_energy_errors",
    }
    assert "p " in summary.items["compare heating-Co_L"]["results"][0]
    rixs_map = open_product(small.out / "maps" / "LMR_RT-Co_L.nxs")
    assert json.loads(rixs_map.attrs["passes"])["degrees_of_freedom"] > 0
    assert small.run(config, until="report").executed == []


def test_an_edge_that_is_not_asked_for_is_not_compared():
    def concerned(incident, **asked):
        return compare.concerns(
            Comparison(samples=("a", "b"), **asked), REGIONS, incident
        )

    assert concerned((770.0, 800.0))
    assert concerned((770.0, 800.0), window=(778, 784), regions=("Co_PFY",))
    assert not concerned((770.0, 800.0), window=(528, 534), regions=("Co_PFY",))
    assert not concerned((770.0, 800.0), regions=("O_sPFY",))
    assert concerned((770.0, 800.0), window=(528, 534), regions=("Co_XES_L3",)), (
        "its axis is the emission energy"
    )
    assert not concerned((770.0, 800.0), window=(850, 860)), "no light is emitted there"


def test_the_config_of_the_paper_is_one():
    config = load_config(CONFIGS / "lmr_paper.yaml")
    assert set(config.figures) == {
        "fig1",
        "fig2",
        "fig3",
        "supp3",
        "supp4",
        "supp5",
        "supp6",
    }
