"""Config entries that match nothing in the beamtime: a typing error, or forgotten."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import product

import numpy as np

from rixs_pipeline.config import Blank, Comparison, Config, MultiPanelFigure
from rixs_pipeline.files.opening import one_line
from rixs_pipeline.io.formats import off
from rixs_pipeline.io.runs import Beamtime, Run
from rixs_pipeline.stages.figures.missing_labels import missing_labels
from rixs_pipeline.stages.sample.configured_regions import (
    is_requested,
    resolve_regions,
    select_regions,
)
from rixs_pipeline.stages.sample.region_ranges import find_cut, find_unreached
from rixs_pipeline.types import LOG_SPECTRA, Edge, FloatArray

SHOWN_NAMES = 8  # of those that exist
SHOWN_TEXT = 40  # characters of a text of a figure


@dataclass(frozen=True)
class _Unmatched:
    """What an entry names in vain, and the names that there are."""

    text: str
    names: Iterable[str] | Iterable[int] = ()
    where: str = "in this beamtime"

    def __str__(self) -> str:
        """Return the line for users."""
        line = f"config: {self.text} {self.where}"
        names = [str(name) for name in sorted(self.names)]
        if not names:
            return line
        more = ", ..." if len(names) > SHOWN_NAMES else ""
        return f"{line}; there are: {', '.join(names[:SHOWN_NAMES])}{more}"


def unmatched_entries(beamtime: Beamtime, config: Config) -> list[str]:
    """Return a warning for each config entry that does not fit the beamtime.

    It matches nothing there, or reaches beyond the data.

    Parameters
    ----------
    beamtime : Beamtime
        All runs.
    config : Config
        Resolved.

    Returns
    -------
    list of str
        One line each; of samples, edges and readings only if there are scans.
    """
    unmatched = list(_unmatched_pixels(beamtime, config))
    if beamtime.scans:
        unmatched += _unmatched_in_scans(beamtime.scans, config)
    return [
        *map(str, unmatched),
        *_uncovered_by_efficiency(config),
        *find_cut(config.regions, beamtime.scans, config.map.emission),
    ]


def _unmatched_in_scans(scans: Sequence[Run], config: Config) -> list[_Unmatched]:
    """Return the entries that match none of the scans."""
    unmatched = [
        *_unmatched_scans(scans, config),
        *_unmatched_readings(scans, config),
        *_unmatched_blanks(scans, config),
        *_unmatched_regions(scans, config),
        *_too_many_pixels(scans, config),
        *_unmatched_comparisons(scans, config),
        *_unreached_windows(scans, config),
    ]
    for name, figure in config.figures.items():
        unmatched += [
            _Unmatched(f"`figures.{name}`: no {part.text}", part.names)
            for part in _missing_panels(figure, scans)
        ]
    return unmatched


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


def unmatched_labels(config: Config, texts: Mapping[str, Collection[str]]) -> list[str]:
    """Return a warning for each label that replaces no text of the figures.

    Parameters
    ----------
    config : Config
        Resolved.
    texts : mapping of str to collection of str
        Section of the config, such as `plots.map` -> texts of its figures.

    Returns
    -------
    list of str
        One line each, with the texts that are most similar.
    """
    lines = []
    for missing in missing_labels(config, texts):
        shown = sorted(missing.texts)
        similar = get_close_matches(missing.label, shown, SHOWN_NAMES + 1, cutoff=0)
        names = [f"'{one_line(text, SHOWN_TEXT)}'" for text in similar]
        text = f"`{missing.section}.labels`: no text '{missing.label}'"
        lines.append(str(_Unmatched(text, names, "in the figures")))
    return lines


def _unmatched_pixels(beamtime: Beamtime, config: Config) -> Iterator[_Unmatched]:
    files = [path for run in beamtime.runs for path in run.pulse_files]
    pixels = {off.pixel_number(path) for path in files}
    hints = config.calibration.hints.keys() - {"all"}
    of_keys = {
        "beamtime.exclude.pixels": config.beamtime.exclude.pixels,
        "calibration.hints": [pixel for pixel in hints if isinstance(pixel, int)],
    }
    for key, named in of_keys.items():
        for pixel in named if pixels else ():
            if pixel not in pixels:
                yield _Unmatched(f"`{key}`: no pixel {pixel}", pixels)


def _unmatched_scans(scans: Sequence[Run], config: Config) -> Iterator[_Unmatched]:
    names = {scan.name for scan in scans}
    numbers = {str(scan.number) for scan in scans}
    of_keys: dict[str, Iterable[int | str]] = {
        "beamtime.exclude.points": config.beamtime.exclude.points,
        "normalise.i0_scale": config.normalise.i0_scale,
    }
    for channel, factors in config.xas.channel_scale.items():
        of_keys[f"xas.channel_scale.{channel}"] = factors
    for key, named in of_keys.items():
        for scan in named:
            if str(scan) not in names | numbers:
                yield _Unmatched(f"`{key}`: no scan {scan}", names)


def _unmatched_readings(scans: Sequence[Run], config: Config) -> Iterator[_Unmatched]:
    """Yield the channels that no scan has; those of the defaults may be missing."""
    readings = {channel for scan in scans for channel in scan.readings}
    of_keys: dict[str, Iterable[str]] = {"xas.channel_scale": config.xas.channel_scale}
    if "channels" in config.xas.model_fields_set:
        of_keys["xas.channels"] = config.xas.channels
    if config.passes.channel is not None:
        of_keys["passes.channel"] = [config.passes.channel]
    for key, named in of_keys.items():
        for channel in named:
            if channel not in readings:
                yield _Unmatched(f"`{key}`: no reading '{channel}'", readings)


def _unmatched_blanks(scans: Sequence[Run], config: Config) -> Iterator[_Unmatched]:
    samples = {scan.sample for scan in scans}
    for name, region in (config.regions or {}).items():
        for background in region.background or ():
            if isinstance(background, Blank) and background.sample not in samples:
                text = f"`regions.{name}.background`: no sample '{background.sample}'"
                yield _Unmatched(text, samples)


def _unmatched_regions(scans: Sequence[Run], config: Config) -> Iterator[_Unmatched]:
    """Yield one line for all regions of edges that were not scanned."""
    edges = {scan.edge for scan in scans if scan.edge}
    missing: dict[str, list[str]] = {}
    for name, region in resolve_regions(config.regions or {}).items():
        if edges and region.edge and region.edge not in edges:
            missing.setdefault(region.edge, []).append(name)
    parts = [f"{edge} ({', '.join(names)})" for edge, names in missing.items()]
    if parts:
        yield _Unmatched(f"`regions`: no edge {', '.join(parts)}", edges)


def _too_many_pixels(scans: Sequence[Run], config: Config) -> Iterator[_Unmatched]:
    for edge, number in config.map.best_pixels.items():
        arrays = [len(scan.pulse_files) for scan in scans if scan.edge == edge]
        largest = max(arrays, default=0)
        if 0 < largest < number:
            yield _Unmatched(
                f"`map.best_pixels`: {number} pixels at {edge}, of {largest}"
            )


def _unmatched_comparisons(
    scans: Sequence[Run], config: Config
) -> Iterator[_Unmatched]:
    samples = {scan.sample for scan in scans}
    regions = {f"log_{channel}" for channel in LOG_SPECTRA}
    for edge in {scan.edge for scan in scans if scan.edge}:
        regions |= select_regions(edge, config.regions).keys()
    for name, comparison in config.compare.items():
        for sample in comparison.samples:
            if sample not in samples:
                yield _Unmatched(f"`compare.{name}`: no sample '{sample}'", samples)
        for region in dict.fromkeys(_regions_of(comparison)):
            if region not in regions:
                yield _Unmatched(f"`compare.{name}`: no region '{region}'", regions)


def _unreached_windows(scans: Sequence[Run], config: Config) -> Iterator[_Unmatched]:
    """Yield the windows of comparisons that reach no spectrum."""
    incident: dict[Edge, FloatArray] = {}
    for scan in scans:
        if scan.edge:
            before = incident.get(scan.edge, np.empty(0))
            incident[scan.edge] = np.append(before, scan.points.incident_energy)
    edges = [
        (select_regions(edge, config.regions), (np.nanmin(values), np.nanmax(values)))
        for edge, values in incident.items()
        if np.isfinite(values).any()
    ]
    for name, comparison in config.compare.items():
        anywhere = comparison.model_copy(update={"window": None})
        has_region = any(is_requested(anywhere, *edge) for edge in edges)
        if has_region and not any(is_requested(comparison, *edge) for edge in edges):
            window = list(comparison.window or ())
            text = f"`compare.{name}`: no spectrum within {window} eV (`window`)"
            yield _Unmatched(text)


def _regions_of(comparison: Comparison) -> list[str]:
    """Return the regions that a comparison names."""
    regions = list(comparison.regions or ())
    if comparison.feature:
        feature_regions = (comparison.feature.region, comparison.feature.rest)
        regions += [region for region in feature_regions if region]
    return regions


def _missing_panels(
    figure: MultiPanelFigure, scans: Sequence[Run]
) -> Iterator[_Unmatched]:
    """Yield the samples, edges and channels of a multi-panel figure without data."""
    samples = {scan.sample for scan in scans}
    edges = {scan.edge for scan in scans if scan.edge}
    for sample in figure.samples:
        if sample not in samples:
            yield _Unmatched(f"sample '{sample}'", samples)
    for edge in figure.edges:
        if edge not in edges:
            yield _Unmatched(f"edge {edge}", edges)
    for sample, edge in product(figure.samples, figure.edges):
        passes = [s for s in scans if (s.sample, s.edge) == (sample, edge)]
        if not passes and sample in samples and edge in edges:
            yield _Unmatched(f"{sample} at {edge}")
        if not passes or figure.kind != "xas":
            continue
        for channel in figure.channel:
            if channel != "pfy" and not any(channel in s.readings for s in passes):
                channels = {"pfy"}.union(*(s.readings for s in passes))
                yield _Unmatched(f"{channel} of {sample} at {edge}", channels)
