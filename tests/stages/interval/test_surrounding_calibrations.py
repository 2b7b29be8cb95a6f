import numpy as np
import pytest

from rixs_pipeline import paths
from rixs_pipeline.core.energy import layout
from rixs_pipeline.errors import RunFailed
from rixs_pipeline.stages.interval import surrounding_calibrations as module
from rixs_pipeline.stages.interval.surrounding_calibrations import (
    SurroundingCalibrations,
    find_usable_calibrations,
)
from tests.stages.builders import points, scan, write_off
from tests.stages.contexts import (
    add_calibration,
    make_context,
    numbered_scan,
    reference_run,
)

GOOD = {1: 0.0, 3: 0.0, 5: 0.0, 7: 0.0}
MOSTLY_DEAD = dict.fromkeys(GOOD, "dead") | {1: 0.0}
SCAN = numbered_scan(1, 1000.0)
BEFORE = reference_run(0, 500.0)
AFTER = reference_run(5, 1500.0)


def surround(out, runs, pixels=None, config=None):
    """Return the calibrations of scans, with all reference runs on disk."""
    context = make_context(out, runs, config)
    for run in context.beamtime.calibrations:
        add_calibration(context, run, (pixels or {}).get(run.name, GOOD))
    return SurroundingCalibrations(context)


def interval_names(calibrations, run):
    return [path.stem for path in calibrations.interval(run)]


def test_the_nearest_reference_runs_before_and_after(tmp_path):
    scans = [numbered_scan(1, 1000.0), numbered_scan(2, 2000.0)]
    first, last = reference_run(9, 100.0), reference_run(8, 3000.0)
    runs = [first, BEFORE, scans[0], AFTER, scans[1], last]
    calibrations = surround(tmp_path, runs)
    assert interval_names(calibrations, scans[0]) == ["cal0000", "cal0005"]
    assert interval_names(calibrations, scans[1]) == ["cal0005", "cal0008"]


def test_one_side_may_be_missing(tmp_path):
    assert interval_names(surround(tmp_path, [BEFORE, SCAN]), SCAN) == ["cal0000"]
    assert interval_names(surround(tmp_path, [SCAN, AFTER]), SCAN) == ["cal0005"]
    assert interval_names(surround(tmp_path, [SCAN]), SCAN) == []


def test_companions_are_all_scans_of_a_closed_interval(tmp_path):
    scans = [numbered_scan(n, 1000.0 + 20 * n) for n in (1, 2, 3)]
    later = numbered_scan(4, 2000.0)
    calibrations = surround(tmp_path, [BEFORE, *scans, AFTER, later])
    assert calibrations.is_closed(scans[0]) and not calibrations.is_closed(later)
    assert calibrations.companions(scans[0]) == tuple(scans)
    assert calibrations.companions(later) == (later,)


def test_companions_in_an_open_interval_are_earlier_scans(tmp_path):
    scans = [numbered_scan(n, 1000.0 + 20 * n) for n in (1, 2, 3)]
    calibrations = surround(tmp_path, [BEFORE, *scans])
    assert calibrations.companions(scans[0]) == (scans[0],)
    assert calibrations.companions(scans[1]) == tuple(scans[:2])


def test_the_first_reference_run_may_be_missing(tmp_path):
    scans = [numbered_scan(n, 1000.0 + 20 * n) for n in (1, 2)]
    calibrations = surround(tmp_path, [*scans, AFTER])
    assert calibrations.companions(scans[0]) == tuple(scans)


def test_reference_runs_of_the_run_directory_of_the_scan_are_preferred(tmp_path):
    run = numbered_scan(1, 1000.0, directory="20260101-0001")
    far = reference_run(3, 5000.0, directory="20260101-0001")
    calibrations = surround(tmp_path, [BEFORE, run, AFTER, far])
    assert interval_names(calibrations, run) == ["cal0003"]


def test_without_any_those_of_other_directories_are_used(tmp_path):
    run = numbered_scan(1, 1000.0, directory="20260101-0001")
    calibrations = surround(tmp_path, [BEFORE, run, AFTER])
    assert interval_names(calibrations, run) == ["cal0000", "cal0005"]


def test_a_reference_run_with_too_few_good_pixels_hides_no_other(tmp_path):
    short = reference_run(3, 1200.0)
    runs = [BEFORE, SCAN, short, AFTER]
    calibrations = surround(tmp_path, runs, {"cal0003": MOSTLY_DEAD})
    assert interval_names(calibrations, SCAN) == ["cal0000", "cal0005"]
    assert find_usable_calibrations(calibrations.context).warnings == (
        "cal0003: only 1 pixels calibrated, 4 in the best reference run; "
        "not used for scans",
    )


