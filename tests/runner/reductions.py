"""The products of the small beamtime, and what a run of the pipeline makes of them."""

import json

import numpy as np

CALIBRATIONS = {"calibration/cal0000.nxs", "calibration/cal0005.nxs"}


SCANS = {f"scans/scan{n:04d}.nxs" for n in (1, 2, 3, 4)}


MAPS = {"maps/LMR_RT-Co_L.nxs", "maps/LMR_100C-Co_L.nxs"}


SPECTRA = {"spectra/LMR_RT-Co_L.nxs", "spectra/LMR_100C-Co_L.nxs"}


LINES = ("C_Ka", "N_Ka", "O_Ka", "Fe_La", "Ni_La", "Cu_La")


REFERENCES = {"calibration/references.csv"}


ALL = CALIBRATIONS | REFERENCES | SCANS | MAPS | SPECTRA


def times(out):
    return {
        str(p.relative_to(out)): p.stat().st_mtime_ns
        for p in out.rglob("*")
        if p.suffix in (".nxs", ".csv")
    }


def made(small, config=None, **options):
    """Reduce, and return the files that were written, as run.json lists them."""
    before = times(small.out)
    summary = small.run(config, **options)
    assert summary.failed == {}
    after = times(small.out)
    assert set(summary.executed) == {
        name for name in after if after[name] != before.get(name)
    }
    assert (
        json.loads((small.out / "run.json").read_text())["executed"] == summary.executed
    )
    return set(summary.executed)


def tree(folder):
    return {
        str(p.relative_to(folder)): (
            p.stat().st_mtime_ns,
            p.read_bytes() if p.is_file() else b"",
        )
        for p in folder.rglob("*")
    }


def assert_equal(dataset, expected):
    """Counts to the last one, other numbers to 1e-12, texts word for word."""
    attributes, expected_attributes = (
        {key: repr(value) for key, value in product.attrs.items() if key != "command"}
        for product in (dataset, expected)
    )
    assert attributes == expected_attributes  # as text: NaN is not equal to itself
    for name, variable in expected.variables.items():
        values = dataset[name].values
        assert values.dtype == variable.dtype
        if variable.dtype.kind == "f":
            np.testing.assert_allclose(values, variable.values, rtol=1e-12)
        else:
            assert values.tolist() == variable.values.tolist()


def executed(summary):
    assert summary.failed == {}
    return set(summary.executed)


def products_of(sample, scan):
    """Return the map of a scan and the products of its sample that include it."""
    return {
        f"scans/scan{scan:04d}.nxs",
        f"maps/{sample}-Co_L.nxs",
        f"spectra/{sample}-Co_L.nxs",
    }
