"""The maps of the passes of a sample and edge as they are read: fast, again and again.

Each new pass is tested against all others, and averaged with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rixs_pipeline import paths
from rixs_pipeline.io.caches.array_cache import ArrayCache
from rixs_pipeline.io.caches.entry_cache import EntryCache
from rixs_pipeline.schema import SCAN_MAP
from rixs_pipeline.types import IntArray

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
    """Maps of scans as `schema.SCAN_MAP`, without `NOT_ADDED` and `DESCRIPTIONS`.

    What is read of a pass but its counts, some 60 kB, stays in memory: two stages need
    it. So do the photons of its points, for the report.
    """

    def __init__(self, out: Path) -> None:
        """Open the cache of a folder of results."""
        arrays = ArrayCache(out / paths.ARRAY_CACHE / "scans", is_compressed=True)
        self._cache = EntryCache(arrays, (*NOT_ADDED, *DESCRIPTIONS))
        self._without_counts: dict[tuple[Path, str], xr.Dataset] = {}
        self._photons: dict[tuple[Path, str], IntArray] = {}

    def read(
        self, passes: Mapping[Path, str], *, with_counts: bool
    ) -> list[xr.Dataset]:
        """Read the maps of passes.

        Parameters
        ----------
        passes
            Their products, with a digest of the content of each.
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
        return [self._read(*scan, with_counts) for scan in passes.items()]

    def photons(self, path: Path, digest: str) -> IntArray:
        """Return the photons of a pass at each of its points (point,).

        Parameters
        ----------
        path
            Its product.
        digest
            Of the content of the product.

        Returns
        -------
        integer array

        Raises
        ------
        InputError
            The product cannot be read.
        """
        if (path, digest) not in self._photons:
            self._read(path, digest, with_counts=True)
        return self._photons[path, digest]

    def _read(self, path: Path, digest: str, with_counts: bool) -> xr.Dataset:
        known = self._without_counts.get((path, digest))
        if known is not None and not with_counts:
            return known
        rixs_map = self._cache.read(path, digest)
        without_counts = rixs_map.drop_vars(COUNTS)
        self._without_counts[path, digest] = without_counts
        self._photons[path, digest] = rixs_map[COUNTS].values.sum(axis=1)
        return rixs_map if with_counts else without_counts
