import json

import numpy as np
import pytest
from matplotlib.collections import LineCollection

from rixs_pipeline.errors import UsageError
from rixs_pipeline.plots import calibration, labels, reference_spectrum, style


@pytest.fixture(scope="module")
def twelve(make_calibration):
    return make_calibration(12)


@pytest.fixture(scope="module")
def page(twelve):
    return calibration.calibration_figure(twelve, 3)


@pytest.fixture(scope="module")
def array(make_calibration):
    return make_calibration(240)


@pytest.fixture(scope="module")
def summary(array):
    return calibration.calibration_summary_figure(array)


def texts(axes):
    return [text.get_text() for text in axes.texts]


def draw(figure):
    figure.set(layout_engine="none", dpi=40)
    figure.canvas.draw()


def test_a_pixel_page_names_its_status_and_every_line(twelve, page):
    assert page.get_suptitle() == "reference_mix, reference run cal0000, pixel 3: ok"
    spectrum = page.axes[0]
    note, *names = texts(spectrum)
    assert note == "grey: not used for the energy scale; ?: peak of no reference line"
    assert names == ["C Kα", "N Kα", "O Kα", "Fe Lα", "Ni Lα", "Cu Lα", "elastic"]
    marks = [
        line.get_xdata()[0] for line in spectrum.lines if line.get_linestyle() == ":"
    ]
    assert marks == pytest.approx(twelve["line_energy"].values)
    assert spectrum.get_yscale() == "log"
    assert spectrum.get_ylabel() == "counts / 1 eV"
    assert spectrum.get_xlabel() == "emission energy (eV)"


def test_rebinned_counts_are_those_of_the_pixel(twelve, page):
    drawn = page.axes[0].lines[0]
    counts = twelve["spectrum"].sel(pixel=3).values
    assert drawn.get_ydata().sum() == counts.sum()
    assert drawn.get_ydata()[0] == counts[:4].sum()
    assert drawn.get_xdata()[:2] == pytest.approx([100.5, 101.5])


def test_residuals_have_statistical_bars_and_boxes_for_the_reference_lines(
    twelve, page
):
    pixel_data = twelve.sel(pixel=3)
    axes = page.axes[1]
    (bars,) = [c for c in axes.collections if isinstance(c, LineCollection)]
    segments = np.array(bars.get_segments())
    assert segments[:, :, 1].mean(axis=1) == pytest.approx(
        pixel_data["line_residual"].values
    )
    assert np.ptp(segments[:, :, 1], axis=1) == pytest.approx(
        2 * pixel_data["line_residual_errors"].values
    )
    heights = [patch.get_height() for patch in axes.patches]
    assert heights == pytest.approx(
        [4.0, 1.4, 1.4, 2.4, 0.52, 0.62, 0.0]
    )  # elastic: no uncertainty
    assert [label.get_text() for label in axes.get_xticklabels()][:2] == [
        "C Kα",
        "N Kα",
    ]


def test_resolution_is_shown_with_the_median_of_the_array(twelve, page):
    medians, *_ = page.axes[2].lines
    widths, whole_lines = page.axes[2].containers
    ok = twelve["status"].values == "ok"
    assert medians.get_ydata() == pytest.approx(
        np.median(twelve["fwhm"].values[ok], axis=0)
    )
    pixel = twelve.sel(pixel=3)
    for container, name in ((widths, "fwhm"), (whole_lines, "line_width")):
        points, _, (bars,) = container
        assert points.get_ydata() == pytest.approx(pixel[name].values)
        lengths = [np.ptp(bar[:, 1]) / 2 for bar in bars.get_segments()]
        assert lengths == pytest.approx(pixel[f"{name}_errors"].values)
    resolution = float(pixel["resolution"])
    assert f"{resolution:.2f}" in page.axes[2].get_title(loc="left")


def test_the_gain_curve_shows_its_curvature(twelve, page):
    _, _, _, upper, lower = page.axes
    curve, lines = upper.lines
    assert curve.get_ydata().max() <= twelve["emission_energy"].values[-1]
    assert lines.get_ydata() == pytest.approx(twelve["line_energy"].values)
    bent = lower.lines[0].get_ydata()
    assert bent[[0, -1]] == pytest.approx([0, 0])
    assert np.all(bent[1:-1] < 0)  # E(h) of a(1 - exp(-E/b)) is convex
    without = twelve.drop_vars(["curve_pulse_height", "curve_energy"])
    assert len(calibration.calibration_figure(without, 3).axes) == 3


