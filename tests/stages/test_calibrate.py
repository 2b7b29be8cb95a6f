import numpy as np
import pytest

from rixs_pipeline import paths
from rixs_pipeline.stages import calibrate as module
from rixs_pipeline.stages.calibrate import Calibrate
from rixs_pipeline.stages.reference import calibrate_run as calibrate_run_module
from rixs_pipeline.stages.references import ReferenceTable
from tests.stages.builders import calibration
from tests.stages.contexts import make_context, numbered_scan, reference_run

RUNS = (reference_run(0, 100.0), numbered_scan(1), reference_run(5, 5000.0))

LOST = "cal0000: no pixel could be calibrated; most of them: noisy"


def calibrate(out, config=None):
    return Calibrate(make_context(out, RUNS, config))


def test_one_product_for_each_reference_run(tmp_path):
    products = calibrate(tmp_path).products()
    assert [product.name for product in products] == ["cal0000", "cal0005"]
    assert products[1].path == paths.calibration_product(tmp_path, "cal0005")
    assert products[1].source is RUNS[2]


@pytest.mark.parametrize(
    ("change", "is_used"),
    [
        ({"calibration": {"residual_cut": 5.0}}, True),
        ({"calibration": {"lines": ["C_Ka", "O_Ka", "Ni_La"]}}, True),
        ({"calibration": {"align": False}}, False),  # of scans
        ({"map": {"step": 1.0}}, False),
        ({"map": {"emission": [2000.0, 8500.0]}}, True),
        ({"map": {"emission": [300.0, 900.0]}}, False),  # within the default range
        ({"calibration": {"hints": {"all": {7158: "O_Ka"}}}}, True),
        ({"regions": {"P": {"kind": "pfy"}}}, False),
        ({"beamtime": {"exclude": {"pixels": [3]}}}, False),
    ],
    ids=str,
)
def test_calibrations_depend_on_the_section_calibration(tmp_path, change, is_used):
    before, after = calibrate(tmp_path), calibrate(tmp_path, change)
    product = before.products()[0]
    assert (before.options(product) != after.options(product)) == is_used


def test_the_pulses_and_the_log_are_inputs(tmp_path):
    stage = calibrate(tmp_path)
    first, second = stage.products()
    before = stage.inputs(first)
    assert before["log"] != stage.inputs(second)["log"]
    stage.context.products.pulses["cal0000"] = "more pulses"
    after = stage.inputs(first)
    assert after["pulses"] != before["pulses"]
    assert after["log"] == before["log"]


@pytest.mark.parametrize(
    ("pixels", "losses"), [({1: 0.0, 3: "dead"}, []), ({1: "dead", 3: "noisy"}, [LOST])]
)
def test_a_reference_run_without_good_pixels_is_reported(
    tmp_path, monkeypatch, pixels, losses
):
    cuts = (("pixel", "cut"), [[9, 5], [3, 1]])

    def calibrate_run(run, reference, config, emission):
        product = calibration(run.name, run.middle, pixels)
        names = (("cut",), ["all", "residual"])
        lines = (("line",), ["C_Ka", "O_Ka", "Cu_La"])
        offsets = {
            f"{name}_offset{part}": (("bin",), np.zeros(2))
            for name in ("phase", "time")
            for part in ("", "_uncorrected", "_uncorrected_errors")
        }
        shape = ("pixel", "line")
        values = {
            f"{name}{errors}": (shape, np.full((len(pixels), 3), 2.0))
            for name in ("line_residual", "line_left_out", "fwhm", "line_width")
            for errors in ("", "_errors")
        }
        values["resolution_errors"] = (("pixel",), np.full(len(pixels), 0.1))
        values |= {"line_energy": (("line",), [277.0, 524.9, 929.68])}
        values |= {"line_energy_errors": (("line",), [2.0, 0.7, 0.31])}
        values |= {"cut_counts": cuts, "cut": names, "line_name": lines}
        return product.assign(values | offsets)

    monkeypatch.setattr(calibrate_run_module, "calibrate_run", calibrate_run)
    stage = calibrate(tmp_path)
    (result,) = stage.compute(stage.products()[:1])
    content = result.content.unwrap()
    assert content.losses == losses
    assert content.facts["pixels_ok"] == list(pixels.values()).count(0.0)
    assert content.facts["cuts"] == {"all": 12, "residual": 6}


def test_a_reference_run_that_fails_does_not_stop_the_others(tmp_path, monkeypatch):
    def calibrate_run(run, reference, config, emission):
        raise OSError(f"{run.name} cannot be read")

    monkeypatch.setattr(calibrate_run_module, "calibrate_run", calibrate_run)
    stage = calibrate(tmp_path)
    errors = [str(r.content.error) for r in stage.compute(stage.products())]
    assert errors == ["cal0000 cannot be read", "cal0005 cannot be read"]


def test_what_receives_results_is_imported_before_there_are_any(tmp_path, monkeypatch):
    events = []

    def calibrate_run(run, reference, config, emission):
        events.append(run.name)
        raise OSError

    monkeypatch.setattr(calibrate_run_module, "calibrate_run", calibrate_run)
    monkeypatch.setattr(module, "import_module", events.append)
    stage = calibrate(tmp_path)
    list(stage.compute(stage.products()))
    assert events == ["xarray", "cal0000", "cal0005"]


def test_the_table_is_made_from_the_calibrations_that_are_there(tmp_path):
    context = make_context(tmp_path, RUNS)
    table = ReferenceTable(context)
    assert table.products() == []
    path = paths.calibration_product(tmp_path, "cal0005")
    context.products.add(path)
    (product,) = table.products()
    assert (product.name, product.path) == (
        "references",
        paths.references_table(tmp_path),
    )
    before = table.inputs(product)
    assert before.keys() == {"cal0005"}
    assert table.options(product) == {}
    context.products.add(path, key="changed")
    assert table.inputs(product) != before
