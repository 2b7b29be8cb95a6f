import json

import h5py
import numpy as np
import pytest
import xarray as xr

from rixs_pipeline.io import nexus
from rixs_pipeline.io.nexus_groups import entry_groups, is_pfy

EXPERIMENT = {
    "facility": "SSRL",
    "beamline": "10-1",
    "monochromator": "SGM",
    "proposal": "5678",
    "beamtime": "12",
    "users": ["A. Person", "B. Person"],
    "doi": "10.1/x",
    "licence": "CC-BY-4.0",
}
MEASURED = {
    "sample": "LMR",
    "edge": "Co_L",
    "start_time": "2026-01-01T10:00:00+00:00",
    "end_time": "2026-01-01T11:00:00+00:00",
    "experiment": EXPERIMENT,
}
PFY = MEASURED | {
    "emission_window": "[762.0, 800.0]",
    "emission_lines": '["Co_La", "Co_Lb"]',
}


def spectrum(**attributes):
    values = np.array([1.0, 2.0, np.nan])
    return xr.Dataset(
        {
            "incident_energy": ("incident_energy", [770.0, 771.0, 772.0]),
            "intensity": ("incident_energy", values, {"units": "counts/s"}),
            "intensity_errors": ("incident_energy", values / 10),
        },
        attrs=attributes,
    )


@pytest.fixture
def entry(tmp_path):
    dataset = spectrum(**MEASURED)
    nexus.write_product(tmp_path / "a.nxs", {"Co_PFY": dataset}, {}, "intensity")
    with h5py.File(tmp_path / "a.nxs") as file:
        yield file["Co_PFY"]


def text(dataset):
    return dataset.asstr()[()]


def test_fields_of_the_entry(entry):
    assert {
        name: text(stored)
        for name, stored in entry.items()
        if isinstance(stored, h5py.Dataset)
    } == {
        "title": "LMR Co_L Co_PFY",
        "start_time": "2026-01-01T10:00:00+00:00",
        "end_time": "2026-01-01T11:00:00+00:00",
        "experiment_identifier": "5678",
        "collection_identifier": "12",
        "experiment_facility": "SSRL",
    }
    assert json.loads(entry.attrs["experiment"]) == EXPERIMENT


def test_groups_of_the_entry(entry):
    classes = {}
    entry.visititems(
        lambda name, node: (
            classes.update({name: node.attrs["NX_class"]})
            if isinstance(node, h5py.Group)
            else None
        )
    )
    assert classes == {
        "data": "NXdata",
        "sample": "NXsample",
        "user_1": "NXuser",
        "user_2": "NXuser",
        "notes": "NXnote",
        "instrument": "NXinstrument",
        "instrument/source": "NXsource",
        "instrument/monochromator": "NXmonochromator",
        "instrument/detector": "NXdetector",
    }
    assert text(entry["sample/name"]) == "LMR"
    assert text(entry["user_2/name"]) == "B. Person"
    assert text(entry["instrument/name"]) == "10-1"
    assert text(entry["instrument/source/name"]) == "SSRL"
    assert text(entry["notes/description"]) == "doi: 10.1/x; licence: CC-BY-4.0"
    energy = entry["instrument/monochromator/energy"]
    assert energy[:].tolist() == [770, 771, 772] and energy.attrs["units"] == "eV"


def test_what_is_not_known_is_left_out():
    group = entry_groups("entry", xr.Dataset(), {"run": "cal0000", "sample": "ref"})
    assert group.fields == {"title": "cal0000 ref"}
    assert group.groups.keys() == {"sample", "instrument"}
    assert group.groups["instrument"].fields == {}
    assert group.groups["instrument"].groups["monochromator"].fields == {}


def test_energy_of_a_parked_monochromator():
    attributes = {"run": "cal0000", "parked_energy": 980.0}
    instrument = entry_groups("entry", xr.Dataset(), attributes).groups["instrument"]
    assert instrument.groups["monochromator"].fields["energy"] == ("", 980.0, "eV")


def test_samples_of_a_comparison():
    dataset = xr.Dataset({"sample": ("sample", ["a", "b"])})
    group = entry_groups("Co_PFY", dataset, {"edge": "Co_L"})
    assert group.fields["title"] == "a b Co_L Co_PFY"
    names = [group.groups[f"sample_{k}"].fields["name"] for k in (1, 2)]
    assert names == ["a", "b"]


def test_labels_have_units_for_viewers_alone(tmp_path):
    dataset = spectrum()
    dataset["intensity"].attrs["long_name"] = "intensity"
    dataset["incident_energy"].attrs = {"units": "eV", "long_name": "incident energy"}
    nexus.write_product(tmp_path / "a.nxs", {"A": dataset}, {}, "intensity")
    with h5py.File(tmp_path / "a.nxs") as file:
        labels = [
            file["A/data"][name].attrs["long_name"]
            for name in ("intensity", "incident_energy")
        ]
    assert labels == ["intensity (counts/s)", "incident energy (eV)"]
    with h5py.File(tmp_path / "a.nxs", "r+") as file:
        file["A"].attrs["schema_version"] = 1
    read_back = nexus.read_entry(tmp_path / "a.nxs", "A")
    for name in ("intensity", "incident_energy"):
        assert read_back[name].attrs == dataset[name].attrs


def test_a_pfy_of_another_element_has_no_definition():
    assert is_pfy(PFY)
    assert not is_pfy(MEASURED)
    assert not is_pfy(PFY | {"emission_lines": "[]"})


@pytest.mark.parametrize("beamtime", ["12", "simulated"])
def test_nxxas_pfy(tmp_path, beamtime):
    experiment = json.dumps(EXPERIMENT | {"beamtime": beamtime})
    dataset = spectrum(**PFY | {"experiment": experiment})
    nexus.write_pfy(tmp_path / "a.nxs", "Co_PFY", dataset)
    with h5py.File(tmp_path / "a.nxs") as file:
        entry = file["entry"]
        assert text(entry["definition"]) == "NXxas_pfy"
        assert bool(entry["is_experimental"][()]) is (beamtime == "12")
        assert text(entry["element/name"]) == "cobalt"
        assert text(entry["edge/name"]) == "L2,3"
        assert text(entry["La1_emission_line/name"]) == "La1"
        assert entry["emission_energy_window"][:].tolist() == [762, 800]
        for group in (entry, entry["data"]):
            np.testing.assert_array_equal(group["intensity"], [1, 2, np.nan])
            assert group["energy"].attrs["units"] == "eV"
        assert entry["data"].attrs["signal"] == "intensity"
