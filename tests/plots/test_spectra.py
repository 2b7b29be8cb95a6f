import json

import numpy as np
import pytest
from matplotlib.collections import LineCollection, PolyCollection

from rixs_pipeline.plots import spectra, style


def bars(axes):
    """Error bars, (bar, 2 ends, 2)."""
    (collection,) = [c for c in axes.collections if isinstance(c, LineCollection)]
    return np.array(collection.get_segments())


def bands(axes):
    return [c for c in axes.collections if isinstance(c, PolyCollection)]


def curve(axes, number=0):
    """What is drawn of the spectrum itself: energies and values."""
    return axes.lines[number].get_xdata(), axes.lines[number].get_ydata()


def test_one_bar_of_one_standard_deviation_a_point(make_spectrum):
    dataset = make_spectrum(masked=(4, 5))
    (axes,) = spectra.spectrum_figure(dataset, "PFY").axes
    drawn = bars(axes)
    assert drawn.shape == (68, 2, 2)  # 70 points, two without a value
    good = np.isfinite(dataset["intensity"].values)
    assert drawn[:, 0, 0] == pytest.approx(dataset["incident_energy"].values[good])
    assert np.ptp(drawn[:, :, 1], axis=1) == pytest.approx(
        2 * dataset["intensity_errors"].values[good]
    )
    assert drawn[:, :, 1].mean(axis=1) == pytest.approx(
        dataset["intensity"].values[good]
    )


def test_a_point_without_exposure_is_a_gap(make_spectrum):
    (axes,) = spectra.spectrum_figure(make_spectrum(masked=(4,)), "PFY").axes
    assert np.flatnonzero(np.isnan(curve(axes)[1])).tolist() == [4]


def test_axis_labels_and_zero_line(make_spectrum):
    (axes,) = spectra.spectrum_figure(make_spectrum(), "LMR_RT, Co_PFY").axes
    assert axes.get_xlabel() == "incident energy (eV)"
    assert axes.get_ylabel() == "intensity (counts/s)"
    assert axes.figure.get_suptitle() == "LMR_RT, Co_PFY"
    assert any(
        np.allclose(line.get_ydata(), 0) and line.get_xdata() == [0, 1]
        for line in axes.lines
    )
    assert axes.get_ylim()[0] < 0


def test_the_band_is_the_interval_where_there_is_one(make_spectrum):
    dataset = make_spectrum(masked=())
    (axes,) = spectra.spectrum_figure(dataset, "PFY").axes
    (band,) = bands(axes)
    heights = band.get_paths()[0].vertices[:, 1]
    assert heights.max() == pytest.approx(dataset["intensity_upper"].max().item())
    assert heights.max() < axes.get_ylim()[1] and axes.get_title(loc="left").endswith(
        "band: 95 %"
    )
    assert heights.min() == pytest.approx(dataset["intensity_lower"].min().item())
    (bare,) = spectra.spectrum_figure(
        dataset.drop_vars(["intensity_lower", "intensity_upper"]), "PFY"
    ).axes
    assert bands(bare) == []
    assert len(bars(bare)) == 70


def test_an_interval_without_upper_end_leaves_the_axes(make_spectrum):
    dataset = make_spectrum()
    upper = dataset["intensity_upper"].values.copy()
    upper[30] = np.inf
    (axes,) = spectra.spectrum_figure(
        dataset.assign(intensity_upper=("incident_energy", upper)), "iPFY"
    ).axes
    heights = np.concatenate(
        [path.vertices[:, 1] for path in bands(axes)[0].get_paths()]
    )
    assert np.isfinite(heights).all()
    assert heights.max() > 10 * axes.get_ylim()[1]
    assert axes.get_ylim()[1] < 2 * np.nanmax(
        dataset["intensity"].values + dataset["intensity_errors"].values
    )


def test_a_reading_without_errors_is_a_spectrum_without_bars(make_spectrum):
    dataset = make_spectrum().drop_vars(["intensity_lower", "intensity_upper"])
    unknown = ("incident_energy", np.full(70, np.nan))
    dataset = dataset.assign(intensity_errors=unknown, counts=unknown)
    dataset.attrs["region"] = json.dumps({"kind": "reading", "channel": "tey"})
    (axes,) = spectra.spectrum_figure(dataset, "TEY").axes
    assert not np.isfinite(bars(axes)).any()
    assert np.nanmax(curve(axes)[1]) < axes.get_ylim()[1]


