"""Figures of single pixels on request: what is drawn, what a reduction does to them."""

import os
import shutil
from pathlib import Path

import h5py
import pytest

from rixs_pipeline import paths
from rixs_pipeline.io import nexus
from rixs_pipeline.runner.pixel_figures import find_outdated_figures
from rixs_pipeline.stages.figures import draw

PNG = b"\x89PNG"
REGIONS = {"Co_PFY": {"kind": "pfy", "emission": [762, 800]}}


def figure_names(out):
    folder = out / "figures/reference_runs"
    return sorted(path.name for path in folder.glob("*-pixel*"))


@pytest.fixture
def quick(monkeypatch):
    """Figures are made, but not rendered, which takes most of the time."""

    def encode(figure, image_format):
        return b"figure"

    monkeypatch.setattr(draw, "encode_figure", encode)


def test_the_sample_beamtime_without_its_pulses(cli, reduced_sample, tmp_path):
    """Also a pixel that is not ok, and a dead one."""
    out = shutil.copytree(reduced_sample, tmp_path / "out")
    (out / "run.json").unlink()
    result = cli("figures", out, "--pixel", "13,5", "--pixel", "9")
    assert (result.code, result.err) == (0, "")
    expected = [
        out / "figures/reference_runs" / f"{run}-pixel{pixel}.png"
        for run in ("cal0000", "cal0009")
        for pixel in ("013", "005", "009")
    ]
    assert result.out.splitlines() == [str(path) for path in expected]
    assert all(path.read_bytes().startswith(PNG) for path in expected)


def test_only_the_runs_that_are_asked_for(cli, small, quick):
    result = cli("figures", small.out, "--pixel", "3", "--run", "cal0005")
    assert result.code == 0
    assert figure_names(small.out) == ["cal0005-pixel003.png"]


def test_formats_are_those_of_the_config(cli, small, quick):
    config = small.out / "config.yaml"
    config.write_text(
        "plots:\n"
        "  defaults: {format: svg, draw: false}\n"
        "  pixel: {format: [pdf, png]}\n"
    )
    result = cli("figures", small.out, "--pixel", "3", "--run", "cal0000")
    names = [line.rpartition("/")[2] for line in result.out.splitlines()]
    assert names == ["cal0000-pixel003.pdf", "cal0000-pixel003.png"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--pixel", "x,3"], "--pixel x: not a channel number"),
        (["--pixel", "-3"], "--pixel -3: not a channel number"),
        (["--pixel", ","], "--pixel : not a channel number"),
        (["--pixel", "3,4"], "pixel 4: not in cal0000, cal0005; available: channel 1,"),
        (["--pixel", "9" * 30], "not in cal0000, cal0005"),
        (["--pixel", "4", "--run", "cal0005"], "pixel 4: not in cal0005; available"),
        (
            ["--pixel", "3", "--run", "cal0001"],
            "--run cal0001: no calibration of this run; available: cal0000, cal0005",
        ),
        ([], "Missing option '--pixel'"),
    ],
)
def test_wrong_pixels_and_runs_are_reported(cli, small, options, expected):
    result = cli("figures", small.out, *options)
    assert (result.code, result.out) == (2, "")
    (line,) = result.err.splitlines()
    assert expected in line
    assert figure_names(small.out) == []


def test_a_pixel_that_only_some_runs_have_is_drawn_for_these(cli, small, quick):
    path = paths.calibration_product(small.out, "cal0005")
    dataset = nexus.read_entry(path).isel(pixel=[0, 1]).drop_attrs(deep=False)
    nexus.write_product(path, {"entry": dataset}, {}, "spectrum")
    result = cli("figures", small.out, "--pixel", "1,5")
    assert result.code == 0
    assert result.err.splitlines() == ["pixel 5: not in cal0005; not drawn"]
    assert figure_names(small.out) == [
        "cal0000-pixel001.png",
        "cal0000-pixel005.png",
        "cal0005-pixel001.png",
    ]


def remove_variable(path):
    with h5py.File(path, "r+") as file:
        del file["entry/data/fwhm"]


