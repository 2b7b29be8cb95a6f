import numpy as np
import pytest
import xarray as xr

from rixs_pipeline.plots.spectra import cuts_figure
from rixs_pipeline.plots.spectrum_data import Limits
from rixs_pipeline.plots.waterfall import SHIFT, waterfall_figure


def spectrum(dim: str, energy, height: float) -> xr.Dataset:
    values = height * np.exp(-0.5 * ((energy - energy.mean()) / 3) ** 2)
    arrays = {
        "intensity": values,
        "intensity_errors": values / 10,
        "counts": values,
        "exposure": values + 1,
    }
    dataset = xr.Dataset(
        {n: ((dim,), v, {"units": "counts/(s eV)"}) for n, v in arrays.items()},
        {dim: energy},
    )
    return dataset.assign_attrs(region='{"kind": "xes", "cuts": [780.0]}')


@pytest.mark.parametrize(
    ("dim", "label", "window"),
    [
        ("emission_energy", "emission energy (eV)", (720, 790)),
        ("energy_loss", "energy loss (eV)", (-10, 60)),
    ],
)
def test_cuts_are_stacked_with_their_energies(dim, label, window):
    energy = np.arange(700, 860, 0.5) - (0 if dim == "emission_energy" else 750)
    figure = cuts_figure(
        {
            "780 eV": spectrum(dim, energy, 2.0),
            "781–783 eV": spectrum(dim, energy, 4.0),
        },
        "cuts",
    )
    (axes,) = figure.axes
    assert axes.get_xlabel() == label
    assert axes.get_xlim()[0] >= window[0]
    assert axes.get_xlim()[1] <= window[1]
    assert [text.get_text() for text in axes.texts] == ["780 eV", "781–783 eV"]
    curves = [line for line in axes.lines if len(line.get_xdata()) > 2]
    peak = max(4.0 * np.exp(-0.5 * ((energy - energy.mean()) / 3) ** 2))
    assert curves[0].get_ydata().max() == pytest.approx(2.0, rel=0.1)
    assert curves[1].get_ydata().max() == pytest.approx(peak * (1 + SHIFT))


def test_names_of_cuts_stand_clear_of_the_curves():
    energy = np.arange(700, 800, 0.5)
    high = spectrum("emission_energy", energy, 2.0) + 0.5  # also where names stand
    cuts = {"780 eV": high, "782 eV": high}
    figure = waterfall_figure(cuts, "cuts", Limits(720, 790))
    figure.canvas.draw()
    (axes,) = figure.axes
    curves = [line for line in axes.lines if len(line.get_xdata()) > 2]
    for text, curve in zip(axes.texts, curves, strict=True):
        box = text.get_window_extent()
        places = axes.transData.transform(np.column_stack(curve.get_data()))
        beside = (places[:, 0] > box.x0) & (places[:, 0] < box.x1)
        assert beside.any()
        assert places[beside, 1].max() < box.y0
