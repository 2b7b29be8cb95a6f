from pathlib import Path

import numpy as np

from rixs_pipeline.config import Config
from rixs_pipeline.io.beamtime.discovery import discover
from rixs_pipeline.io.runs import Beamtime
from rixs_pipeline.runner.config_checks import unmatched_entries, unmatched_labels
from tests.stages.builders import scan

SAMPLES = "; there are: LMR_100C, LMR_RT"
REGIONS = (
    "; there are: Co_ELASTIC, Co_PFY, Co_TFY, Co_XES_L3, Co_iPFY, log_tey, log_tfy"
)


def test_entries_that_match_nothing_are_listed(small_beamtime):
    config = Config.model_validate(
        {
            "beamtime": {"exclude": {"pixels": [3, 99], "points": {1: [0], 77: [0]}}},
            "compare": {
                "good": {
                    "samples": ["LMR_RT", "LMR_100C"],
                    "regions": ["Co_PFY", "log_tey"],
                },
                "bad": {
                    "samples": ["LMR_RT", "LMR_200C"],
                    "regions": ["Co_PFI"],
                    "feature": {"region": "Co_PFT", "window": [780, 781]},
                },
            },
            "figures": {
                "fig1": {
                    "kind": "xas",
                    "samples": ["LMR_RT", "LMR_200C"],
                    "edges": ["Co_L", "Ni_L"],
                    "channel": ["tey", "drain", "pfy"],
                }
            },
        }
    )
    lines = unmatched_entries(discover(small_beamtime), config)
    assert lines == [
        "config: `beamtime.exclude.pixels`: no pixel 99 in this beamtime; there are: "
        "1, 3, 5",
        "config: `beamtime.exclude.points`: no scan 77 in this beamtime; there are: "
        "scan0001, scan0002, scan0003, scan0004",
        "config: `compare.bad`: no sample 'LMR_200C' in this beamtime" + SAMPLES,
        "config: `compare.bad`: no region 'Co_PFI' in this beamtime" + REGIONS,
        "config: `compare.bad`: no region 'Co_PFT' in this beamtime" + REGIONS,
        "config: `figures.fig1`: no sample 'LMR_200C' in this beamtime" + SAMPLES,
        "config: `figures.fig1`: no edge Ni_L in this beamtime; there are: Co_L",
        "config: `figures.fig1`: no drain of LMR_RT at Co_L in this beamtime; "
        "there are: i0, pfy, tey, tfy",
    ]


def test_labels_that_are_in_no_text_are_listed_with_the_texts():
    config = Config.model_validate(
        {
            "plots": {
                "defaults": {"labels": {"LMR_RT": "a", "T": "b"}},
                "map": {"labels": {"LMR_RT": "c", "energy": "d", "nergy": "e"}},
                "pixel": {"labels": {"not drawn": ""}},
            },
            "figures": {
                "fig1": {
                    "kind": "xas",
                    "samples": ["LMR_RT"],
                    "edges": ["Co_L"],
                    "labels": {"b": "", "LMR": ""},
                }
            },
        }
    )
    texts = {
        "plots.map": ["energy (eV)", "counts"],
        "figures.fig1": [f"LMR_RT, {letter}" for letter in "abcdefghi"],
    }
    assert unmatched_labels(config, texts) == [
        "config: `plots.defaults.labels`: no text 'T' in the figures; there are: "
        + ", ".join(f"'LMR_RT, {letter}'" for letter in "abcdefgh")
        + ", ...",
        "config: `plots.map.labels`: no text 'LMR_RT' in the figures; there are: "
        "'counts', 'energy (eV)'",
        "config: `plots.map.labels`: no text 'nergy' in the figures; there are: "
        "'counts', 'energy (eV)'",
        "config: `figures.fig1.labels`: no text 'LMR' in the figures; there are: "
        + ", ".join(f"'LMR_RT, {letter}'" for letter in "abcdefgh")
        + ", ...",
    ]
    assert unmatched_labels(config, {}) == []


def test_entries_that_match_are_not_listed():
    run = scan([Path("x_chan3.off")], readings={"tey": np.ones(4)})
    config = Config.model_validate(
        {
            "beamtime": {
                "exclude": {"pixels": [3], "points": {1: [0], "scan0001": [1]}}
            },
            "figures": {
                "f": {
                    "kind": "xas",
                    "samples": ["LMR"],
                    "edges": ["Co_L"],
                    "channel": ["tey"],
                }
            },
        }
    )
    assert unmatched_entries(Beamtime(Path("b"), (run,)), config) == []


def test_pixels_of_a_beamtime_without_pulse_files_are_unknown():
    config = Config.model_validate({"beamtime": {"exclude": {"pixels": [3]}}})
    assert unmatched_entries(Beamtime(Path("b"), (scan(),)), config) == []


