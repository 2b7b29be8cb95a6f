import csv
import json
import logging
import re
from pathlib import Path

import h5py
import numpy as np
import pytest

from rixs_pipeline.errors import InputError, UsageError
from rixs_pipeline.io.export import (
    Spectrum,
    XdiEdge,
    export,
    write_athena,
    write_csv,
    write_xdi,
    xdi_edge,
)

NAN = float("nan")


def spectrum(**changes: object) -> Spectrum:
    fields = {
        "axis": "incident_energy",
        "energy": np.array([770.0, 770.1, 770.2, 770.3]),
        "columns": {
            "intensity": np.array([1 / 3, 2.5, NAN, 0.125]),
            "intensity_errors": np.array([0.1, 0.2, NAN, 0.3]),
            "counts": np.array([3.0, 25, 0, 1]),
        },
        "units": {
            "intensity": "counts/s",
            "intensity_errors": "counts/s",
            "counts": "counts",
        },
        "metadata": {
            "sample": "LMR\nRT",
            "edge": "Co_L",
            "region": "Co_PFY",
            "program_version": "0.1.0+abc",
            "mono": "1000 l/mm",
            "time": "2020-02-19T22:31:44",
        },
    }
    return Spectrum(**(fields | changes))  # type: ignore[arg-type]


def read_xdi(path: Path) -> tuple[dict[str, str], list[str], np.ndarray]:
    """Fields, column labels and numbers, by the grammar of XDI 1.0."""
    lines = path.read_text(encoding="utf-8").splitlines()
    assert re.match(r"# XDI/1\.0( \S+)*$", lines[0])
    header = [line for line in lines if line.startswith("#")]
    assert lines[: len(header)] == header
    end = next(n for n, line in enumerate(header) if re.fullmatch(r"#\s*///+", line))
    assert re.fullmatch(r"#\s*---+", header[end + 1])
    fields = {}
    for line in header[1:end]:
        name, value = re.fullmatch(r"# ([A-Za-z][\w-]*\.[\w-]+): (.*)", line).groups()
        fields[name] = value
    labels = header[end + 2].removeprefix("#").split()
    assert end + 3 == len(header)
    return (
        fields,
        labels,
        np.array(
            [[float(word) for word in line.split()] for line in lines[len(header) :]]
        ),
    )


def test_xdi_has_the_fields_of_the_specification(tmp_path: Path) -> None:
    write_xdi(tmp_path / "a.xdi", spectrum())
    fields, labels, numbers = read_xdi(tmp_path / "a.xdi")
    assert (fields["Element.symbol"], fields["Element.edge"]) == ("Co", "L3")
    assert fields["Column.1"] == "energy eV"
    assert fields["Column.2"] == "mufluor counts/s"
    assert labels == ["energy", "mufluor", "intensity_errors", "counts"]
    assert [fields[f"Column.{n}"].split()[0] for n in (1, 2, 3, 4)] == labels
    assert fields["Scan.start_time"] == "2020-02-19T22:31:44"
    assert fields["Sample.name"] == "LMR RT"
    assert fields["Mono.name"] == "1000 l/mm"
    assert fields["rixs_pipeline.region"] == "Co_PFY"
    # the point without a number is gone, the others are as they were
    np.testing.assert_allclose(numbers[:, 0], [770.0, 770.1, 770.3], rtol=1e-9)
    np.testing.assert_allclose(numbers[:, 1], [1 / 3, 2.5, 0.125], rtol=1e-9)


