"""Products that were deleted after they were made."""


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
