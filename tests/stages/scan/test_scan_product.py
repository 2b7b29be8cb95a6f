import numpy as np
import pytest

from rixs_pipeline.errors import RunFailed
from rixs_pipeline.io import nexus
from rixs_pipeline.stages.interval.pixel_energies import PixelEnergy
from rixs_pipeline.stages.interval.response_tail import NO_TAILS
from rixs_pipeline.stages.scan.counted_scan import CountedScan
from rixs_pipeline.stages.scan.exposure_scale import ExposureScale
from rixs_pipeline.stages.scan.scan_product import map_content
from rixs_pipeline.types import PixelState, PixelStatus
from tests.stages.builders import NOISY, points, scan
from tests.stages.contexts import make_context, numbered_scan
from tests.stages.scan.counts import GOOD, scan_counts

DEAD = PixelStatus(PixelState.DEAD)
WRONG = PixelStatus(PixelState.MISASSIGNED)
CONFIG = {"map": {"emission": [500, 503], "step": 1.0}}


class Calibrations:
    """Calibrations that know nothing of any pixel's response."""

    def __init__(self, number):
        self.number = number

    def tails(self, run):
        return NO_TAILS

    def resolution(self, run, dataset):
        return {}

    def best_pixels(self, run):
        return self.number


def content(tmp_path, triggers, energies, config=None, best_pixels=None):
    run = scan(at=points(n=len(triggers[0])))
    counted = CountedScan(run, scan_counts(triggers), tuple(energies))
    context = make_context(tmp_path, [run], CONFIG | (config or {}))
    scale = ExposureScale(1.0, {1: 1.0, 3: 1.0})
    return map_content(context, Calibrations(best_pixels), scale, counted)


@pytest.mark.parametrize(
    ("excluded", "expected"),
    [
        ({}, ()),
        ({2: [0, 1]}, (0, 1)),
        ({"scan0002": [3]}, (3,)),
        ({2: [0], "scan0002": [3]}, (3,)),  # the name is more precise
        ({1: [0]}, ()),
    ],
    ids=str,
)
def test_points_are_excluded_by_name_or_number(tmp_path, excluded, expected):
    run = numbered_scan(2)
    config = {"beamtime": {"exclude": {"points": excluded}}}
    context = make_context(tmp_path, [run], config)
    assert tuple(context.excluded_points(run)) == expected


def test_the_map_is_written_with_its_facts(tmp_path):
    product = content(tmp_path, [[10, 20], [30, 40]], [GOOD, GOOD])
    assert product.facts["photons"] == 100
    assert product.facts["points"] == product.facts["points_used"] == 2
    assert sum(product.facts["pixels"].values()) == 2
    product.write(tmp_path / "scan.nxs", {"config_hash": "1234"})
    scan_map = nexus.read_entry(tmp_path / "scan.nxs")
    np.testing.assert_array_equal(scan_map["counts"].sum("emission_energy"), [40, 60])
    assert scan_map.attrs["config_hash"] == "1234"
    assert "srd128" in str(scan_map.attrs)


def test_an_excluded_point_is_not_used(tmp_path):
    config = {"beamtime": {"exclude": {"points": {1: [0]}}}}
    product = content(tmp_path, [[10, 20], [30, 40]], [GOOD, GOOD], config)
    assert product.facts["points_used"] == 1


@pytest.mark.parametrize(("requested", "is_reported"), [(None, 0), (1, 0), (2, 1)])
def test_fewer_pixels_than_requested_are_reported(tmp_path, requested, is_reported):
    energies, triggers = [GOOD, PixelEnergy(NOISY)], [[10, 20], [30, 40]]
    product = content(tmp_path, triggers, energies, best_pixels=requested)
    lines = [line for line in product.warnings if "best_pixels" in line]
    assert lines == is_reported * [
        "scan0001: only 1 pixels are ok at Co_L, `map.best_pixels` requests 2; all of "
        "them used"
    ]


@pytest.mark.parametrize(
    ("statuses", "reason"),
    [
        ([NOISY, NOISY], "noisy"),
        ([DEAD, NOISY], "noisy"),  # only live pixels count
        ([DEAD, DEAD], "dead"),
        ([WRONG, NOISY, NOISY], "most of them: noisy"),
    ],
)
def test_a_scan_without_usable_pixels_is_refused_with_the_main_reason(
    tmp_path, statuses, reason
):
    energies = [PixelEnergy(status) for status in statuses]
    triggers = [[10, 20]] * len(energies)
    with pytest.raises(RunFailed, match=rf"scan0001: no usable pixel \({reason}\)$"):
        content(tmp_path, triggers, energies)


def test_a_scan_without_pulses_is_refused(tmp_path):
    with pytest.raises(RunFailed, match="scan0001: no pulses during its points"):
        content(tmp_path, [[0, 0], [30, 40]], [GOOD, PixelEnergy(NOISY)])