def test_xdi_omits_empty_columns_and_invalid_times(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    columns = {"intensity": np.ones(4), "intensity_errors": np.full(4, NAN)}
    metadata = {"sample": "s", "edge": "O_K", "time": "yesterday"}
    with caplog.at_level(logging.WARNING):
        write_xdi(tmp_path / "a.xdi", spectrum(columns=columns, metadata=metadata))
    fields, labels, numbers = read_xdi(tmp_path / "a.xdi")
    assert labels == ["energy", "mufluor"]
    assert numbers.shape == (4, 2)
    assert fields["Element.edge"] == "K"
    assert "Scan.start_time" not in fields
    assert "'yesterday' is not an ISO 8601 time" in caplog.text


def test_emission_spectrum_is_not_labelled_as_absorption(tmp_path: Path) -> None:
    write_xdi(tmp_path / "a.xdi", spectrum(axis="emission_energy"))
    fields, labels, _ = read_xdi(tmp_path / "a.xdi")
    assert labels[1] == "intensity"
    assert fields["rixs_pipeline.axis"] == "emission_energy"


def test_athena_reads_energy_and_mu_under_a_commented_header(tmp_path: Path) -> None:
    write_athena(tmp_path / "a.dat", spectrum())
    numbers = np.loadtxt(tmp_path / "a.dat")  # what is no comment must be numbers
    assert numbers.shape == (3, 4)
    header = [
        line
        for line in (tmp_path / "a.dat").read_text().splitlines()
        if line.startswith("#")
    ]
    assert header[-1].split()[1:3] == ["energy", "mu"]
    assert "# sample: LMR RT" in header


def test_csv_keeps_every_digit_and_every_point(tmp_path: Path) -> None:
    written = spectrum()
    write_csv(tmp_path / "a.csv", written)
    with (tmp_path / "a.csv").open(newline="") as file:
        head, *rows = list(csv.reader(file))
    assert head == [
        "incident_energy [eV]",
        "intensity [counts/s]",
        "intensity_errors [counts/s]",
        "counts [counts]",
    ]
    np.testing.assert_array_equal(
        np.array(rows, dtype=float)[:, 1], written.columns["intensity"]
    )
    np.testing.assert_array_equal(np.array(rows, dtype=float)[:, 0], written.energy)


@pytest.mark.parametrize("write", [write_xdi, write_athena])
def test_a_spectrum_without_numbers_is_refused_and_leaves_no_file(
    write: object, tmp_path: Path
) -> None:
    empty = spectrum(columns={"intensity": np.full(4, NAN)})
    with pytest.raises(InputError, match="no intensity at any point"):
        write(tmp_path / "a", empty)  # type: ignore[operator]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("edge", "expected"),
    [("Co_L", ("Co", "L3")), ("O_K", ("O", "K")), ("Ti_L", ("Ti", "L3"))],
)
def test_edges_are_named_as_xdi_names_them(
    edge: str, expected: tuple[str, str]
) -> None:
    assert xdi_edge(edge) == XdiEdge(*expected)


def test_invalid_edges_are_errors() -> None:
    with pytest.raises(
        InputError, match=r"a\.xdi: 'unknown' is not an edge such as O_K or Co_L"
    ):
        xdi_edge("unknown", Path("a.xdi"))


# ---- a whole output folder


def write_spectra(
    out: Path, name: str = "LMR_RT-Co_L", sample: bytes = b"LMR RT"
) -> Path:
    path = out / "spectra" / f"{name}.nxs"
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for region, axis, intensity in (
            ("Co_PFY", "incident_energy", [1.0, 2.0, NAN]),
            ("XES", "emission_energy", [3.0, 4.0, 5.0]),
            ("dark", "incident_energy", [NAN, NAN, NAN]),
        ):
            entry = file.create_group(region)
            entry.attrs["NX_class"] = np.bytes_("NXentry")
            entry.attrs["sample"] = np.bytes_(sample)
            entry.attrs["edge"] = np.bytes_("Co_L")
            entry.attrs["region"] = np.bytes_(json.dumps({"kind": "pfy"}))
            entry.attrs["command"] = np.bytes_("rixs-pipeline run /secret")
            data = entry.create_group("data")
            data[axis] = [770.0, 771.0, 772.0]
            for column in ("intensity", "intensity_errors", "counts", "exposure"):
                data[column] = intensity
                data[column].attrs["units"] = np.bytes_("counts/s")
    return path


