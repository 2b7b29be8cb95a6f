"""Products that were deleted after they were made, and those of earlier runs."""

import json


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
