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


def test_readings_of_the_log_say_what_they_are():
    assert labels.spectrum_label("log_tey") == "TEY of the log, over I0"
    assert labels.spectrum_label("O_sPFY") == "O_sPFY"
