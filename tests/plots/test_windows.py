import json

import numpy as np

from rixs_pipeline.plots import spectra
from rixs_pipeline.plots.windows import spectrum_windows


def test_windows_of_a_spectrum_are_those_of_its_features_and_scale(make_spectrum):
    region = {"features": {"L3": [778, 784]}, "scale": "edge"}
    spectrum = make_spectrum(region=json.dumps(region))
    ends = {"pre_edge": {"low": 760, "high": 775}, "post_edge": [800, 805]}
    spectrum.attrs["scale_windows"] = json.dumps(ends)
    windows = {"L3": (778, 784), "pre-edge": (760, 775), "post-edge": (800, 805)}
    assert spectrum_windows(spectrum) == windows
    spectrum.attrs["region"] = '{"scale": [795, 800]}'
    assert spectrum_windows(spectrum)["divided by the mean over"] == (795, 800)
    spectrum.attrs["not_normalised"] = "no significant edge"
    assert "divided by the mean over" not in spectrum_windows(spectrum)


def test_a_feature_is_shaded_and_named_above_the_spectrum(make_spectrum, inside):
    region = json.dumps({"features": {"L3": [778, 784], "L2": [792, 797]}})
    figure = spectra.spectrum_figure(make_spectrum(region=region), "Co_PFY")
    (axes,) = figure.axes
    shaded = [(patch.get_x(), patch.get_width()) for patch in axes.patches]
    assert shaded == [(778, 6), (792, 5)]
    texts = [text.get_text() for text in axes.get_legend().get_texts()]
    assert texts == ["L3: 778 to 784 eV", "L2: 792 to 797 eV"]
    legend = axes.get_legend().get_window_extent(figure.canvas.get_renderer())
    points = axes.transData.transform(np.column_stack(axes.lines[0].get_data()))
    assert not any(legend.contains(*point) for point in points)
    inside(figure)