@pytest.mark.parametrize(
    ("pulses", "ending"), [(0, ""), (12, "; 12 accepted pulses, too few to calibrate")]
)
def test_a_pixel_without_pulses_has_one_line_of_text(twelve, inside, pulses, ending):
    counts = np.zeros((twelve.sizes["pixel"], 1300), dtype=int)
    counts[2, :pulses] = 1
    dataset = twelve.assign(height_counts=(("pixel", "height_bin"), counts))
    figure = calibration.calibration_figure(dataset, 5)
    assert figure.get_suptitle() == "reference_mix, reference run cal0000"
    assert not figure.axes
    (text,) = figure.texts[1:] if len(figure.texts) > 1 else figure.texts
    assert text.get_text() == f"pixel 5 is not calibrated: dead: no pulses{ending}"
    inside(figure)


def test_a_misassigned_pixel_has_a_page_too(twelve):
    figure = calibration.calibration_figure(twelve, 11)
    assert "pixel 11: misassigned: a line misses" in figure.get_suptitle()
    draw(figure)


def with_peaks(dataset, energies):
    """The same dataset with peaks of all pixels at these energies, eV."""
    curves = zip(
        dataset["curve_energy"].values,
        dataset["curve_pulse_height"].values,
        strict=True,
    )
    heights = [np.interp(energies, energy, height) for energy, height in curves]
    return dataset.assign(peak_pulse_height=(("pixel", "peak"), np.array(heights)))


def test_peaks_of_the_spectrum_are_named(twelve, inside):
    set_lines = {"Fe_La": 704.8, "Fe_Lb": 718.3, "Mn_La": 637.4, "Mn_Lb": 648.8}
    dataset = with_peaks(twelve, [524.0, 612.0, 637.0, 717.0])
    dataset["peak_pulse_height"][:7, 1] = np.nan  # in fewer than half of the pixels
    dataset = dataset.assign_attrs(set_lines=json.dumps(set_lines))
    marks = reference_spectrum.find_marks(dataset)
    assert [mark.text for mark in marks if not mark.is_reference] == ["Mn Lα", "Fe Lβ"]
    dataset = with_peaks(dataset, [612.0])
    (unknown,) = [m for m in reference_spectrum.find_marks(dataset) if "?" in m.text]
    assert unknown.text == "? 612 eV"
    assert unknown.energy == pytest.approx(612.0, abs=0.5)
    figure = calibration.calibration_summary_figure(dataset)
    assert {"? 612 eV", "Fe Lβ"} <= set(texts(figure.axes[0]))
    inside(figure)


def without_scale(dataset):
    """The same dataset with pulse heights only, and no line."""
    n = dataset.sizes["pixel"]
    counts = np.zeros((n, 1300), dtype=int)
    counts[:, [300, 500, 520, 900]] = 200
    peaks = np.tile([4510.0, 7507.5, 7807.5, 13507.5, np.nan], (n, 1))
    peaks[0, 2:] = np.nan
    status = np.full(n, "ambiguous line identification; name lines", dtype=object)
    values = {
        "status": ("pixel", status),
        "spectrum": dataset["spectrum"] * 0,
        "height_counts": (("pixel", "height_bin"), counts),
        "height_bin_width": ("pixel", np.full(n, 15.0)),
        "peak_pulse_height": (("pixel", "peak"), peaks),
    }
    return dataset.assign(values).isel(line=slice(0, 0))


def test_without_a_scale_the_pulse_heights_are_shown(twelve, inside):
    """The page and the summary name the positions of the peaks, for the hints."""
    dataset = without_scale(twelve)
    page = calibration.calibration_figure(dataset, 3)
    summary = calibration.calibration_summary_figure(dataset)
    for figure in (page, summary):
        axes = figure.axes[0]
        assert axes.get_xlabel().startswith("pulse height of pixel 3; name peaks")
        assert [text.get_text() for text in axes.texts] == [
            "4510",
            "7508",
            "7808",
            "13508",
        ]
        assert axes.lines[0].get_ydata().sum() == 800
        inside(figure)


def test_bins_that_grow_wider_are_joined(twelve):
    """Above 2 keV: counts are kept, in bins of the widest width or more."""
    fine = np.arange(1990.0, 2000.0, 0.25) + 0.125
    coarse = np.arange(2000.0, 2030.0, 1.0) + 0.5
    emission = np.concatenate([fine, coarse])
    counts = np.ones((twelve.sizes["pixel"], len(emission)), dtype=int)
    dataset = twelve.drop_dims("emission_energy").assign(
        emission_energy=("emission_energy", emission),
        spectrum=(("pixel", "emission_energy"), counts),
    )
    dataset["emission_energy"].attrs = twelve["emission_energy"].attrs
    drawn = calibration.calibration_figure(dataset, 3).axes[0].lines[0]
    assert drawn.get_ydata().sum() == len(emission)
    assert np.diff(drawn.get_xdata()) == pytest.approx(1.0)
    assert drawn.get_ydata()[[0, -1]].tolist() == [4, 1]


