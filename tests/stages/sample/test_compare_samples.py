"""Samples compared: tests of their counts, differences, strength of a feature."""

import json

import numpy as np
import pytest

from rixs_pipeline import open_product
from rixs_pipeline.config import Comparison, Region
from rixs_pipeline.schema import comparison
from rixs_pipeline.stages.sample import compare_samples, region_spectra
from rixs_pipeline.stages.sample.compare_samples import SampleProducts
from rixs_pipeline.stages.sample.configured_regions import select_regions
from tests.stages.sample.cobalt_scans import ENERGY, scan, with_pixels

REGIONS = select_regions("Co_L", None)


def products_of(maps, regions=REGIONS):
    """Return the products of samples, with the spectra of some regions."""
    products = {}
    for sample, rixs_map in maps.items():
        spectra = {
            name: region_spectra.extract_region(rixs_map, region)
            for name, region in regions.items()
        }
        products[sample] = SampleProducts(rixs_map, spectra)
    return products


def compare(maps, regions=REGIONS, **options):
    """Return the comparison of maps by sample."""
    config = Comparison.model_validate({"samples": list(maps)} | options)
    products = products_of(maps, regions)
    return compare_samples.compare_samples(products, config, regions)


def compare_pfy(maps, **options):
    """Return the comparison of the PFY alone."""
    compared = compare(maps, regions={"Co_PFY": REGIONS["Co_PFY"]}, **options)
    return compared.by_region["Co_PFY"]


def test_equal_samples_agree_and_their_common_factor_is_fitted():
    maps = {"a": scan(1), "b": scan(2, factor=1.3)}
    compared = compare(maps, regions={"Co_PFY": REGIONS["Co_PFY"]})
    pfy = compared.by_region["Co_PFY"]
    assert pfy["p"].item() > 0.001
    assert abs(pfy["factor"].item() - 1.3) < 4 * pfy["factor_errors"].item()
    assert pfy["intensity"].attrs["units"] == "counts/s"
    pull = (pfy["difference"] / pfy["difference_errors"]).values[0]
    assert np.nanstd(pull) == pytest.approx(1, abs=0.35)
    assert len(compared.results) == 1
    assert compared.results[0].startswith("Co_PFY, b against a: chi2 ")
    assert compared.refusals == []


def test_stronger_feature_is_detected_and_measured():
    maps = {
        "a": scan(1, feature=0.2),
        "b": scan(2, feature=0.4),
        "c": scan(3, feature=0.2),
    }
    feature = {"region": "Co_PFY", "window": [788, 792], "baseline": [795, 800]}
    pfy = compare_pfy(maps, scale=[774, 785], feature=feature)
    assert pfy["p"].values[0] < 0.01 < pfy["p"].values[1]
    assert (pfy["ratio_lower"].values < [2.0, 1.0]).all()
    assert (pfy["ratio_upper"].values > [2.0, 1.0]).all()
    assert pfy.sizes["compared"] == 2


def test_emission_spectra_are_compared_in_their_own_bins():
    xes = REGIONS["Co_XES_L3"].model_copy(
        update={"emission": (766.0, 788.0), "step": 4.0}
    )
    maps = {"a": scan(1, rate=4000.0), "b": scan(2, rate=4000.0)}
    compared = compare(maps, regions={"xes": xes}).by_region["xes"]
    energy = [768.0, 772.0, 776.0, 780.0, 784.0, 787.0]
    assert compared["emission_energy"].values.tolist() == energy
    assert np.isfinite(compared["difference"]).all()
    assert compared["degrees_of_freedom"].item() == len(energy) - 1
    assert compared["p"].item() > 0.001


def test_the_energy_scale_offset_follows_from_the_scatter_of_the_pixels():
    maps = {"a": with_pixels(scan(1), 1, 2e-4), "b": with_pixels(scan(2), 2, 2e-4)}
    pfy = compare_pfy(maps)
    gains = maps["b"]["misalignment"].values - maps["a"]["misalignment"].values
    deviation = 776 * gains.std(ddof=1) / np.sqrt(8)
    assert pfy["scales_apart"].item() == pytest.approx(deviation, rel=2e-3)
    is_small = np.abs(pfy["difference_energy_errors"]) < pfy["difference_errors"]
    assert is_small.all(), "the region contains all of the line"


def test_without_pixels_the_energy_scale_offset_is_unknown():
    pfy = compare_pfy({"a": scan(1), "b": scan(2)})
    assert np.isnan(pfy["scales_apart"].item())
    assert "difference_energy_errors" not in pfy


