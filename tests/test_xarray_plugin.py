"""`xarray.open_dataset` finds maps and their `.rixs` by itself."""

import subprocess
import sys
from importlib.metadata import entry_points

import pytest
import xarray as xr

from rixs_pipeline import open_product
from rixs_pipeline.errors import InputError
from rixs_pipeline.xarray_plugin import ProductBackend

ENGINE = ProductBackend  # as `engine="rixs_pipeline"`, where it is installed


@pytest.fixture(scope="module")
def path(reduced_small):
    return reduced_small / "maps" / "LMR_RT-Co_L.nxs"


def test_the_engine_opens_maps_as_open_product_does(path):
    opened = xr.open_dataset(path, engine=ENGINE)
    xr.testing.assert_identical(opened, open_product(path))
    pfy = open_product(path).rixs.spfy(776, 777)
    xr.testing.assert_identical(opened.rixs.spfy(776, 777), pfy)
    assert "counts" not in xr.open_dataset(path, engine=ENGINE, drop_variables="counts")


def test_the_engine_opens_spectra_by_region(path):
    spectra = path.parents[1] / "spectra" / path.name
    opened = xr.open_dataset(spectra, engine=ENGINE, group="Co_PFY")
    xr.testing.assert_identical(opened, open_product(spectra)["Co_PFY"])
    with pytest.raises(InputError, match="set `group` to one of Co_PFY"):
        xr.open_dataset(spectra, engine=ENGINE)
    with pytest.raises(InputError, match=r"run\.json: not a product"):
        xr.open_dataset(path.parents[1] / "run.json", engine=ENGINE)


@pytest.mark.parametrize("group", [None, "entry/data"])
def test_a_map_opened_otherwise_says_how_to_open_it(path, group):
    with (
        xr.open_dataset(path, engine="h5netcdf", group=group) as opened,
        pytest.raises(InputError, match=r"rixs_pipeline\.open_product"),
    ):
        opened.rixs  # noqa: B018


def test_xarray_finds_it_without_an_import_of_the_package(path):
    if not entry_points(group="xarray.backends", name="rixs_pipeline"):
        pytest.skip("installed without the entry point: pip install -e . again")
    script = (
        "import sys, xarray\n"
        "opened = xarray.open_dataset(sys.argv[1], engine='rixs_pipeline')\n"
        "print(opened.rixs)\n"
    )
    command = [sys.executable, "-c", script, str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.startswith("RIXS map of LMR_RT at Co_L"), done.stderr