@pytest.mark.parametrize("pixels", [4, 240])
def test_no_label_leaves_the_figures(make_calibration, inside, pixels):
    dataset = make_calibration(
        pixels, bad=dict.fromkeys(range(pixels // 2), "misassigned: a line misses")
    )
    inside(calibration.calibration_summary_figure(dataset))
    for pixel in (1, 2 * pixels - 1):
        inside(calibration.calibration_figure(dataset, pixel))


def test_an_unknown_pixel_is_named(twelve):
    with pytest.raises(UsageError, match=r"^pixel 4: .* channel 1, 3, 5"):
        calibration.calibration_figure(twelve, 4)


def test_statuses_may_be_bytes(twelve):
    as_bytes = twelve.assign(status=("pixel", twelve["status"].values.astype("S")))
    assert (
        calibration.calibration_figure(as_bytes, 5).get_suptitle()
        == "reference_mix, reference run cal0000"
    )
    assert (
        calibration.calibration_summary_figure(as_bytes).get_suptitle()
        == "reference_mix, reference run cal0000: 7 of 12 pixels ok (reference lines: "
        "srd128)"
    )


def test_the_summary_sums_the_pixels_that_are_ok(array, summary):
    assert "reference run cal0000: 235 of 240 pixels ok" in summary.get_suptitle()
    ok = array["status"].values == "ok"
    assert (
        summary.axes[0].lines[0].get_ydata().sum() == array["spectrum"].values[ok].sum()
    )


@pytest.mark.parametrize(("panel", "name"), [(1, "line_residual"), (2, "fwhm")])
def test_strips_show_every_pixel_and_the_median_of_the_good_ones(
    array, summary, panel, name
):
    axes = summary.axes[panel]
    ok = array["status"].values == "ok"
    dots, crosses = (
        next(line for line in axes.lines if line.get_marker() == marker)
        for marker in "ox"
    )
    assert np.sort(dots.get_ydata()) == pytest.approx(
        np.sort(array[name].values[ok].ravel())
    )
    assert np.array_equal(
        np.round(dots.get_xdata()).astype(int), np.tile(np.arange(7), 235)
    )
    arrows = [line for line in axes.lines if line.get_marker() in ("^", "v")]
    number = len(crosses.get_ydata()) + sum(len(line.get_ydata()) for line in arrows)
    assert number == np.isfinite(array[name].values[~ok]).sum()
    low, high = axes.get_ylim()
    assert np.all((crosses.get_ydata() >= low) & (crosses.get_ydata() <= high))
    *_, medians = [
        np.array(c.get_segments())[:, 0, 1]
        for c in axes.collections
        if isinstance(c, LineCollection)
    ]
    assert medians == pytest.approx(np.median(array[name].values[ok], axis=0))


def test_widths_at_the_limit_of_the_fit_are_explained(array):
    note = "lowest row, 0.50 eV: narrowest line that is fitted"
    widths = array["fwhm"].copy(deep=True)
    widths[:, 0] = 0.5
    limited = calibration.calibration_summary_figure(array.assign(fwhm=widths))
    assert note in texts(limited.axes[2])
    widths[:, 0] = np.linspace(0.5, 0.6, len(widths))
    free = calibration.calibration_summary_figure(array.assign(fwhm=widths))
    assert not any("lowest row" in text for text in texts(free.axes[2]))


def test_a_misassigned_pixel_does_not_set_the_axis_of_residuals(summary):
    low, high = summary.axes[1].get_ylim()
    assert -4 < low < -2  # the 2 eV of C Ka, and space for arrows
    assert 2 < high < 4


def test_statuses_are_counted_by_reason_with_their_pixels(summary):
    _, _, _, strip, table = summary.axes
    rows = np.array(texts(table)).reshape(-1, 4)[:, 1:].tolist()
    assert rows == [
        ["ok", "235", ""],
        ["dead: no pulses", "2", "channel 5, 7"],
        ["noisy", "2", "channel 21, 23"],
        ["misassigned: a line misses its reference by 22.3 eV", "1", "channel 11"],
    ]
    cells = strip.collections[0].get_array().ravel()
    assert cells.shape == (240,)
    assert cells[[2, 3]].tolist() == [1, 1]
    assert cells[[10, 11]].tolist() == [2, 2]
    assert np.count_nonzero(cells) == 5


def test_a_long_list_of_pixels_is_cut_short(make_calibration):
    dataset = make_calibration(240, bad=dict.fromkeys(range(100), "dead: no pulses"))
    row = texts(calibration.calibration_summary_figure(dataset).axes[4])[7]
    assert row.startswith("channel 1, 3, 5")
    assert row.endswith(f"and {100 - labels.MAX_CHANNELS} more")


@pytest.mark.parametrize(
    "bad", [{}, dict.fromkeys(range(4), "dead: no pulses")], ids=["all ok", "none ok"]
)
def test_the_summary_of_a_small_array_is_drawn(make_calibration, bad):
    figure = calibration.calibration_summary_figure(make_calibration(4, bad=bad))
    assert style.encode_figure(figure, "png")
    assert len(figure.axes) == 5
