"""The maps of the passes of a sample and edge as they are read: fast, again and again.

Each new pass is tested against all others, and averaged with them.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from rixs_pipeline import paths
from rixs_pipeline.io.array_cache import ArrayCache
from rixs_pipeline.io.entry_cache import EntryCache
from rixs_pipeline.schema import SCAN_MAP
from rixs_pipeline.stages.context import RunContext

if TYPE_CHECKING:
    import xarray as xr

COUNTS = "counts"
# variables of scans that the sums replace; they are as large as the counts
NOT_ADDED = ("intensity", "intensity_errors")
# What describes single pixels, cuts and lines; of these, maps have the misalignment.
_DESCRIBED = {"pixel", "cut", "drift_param", "sample_line"}
_AVERAGED = {"pixel", "pixel_counts", "misalignment"}
DESCRIPTIONS = tuple(
    name
    for name, variable in SCAN_MAP.items()
    if variable.dims[0] in _DESCRIBED and name not in _AVERAGED
)


class PassMaps:
    """Maps of scans as `schema.SCAN_MAP`, without `NOT_ADDED` and `DESCRIPTIONS`."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        arrays = ArrayCache(context.out / paths.ARRAY_CACHE / "scans")
        self._cache = EntryCache(arrays, (COUNTS, *NOT_ADDED, *DESCRIPTIONS))

    def read(
        self, scan_paths: Collection[Path], *, with_counts: bool
    ) -> list[xr.Dataset]:
        """Read the maps of passes.

        Parameters
        ----------
        scan_paths
            Their products.
        with_counts
            Whether their counts are needed, the one large variable.

        Returns
        -------
        list of xr.Dataset

        Raises
        ------
        InputError
            A product cannot be read.
        """
        large = (COUNTS,) if with_counts else ()
        digest = self._context.products.file_digest
        return [self._cache.read(path, digest(path), large) for path in scan_paths]
