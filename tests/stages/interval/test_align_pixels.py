import numpy as np
import pytest

from rixs_pipeline.core.energy import curve_energy
from rixs_pipeline.stages.interval import align_pixels
from rixs_pipeline.stages.interval.align_pixels import (
    MAX_COUNTS,
    MAX_PIECES,
    LineErrors,
    align_task,
    spectrum_edges,
)
from rixs_pipeline.stages.interval.first_pass import first_pass
from rixs_pipeline.stages.interval.pixel_energies import (
    PixelEnergy,
    select_pixel_energies,
)
from tests.stages.builders import (
    CUTS,
    DEAD,
    OK,
    calibration,
    params,
    points,
    scan,
    write_off,
)

EDGES = spectrum_edges((500.0, 1000.0))
GOOD = PixelEnergy(OK, (params(), params()), CUTS)
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


def measure(run, energies):
    """Return the spectra of all pixels of a scan."""
    return first_pass(align_task(run, energies, EDGES)).spectra


def reference_run(errors_ev=0.02):
    product = calibration("cal0000", 0.0, dict.fromkeys(PIXELS, 0.0))
    return product.assign(
        line_residual_errors=(("pixel", "line"), np.full((len(PIXELS), 3), errors_ev))
    )


def test_alignment_keeps_the_mean_of_the_pixels(tmp_path):
    gains = np.array([3, -3, 2, -2, 1, -1, 3, -3]) * 1e-4
    run = beamline(tmp_path, gains)
    product = reference_run()
    energies = select_pixel_energies(run, [product])
    counts = measure(run, energies).sum_pieces()
    aligned = align_pixels.align_pixels(
        run, energies, counts, EDGES, [LineErrors(product)]
    )
    found, error = (
        np.array([getattr(f, name) for f in aligned])
        for name in ("alignment", "alignment_error")
    )
    expected = gains - np.average(gains, weights=counts.sum(axis=1))
    assert np.abs(found - expected).max() < 4 * error.max()
    assert error.max() < 1e-4
    assert abs(np.average(found, weights=counts.sum(axis=1))) < 1e-12
    for before, after, gain in zip(energies, aligned, found, strict=True):
        assert after.status == before.status
        for original, scaled in zip(before.params, after.params, strict=True):
            heights = np.array([4000.0, 7000.0])
            np.testing.assert_allclose(
                curve_energy(heights, scaled),
                (1 - gain) * curve_energy(heights, original),
                rtol=1e-12,
            )
    again = measure(run, aligned).sum_pieces()
    after = align_pixels.align_pixels(run, aligned, again, EDGES, [])
    assert not any(f.alignment for f in after)  # they are aligned already


def test_statistical_errors_of_the_calibration_are_no_drift(tmp_path):
    run = beamline(tmp_path, np.array([3, -3, 2, -2, 1, -1, 3, -3]) * 1e-4)
    product = reference_run(errors_ev=0.5)
    energies = select_pixel_energies(run, [product])
    aligned = align_pixels.align_pixels(
        run, energies, measure(run, energies).sum_pieces(), EDGES, [LineErrors(product)]
    )
    assert not any(f.alignment for f in aligned)


def test_errors_of_two_reference_runs_add_by_their_shares():
    early = reference_run(0.3)
    late = reference_run(0.4).assign(params=early["params"] * 1.001)
    function = PixelEnergy(
        OK, (early["params"].values[0], late["params"].values[0]), CUTS, (0.0, 100.0)
    )
    known, lines = ([LineErrors(early), LineErrors(late)], np.array([300.0, 600.0]))
    for time, error in ((-5.0, 0.3), (50.0, 0.25), (100.0, 0.4)):
        found = align_pixels._calibration_errors([1], [function], known, time, lines)
        np.testing.assert_allclose(found, [[error, error]])


def test_errors_are_linear_between_the_lines_that_a_pixel_has():
    product = reference_run()
    product["line_residual_errors"][1:] = [0.1, np.nan, 0.3]
    params = product["params"].values[:3].copy()
    params[2] += 1.0  # of another run
    energies = product["line_energy"].values
    found = LineErrors(product).interpolate([1, 3, 5], params, energies)
    between = np.interp(energies[1], energies[[0, 2]], [0.1, 0.3])
    np.testing.assert_allclose(found, [[0.02] * 3, [0.1, between, 0.3], [0.0] * 3])
    not_recorded = LineErrors(product).interpolate([2], params[:1], energies)
    assert not not_recorded.any()


def test_pixels_that_are_not_used_have_no_spectrum(tmp_path):
    run = beamline(tmp_path, np.zeros(3))
    pieces = measure(run, (GOOD, PixelEnergy(DEAD), GOOD))
    counts = pieces.sum_pieces()
    assert pieces.n_pieces == MAX_PIECES
    assert counts.shape == (3, len(EDGES) - 1)
    assert counts[0].sum() > 0 and counts[1].sum() == 0
    aligned = align_pixels.align_pixels(
        run, (GOOD, PixelEnergy(DEAD), GOOD), counts, EDGES, []
    )
    assert [f.status for f in aligned] == [OK, DEAD, OK]
    assert [f.alignment for f in aligned] == [0, 0, 0]  # too few pixels


@pytest.mark.parametrize(("photons", "step"), [(900, 1), (9900, 3)])
def test_with_many_pulses_only_some_points_are_read(tmp_path, photons, step):
    run = beamline(tmp_path, np.zeros(4), photons)
    task = align_task(run, (GOOD,) * 4, EDGES)
    assert len(task.points) == -(-len(AT) // step)
    photons_read = measure(run, (GOOD,) * 4).count_photons().sum(axis=1)
    in_points = photons * 2.0 / 2.5  # the pauses between points are not read
    share = len(AT.start_ns[::step]) / len(AT)
    assert photons_read == pytest.approx(np.full(4, in_points * share), rel=0.15)


def test_a_long_scan_has_pieces_of_adjacent_points(tmp_path):
    run = scan(beamline(tmp_path, np.zeros(1)).pulse_files, points(n=200))
    task = align_task(run, (GOOD,), EDGES)
    assert len(task.piece) == 200 and task.piece[-1] == MAX_PIECES - 1
    assert set(np.diff(task.piece)) == {0, 1}


def test_the_points_of_a_short_scan_are_divided(tmp_path):
    run = beamline(tmp_path, np.zeros(4))
    task = align_task(run, (GOOD,) * 4, EDGES)
    assert len(task.piece) == 4 * len(AT)
    photons = first_pass(task).spectra.count_photons()
    assert photons.shape == (4, MAX_PIECES)
    assert photons.sum(axis=1).tolist() == pytest.approx([720] * 4, abs=60)
    assert photons.min() > 0


def test_large_arrays_have_fewer_pieces(tmp_path):
    files = beamline(tmp_path, np.zeros(1)).pulse_files * 400
    task = align_task(scan(files, AT), (GOOD,) * 400, EDGES)
    assert task.piece[-1] == MAX_COUNTS // 400 // len(EDGES) - 1


def test_the_grid_covers_any_range():
    assert spectrum_edges((200.0, 1100.0))[[0, -1]].tolist() == [200.0, 1100.0]
    assert spectrum_edges((500.0, 500.3))[[0, -1]].tolist() == [500.0, 500.5]