def test_a_point_of_hardly_any_exposure_does_not_set_the_axis(make_spectrum):
    dataset = make_spectrum(masked=())
    calm = spectra.spectrum_figure(dataset, "PFY").axes[0].get_ylim()
    intensity, exposure = (
        dataset["intensity"].values.copy(),
        dataset["exposure"].values.copy(),
    )
    intensity[0], exposure[0] = 500.0, 0.01
    dataset = dataset.assign(
        intensity=("incident_energy", intensity), exposure=("incident_energy", exposure)
    )
    (axes,) = spectra.spectrum_figure(dataset, "PFY").axes
    assert axes.get_ylim() == pytest.approx(calm, rel=0.1)
    assert curve(axes)[1].max() == 500.0


def test_a_scan_downwards_looks_like_one_upwards(make_spectrum):
    dataset = make_spectrum()
    down = spectra.spectrum_figure(
        dataset.isel(incident_energy=slice(None, None, -1)), "PFY"
    )
    up = spectra.spectrum_figure(dataset, "PFY")
    assert np.array_equal(curve(down.axes[0]), curve(up.axes[0]), equal_nan=True)


def test_an_emission_spectrum_is_shown_around_its_edge_and_as_a_whole(make_spectrum):
    energy = np.arange(200.25, 1100, 0.5)
    region = json.dumps({"kind": "xes", "incident": [780, 781]})
    dataset = make_spectrum(energy, "emission_energy", masked=(), region=region)
    whole, axes = spectra.spectrum_figure(dataset, "XES").axes
    assert axes.get_xlim() == (720, 791)
    assert axes.get_xlabel() == "emission energy (eV)"
    assert whole.get_xlim()[0] < 300
    assert whole.get_yscale() == "log"
    ends = axes.lines[0].get_xdata()
    assert np.array_equal(ends[:4], [200, 200.5, 200.5, 201])  # both ends of each bin
    assert ends[-1] == 1100
    limited = make_spectrum(
        energy,
        "emission_energy",
        region=json.dumps(json.loads(region) | {"emission": [200, 1100]}),
    )
    assert (
        len(spectra.spectrum_figure(limited, "XES").axes) == 1
    )  # the user's own limits


def test_two_samples_are_overlaid_with_their_difference(make_spectrum):
    first, second = make_spectrum(), make_spectrum(height=1.5)
    figure = spectra.overlay_figure({"LMR_RT": first, "LMR_100C": second}, "Co_PFY")
    above, below = figure.axes
    assert [text.get_text() for text in above.get_legend().get_texts()] == [
        "LMR_RT",
        "LMR_100C",
    ]
    assert above.lines[0].get_color() != above.lines[1].get_color()
    expected = (second["intensity"] - first["intensity"]).values
    assert curve(below)[1] == pytest.approx(expected, nan_ok=True)
    errors = np.hypot(first["intensity_errors"], second["intensity_errors"]).values
    assert np.ptp(bars(below)[:, :, 1], axis=1) == pytest.approx(
        2 * errors[np.isfinite(errors)]
    )
    assert below.get_title(loc="left") == "LMR_100C − LMR_RT"
    assert below.get_ylabel() == "difference (counts/s)"
    assert below.get_xlim() == above.get_xlim()


def test_no_difference_of_three_samples_or_of_different_energies(make_spectrum):
    spectrum = make_spectrum()
    assert len(spectra.overlay_figure(dict.fromkeys("abc", spectrum), "PFY").axes) == 1
    shifted = spectrum.assign_coords(incident_energy=spectrum["incident_energy"] + 0.1)
    assert len(spectra.overlay_figure({"a": spectrum, "b": shifted}, "PFY").axes) == 1
    shorter = make_spectrum(np.linspace(770, 805, 60))
    assert len(spectra.overlay_figure({"a": spectrum, "b": shorter}, "PFY").axes) == 1


