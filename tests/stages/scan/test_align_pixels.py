import numpy as np
import pytest

from rixs_pipeline.core.energy import function as ef
from rixs_pipeline.stages.scan import align_pixels as stage
from rixs_pipeline.stages.scan.pixel_energies import PixelEnergy, pixel_energies
from tests.stages.builders import LIMITS, calibration, params, points, scan, write_off

EDGES = stage.edges_of((500.0, 1000.0))
GOOD = PixelEnergy("ok", (params(), params()), LIMITS)
PIXELS = range(1, 17, 2)
AT = points(n=20)


def beamline(folder, gains, photons=900):
    """A scan whose pixels see two lines, with energies 1 + gain times too large."""
    rng = np.random.default_rng(3)
    files = []
    for pixel, gain in zip(PIXELS, gains, strict=False):
        time = np.sort(rng.integers(AT.start_ns[0], AT.end_ns[-1], photons))
        energy = rng.choice([525.0, 776.0], photons) + rng.normal(0, 1.2, photons)
        files.append(
            write_off(folder / f"x_chan{pixel}.off", time, energy * (1 + gain))
        )
    return scan(files, AT)


def counted(one, functions, size=3):
    return np.concatenate(
        [stage.spectra_block(task) for task in stage.tasks(one, functions, EDGES, size)]
    )


def reference_run(errors_ev=0.02):
    product = calibration("cal0000", 0.0, dict.fromkeys(PIXELS, 0.0))
    return product.assign(
        line_residual_errors=(("pixel", "line"), np.full((len(PIXELS), 3), errors_ev))
    )


def test_pixels_are_brought_together_and_their_mean_stays(tmp_path):
    gains = np.array([3, -3, 2, -2, 1, -1, 3, -3]) * 1e-4
    one = beamline(tmp_path, gains)
    product = reference_run()
    functions = pixel_energies(
        one.pulse_files, (AT.start_ns[0] / 1e9, AT.end_ns[-1] / 1e9), [product], ()
    )
    counts = counted(one, functions)
    aligned = stage.align(one, functions, counts, EDGES, [stage.LineErrors(product)])
    found, error = (
        np.array([getattr(f, name) for f in aligned])
        for name in ("alignment", "alignment_error")
    )
    expected = gains - np.average(gains, weights=counts.sum(axis=1))
    assert np.abs(found - expected).max() < 4 * error.max()
    assert error.max() < 1e-4
    assert abs(np.average(found, weights=counts.sum(axis=1))) < 1e-12
    for before, after, gain in zip(functions, aligned, found, strict=True):
        assert after.status == before.status
        for own, scaled in zip(before.params, after.params, strict=True):
            heights = np.array([4000.0, 7000.0])
            np.testing.assert_allclose(
                ef.curve(heights, scaled),
                (1 - gain) * ef.curve(heights, own),
                rtol=1e-12,
            )
    after = stage.align(one, aligned, counted(one, aligned), EDGES, [])
    assert not any(f.alignment for f in after)  # nothing is left to align


def test_what_counting_allows_the_calibration_is_no_drift(tmp_path):
    one = beamline(tmp_path, np.array([3, -3, 2, -2, 1, -1, 3, -3]) * 1e-4)
    product = reference_run(errors_ev=0.5)
    functions = pixel_energies(
        one.pulse_files, (AT.start_ns[0] / 1e9, AT.end_ns[-1] / 1e9), [product], ()
    )
    aligned = stage.align(
        one, functions, counted(one, functions), EDGES, [stage.LineErrors(product)]
    )
    assert not any(f.alignment for f in aligned)


def test_errors_of_two_reference_runs_add_by_their_shares():
    early = reference_run(0.3)
    late = reference_run(0.4).assign(params=early["params"] * 1.001)
    function = PixelEnergy(
        "ok",
        (early["params"].values[0], late["params"].values[0]),
        LIMITS,
        (0.0, 100.0),
    )
    known, lines = (
        [stage.LineErrors(early), stage.LineErrors(late)],
        np.array([300.0, 600.0]),
    )
    for time, error in ((-5.0, 0.3), (50.0, 0.25), (100.0, 0.4)):
        found = stage._calibration_error(1, function, known, time, lines)
        np.testing.assert_allclose(found, error)


def test_pixels_that_are_not_used_have_no_spectrum(tmp_path):
    one = beamline(tmp_path, np.zeros(3))
    counts = counted(one, (GOOD, PixelEnergy("dead"), GOOD))
    assert counts.shape == (3, len(EDGES) - 1)
    assert counts[0].sum() > 0 and counts[1].sum() == 0
    aligned = stage.align(one, (GOOD, PixelEnergy("dead"), GOOD), counts, EDGES, [])
    assert [f.status for f in aligned] == ["ok", "dead", "ok"]
    assert [f.alignment for f in aligned] == [0, 0, 0]  # too few to tell


@pytest.mark.parametrize(("photons", "every"), [(900, 1), (9900, 3)])
def test_of_many_pulses_some_points_are_read(tmp_path, photons, every):
    one = beamline(tmp_path, np.zeros(4), photons)
    tasks = stage.tasks(one, (GOOD,) * 4, EDGES, 4)
    assert [task.every for task in tasks] == [every]
    read = counted(one, (GOOD,) * 4).sum(axis=1)
    in_points = photons * 2.0 / 2.5  # the pauses between points are not read
    share = len(AT.start_ns[::every]) / len(AT)
    assert read == pytest.approx(np.full(4, in_points * share), rel=0.15)
    assert stage.spectra_block(tasks[0]).sum(axis=1).tolist() == read.tolist()


def test_the_grid_covers_any_range():
    assert stage.edges_of((200.0, 1100.0))[[0, -1]].tolist() == [200.0, 1100.0]
    assert stage.edges_of((500.0, 500.3))[[0, -1]].tolist() == [500.0, 500.5]
