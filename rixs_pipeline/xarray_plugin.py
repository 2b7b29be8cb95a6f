"""What xarray finds by the entry point `xarray.backends`: an engine, and `.rixs`.

It imports this module when it opens its first file: `.rixs` of a map is there, or says
what it lacks, whether or not a script imports rixs_pipeline.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import xarray as xr
from xarray.backends import BackendEntrypoint

from rixs_pipeline.errors import InputError

if TYPE_CHECKING:
    from rixs_pipeline.accessor import RixsAccessor


# xarray has no types for its decorator
@xr.register_dataset_accessor("rixs")  # type: ignore[no-untyped-call, untyped-decorator]
def rixs(dataset: xr.Dataset) -> RixsAccessor:
    """Return the spectra and plots of a map, for its attribute `rixs`."""
    from rixs_pipeline.accessor import RixsAccessor  # loads the package

    return RixsAccessor(dataset)


class ProductBackend(BackendEntrypoint):
    """The engine ``rixs_pipeline`` of `xarray.open_dataset`."""

    description = "Maps, scans and spectra of rixs_pipeline, with their attributes"
    open_dataset_parameters = ("filename_or_obj", "drop_variables", "group")

    def open_dataset(
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        group: str | None = None,
    ) -> xr.Dataset:
        """Return a product as `rixs_pipeline.open_product` does.

        Parameters
        ----------
        filename_or_obj
            Path of the product.
        drop_variables
            Names of variables that are left out.
        group
            Region of spectra, such as ``Co_PFY``; not needed for maps and scans.

        Returns
        -------
        Dataset
            With the attributes of its entry.

        Raises
        ------
        InputError
            Not a product, or a product of regions without `group`.
        """
        from rixs_pipeline.io import nexus  # loads h5py

        path = os.fspath(filename_or_obj)
        product = nexus.open_product(path)
        if isinstance(product, dict):
            if group is None:
                regions = ", ".join(product)
                raise InputError(f"{path}: set `group` to one of {regions}")
            product = product[group]
        names = [drop_variables] if isinstance(drop_variables, str) else drop_variables
        return product.drop_vars(list(names or []), errors="ignore")
