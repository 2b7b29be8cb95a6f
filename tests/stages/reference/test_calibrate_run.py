import pytest

from rixs_pipeline.config import CalibrationConfig
from rixs_pipeline.config.reference_sets import load_reference_set
from rixs_pipeline.core.energy import layout
from rixs_pipeline.errors import RunFailed
from rixs_pipeline.schema import PIXEL_CALIBRATION, check
from rixs_pipeline.stages.reference.calibrate_run import calibrate_run
from tests.stages.builders import points, scan, write_off


def test_the_product_follows_the_schema(product):
    check(product, PIXEL_CALIBRATION, "here")
    assert product.sizes["param"] == layout.N_PARAMS
    assert product["pixel"].values.tolist() == [1, 3, 5]
    for variable in product.variables.values():
        assert variable.attrs.keys() >= {"units", "long_name"}


def test_the_attributes_name_the_run_and_the_reference_set(product, run):
    assert product.attrs["run"] == "cal0000"
    assert product.attrs["sample"] == "reference_mix"
    assert product.attrs["reference_set"] == "srd128"
    assert product.attrs["reference_source"]
    assert product.attrs["time"] == pytest.approx((run.start + run.end) / 2, abs=1e-6)


@pytest.mark.parametrize("n_files", [0, 1])
def test_a_run_without_a_pulse_fails(tmp_path, n_files):
    file = write_off(tmp_path / "x_chan1.off", [], [])
    run = scan([file] * n_files, points(1), kind="calibration", name="cal0007")
    message = "cal0007: no pixel has pulses in this reference run"
    with pytest.raises(RunFailed, match=message):
        calibrate_run(
            run, load_reference_set("srd128"), CalibrationConfig(), (200.0, 1100.0)
        )
