from itertools import pairwise

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from rixs_pipeline.plots import labels


@pytest.mark.parametrize(
    ("name", "label"),
    [("O_Ka", "O Kα"), ("Ni_La", "Ni Lα"), ("Mn_Lb", "Mn Lβ"), ("elastic", "elastic")],
)
def test_line_labels(name, label):
    assert labels.line_label(name) == label


def test_edges_and_axes_are_written_as_spectroscopists_do():
    assert labels.edge_label("Ni_L") == "Ni L edge"
    assert labels.axis_label("energy_loss") == "energy loss (eV)"


def test_a_quantity_has_its_unit_unless_it_has_none():
    energy = xr.DataArray([1.0], attrs={"long_name": "energy", "units": "eV"})
    assert labels.quantity_label(energy) == "energy (eV)"
    assert labels.quantity_label(energy, "loss") == "loss (eV)"
    assert labels.quantity_label(xr.DataArray([1.0], name="counts")) == "counts"


def test_bytes_and_text_give_the_same_strings():
    as_bytes, as_text = np.array([b"ok", b"dead"]), np.array(["ok", "dead"], object)
    assert labels.decode_texts(as_bytes) == labels.decode_texts(as_text)


def test_a_long_list_of_channels_is_cut_short():
    assert labels.list_channels(np.array([3, 5])) == "channel 3, 5"
    listed = labels.list_channels(np.arange(labels.MAX_CHANNELS + 4))
    assert listed.endswith(f"{labels.MAX_CHANNELS - 1} and 4 more")


@settings(max_examples=50)
@given(st.lists(st.floats(0, 1), max_size=20), st.floats(0.001, 0.2))
def test_labels_are_spread_apart_and_never_moved_down(positions, distance):
    positions.sort()
    spread = labels.spread_positions(positions, distance)
    assert all(b - a >= distance - 1e-12 for a, b in pairwise(spread))
    assert all(new >= old for old, new in zip(positions, spread, strict=True))


@pytest.mark.parametrize(
    ("units", "name", "axis"),
    [
        ("tey/i0", "TEY (log file), divided by I0", "TEY / I0 (ratio of log readings)"),
        ("tey", "TEY (log file), no I0", "TEY (log reading)"),
    ],
)
def test_readings_of_the_log_say_what_they_are(make_spectrum, units, name, axis):
    spectrum = make_spectrum(region='{"kind": "reading", "channel": "tey"}')
    assert labels.spectrum_label("O_sPFY", spectrum) == "O_sPFY"
    spectrum.attrs["kind"] = "reading"
    spectrum["intensity"].attrs["units"] = units
    assert labels.spectrum_label("log_tey", spectrum) == name
    assert labels.intensity_label(spectrum) == axis


def test_the_intensity_axis_says_what_was_divided(make_spectrum):
    spectrum = make_spectrum(region='{"scale": [540, 548]}')
    unit = spectrum["intensity"].attrs["units"]
    assert labels.intensity_label(spectrum) == f"intensity ({unit})"
    spectrum.attrs |= {"kind": "ipfy", "scale_factor": 2.0}
    spectrum["intensity"].attrs["units"] = ""
    text = "inverse PFY, exposure / counts / mean (540–548 eV)"
    assert labels.intensity_label(spectrum) == text
    spectrum.attrs |= {"channel": "tey", "scale": "edge"}
    assert labels.intensity_label(spectrum) == "absorption / edge jump"
