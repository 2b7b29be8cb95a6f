import json

import numpy as np
import pytest

from rixs_pipeline import schema
from rixs_pipeline.plots.comparison import comparison_figure


def compared(energy, dim="incident_energy"):
    """Two samples compared with a first one; the energies are in descending order."""
    descending = energy[::-1]
    intensity = np.stack([descending, 2 * descending, 3 * descending])
    difference = intensity[1:] - intensity[0]
    samples = ("sample", dim)
    pairs = ("compared", dim)
    numbers = np.array([1.0, 2.0])
    values = {
        dim: ((dim,), descending),
        "sample": (("sample",), np.array(["RT", "100C", "200C"], object)),
        "compared": (("compared",), np.array(["100C", "200C"], object)),
        "intensity": (samples, intensity),
        "intensity_errors": (samples, np.ones_like(intensity)),
        "difference": (pairs, difference),
        "difference_errors": (pairs, np.ones_like(difference)),
        "chi_square": (("compared",), 10 * numbers),
        "degrees_of_freedom": (("compared",), np.array([12, 12])),
        "p": (("compared",), numbers / 4),
    }
    return schema.labelled(values, schema.comparison(dim))


def legend(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_spectra_and_differences_have_the_results_of_the_tests(inside):
    energy = np.linspace(770.0, 800.0, 31)
    figure = comparison_figure(compared(energy), "heating-Co_L: Co_PFY")
    assert figure.get_suptitle() == "heating-Co_L: Co_PFY"
    above, below = figure.axes
    assert legend(above) == ["RT", "100C", "200C"]
    assert legend(below) == [
        "100C: χ² 10.0 / 12, p = 0.25",
        "200C: χ² 20.0 / 12, p = 0.5",
    ]
    assert [line.get_color() for line in above.lines[1:3]] == [
        line.get_color() for line in below.lines[:2]
    ]
    assert np.array_equal(above.lines[1].get_data(), (energy, 2 * energy))
    assert np.array_equal(below.lines[1].get_data(), (energy, 2 * energy))
    assert below.get_xlim() == (770, 800)
    inside(figure)


@pytest.mark.parametrize(
    ("kind", "quantity"), [("pfy", "intensity"), ("ipfy", "inverse PFY")]
)
def test_an_inverse_yield_is_no_intensity(kind, quantity):
    dataset = compared(np.linspace(770.0, 800.0, 31))
    dataset.attrs["region"] = json.dumps({"kind": kind})
    dataset["intensity"].attrs["units"] = "1"
    above = comparison_figure(dataset, "comparison").axes[0]
    assert above.get_ylabel() == f"{quantity} / common factor (1)"


def test_the_ratio_of_a_feature_is_named():
    dataset = compared(np.linspace(770.0, 800.0, 31))
    ratios = {"ratio": [1.5, 2.0], "ratio_lower": [1.4, 1.8], "ratio_upper": [1.6, 2.2]}
    dataset = dataset.assign({name: ("compared", r) for name, r in ratios.items()})
    below = comparison_figure(dataset, "comparison").axes[1]
    assert legend(below)[0].endswith("feature × 1.50 (1.40 to 1.60)")


def test_the_windows_of_the_compared_feature_are_shaded(inside):
    feature = {"region": "O_sPFY", "window": [780, 782], "baseline": [790, 799]}
    dataset = compared(np.linspace(770.0, 800.0, 31))
    dataset.attrs["comparison"] = json.dumps({"feature": feature})
    assert not comparison_figure(dataset, "comparison").axes[0].patches
    dataset = dataset.assign(amplitude=("sample", [1.0, 2.0, 3.0]))
    figure = comparison_figure(dataset, "comparison")
    for axes in figure.axes:
        ends = [(patch.get_x(), patch.get_width()) for patch in axes.patches]
        assert ends == [(780, 2), (790, 9)]
        assert axes.get_xlim() == (770, 800)
    windows = ["feature: 780 to 782 eV", "baseline: 790 to 799 eV"]
    assert legend(figure.axes[0])[-2:] == windows
    assert figure.axes[0].get_title(loc="left") == "bars: one standard deviation"
    inside(figure)


def test_a_long_emission_spectrum_is_shown_where_it_has_counts():
    energy = np.arange(200.25, 1100, 0.5)
    dataset = compared(energy, "emission_energy")
    in_line = (dataset["emission_energy"] > 700) & (dataset["emission_energy"] < 710)
    dataset["intensity"] = dataset["intensity"].where(in_line, 0.0)
    figure = comparison_figure(dataset, "comparison")
    assert figure.axes[1].get_xlim() == pytest.approx((685.0, 725.0))
    assert figure.axes[0].lines[0].get_xdata()[:3].tolist() == [200, 200.5, 200.5]


def test_a_sample_without_an_edge_is_named():
    dataset = compared(np.linspace(770.0, 800.0, 31))
    dataset.attrs["no_edge"] = '["100C"]'
    above = comparison_figure(dataset, "comparison").axes[0]
    assert legend(above) == ["RT", "100C (no significant edge)", "200C"]
