"""I0 of a sample and edge against the other scans of the beamtime."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from rixs_pipeline import paths
from rixs_pipeline.core.flux.pass_levels import UNKNOWN_FLUX, UsualFlux
from rixs_pipeline.core.flux.sample_levels import I0, PHOTONS, Levels, range_factor
from rixs_pipeline.core.flux.suggestion import round_to_range
from rixs_pipeline.errors import InputError
from rixs_pipeline.io import nexus
from rixs_pipeline.io.runs import Run
from rixs_pipeline.stages.context import RunContext, SampleEdge
from rixs_pipeline.stages.interval.surrounding_calibrations import (
    SurroundingCalibrations,
)

USUAL_STEP = 0.15  # of logarithms of the usual flux
FLUX_LEVELS = "flux_levels"  # attribute of scans: medians of I0, photons, readings


@dataclass(frozen=True)
class BeamtimeVerdict:
    """What the other scans say about the I0 of a sample and edge.

    Attributes
    ----------
    usual
        Flux of other scans, of the edge where there are some.
    factor
        I0 over that of another sample, if only its range differs; 1 otherwise.
    other_sample
        The sample that it differs from.
    """

    usual: UsualFlux = UNKNOWN_FLUX
    factor: float = 1.0
    other_sample: str = ""

    def as_json(self) -> dict[str, float | str | list[float]]:
        """Return the values as plain JSON, for digests."""
        numbers = np.nan_to_num([self.usual.log_i0, *self.usual.log_i0_per])
        return {
            "usual": numbers.tolist(),
            "factor": self.factor,
            "other": self.other_sample,
        }


class BeamtimeFlux:
    """The levels of I0 of all scans that have a product, each read once."""

    def __init__(self, context: RunContext) -> None:
        self.context = context
        self._calibrations: SurroundingCalibrations | None = None
        self._levels: dict[Path, Levels] = {}

    def verdict(self, group: SampleEdge) -> BeamtimeVerdict:
        """Compare the I0 of a sample and edge with its companions'.

        Those are the scans of its interval between reference runs, or the earlier ones
        while it is open. The odd one of two samples is the one whose I0 differs from
        that at other edges, or the later one.
        """
        if not any(self._scan_levels(scan) for scan in group.scans):
            return BeamtimeVerdict()
        group_names = {scan.name for scan in group.scans}
        companions = [
            s for s in self._companions(group.scans[-1]) if s.name not in group_names
        ]
        same_edge = [scan for scan in companions if scan.edge == group.edge]
        usual = self._usual_flux(same_edge or companions, has_edge=bool(same_edge))
        by_sample: dict[str, list[Run]] = {}
        for scan in same_edge:
            by_sample.setdefault(scan.sample, []).append(scan)
        levels = self._known_levels(group.scans)
        factors = {}
        for sample, scans in by_sample.items():
            factor = range_factor(levels, self._known_levels(scans))
            if factor != 1:
                factors[sample] = factor
        if not factors or 2 * len(factors) <= len(by_sample):
            return BeamtimeVerdict(usual)
        sample, factor = next(iter(factors.items()))
        if len(by_sample) == 1:
            elsewhere = [scan for scan in companions if scan.edge != group.edge]
            if not self._is_odd_of_two(group.scans, same_edge, elsewhere):
                return BeamtimeVerdict(usual)
        return BeamtimeVerdict(usual, factor, sample)

    def _is_odd_of_two(
        self, scans: Sequence[Run], other_sample: list[Run], elsewhere: list[Run]
    ) -> bool:
        """Whether the first of two samples has the odd I0, seen from other edges.

        Where these do not tell, it is the one that was measured later.
        """
        usual = self._log_median(elsewhere)
        own_distance, other_distance = (
            abs(self._log_median(list(group)) - usual)
            for group in (scans, other_sample)
        )
        if abs(own_distance - other_distance) > np.log(2):  # not if NaN
            return bool(own_distance > other_distance)
        return scans[0].start_ns > other_sample[0].start_ns

    def _companions(self, scan: Run) -> tuple[Run, ...]:
        if self._calibrations is None:
            self._calibrations = SurroundingCalibrations(self.context)
        return self._calibrations.companions(scan)

    def _usual_flux(self, scans: list[Run], *, has_edge: bool) -> UsualFlux:
        """Return the flux of scans; I0 per photon only from those of the edge."""
        log_i0 = self._log_median(scans)
        if not has_edge:
            return UsualFlux(log_i0)
        channels = (PHOTONS, *self.context.config.xas.channels)
        return UsualFlux(log_i0, tuple(self._log_median(scans, c) for c in channels))

    def _log_median(self, scans: list[Run], divisor: str | None = None) -> float:
        """Return the median logarithm of I0, or of I0 over a channel; NaN: none.

        It is rounded, so that a new scan hardly ever changes what depends on it.
        """
        values = []
        for levels in self._known_levels(scans):
            below = 1.0 if divisor is None else levels.get(divisor, np.nan)
            ratio = levels.get(I0, np.nan) / below if below else np.nan
            if ratio > 0:
                values.append(np.log(ratio))
        if not values:
            return np.nan
        return round(float(np.median(values)) / USUAL_STEP) * USUAL_STEP

    def _known_levels(self, scans: Sequence[Run]) -> list[Levels]:
        return [levels for scan in scans if (levels := self._scan_levels(scan))]

    def _scan_levels(self, scan: Run) -> Levels:
        """Return the levels of a scan; empty without I0 or a product."""
        path = paths.scan_product(self.context.out, scan.name)
        if path not in self._levels:
            self._levels[path] = {}
            if self.context.has(path):
                depends_on = {FLUX_LEVELS: self.context.key_digest(path)}
                with suppress(InputError):  # in a dry run, before the scans are made
                    levels = self.context.memo.get(
                        depends_on, partial(_read_levels, path), dict
                    )
                    channels = {I0, PHOTONS, *self.context.config.xas.channels}
                    self._levels[path] = {k: levels[k] for k in channels & set(levels)}
        return self._levels[path]


def _read_levels(path: Path) -> Levels:
    """Return the levels of all channels of a scan."""
    attributes = nexus.read_attributes(path, names=(FLUX_LEVELS,))
    return dict(json.loads(attributes.get(FLUX_LEVELS, "{}")))


def sample_loss(name: str, group: SampleEdge, verdict: BeamtimeVerdict) -> list[str]:
    """Return a line if the I0 of a sample has another range than that of another one.

    Parameters
    ----------
    name
        Name of the map.
    group
        Its scans.
    verdict
        Of `BeamtimeFlux`.

    Returns
    -------
    list of str
        With the config that corrects it.
    """
    if verdict.factor == 1:
        return []
    scale = round_to_range(1 / verdict.factor)
    scans = ", ".join(f"{config_key(scan)}: {scale:g}" for scan in group.scans)
    return [
        f"{name}: I0 is {round_to_range(verdict.factor):g} times that of "
        f"{verdict.other_sample} for similar photons and readings, so that intensities "
        f"of these samples are not comparable; set `normalise.i0_scale: {{{scans}}}`"
    ]


def config_key(scan: Run) -> str:
    """Return how the config names a scan: by its number, where that is its name."""
    return str(scan.number) if scan.name == f"scan{scan.number:04d}" else scan.name
