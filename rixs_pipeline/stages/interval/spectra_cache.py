"""Spectra of the array that are kept, so that the next scan does not need the pulses.

While an interval is open, each new scan is fitted together with earlier ones
(`SurroundingCalibrations.fitted_with`); of these only the spectra are needed.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

from rixs_pipeline import paths
from rixs_pipeline.io import provenance
from rixs_pipeline.io.caches.array_cache import ArrayCache
from rixs_pipeline.io.runs import Run
from rixs_pipeline.stages.context import RunContext
from rixs_pipeline.stages.interval.array_spectra import ArraySpectra
from rixs_pipeline.stages.interval.surrounding_calibrations import (
    SurroundingCalibrations,
)

_INCIDENT = "incident"  # of unequal length in each piece


class SpectraCache:
    """Spectra of the array in scans, from this reduction or an earlier one."""

    def __init__(
        self, context: RunContext, calibrations: SurroundingCalibrations
    ) -> None:
        self._context = context
        self._calibrations = calibrations
        self._cache = ArrayCache(context.out / paths.ARRAY_CACHE / "spectra")

    def load(self, scan: Run) -> ArraySpectra | None:
        """Return the spectra of a scan; None: they have to be computed."""
        arrays = self._cache.load(scan.name, self._key(scan))
        if arrays is None:
            return None
        limits = np.cumsum(arrays.pop("incident_number"))[:-1]
        incident = tuple(np.split(arrays.pop(_INCIDENT), limits))
        values: dict[str, Any] = {
            name: array if array.ndim else array.item()
            for name, array in arrays.items()
        }
        return ArraySpectra(scan=scan, incident=incident, **values)

    def save(self, spectra: ArraySpectra) -> None:
        """Keep the spectra of a scan."""
        names = {field.name for field in fields(spectra)} - {"scan", _INCIDENT}
        arrays = {name: getattr(spectra, name) for name in names}
        arrays[_INCIDENT] = np.concatenate(spectra.incident)
        arrays["incident_number"] = [len(energies) for energies in spectra.incident]
        self._cache.save(spectra.scan.name, self._key(spectra.scan), arrays)

    def _key(self, scan: Run) -> str:
        """Return a digest of all that the spectra of a scan depend on."""
        context, calibrations = self._context, self._calibrations
        config = context.config
        scans = scan, *calibrations.scans_with_jumps(scan)
        return context.digest(
            {
                "version": provenance.code_version(),
                "pulses": [context.products.pulse_digest(scan) for scan in scans],
                "runs": [context.run_digest(s, with_readings=False) for s in scans],
                "calibrations": context.key_digests(calibrations.interval(scan)),
                "align": config.calibration.align,
                "displaced_pixels": config.calibration.displaced_pixels,
                "pixels": sorted(config.beamtime.exclude.pixels),
                "best_pixels": calibrations.best_pixels(scan),
            }
        )
