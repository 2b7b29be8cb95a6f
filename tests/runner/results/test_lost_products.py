"""Products that were deleted after they were made, and those of earlier runs."""

import json
import zipfile


def test_a_missing_map_is_reported_by_export(small, cli):
    (small.out / "maps/LMR_RT-Co_L.nxs").unlink()
    result = cli("export", small.out, "--format", "netcdf")
    assert result.code == 1
    assert result.out.splitlines() == [
        str(small.out / "export/netcdf/LMR_100C-Co_L-map.nc")
    ]
    (line,) = result.err.splitlines()
    assert "maps/LMR_RT-Co_L.nxs missing, not exported; run again" in line
    others = [("netcdf", "--samples", "LMR_100C"), ("csv", "--samples", "LMR_100C")]
    for options in [*others, ("xdi",)]:
        result = cli("export", small.out, "--format", *options)
        assert (result.code, result.err) == (0, "")


RENAMED = {"beamtime": {"samples": {"LMR_100C": "Heated"}}}


def exported_samples(cli, small, name="nexus", *options):
    """Return the samples, or names of comparisons, of the exported files."""
    result = cli("export", small.out, "--format", name, *options)
    assert result.code == 0
    files = {line.rpartition("/")[2] for line in result.out.splitlines()}
    return {file.partition("-")[0] for file in files}


def test_products_of_an_earlier_run_are_not_exported(small, cli, caplog):
    small.run(RENAMED)
    caplog.clear()
    assert exported_samples(cli, small) == {"LMR_RT", "Heated"}
    (line,) = caplog.messages
    assert line.startswith(
        f"{small.out}/maps/LMR_100C-Co_L.nxs: of an earlier reduction, not exported; "
        "delete it if no longer needed [and 1 more:"
    )
    caplog.clear()
    exported_samples(cli, small, "nexus", "--samples", "Heated")
    assert caplog.messages == []
    result = cli("export", small.out, "--samples", "LMR_100C")
    assert result.code == 2 and "choose from Heated, LMR_RT" in result.err
    for folder in ("maps", "spectra"):  # as the line says
        (small.out / folder / "LMR_100C-Co_L.nxs").unlink()
    caplog.clear()
    assert exported_samples(cli, small) == {"LMR_RT", "Heated"}
    assert caplog.messages == []


def test_a_partial_run_leaves_the_others_to_the_export(small, cli):
    small.run(scans="1")
    small.run(until="calibrate")
    assert exported_samples(cli, small) == {"LMR_RT", "LMR_100C"}
    small.run(RENAMED)
    small.run(RENAMED, scans="1")
    assert exported_samples(cli, small) == {"LMR_RT", "Heated"}
    small.run()
    assert exported_samples(cli, small) == {"LMR_RT", "LMR_100C"}


def of_maps(image_format, keep_photons):
    """Return a config with figures of maps alone."""
    map_figures = {"draw": True, "format": image_format}
    return {
        "map": {"keep_photons": keep_photons},
        "plots": {"defaults": {"draw": False}, "map": map_figures},
    }


def test_photons_and_figures_of_another_format_are_left_out(small, cli, caplog):
    small.run(of_maps("png", True), until="report")
    (small.out / "run.json").unlink()  # else the last reduction's figures are deleted
    summary = small.run(of_maps("pdf", False), until="report")
    maps = [f"figures/maps/{name}-Co_L-map" for name in ("LMR_100C", "LMR_RT")]
    photons = [f"photons/scan{n:04d}.h5" for n in (1, 2, 3, 4)]
    leftovers = {*photons, *(f"{name}.png" for name in maps)}
    assert set(summary.leftovers) == leftovers
    archive = small.out.parent / "paper.zip"
    result = cli("crate", small.out, "-o", archive)
    assert result.code == 0
    assert "LMR_100C-Co_L-map.png: of an earlier reduction, not packed;" in result.err
    with zipfile.ZipFile(archive) as crate:
        names = set(crate.namelist())
    assert {f"{name}.pdf" for name in maps} <= names and not leftovers & names
    caplog.clear()
    assert cli("export", small.out, "--format", "photons").code == 3
    (line,) = caplog.messages
    assert "photons/scan0001.h5: of an earlier reduction, not exported;" in line
    assert all((small.out / name).is_file() for name in leftovers)


def test_photons_and_figures_that_are_made_again_are_exported(small, cli):
    small.run(of_maps("png", True), until="report")
    record = small.out / "run.json"
    content = json.loads(record.read_text())
    image = "figures/maps/LMR_RT-Co_L-map.png"
    content["leftovers"] = [image, "photons/scan0001.h5"]
    record.write_text(json.dumps(content))
    small.run(of_maps("png", True), until="report", scans="1")
    assert json.loads(record.read_text())["leftovers"] == []
    result = cli("export", small.out, "--format", "photons")
    assert (result.code, len(result.out.splitlines())) == (0, 4)


def test_without_run_json_everything_is_exported(small, cli, caplog):
    small.run(RENAMED)
    summary = small.out / "run.json"
    everything = {"LMR_RT", "LMR_100C", "Heated"}
    content = json.loads(summary.read_text()) | {"leftovers": ["../secret"]}
    summary.write_text(json.dumps(content))
    caplog.clear()
    assert exported_samples(cli, small) == everything
    (line,) = caplog.messages
    assert "run.json: cannot be read" in line
    summary.unlink()
    assert exported_samples(cli, small) == everything