def test_every_region_becomes_a_file_of_every_format(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = write_spectra(tmp_path)
    with caplog.at_level(logging.WARNING):
        written = export(tmp_path, ["xdi", "athena", "csv", "nexus"])
    names = [path.relative_to(tmp_path / "export").as_posix() for path in written]
    assert names == [
        "xdi/LMR_RT-Co_L-Co_PFY.xdi",
        "athena/LMR_RT-Co_L-Co_PFY.dat",
        "athena/LMR_RT-Co_L-XES.dat",
        "csv/LMR_RT-Co_L-Co_PFY.csv",
        "csv/LMR_RT-Co_L-XES.csv",
        "csv/LMR_RT-Co_L-dark.csv",
        "nexus/LMR_RT-Co_L.nxs",
    ]
    assert caplog.text.count(": dark has no intensity") == 2
    assert sorted(written) == sorted(
        path for path in (tmp_path / "export").rglob("*") if path.is_file()
    )
    assert (
        tmp_path / "export" / "nexus" / "LMR_RT-Co_L.nxs"
    ).read_bytes() == source.read_bytes()
    fields, _, numbers = read_xdi(written[0])
    assert fields["Sample.name"] == "LMR RT"
    assert json.loads(fields["rixs_pipeline.definition"]) == {"kind": "pfy"}
    assert "secret" not in written[0].read_text()
    np.testing.assert_array_equal(numbers[:, 1], [1, 2])


def test_a_second_export_replaces_the_first(tmp_path: Path) -> None:
    write_spectra(tmp_path)
    first = export(tmp_path, ["xdi"])
    first[0].write_text("old")
    assert export(tmp_path, ["xdi"]) == first
    assert first[0].read_text().startswith("# XDI/1.0")


def test_data_that_cannot_be_exported_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no spectra"):
        export(tmp_path, ["xdi"])
    source = write_spectra(tmp_path)
    with pytest.raises(
        UsageError,
        match="unknown export format 'xls'; choose from xdi, athena, csv, nexus",
    ):
        export(tmp_path, ["xdi", "xls"])
    with pytest.raises(UsageError):
        export(tmp_path, [])
    with h5py.File(source, "a") as file:
        del file["XES"].attrs["sample"]
    with pytest.raises(InputError, match="entry XES has no attribute sample"):
        export(tmp_path, ["xdi"])
    source.write_bytes(b"no hdf5")
    with pytest.raises(
        InputError, match=r"LMR_RT-Co_L\.nxs: cannot be read as spectra"
    ) as caught:
        export(tmp_path, ["xdi"])
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "export").exists() or not list(
        (tmp_path / "export").rglob("*.xdi")
    )


def test_products_of_the_pipeline_can_be_exported(tmp_path: Path) -> None:
    from rixs_pipeline.io.nexus import write_product
    from rixs_pipeline.schema import labelled
    from rixs_pipeline.schema import spectrum as spectrum_schema

    axis = ("incident_energy",)
    values = {
        name: (axis, np.array([1.0, 2.0]))
        for name in (
            "incident_energy",
            "intensity",
            "intensity_errors",
            "counts",
            "exposure",
        )
    }
    dataset = labelled(values, spectrum_schema("incident_energy"))
    dataset.attrs = {
        "sample": "s",
        "edge": "O_K",
        "region": json.dumps({"kind": "tfy"}),
    }
    write_product(
        tmp_path / "spectra" / "s-O_K.nxs",
        {"O_TFY": dataset},
        {"program_version": "0.1.0+x", "input_hashes": "{}", "config_hash": "ab"},
        "intensity",
    )
    (written,) = export(tmp_path, ["xdi"])
    fields, labels, numbers = read_xdi(written)
    assert written.name == "s-O_K-O_TFY.xdi"
    assert fields["rixs_pipeline.config_hash"] == "ab"
    assert labels == ["energy", "mufluor", "intensity_errors", "counts", "exposure"]
    assert numbers.shape == (2, 5)
