"""rixs_pipeline: from the pulses of a TES spectrometer to RIXS maps and spectra."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os

    import xarray as xr

__version__ = "0.1.0"
__all__ = ["__version__", "open_product"]


def open_product(path: str | os.PathLike[str]) -> xr.Dataset | dict[str, xr.Dataset]:
    """Open a product in memory, with `.rixs` for the regions and plots of a map.

    Parameters
    ----------
    path
        A product, such as ``out/maps/LMR_RT-Co_L.nxs``.

    Returns
    -------
    Dataset or dict of str to Dataset
        The data with the attributes of the entry; by region for files of several
        entries, such as spectra.

    Raises
    ------
    InputError
        Not a product of this program, or an incomplete file.
    """
    # imported here: they load xarray and h5py, and `import rixs_pipeline` is instant
    from rixs_pipeline import xarray_plugin  # noqa: F401  # registers `.rixs`
    from rixs_pipeline.io import nexus

    return nexus.open_product(path)
