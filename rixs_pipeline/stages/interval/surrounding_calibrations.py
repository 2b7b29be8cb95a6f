"""The calibrations before and after each scan, and the pixels' energy functions."""

from bisect import bisect_right
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rixs_pipeline import paths
from rixs_pipeline.errors import InputError, RunFailed
from rixs_pipeline.io import nexus
from rixs_pipeline.io.runs import Run
from rixs_pipeline.stages.context import RunContext
from rixs_pipeline.stages.earlier_scans import ends_of
from rixs_pipeline.stages.interval.gain_jumps import (
    GainJump,
    find_gain_jumps,
    find_jump_times,
)
from rixs_pipeline.stages.interval.pixel_energies import (
    PixelEnergy,
    keep_best_resolved,
    select_pixel_energies,
)
from rixs_pipeline.stages.interval.resolution import (
    average_resolution_over_pixels,
    pixel_resolutions,
)
from rixs_pipeline.types import are_ok

if TYPE_CHECKING:
    import xarray as xr

    from rixs_pipeline.stages.interval.response_tail import ResponseTails

USABLE_SHARE = 0.5  # of the good pixels of the best reference run

# Variables of calibrations, most of their size, that only figures and the report need
FIGURE_VARIABLES = (
    "spectrum",
    "emission_energy",
    "height_counts",
    "height_bin_width",
    "peak_pulse_height",
    "peak_line",
    "curve_pulse_height",
    "curve_energy",
    "fitted_line",
    "phase_bin",
    "phase_offset",
    "phase_offset_errors",
    "phase_offset_uncorrected",
    "phase_offset_uncorrected_errors",
    "time_offset_uncorrected",
    "time_offset_uncorrected_errors",
)

Interval = tuple[Path, ...]  # the calibrations at its ends, of which one may be missing


@dataclass(frozen=True)
class UsableCalibrations:
    """The calibrations that scans may use, and a warning for each of the others."""

    paths: tuple[Path, ...]
    warnings: tuple[str, ...]


def find_usable_calibrations(context: RunContext) -> UsableCalibrations:
    """Return the calibrations with enough good pixels.

    A reference run with less than half the good pixels of the best one, such as a short
    one, would hide good calibrations from the scans around it. In a dry run a
    calibration that is not made yet counts as usable.
    """
    good_pixels: dict[Path, int] = {}
    not_made = set()
    for path in context.calibration_paths():
        if not context.has(path):
            continue
        try:
            statuses = nexus.read_values(path, "status")
        except InputError:
            not_made.add(path)
            continue
        good_pixels[path] = int(are_ok(statuses).sum())
    highest = max(good_pixels.values(), default=0)
    usable = []
    warnings = []
    for path in context.calibration_paths():
        if path in not_made:
            usable.append(path)
        elif path in good_pixels:
            number = good_pixels[path]
            if number >= USABLE_SHARE * highest:
                usable.append(path)
                continue
            warnings.append(
                f"{path.stem}: only {number} pixels calibrated, {highest} in the best "
                "reference run; not used for scans"
            )
    return UsableCalibrations(tuple(usable), tuple(warnings))


def read_calibration(path: Path) -> "xr.Dataset":
    """Return a calibration without `FIGURE_VARIABLES`; its arrays are read-only."""
    return nexus.read_kept(path, FIGURE_VARIABLES)


