"""What the report shows of each product, kept until its content changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rixs_pipeline import paths
from rixs_pipeline.config import Config
from rixs_pipeline.io import nexus
from rixs_pipeline.io.caches.memo import Memo
from rixs_pipeline.stages.html_report import runs
from rixs_pipeline.stages.html_report.maps import map_row, packed_map
from rixs_pipeline.stages.sample.pass_maps import PassMaps

# variables of a map that the report does not show
NOT_SHOWN = ("intensity", "intensity_errors", "scale_mode_errors", "misalignment")


@dataclass(frozen=True)
class ProductParts:
    """Parts of the report by product: a new scan costs its own only.

    Attributes
    ----------
    memo
        Of earlier reports.
    file_digest
        Returns a digest of the content of a product.
    pass_maps
        The maps of scans, of which most have been read.
    """

    memo: Memo
    file_digest: Callable[[Path], str]
    pass_maps: PassMaps

    def map(self, path: Path, config: Config) -> dict[str, Any]:
        """Return a map as `packed_map`, and its row of the table as `map_row`."""

        def find() -> dict[str, Any]:
            rixs_map = nexus.read_entry(path, without=NOT_SHOWN)
            packed = packed_map(rixs_map, config)
            return {"map": packed, "row": map_row(rixs_map, packed)}

        options = config.model_dump(mode="json", include={"regions", "normalise"})
        return self._get("map", path, find, options)

    def calibration_pixels(self, out: Path, name: str) -> dict[str, Any]:
        """Return the pixels of a reference run as `pixel_statuses`."""
        path = paths.calibration_product(out, name)
        find = partial(runs.pixel_statuses, path, "status")
        return self._get("pixels", path, find)

    def scan_pixels(self, out: Path, name: str) -> dict[str, Any]:
        """Return the pixels of a scan as `pixel_statuses`."""
        path = paths.scan_product(out, name)
        find = partial(runs.pixel_statuses, path, "pixel_status")
        return self._get("pixels", path, find)

    def reference_run(self, out: Path, name: str) -> dict[str, Any]:
        """Return a reference run as `runs.reference_run`."""
        path = paths.calibration_product(out, name)
        return self._get("spectrum", path, partial(runs.reference_run, out, name))

    def flux(self, out: Path, name: str) -> dict[str, Any]:
        """Return the flux of a scan as `runs.flux`."""
        path = paths.scan_product(out, name)

        def find() -> dict[str, Any]:
            digest = self.file_digest(path)
            photons = self.pass_maps.photons(path, digest)
            (scan_map,) = self.pass_maps.read({path: digest}, with_counts=False)
            return runs.flux(name, scan_map, photons)

        return self._get("flux", path, find)

    def _get(
        self, part: str, path: Path, find: Callable[[], Any], options: Any = None
    ) -> dict[str, Any]:
        depends_on = {
            "part": part,
            "name": path.stem,
            "product": self.file_digest(path),
            "options": options,
        }
        return self.memo.get(depends_on, find, dict)