def test_a_sample_that_was_not_measured_at_an_edge_is_listed():
    runs = (
        scan(name="scan0001", sample="A", edge="Co_L"),
        scan(name="scan0002", sample="B", edge="Ni_L"),
    )
    figure = {"kind": "maps", "samples": ["A"], "edges": ["Ni_L"]}
    config = Config.model_validate({"figures": {"f": figure}})
    assert unmatched_entries(Beamtime(Path("b"), runs), config) == [
        "config: `figures.f`: no A at Ni_L in this beamtime"
    ]


def test_a_window_of_a_comparison_that_reaches_no_spectrum_is_listed():
    samples = ("A", "B")
    runs = tuple(
        scan(name=f"scan000{number}", sample=sample, edge="Co_L")
        for number, sample in enumerate(samples)
    )
    incident = runs[0].points.incident_energy
    middle = float(incident.mean())

    def lines(window):
        compared = {"samples": samples, "window": window, "regions": ["Co_PFY"]}
        config = Config.model_validate({"compare": {"heating": compared}})
        return unmatched_entries(Beamtime(Path("b"), runs), config)

    assert lines([middle - 5, middle + 5]) == []
    assert lines([100.0, 110.0]) == [
        "config: `compare.heating`: no spectrum within [100.0, 110.0] eV (`window`) in "
        "this beamtime"
    ]


def test_readings_scans_pixels_and_blanks_that_are_not_there_are_listed():
    run = scan([Path("x_chan3.off")], readings={"tey": np.ones(4)})
    config = Config.model_validate(
        {
            "calibration": {"hints": {44: {7158: "O_Ka", 11454: "Cu_La"}}},
            "xas": {"channels": ["tey", "drain"], "channel_scale": {"tey": {22: 2.0}}},
            "passes": {"channel": "drain"},
            "regions": {
                "A": {"kind": "pfy", "background": {"kind": "blank", "sample": "bare"}}
            },
        }
    )
    assert unmatched_entries(Beamtime(Path("b"), (run,)), config) == [
        "config: `calibration.hints`: no pixel 44 in this beamtime; there are: 3",
        "config: `xas.channel_scale.tey`: no scan 22 in this beamtime; there are: "
        "scan0001",
        "config: `xas.channels`: no reading 'drain' in this beamtime; there are: tey",
        "config: `passes.channel`: no reading 'drain' in this beamtime; there are: tey",
        "config: `regions.A.background`: no sample 'bare' in this beamtime; there are: "
        "LMR",
    ]


def test_regions_of_edges_that_were_not_scanned_are_one_line():
    region = {"kind": "pfy", "emission": [700, 710]}
    config = Config.model_validate(
        {
            "regions": {
                "A": region | {"edge": "Fe_L"},
                "B": region | {"edge": "Fe_L"},
                "C": region | {"edge": "Ni_L"},
                "D": region | {"edge": "Co_L"},
                "E": region,
            }
        }
    )
    assert unmatched_entries(Beamtime(Path("b"), (scan(edge="Co_L"),)), config) == [
        "config: `regions`: no edge Fe_L (A, B), Ni_L (C) in this beamtime; there are: "
        "Co_L"
    ]


def test_more_pixels_than_the_array_has_are_listed():
    files = [Path("x_chan1.off"), Path("x_chan3.off")]
    beamtime = Beamtime(Path("b"), (scan(files, edge="Co_L"),))
    for number, expected in (
        (2, []),
        (3, ["`map.best_pixels`: 3 pixels at Co_L, of 2"]),
    ):
        config = Config.model_validate({"map": {"best_pixels": {"Co_L": number}}})
        lines = [f"config: {line} in this beamtime" for line in expected]
        assert unmatched_entries(beamtime, config) == lines


def test_samples_and_regions_are_unknown_before_the_first_scan():
    config = Config.model_validate(
        {
            "beamtime": {"exclude": {"points": {7: [0]}}},
            "xas": {"channels": ["drain"]},
            "compare": {"heating": {"samples": ["A", "B"], "regions": ["X"]}},
            "figures": {"f": {"kind": "maps", "samples": ["A"], "edges": ["Co_L"]}},
        }
    )
    assert unmatched_entries(Beamtime(Path("b"), ()), config) == []


def test_regions_that_the_maps_cut_are_listed():
    region = {"kind": "pfy", "emission": [150, 260.3]}
    config = Config.model_validate({"regions": {"low": region}})
    (line,) = unmatched_entries(Beamtime(Path("b"), (scan(edge="Co_L"),)), config)
    assert line.startswith("region 'low': emission 150 to 260.3 eV reaches beyond")
