import numpy as np
import pytest

from rixs_pipeline.config import Region
from rixs_pipeline.stages.sample.region_ranges import find_cut, find_unreached
from tests.stages.builders import points, scan

EMISSION = (200.0, 1100.0)
SCANS = [scan(at=points(38, first=768.0), edge="Co_L")]


def unreached(scans=SCANS, **region):
    configured = {"X": Region.model_validate({"kind": "pfy"} | region)}
    return find_unreached(configured, scans, EMISSION)


@pytest.mark.parametrize(
    "region",
    [
        {},
        {"emission": [762, 800]},
        {"emission": [1099, 1200]},
        {"incident": [800, 900]},
        {"polygon": [[700, 500], [770, 500], [770, 510]]},
        {"pieces": [{"emission": [1200, 1300]}, {"emission": [500, 510]}]},
        {"edge": "Fe_L", "incident": [700, 730]},  # not scanned here
        {"kind": "xes", "cuts": [780.4]},
        {"kind": "xes", "cuts": [805.6]},
        {"loss": [0, 10]},
    ],
)
def test_a_region_that_touches_data(region):
    assert unreached(**region) == []


@pytest.mark.parametrize(
    ("region", "words"),
    [
        (
            {"emission": [1200, 1300]},
            "emission 1200 to 1300 eV, but the maps have 200.0",
        ),
        ({"emission": [0.76, 0.8]}, "emission 0.76 to 0.8 eV"),
        (
            {"incident": [850, 880]},
            "energies 850 to 880 eV, but the maps have 768.0 to",
        ),
        ({"polygon": [[520, 500], [540, 500], [540, 510]]}, "energies 520 to 540 eV"),
        ({"edge": "Co_L", "incident": [530, 531]}, "energies 530 to 531 eV"),
        ({"pieces": [{"emission": [1200, 1300]}] * 2}, "emission 1200 to 1300 eV"),
        ({"kind": "xes", "cuts": [531.0]}, "energies 530 to 532 eV"),
    ],
)
def test_a_region_that_touches_no_data_is_reported_with_the_range(region, words):
    (line,) = unreached(**region)
    assert line.startswith("region 'X")
    assert words in line


def test_a_region_may_touch_the_map_of_another_edge():
    oxygen = scan(at=points(20, first=526.0), edge="O_K")
    assert unreached([*SCANS, oxygen], kind="xes", incident=[530, 531]) == []
    assert np.size(unreached([*SCANS, oxygen], edge="Co_L", incident=[530, 531])) == 1


def test_presets_are_never_reported():
    assert find_unreached(None, SCANS, EMISSION) == []


def cut(**region):
    configured = {"X": Region.model_validate({"kind": "pfy"} | region)}
    return find_cut(configured, SCANS, EMISSION)


@pytest.mark.parametrize(
    "region",
    [
        {},
        {"emission": [200, 1100]},
        {"emission": [1200, 1300]},  # lost, which is another line
        {"edge": "Fe_L", "emission": [100, 300]},  # not scanned here
        {"emission": [100, 300], "pieces": [{"emission": [250, 400]}]},
        {"background": {"kind": "sideband", "emission": [600, 700]}},
    ],
)
def test_a_region_within_the_maps(region):
    assert cut(**region) == []


@pytest.mark.parametrize(
    ("region", "text"),
    [
        ({"emission": [150, 260.3]}, "150 to 260.3 eV"),
        ({"emission": [1050.2, 1300]}, "1050.2 to 1300 eV"),
        (
            {"pieces": [{"emission": [150, 160]}, {"emission": [500, 1101]}]},
            "150 to 160 eV, 500 to 1101 eV",
        ),
        ({"polygon": [[770, 150], [780, 150], [780, 300]]}, "150 to 300 eV"),
        (
            {
                "emission": [762, 800],
                "background": {"kind": "sideband", "emission": [1090, 1110]},
            },
            "1090 to 1110 eV",
        ),
    ],
)
def test_a_region_that_the_maps_cut_is_reported_with_both_ranges(region, text):
    assert cut(**region) == [
        f"region 'X': emission {text} reaches beyond the maps (200 to 1100 eV) and is "
        "cut there; change its limits or `map.emission`"
    ]


def test_presets_that_the_maps_cut_are_reported():
    assert find_cut(None, SCANS, EMISSION) == []
    lines = find_cut(None, SCANS, (200.0, 780.0))
    assert any(line.startswith("region 'Co_PFY': emission 7") for line in lines)
