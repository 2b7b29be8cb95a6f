from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rixs_pipeline import paths

OUT = Path("out")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("LMR_RT", "LMR_RT"),
        ("LMR charged (4.5 V)", "LMR_charged_4.5_V"),
        ("../../etc/passwd", "etc_passwd"),
        (".hidden", "hidden"),
        ("Li+", "Li+"),
        ("µ-LMR", "µ-LMR"),
        ("", "unnamed"),
        ("...", "unnamed"),
        ("/", "unnamed"),
    ],
)
def test_names_of_samples_in_file_names(text, name):
    assert paths.safe_name(text) == name


@given(st.text())
def test_any_name_is_safe_in_a_path(text):
    name = paths.safe_name(text)
    assert name and "/" not in name and "\0" not in name
    assert not name.startswith(".")
    assert paths.safe_name(name) == name


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (paths.calibration_product(OUT, "cal0000"), "calibration/cal0000.nxs"),
        (paths.references_table(OUT), "calibration/references.csv"),
        (paths.scan_product(OUT, "scan0001"), "scans/scan0001.nxs"),
        (paths.photon_list(OUT, "scan0001"), "photons/scan0001.h5"),
        (paths.map_product(OUT, "L M", "Co_L"), "maps/L_M-Co_L.nxs"),
        (paths.spectra_product(OUT, "L M", "Co_L"), "spectra/L_M-Co_L.nxs"),
        (paths.xas_product(OUT, "L M", "Co_L"), "xas/L_M-Co_L.nxs"),
        (paths.comparison_product(OUT, "a/b", "O_K"), "comparisons/a_b-O_K.nxs"),
        (
            paths.figure(OUT, paths.FigureFolder.MAPS, "L M", "Co_L", "map"),
            "figures/maps/L_M-Co_L-map",
        ),
        (
            paths.pixel_figure(OUT, "cal0000", 7),
            "figures/reference_runs/cal0000-pixel007",
        ),
        (paths.export_folder(OUT, "xdi"), "export/xdi"),
    ],
)
def test_where_products_are(path, expected):
    assert path.relative_to(OUT).as_posix() == expected


@pytest.mark.parametrize("pattern", [paths.OFF_FILE, paths.LJH_FILE])
def test_names_of_pulse_files(pattern):
    suffix = "off" if pattern is paths.OFF_FILE else "ljh"
    match = pattern.fullmatch(f"20260101_run0000_chan13.{suffix}")
    assert match and match["pixel"] == "13"
    assert match["prefix"] == "20260101_run0000"
    for name in (f"chan1.{suffix}", f"x_chan.{suffix}", f"x_chan1.{suffix}.bak"):
        assert pattern.fullmatch(name) is None


def test_the_reference_sets_are_there():
    for name in ("srd128", "elam", "ucal"):
        assert paths.reference_set(name).is_file()
    assert not paths.reference_set("nosuch").exists()