def set_version(path):
    with h5py.File(path, "r+") as file:
        file["entry"].attrs["schema_version"] = 99


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (remove_variable, "cal0005.nxs: product of another version (0.1.0"),
        (set_version, "cal0005.nxs: product of another version (0.1.0"),
        (lambda path: os.truncate(path, 5000), "cal0005.nxs: cannot be read as HDF5"),
        (lambda path: path.write_bytes(b""), "cal0005.nxs: cannot be read as HDF5"),
        (lambda path: path.unlink(), "cal0005.nxs: missing; repeat: rixs-pipeline run"),
    ],
    ids=["variable", "version", "truncated", "empty", "deleted"],
)
def test_calibrations_that_cannot_be_shown_are_reported(cli, small, damage, expected):
    damage(paths.calibration_product(small.out, "cal0005"))
    result = cli("figures", small.out, "--pixel", "3")
    assert (result.code, result.out) == (3, "")
    (line,) = result.err.splitlines()
    assert expected in line
    assert figure_names(small.out) == []


def test_a_folder_without_a_config_is_reported(cli, small):
    (small.out / "config.yaml").unlink()
    result = cli("figures", small.out, "--pixel", "3")
    assert result.code == 2 and "config.yaml: no such file" in result.err


def test_a_reduction_keeps_figures_until_their_run_is_calibrated_again(
    cli, small, quick
):
    """Neither deleted nor reported, and nothing else is drawn for them."""
    config = {"regions": REGIONS}
    first = small.run(config, until="report")
    assert figure_names(small.out) == []
    cli("figures", small.out, "--pixel", "3")
    requested = ["cal0000-pixel003.png", "cal0005-pixel003.png"]
    for options in ({}, {"regions": {**REGIONS, "T": {"kind": "tfy"}}}):
        summary = small.run(config | options, until="report")
        assert figure_names(small.out) == requested
        assert summary.warnings == first.warnings
        assert not any("cal0" in name for name in summary.executed)
    assert small.run(config | {"plots": {"pixel": {"dpi": 90}}}, until="report")
    assert figure_names(small.out) == requested

    os.utime(paths.calibration_product(small.out, "cal0005"))
    assert find_outdated_figures(small.out) == [
        "figures/reference_runs/cal0005-pixel003.png"
    ]
    small.run(config, until="report", dry_run=True)
    small.run(config)
    assert figure_names(small.out) == requested
    small.run(config, until="report")
    assert figure_names(small.out) == requested[:1]
    small.run(config | {"calibration": {"min_line_counts": 31}}, until="report")
    assert figure_names(small.out) == []


def test_other_files_are_not_outdated_figures(tmp_path):
    folder = tmp_path / "figures/reference_runs"
    folder.mkdir(parents=True)
    for name in ("cal0000-summary.png", "cal0000-pixel003.txt", "my-pixels.png"):
        (folder / name).touch()
    assert find_outdated_figures(tmp_path) == []
    (folder / "cal0000-pixel003.svg").touch()
    assert find_outdated_figures(tmp_path) == [
        "figures/reference_runs/cal0000-pixel003.svg"
    ]


def test_figures_in_a_folder_without_permission_stay(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError

    folder = tmp_path / "figures/reference_runs"
    folder.mkdir(parents=True)
    (folder / "cal0000-pixel003.png").touch()
    assert find_outdated_figures(tmp_path) != []
    monkeypatch.setattr(Path, "is_file", refuse)
    assert find_outdated_figures(tmp_path) == []


def test_figures_of_a_set_are_not_deleted(small, quick):
    """A pixel that is not ok has a figure in every reduction."""
    small.off(3).write_bytes(small.off(3).read_bytes()[:20000])
    small.run({"regions": REGIONS}, until="report")
    assert figure_names(small.out) == ["cal0005-pixel003.png"]
    os.utime(paths.calibration_product(small.out, "cal0005"))
    small.run({"regions": REGIONS}, until="report")
    assert figure_names(small.out) == ["cal0005-pixel003.png"]