def test_half_of_the_good_pixels_are_enough(tmp_path):
    half = dict.fromkeys(GOOD, "dead") | {1: 0.0, 3: 0.0}
    calibrations = surround(tmp_path, [BEFORE, SCAN, AFTER], {"cal0005": half})
    assert interval_names(calibrations, SCAN) == ["cal0000", "cal0005"]
    assert find_usable_calibrations(calibrations.context).warnings == ()


def test_a_calibration_that_failed_is_not_used(tmp_path):
    context = make_context(tmp_path, [BEFORE, SCAN, AFTER])
    add_calibration(context, AFTER, GOOD)
    calibrations = SurroundingCalibrations(context)
    assert interval_names(calibrations, SCAN) == ["cal0005"]


def test_in_a_dry_run_a_calibration_that_is_not_made_yet_counts_as_usable(tmp_path):
    context = make_context(tmp_path, [BEFORE, SCAN])
    path = paths.calibration_product(tmp_path, "cal0000")
    context.products.add(path)
    calibrations = SurroundingCalibrations(context)
    assert calibrations.interval(SCAN) == (path,)
    assert calibrations.scans_with_jumps(SCAN) == []


def test_a_gain_jump_makes_a_scan_depend_on_all_scans_of_its_interval(tmp_path):
    scans = [SCAN, numbered_scan(2, 1100.0), numbered_scan(3, 2000.0)]
    runs = [BEFORE, *scans[:2], AFTER, scans[2]]
    calibrations = surround(tmp_path, runs, {"cal0005": GOOD | {3: 30.0}})
    assert calibrations.scans_with_jumps(SCAN) == scans[:2]
    assert calibrations.scans_with_jumps(scans[2]) == []
    steady = surround(tmp_path / "steady", runs)
    assert steady.scans_with_jumps(SCAN) == []


def test_whether_a_gain_jumped_is_remembered(tmp_path, monkeypatch):
    calibrations = surround(tmp_path, [BEFORE, SCAN, AFTER])
    calibrations.scans_with_jumps(SCAN)
    assert list(calibrations.context.memo.used.values()) == [False]
    monkeypatch.setattr(module, "find_gain_jumps", lambda _: pytest.fail("read again"))
    later = SurroundingCalibrations(calibrations.context)
    assert later.scans_with_jumps(SCAN) == []


def test_scans_of_an_interval_share_what_is_read(tmp_path, monkeypatch):
    scans = [SCAN, numbered_scan(2, 1100.0)]
    calibrations = surround(tmp_path, [BEFORE, *scans, AFTER])
    first = calibrations.read(scans[0])
    second = calibrations.read(scans[1])
    assert [product.attrs["run"] for product in first] == ["cal0000", "cal0005"]
    assert all(a is b for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize(("edge", "number"), [("Co_L", 2), ("O_K", None), (None, None)])
def test_the_number_of_best_pixels_belongs_to_an_edge(tmp_path, edge, number):
    run = numbered_scan(1, edge=edge)
    config = {"map": {"best_pixels": {"Co_L": 2}}}
    assert surround(tmp_path, [run], config=config).best_pixels(run) == number


def test_every_pulse_file_gets_the_energy_of_its_pixel(tmp_path):
    files = [
        write_off(tmp_path / f"x_chan{pixel}.off", [], []) for pixel in (5, 1, 3, 9)
    ]
    run = scan(files, points())
    runs = [reference_run(0, 500.0), run]
    config = {"beamtime": {"exclude": {"pixels": [3]}}}
    energies = surround(tmp_path, runs, {"cal0000": GOOD | {1: 2.0}}, config)
    of_pixels = energies.pixel_energies(run)
    assert [energy.status.is_ok for energy in of_pixels] == [True, True, False, False]
    of_five, of_one = (energy.params[0][layout.CURVE] for energy in of_pixels[:2])
    np.testing.assert_allclose(of_one - of_five, 2.0)
    assert "excluded" in str(of_pixels[2].status)


def test_a_scan_without_pulse_files_is_refused(tmp_path):
    with pytest.raises(RunFailed, match="scan0001: has no pulse files"):
        surround(tmp_path, [BEFORE, SCAN]).pixel_energies(SCAN)