class SurroundingCalibrations:
    """What scans take from the reference runs around them.

    Everything that scans of one interval share is read or computed once.
    """

    def __init__(self, context: RunContext) -> None:
        self.context = context
        usable = find_usable_calibrations(context).paths
        self._usable = [
            run
            for run in context.beamtime.calibrations
            if paths.calibration_product(context.out, run.name) in usable
        ]
        self._middle = {
            paths.calibration_product(context.out, run.name): run.middle
            for run in self._usable
        }
        self._intervals: dict[str, Interval] = {}
        self._scans: dict[Interval, list[Run]] = {}
        for scan in context.beamtime.scans:
            interval = self._find_interval(scan)
            self._intervals[scan.name] = interval
            self._scans.setdefault(interval, []).append(scan)
        for scans in self._scans.values():
            scans.sort(key=_start)
        self._jumps: dict[Interval, dict[int, GainJump]] = {}
        self._jump_times: dict[Interval, dict[int, float]] = {}
        self._tails: dict[Interval, ResponseTails] = {}
        self._resolutions: dict[Interval, dict[int, float]] = {}

    def interval(self, scan: Run) -> Interval:
        """Return the products of the usable reference runs just before and after.

        Those of the scan's own run directory are preferred: another directory may have
        been taken with other filters or gains.
        """
        return self._intervals[scan.name]

    def _find_interval(self, scan: Run) -> Interval:
        same_directory = [r for r in self._usable if r.directory == scan.directory]
        candidates = same_directory or self._usable
        before = [run for run in candidates if run.middle <= scan.middle]
        after = [run for run in candidates if run.middle > scan.middle]
        return tuple(
            paths.calibration_product(self.context.out, run.name)
            for run in (*before[-1:], *after[:1])
        )

    def is_closed(self, scan: Run) -> bool:
        """Whether a usable reference run comes after a scan."""
        return any(self._middle[p] > scan.middle for p in self.interval(scan))

    def companions(self, scan: Run) -> tuple[Run, ...]:
        """Return the scans whose data may be used to correct a scan.

        They are all scans of its interval between reference runs, in order of time.
        While no reference run has closed the interval, they are the scan and those
        before it, so that a later scan changes no earlier one.
        """
        scans = self._scans[self.interval(scan)]
        if self.is_closed(scan):
            return tuple(scans)
        return tuple(scans[: bisect_right(scans, scan.start_ns, key=_start)])

    def fitted_with(self, scan: Run) -> tuple[Run, ...]:
        """Return the scans whose pulses are fitted to correct the scale of a scan.

        They are its companions; of the many of a long open interval some, so that the
        next scan takes no longer than the one before.
        """
        companions = self.companions(scan)
        return companions if self.is_closed(scan) else ends_of(companions)

    def read(self, scan: Run) -> list["xr.Dataset"]:
        """Return the calibrations around a scan; see `read_calibration`."""
        return [read_calibration(path) for path in self.interval(scan)]

    def best_pixels(self, scan: Run) -> int | None:
        """Return how many of the best pixels the config asks for at the scan's edge."""
        if scan.edge is None:
            return None
        return self.context.config.map.best_pixels.get(scan.edge)

    def scans_with_jumps(self, scan: Run) -> list[Run]:
        """Return all scans of a scan's interval, if the gain of a pixel jumped in it.

        The time of the jump is found from all of them.
        """
        interval = self.interval(scan)
        depends_on = {"gain jumps": self.context.key_digests(interval)}
        try:
            has_jumps = self.context.memo.get(
                depends_on, lambda: bool(self._gain_jumps(scan)), bool
            )
        except InputError:  # in a dry run, before the calibrations are made
            return []
        return self._scans[interval] if has_jumps else []

    def _gain_jumps(self, scan: Run) -> dict[int, GainJump]:
        """Return the gain jumps between the calibrations around a scan, by pixel."""
        interval = self.interval(scan)
        if interval not in self._jumps:
            self._jumps[interval] = find_gain_jumps(self.read(scan))
        return self._jumps[interval]

    def _gain_jump_times(self, scan: Run) -> dict[int, float]:
        """Return the Unix times (s) of the jumps in a scan's interval, by pixel."""
        interval, scans = self.interval(scan), self.scans_with_jumps(scan)
        if not scans:
            return {}
        if interval not in self._jump_times:
            before, after = self.read(scan)
            self._jump_times[interval] = find_jump_times(scans, before, after)
        return self._jump_times[interval]

    def brightness(self, scan: Run) -> dict[int, float]:
        """Return the accepted pulses of each good pixel in the reference run before."""
        for path in self.interval(scan)[:1]:
            pixels = nexus.read_values(path, "pixel")
            is_ok = are_ok(nexus.read_values(path, "status"))
            cut_counts = nexus.read_values(path, "cut_counts")
            return {
                int(pixel): float(counts[-1])
                for pixel, ok, counts in zip(pixels, is_ok, cut_counts, strict=True)
                if ok
            }
        return {}

    def tails(self, scan: Run) -> "ResponseTails":
        """Return the low-energy tail of each pixel's response."""
        from rixs_pipeline.stages.interval.response_tail import (
            tails_between_reference_runs,
        )

        interval = self.interval(scan)
        if interval not in self._tails:
            self._tails[interval] = tails_between_reference_runs(self.read(scan))
        return self._tails[interval]

    def resolution(self, scan: Run, dataset: "xr.Dataset") -> dict[str, float]:
        """Return the attributes of the resolution of a scan's map."""
        calibrations = self.read(scan)
        has_elastic = any(
            np.isfinite(product["elastic_fwhm"].values).any()
            for product in calibrations
        )
        interval = self.interval(scan)
        if interval not in self._resolutions:
            self._resolutions[interval] = pixel_resolutions(calibrations)
        return average_resolution_over_pixels(
            dataset, self._resolutions[interval], has_elastic=has_elastic
        )

    def pixel_energies(self, scan: Run) -> tuple[PixelEnergy, ...]:
        """Return the energy function of each pixel, in the order of the scan's files.

        Raises
        ------
        RunFailed
            The scan has no pulse files.
        """
        if not scan.pulse_files:
            raise RunFailed(f"{scan.name}: has no pulse files")
        calibrations = self.read(scan)
        times = self._gain_jump_times(scan)
        jumps = {
            pixel: replace(jump, time=times.get(pixel, jump.time))
            for pixel, jump in self._gain_jumps(scan).items()
        }
        excluded = self.context.config.beamtime.exclude.pixels
        energies = select_pixel_energies(
            scan, calibrations, excluded=excluded, jumps=jumps
        )
        best = self.best_pixels(scan)
        return keep_best_resolved(scan, energies, calibrations, best)


def _start(scan: Run) -> int:
    return scan.start_ns
