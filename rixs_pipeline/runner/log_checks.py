"""Problems of scans that their logs show, before anything is reduced."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from rixs_pipeline import paths
from rixs_pipeline.config import Config
from rixs_pipeline.errors import RunFailed
from rixs_pipeline.io.runs import Beamtime, Run
from rixs_pipeline.stages.chunks import check_memory
from rixs_pipeline.stages.combine import describe_same_files, describe_unknown_edge
from rixs_pipeline.stages.sample.map_limits import points_outside
from rixs_pipeline.stages.scan.incident_flux import (
    describe_missing,
    find_blanks,
    read_flux,
    require_positive_flux,
)
from rixs_pipeline.stages.scan.point_status import describe_excess_points, find_repeated
from rixs_pipeline.types import FloatArray


def log_problems(beamtime: Beamtime, config: Config) -> Iterator[str]:
    """Yield what a reduction would report of the scans' logs, one line each.

    Parameters
    ----------
    beamtime : Beamtime
        All runs.
    config : Config
        Resolved.

    Yields
    ------
    str
        Scans that would be lost or left out of maps, and those without I0. What needs
        pulses is not among them.
    """
    lowest, highest = config.map.emission
    n_bins = round((highest - lowest) / config.map.step)
    for scan in beamtime.scans:
        try:
            check_memory(scan, n_bins, config.execution.memory_bytes)
            yield from _flux_problems(scan, config)
        except RunFailed as error:
            yield str(error)
        if scan.edge is None:
            yield describe_unknown_edge(scan)
        yield from _excess_points(scan, config)
    try:
        find_blanks(beamtime.scans, config.normalise)
    except RunFailed as error:
        yield str(error)
    yield from _same_files(beamtime)
    yield from _points_outside(beamtime.scans, config)


def _excess_points(scan: Run, config: Config) -> Iterator[str]:
    """Yield that the config excludes points that a scan does not have."""
    points = config.beamtime.exclude.points
    excluded = points.get(scan.name, points.get(scan.number, ()))
    if max(excluded, default=0) >= len(scan.points):
        yield describe_excess_points(scan)


def _flux_problems(scan: Run, config: Config) -> Iterator[str]:
    """Yield what is wrong with the I0 of a scan.

    Raises
    ------
    RunFailed
        It is nowhere positive.
    """
    normalise = config.normalise
    if normalise.i0 is None:
        return
    flux = read_flux(scan, normalise)
    if flux is None:
        yield describe_missing(scan, normalise)
        return
    require_positive_flux(scan, flux, normalise)
    is_dark = np.zeros(len(scan.points), bool)
    yield from find_repeated(scan, normalise, is_dark).warnings


def _same_files(beamtime: Beamtime) -> Iterator[str]:
    """Yield samples whose maps would have the same file name."""
    samples: dict[Path, dict[str, None]] = {}
    for scan in beamtime.scans:
        if scan.edge is not None:
            product = paths.map_product(beamtime.path, scan.sample, scan.edge)
            samples.setdefault(product, {})[scan.sample] = None
    clashes = dict.fromkeys(tuple(names) for names in samples.values())
    for owner, *others in clashes:
        for sample in others:
            yield describe_same_files(owner, sample)


def _points_outside(scans: Sequence[Run], config: Config) -> Iterator[str]:
    """Yield the maps some or all of whose points are in no incident bin."""
    energies: dict[str, list[FloatArray]] = {}
    for scan in scans:
        if scan.edge is not None:
            name = paths.map_product(Path(), scan.sample, scan.edge).stem
            energies.setdefault(name, []).append(scan.points.incident_energy)
    for name, incident in energies.items():
        try:
            yield from points_outside(np.concatenate(incident), config.map, name)
        except RunFailed as error:
            yield str(error)