def test_a_shift_within_the_energy_scale_offset_is_no_difference():
    """The second scale is 0.5 eV higher; each pixel scatters by 0.01 or by 1.5 eV."""
    first, second = scan(1, rate=4000.0), scan(2, rate=4000.0)
    centre = second["emission_energy"].values
    shifted = [np.interp(centre, centre + 0.5, row) for row in second["counts"].values]
    counts = np.random.default_rng(3).poisson(np.stack(shifted))
    second = second.assign(counts=(second["counts"].dims, counts))
    flank = REGIONS["Co_XES_L3"].model_copy(update={"emission": (766.0, 786.0)})
    feature = {"region": "flank", "window": [770, 774]}
    compared = []
    for spread in (1e-5, 2e-3):
        maps = {"a": with_pixels(first, 1, spread)}
        maps["b"] = with_pixels(second, 2, spread)
        comparison = compare(maps, regions={"flank": flank}, feature=feature)
        compared.append(comparison.by_region["flank"])
    precise, uncertain = compared
    assert precise["p"].item() < 1e-3 < uncertain["p"].item()
    assert precise["ratio_p"].item() < 1e-3 < uncertain["ratio_p"].item()
    assert precise["ratio_lower"].item() > uncertain["ratio_lower"].item()


def test_a_feature_in_a_region_that_is_missing_is_refused():
    feature = {
        "region": "Co_PFY",
        "window": [788, 792],
        "baseline": [795, 800],
        "rest": "O_PFY",
    }
    maps = {"a": scan(1), "b": scan(2)}
    pfy = {"Co_PFY": REGIONS["Co_PFY"]}
    assert compare(maps, regions=pfy, feature=feature).refusals == [
        "Co_PFY not compared: feature: not every sample has region 'O_PFY'"
    ]


def test_a_comparison_of_regions_at_another_edge_does_not_fail(small):
    regions = {
        "Co_PFY": {"edge": "Co_L", "kind": "pfy", "emission": [762, 800]},
        "O_sPFY": {"edge": "O_K", "kind": "spfy", "emission": [523, 524]},
    }
    of_oxygen = {"samples": ["LMR_RT", "LMR_100C"], "regions": ["O_sPFY"]}
    config = {"regions": regions, "compare": {"redox": of_oxygen}}
    assert small.run(config, until="compare").failed == {}


def test_the_window_limits_what_is_tested():
    maps = {"a": scan(1), "b": scan(2, feature=0.5)}
    inside = compare_pfy(maps, window=[786, 794])
    outside = compare_pfy(maps, window=[772, 785])
    assert inside["p"].item() < 1e-3 < outside["p"].item()


def test_inverse_yields_are_brought_to_the_same_height():
    update = {"kind": "ipfy", "exclude_elastic": 3.0}
    inverse = REGIONS["Co_PFY"].model_copy(update=update)
    maps = {"a": scan(1), "b": scan(2, factor=2.0)}
    compared = compare(maps, regions={"Co_iPFY": inverse}).by_region["Co_iPFY"]
    means = np.nanmean(compared["intensity"].values[:, 16:30], axis=1)
    assert means[1] == pytest.approx(means[0], rel=0.1)


def test_samples_on_different_points_are_refused_with_a_reason():
    shifted = scan(2).assign_coords(incident_energy=ENERGY + 0.1)
    pfy = {"Co_PFY": REGIONS["Co_PFY"]}
    compared = compare({"a": scan(1), "b": shifted}, regions=pfy)
    assert compared.by_region == {}
    assert compared.refusals == [
        "Co_PFY not compared: the samples have different incident energies "
        "(set `map.incident` and `map.incident_step`)"
    ]


def test_a_run_with_a_comparison_and_multi_panel_figures(small):
    """Figures and products are made and listed; a second reduction makes none."""
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
    names = {path.name for path in (small.out / "figures").rglob("*.png")}
    assert {
        "tey.png",
        "maps.png",
        "cuts.png",
        "compare-heating-Co_L-Co_PFY.png",
        "LMR_RT-Co_L-xas.png",
    } <= names
    assert {"rows.png", "one.png", "all-LMR_RT.png", "all-LMR_100C.png"} <= names
    expected = "config: `figures.maps`: no edge O_K in this beamtime; there are: Co_L"
    assert expected in summary.warnings
    product = open_product(small.out / "comparisons" / "heating-Co_L.nxs")
    missing = set(comparison("incident_energy")) - set(product["Co_PFY"].variables)
    assert missing == {
        "amplitude",
        "amplitude_errors",
        "ratio",
        "ratio_lower",
        "ratio_upper",
        "ratio_p",
    }
    assert "p = " in summary.items["compare heating-Co_L"]["results"][0]
    rixs_map = open_product(small.out / "maps" / "LMR_RT-Co_L.nxs")
    assert json.loads(rixs_map.attrs["passes"])["degrees_of_freedom"] > 0
    assert small.run(config, until="report").executed == []


def test_a_single_bin_leaves_nothing_to_test():
    maps = {"a": scan(1), "b": scan(2)}
    one_bin = Region(kind="xes", emission=(774, 775))
    compared = compare(maps, regions={"one": one_bin})
    dataset = compared.by_region["one"]
    assert dataset["degrees_of_freedom"].item() == 0
    assert np.isnan(dataset["p"].item())
    (line,) = compared.results
    assert line.startswith("one, b against a: nothing to test (0 degrees of freedom), ")
    assert "p =" not in line