def test_only_the_bars_in_the_window_are_made(make_spectrum):
    region = json.dumps({"kind": "xes", "incident": [780, 781]})
    dataset = make_spectrum(
        np.arange(200.25, 1100, 0.5), "emission_energy", masked=(), region=region
    )
    _, axes = spectra.spectrum_figure(dataset, "XES").axes
    shown = (dataset["emission_energy"].values >= 720) & (
        dataset["emission_energy"].values <= 791
    )
    assert bars(axes)[:, 0, 0] == pytest.approx(
        dataset["emission_energy"].values[shown]
    )


@pytest.mark.parametrize("height", [1e-7, 0.013, 430.0, 2.7e4])
def test_no_label_leaves_the_figure_whatever_the_size_of_the_numbers(
    make_spectrum, inside, height
):
    dataset = make_spectrum()
    above = dataset.assign(
        {
            name: dataset[name] * height
            for name in dataset
            if name.startswith("intensity")
        }
    )
    below = above.assign(intensity=-above["intensity"])
    inside(spectra.spectrum_figure(below, "PFY"))
    inside(spectra.overlay_figure({"a": above, "b": below}, "PFY"))
    inside(
        spectra.overview_figure({"a": above, "b": below, "c": below, "d": below}, "all")
    )


@pytest.mark.parametrize("number", [0, 1, 4])
def test_an_overview_has_a_panel_a_region(make_spectrum, number, tmp_path):
    names = [f"Co_{i}" for i in range(number)]
    figure = spectra.overview_figure(
        {name: make_spectrum() for name in names}, "LMR_RT, Co_L"
    )
    assert [axes.get_title(loc="left") for axes in figure.axes] == names
    assert style.encode_figure(figure, "png")


def test_spectra_of_one_point_and_without_any_value_are_drawn(make_spectrum):
    single_point = make_spectrum(np.array([780.0]), masked=())
    no_values = make_spectrum(np.array([780.0, 781.0]), masked=(0, 1))
    for dataset in (single_point, no_values):
        figure = spectra.spectrum_figure(dataset, "PFY")
        assert style.encode_figure(figure, "png")
    empty = make_spectrum(
        np.arange(200.0, 210.0),
        "emission_energy",
        height=0.0,
        region='{"incident": [780, 781]}',
    )
    assert style.encode_figure(spectra.spectrum_figure(empty, "XES"), "png")


REASON = "no significant O K edge: emission at 515 to 530 eV rises by 0 ± 1 counts/s"


def test_a_spectrum_without_an_edge_says_so(make_spectrum, inside):
    spectrum = make_spectrum().assign_attrs(no_edge=REASON)
    figure = spectra.spectrum_figure(spectrum, "O_PFY")
    (text,) = figure.axes[0].get_legend().get_texts()
    assert text.get_text() == REASON
    inside(figure)
    overview = spectra.overview_figure({"O_PFY": spectrum}, "LMR, O K edge")
    title = overview.axes[0].get_title(loc="left")
    assert title == "O_PFY: no significant edge"


def test_readings_of_logs_have_no_bars(make_spectrum):
    spectrum = make_spectrum()
    assert (
        spectra.overlay_figure({"a": spectrum}, "PFY")
        .axes[0]
        .get_title(loc="left")
        .startswith("bars: one standard deviation")
    )
    reading = spectrum.assign_attrs(kind="reading")
    axes = spectra.overlay_figure({"a": reading, "b": reading}, "TEY").axes[0]
    assert axes.get_title(loc="left") == "the log has no errors of readings"


def test_an_overlay_leaves_out_what_is_not_normalised(make_spectrum, inside):
    without = make_spectrum().assign_attrs(not_normalised=REASON, no_edge=REASON)
    channels = {"TEY": make_spectrum(), "PFY": without}
    figure = spectra.overlay_figure(channels, "absorption")
    texts = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert texts == ["TEY", f"PFY not normalised: {REASON}"]
    assert len(figure.axes) == 1  # no difference
    inside(figure)
    figure = spectra.overlay_figure({"PFY": without}, "absorption")
    assert not figure.axes
    assert figure.texts[-1].get_text() == f"PFY not normalised: {REASON}"
    inside(figure)
