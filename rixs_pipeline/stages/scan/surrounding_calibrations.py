"""The reference runs that scans rest on, and what follows from them: energy functions, jumps, tails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rixs_pipeline.errors import InputError, RunFailed
from rixs_pipeline.io import nexus as products
from rixs_pipeline.io import provenance
from rixs_pipeline.io.runs import Run
from rixs_pipeline.stages.context import Work
from rixs_pipeline.stages.scan.gain_jumps import (
    GainJump,
    find_gain_jumps,
    find_jump_times,
)
from rixs_pipeline.stages.scan.pixel_energies import (
    PixelEnergy,
    keep_best_resolved,
    select_pixel_energies,
)
from rixs_pipeline.stages.scan.response_tail import PixelTail, average_tail_over_lines
from rixs_pipeline.types import are_ok

if TYPE_CHECKING:
    import xarray as xr


class ReferenceRuns:
    """What is known of them is read, or found, once."""

    def __init__(self, work: Work, usable: set[Path]) -> None:
        """`usable`: products that scans may rest on."""
        self.work = work
        self.usable = usable
        self._read: dict[Path, xr.Dataset] = {}
        self._moved: dict[tuple[Path, ...], bool] = {}
        self._jump_times: dict[tuple[Path, ...], dict[int, float]] = {}
        self._shifts: dict[tuple[Path, ...], dict[int, GainJump]] = {}
        self._tails: dict[tuple[Path, ...], Mapping[int, PixelTail]] = {}

    def around(self, one: Run) -> list[Path]:
        """Products of the usable reference runs just before and just after a scan.

        Those of the scan's own run directory, where it has any: another one may have other filters or gains.
        """
        done = [
            (c, path)
            for c in self.work.beamtime.calibrations
            if (path := self.work.product_of(c)) in self.usable
        ]
        own = [(c, path) for c, path in done if c.directory == one.directory] or done
        now = one.middle
        before = [path for c, path in own if c.middle <= now]
        return before[-1:] + [path for c, path in own if c.middle > now][:1]

    def read(self, one: Run) -> list[xr.Dataset]:
        """The calibrations around a scan: each is read once, and forgotten where no later scan needs it."""
        around = self.around(one)
        known = self._read
        self._read = {
            path: known[path] if path in known else products.read_entry(path)
            for path in around
        }
        return list(self._read.values())

    def best(self, one: Run) -> int | None:
        """How many pixels the config asks for at the edge of a scan."""
        return next(
            (
                n
                for edge, n in self.work.config.map.best_pixels.items()
                if edge == one.edge
            ),
            None,
        )

    def between(self, one: Run) -> list[Run]:
        """All scans between the two reference runs around a scan, where a pixel jumped between these; else none."""
        around = tuple(self.around(one))
        if around not in self._moved:
            key = provenance.config_hash(
                {"keys": [self.work.ledger.keys[path] for path in around]}
            )
            known = self.work.summary.previous.get("moved", {})
            self._moved[around] = self.work.summary.moved[key] = (
                known[key] if key in known else self._has_jumped(one)
            )
        between = [
            s for s in self.work.beamtime.scans if tuple(self.around(s)) == around
        ]
        return between if self._moved[around] else []

    def _has_jumped(self, one: Run) -> bool:
        """Whether a pixel jumped between the reference runs around a scan; unknown, so no, before both are made."""
        try:
            calibrations = self.read(one)
        except InputError:  # in a dry run
            return False
        return bool(self._moved_by(one, calibrations))

    def _moved_by(
        self, one: Run, calibrations: list[xr.Dataset]
    ) -> dict[int, GainJump]:
        """Which pixels jumped between the reference runs around a scan, and by how many eV."""
        around = tuple(self.around(one))
        if around not in self._shifts:
            self._shifts[around] = find_gain_jumps(calibrations)
        return self._shifts[around]

    def _jumps(self, one: Run, calibrations: list[xr.Dataset]) -> dict[int, float]:
        """When pixels jumped between the two reference runs around a scan, told once from all scans between them."""
        around, between = tuple(self.around(one)), self.between(one)
        if not between:
            return {}
        if around not in self._jump_times:
            self._jump_times[around] = find_jump_times(
                between, calibrations[0], calibrations[1]
            )
        return self._jump_times[around]

    def brightness(self, one: Run) -> dict[int, float]:
        """Accepted pulses of every good pixel in the reference run that a scan rests on; none without one."""
        for path in self.around(one)[:1]:
            rows = zip(
                *(
                    products.read_values(path, name)
                    for name in ("pixel", "status", "cut_counts")
                ),
                strict=True,
            )
            return {
                int(pixel): float(left[-1])
                for pixel, status, left in rows
                if are_ok([status])[0]
            }
        return {}

    def tails(self, one: Run) -> Mapping[int, PixelTail]:
        """Tails of the pixels' response in a scan: `response_tail.average_tail_over_lines`."""
        around = tuple(self.around(one))
        if around not in self._tails:
            self._tails[around] = average_tail_over_lines(self.read(one))
        return self._tails[around]

    def functions(self, one: Run) -> tuple[PixelEnergy, ...]:
        """The energy function of each pixel of a scan.

        Raises:
            RunFailed: it has no pulse files.
        """
        if not one.pulse_files:
            raise RunFailed(f"{one.name}: has no pulse files")
        calibrations = self.read(one)
        excluded = self.work.config.beamtime.exclude.pixels
        times = self._jumps(one, calibrations)
        jumps = {
            pixel: replace(jump, time=times.get(pixel, jump.time))
            for pixel, jump in self._moved_by(one, calibrations).items()
        }
        functions = select_pixel_energies(
            one, calibrations, excluded=excluded, jumps=jumps
        )
        return keep_best_resolved(one, functions, calibrations, self.best(one))
