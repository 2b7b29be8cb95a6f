import numpy as np

from rixs_pipeline.stages.reference.reference_pulses import read_reference_pulses


def test_all_accepted_pulses_are_counted(product, run):
    counts = product["height_counts"].values.sum(axis=1)
    accepted = product["cut_counts"].values[:, -1]
    assert (counts <= accepted).all()
    assert (counts > 0.99 * accepted).all()  # of piled-up photons, few are beyond
    widths = product["height_bin_width"].values
    for row, path in enumerate(run.pulse_files):
        heights = read_reference_pulses(run, path).pulse_height
        highest = np.percentile(heights, 99)
        assert 900 < highest / widths[row] < 1200


def test_peaks_are_named_after_the_lines_of_the_calibration(product):
    names = product["peak_line"].values.astype(str)
    heights = product["peak_pulse_height"].values
    line_heights = product["line_pulse_height"].values
    lines = [str(name) for name in product["line_name"].values]
    for row in range(product.sizes["pixel"]):
        assert set(lines) <= set(names[row])
        for line, expected in zip(lines, line_heights[row], strict=True):
            named = heights[row][names[row] == line]
            assert np.abs(named / expected - 1).min() < 0.01
    assert (np.diff(heights, axis=1) > 0).sum() == np.isfinite(heights[:, 1:]).sum()
