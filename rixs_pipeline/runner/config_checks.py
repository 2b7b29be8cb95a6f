"""Config entries that match nothing in the beamtime: a typing error, or forgotten."""

from collections.abc import Iterator, Sequence
from itertools import product

from rixs_pipeline.config import Comparison, Config, MultiPanelFigure
from rixs_pipeline.io.formats import off
from rixs_pipeline.io.runs import Beamtime, Run
from rixs_pipeline.stages.sample import region_spectra
from rixs_pipeline.stages.sample.configured_regions import select_regions
from rixs_pipeline.stages.sample.region_ranges import find_unreached


def unmatched_entries(beamtime: Beamtime, config: Config) -> list[str]:
    """Return a warning for each config entry that matches nothing in the beamtime.

    Parameters
    ----------
    beamtime : Beamtime
        All runs.
    config : Config
        Resolved.

    Returns
    -------
    list of str
        One line each.
    """
    scans = beamtime.scans
    lines = [
        *_unmatched_exclusions(beamtime, config),
        *_unmatched_comparisons(scans, config),
    ]
    for name, figure in config.figures.items():
        lines += [
            f"`figures.{name}`: no {part}" for part in _missing_panels(figure, scans)
        ]
    unmatched = [f"config: {line} in this beamtime" for line in lines]
    return unmatched + _uncovered_by_efficiency(config)


def _uncovered_by_efficiency(config: Config) -> list[str]:
    """Return a line if maps go beyond the energies of the efficiency."""
    low, high = config.map.emission
    energies = [energy for energy, _ in config.normalise.efficiency] or [low, high]
    if energies[0] <= low and energies[-1] >= high:
        return []
    return [
        f"config: `normalise.efficiency` covers {energies[0]:g} to {energies[-1]:g} "
        f"eV of {low:g} to {high:g} eV (`map.emission`); constant beyond; extend it"
    ]


def unreached_regions(beamtime: Beamtime, config: Config) -> list[str]:
    """Return a line for each region of the config that touches no data.

    Parameters
    ----------
    beamtime : Beamtime
        All runs.
    config : Config
        Resolved.

    Returns
    -------
    list of str
        The spectra of these regions are lost.
    """
    return find_unreached(config.regions, beamtime.scans, config.map.emission)


def _unmatched_exclusions(beamtime: Beamtime, config: Config) -> Iterator[str]:
    exclude = config.beamtime.exclude
    files = [path for run in beamtime.runs for path in run.pulse_files]
    pixels = {off.pixel_number(path) for path in files}
    for pixel in exclude.pixels if pixels else ():
        if pixel not in pixels:
            yield f"`beamtime.exclude.pixels`: no pixel {pixel}"
    names: set[str] = {scan.name for scan in beamtime.scans}
    names |= {str(scan.number) for scan in beamtime.scans}
    for key in exclude.points:
        if str(key) not in names:
            yield f"`beamtime.exclude.points`: no scan {key}"
    for key in config.normalise.i0_scale:
        if str(key) not in names:
            yield f"`normalise.i0_scale`: no scan {key}"


def _unmatched_comparisons(scans: Sequence[Run], config: Config) -> Iterator[str]:
    samples = {scan.sample for scan in scans}
    regions = {f"log_{channel}" for channel in region_spectra.LOG_SPECTRA}
    for edge in {scan.edge for scan in scans if scan.edge}:
        regions |= select_regions(edge, config.regions).keys()
    for name, comparison in config.compare.items():
        for sample in comparison.samples:
            if sample not in samples:
                yield f"`compare.{name}`: no sample '{sample}'"
        for region in dict.fromkeys(_regions_of(comparison)):
            if region not in regions:
                yield f"`compare.{name}`: no region '{region}'"


def _regions_of(comparison: Comparison) -> list[str]:
    """Return the regions that a comparison names."""
    regions = list(comparison.regions or ())
    if comparison.feature:
        feature_regions = (comparison.feature.region, comparison.feature.rest)
        regions += [region for region in feature_regions if region]
    return regions


def _missing_panels(figure: MultiPanelFigure, scans: Sequence[Run]) -> Iterator[str]:
    """Yield the samples, edges and channels of a multi-panel figure without data."""
    samples = {scan.sample for scan in scans}
    edges = {scan.edge for scan in scans}
    yield from (f"sample '{s}'" for s in figure.samples if s not in samples)
    yield from (f"edge {edge}" for edge in figure.edges if edge not in edges)
    for sample, edge in product(figure.samples, figure.edges):
        passes = [s for s in scans if (s.sample, s.edge) == (sample, edge)]
        if not passes and sample in samples and edge in edges:
            yield f"{sample} at {edge}"
        if not passes or figure.kind != "xas":
            continue
        for channel in figure.channel:
            if channel != "pfy" and not any(channel in s.readings for s in passes):
                yield f"{channel} of {sample} at {edge}"
