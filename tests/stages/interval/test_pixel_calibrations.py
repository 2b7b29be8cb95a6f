import numpy as np

from rixs_pipeline.stages.interval.pixel_calibrations import read_run_calibration
from rixs_pipeline.types import PixelState, PixelStatus
from tests.stages.builders import CUTS, OK, calibration, params


def test_calibrations_are_read_by_pixel():
    product = calibration("cal1", 50.0, {3: 1.0, 1: "noisy: 9 eV"})
    run = read_run_calibration(product)
    assert (run.run, run.time) == ("cal1", 50.0)
    assert list(run.pixels) == [3, 1]
    assert run.pixels[3].status == OK
    assert run.pixels[1].status == PixelStatus(PixelState.NOISY, "9 eV")
    np.testing.assert_array_equal(run.pixels[3].params, params(1.0))
    assert run.pixels[3].cut_limits == CUTS
    assert list(run.good_pixels) == [3]
